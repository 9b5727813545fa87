//! A message that cannot be encoded or decoded.

use std::fmt;

use super::Command;

/// A message that cannot be encoded or decoded: which attribute of which command, and the limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireError {
    command: Option<Command>,
    attribute: &'static str,
    problem: String,
}

impl WireError {
    pub(crate) fn new(attribute: &'static str, problem: impl Into<String>) -> Self {
        WireError { command: None, attribute, problem: problem.into() }
    }

    pub(crate) fn missing(attribute: &'static str) -> Self {
        WireError::new(attribute, "missing, but required")
    }

    /// The same with this command, unless it names one already.
    pub(crate) fn of(mut self, command: Command) -> Self {
        self.command.get_or_insert(command);
        self
    }

    /// The command of the message, if one could be read.
    pub fn command(&self) -> Option<Command> {
        self.command
    }

    /// The attribute, such as `SERVICE.SCHED_NAME`, or the header.
    pub fn attribute(&self) -> &'static str {
        self.attribute
    }

    /// The problem and the limit.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(command) = self.command {
            write!(f, "{command}: ")?;
        }
        write!(f, "{}: {}", self.attribute, self.problem)
    }
}

impl std::error::Error for WireError {}
