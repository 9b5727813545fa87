//! A message that cannot be written or understood.

use std::fmt;

use super::Command;

/// A message that cannot be written or understood: which attribute of which command, and the limit.
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

    /// The same, told of this command unless it names one.
    pub(crate) fn of(mut self, command: Command) -> Self {
        self.command.get_or_insert(command);
        self
    }

    /// The command of the message, if one could be read.
    pub fn command(&self) -> Option<Command> {
        self.command
    }

    /// The attribute, such as `SERVICE.SCHED_NAME`, or the header concerned.
    pub fn attribute(&self) -> &'static str {
        self.attribute
    }

    /// What is wrong and what the limit is.
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
