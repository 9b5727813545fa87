//! One error type per boundary; each error names the item and the limit.
//!
//! Every message is safe for a terminal and a log, regardless of the input: it quotes at most 80
//! characters of any word of the input and marks the cut, escapes invisible characters such as control
//! characters and bidirectional marks (`\u{1b}`), and lists at most 100 problems.
//!
//! A message says all, the cause included, so no error has a [`source`](std::error::Error::source): a
//! printer of error chains repeats nothing. The cause is a field or has an accessor.

mod block;
mod connection;
mod guardrails;
mod lookup;
mod quoted;

use std::fmt;
use std::net::SocketAddr;

pub use block::BlockError;
pub use connection::{ConnectionError, Refused, StateError, TriedFull};
pub use guardrails::{GuardrailError, ServiceLoss, Violation};
pub use lookup::{IdError, ServerError, ServiceError};
#[cfg(feature = "serde")]
pub(crate) use quoted::legible;
pub(crate) use quoted::{Escaped, OneWord, Quoted};

/// A service key that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyError {
    text: String,
    expected: &'static str,
}

impl KeyError {
    pub(crate) fn new(text: &str, expected: &'static str) -> Self {
        KeyError { text: text.to_owned(), expected }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service key `{}`: {}", Quoted(&self.text), self.expected)
    }
}

impl std::error::Error for KeyError {}

/// A text that is no [`Name`](crate::config::Name).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameError {
    text: String,
}

impl NameError {
    pub(crate) const EXPECTED: &str =
        "expected 1 to 253 ASCII letters, digits and -_./@, one of them a letter";

    pub(crate) fn new(text: &str) -> Self {
        NameError { text: text.to_owned() }
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "name `{}`: {}", Quoted(&self.text), NameError::EXPECTED)
    }
}

impl std::error::Error for NameError {}

/// A scheduler name that is not in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownScheduler {
    name: String,
    known: &'static [&'static str],
}

impl UnknownScheduler {
    pub(crate) fn new(name: &str, known: &'static [&'static str]) -> Self {
        UnknownScheduler { name: name.to_owned(), known }
    }
}

impl fmt::Display for UnknownScheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown scheduler `{}`; known: {}", Quoted(&self.name), self.known.join(" "))
    }
}

impl std::error::Error for UnknownScheduler {}

/// A command that the current state refuses, as the kernel would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandError {
    refusal: Refusal,
    service: String,
    server: Option<SocketAddr>,
    /// The role of the daemon, if the command is about one.
    daemon: Option<&'static str>,
}

/// Why a command is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// Adding a service that already exists.
    ServiceExists,
    /// A command on a service that does not exist.
    NoService,
    /// Adding a server that already exists.
    ServerExists,
    /// A command on a server that does not exist.
    NoServer,
    /// Starting a synchronization daemon with a role that already has one.
    DaemonExists,
    /// Stopping a synchronization daemon that does not exist.
    NoDaemon,
}

impl CommandError {
    pub(crate) fn service_exists(service: impl fmt::Display) -> Self {
        let (refusal, service) = (Refusal::ServiceExists, service.to_string());
        CommandError { refusal, service, server: None, daemon: None }
    }

    pub(crate) fn no_service(service: impl fmt::Display) -> Self {
        CommandError { refusal: Refusal::NoService, ..Self::service_exists(service) }
    }

    pub(crate) fn server_exists(service: impl fmt::Display, server: SocketAddr) -> Self {
        let (refusal, service) = (Refusal::ServerExists, service.to_string());
        CommandError { refusal, service, server: Some(server), daemon: None }
    }

    pub(crate) fn no_server(service: impl fmt::Display, server: SocketAddr) -> Self {
        CommandError { refusal: Refusal::NoServer, ..Self::server_exists(service, server) }
    }

    pub(crate) fn daemon_exists(role: &'static str) -> Self {
        let (refusal, service) = (Refusal::DaemonExists, String::new());
        CommandError { refusal, service, server: None, daemon: Some(role) }
    }

    pub(crate) fn no_daemon(role: &'static str) -> Self {
        CommandError { refusal: Refusal::NoDaemon, ..Self::daemon_exists(role) }
    }

    /// Returns why the command was refused.
    pub fn refusal(&self) -> Refusal {
        self.refusal
    }

    /// Returns the key of the service concerned; empty if the command is about a daemon.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Returns the server concerned; `None` if the command is not about one.
    pub fn server(&self) -> Option<SocketAddr> {
        self.server
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.daemon {
            Some(role) => write!(f, "daemon {role}: ")?,
            None => write!(f, "service {}: ", self.service)?,
        }
        if let Some(server) = self.server {
            write!(f, "server {server}: ")?;
        }
        f.write_str(match self.refusal {
            Refusal::ServiceExists | Refusal::ServerExists => "exists already",
            Refusal::DaemonExists => "runs already",
            Refusal::NoDaemon => "no such daemon",
            Refusal::NoService => "no such service",
            Refusal::NoServer => "no such server",
        })
    }
}

impl std::error::Error for CommandError {}

/// The first line of a rules text that cannot be parsed or executed.
///
/// ```
/// let error = "-A -t 10.0.0.1:80\n-A -t 10.0.0.1:80".parse::<vsched::Config>().unwrap_err();
/// assert_eq!((error.line(), error.word()), (2, "-A"));
/// assert_eq!(error.message(), "service tcp 10.0.0.1:80: exists already");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesError {
    line: usize,
    column: usize,
    word: String,
    message: String,
    refused: Option<Box<CommandError>>,
}

impl RulesError {
    pub(crate) fn new(
        line: usize,
        column: usize,
        word: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        RulesError { line, column, word: word.into(), message: message.into(), refused: None }
    }

    /// The error for a command that the config refused.
    pub(crate) fn from_refused(
        line: usize,
        column: usize,
        word: &str,
        error: CommandError,
    ) -> Self {
        RulesError {
            message: error.to_string(),
            refused: Some(Box::new(error)),
            ..RulesError::new(line, column, word, "")
        }
    }

    /// Returns the line number, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Returns the column of the offending word, from 1, in characters.
    pub fn column(&self) -> usize {
        self.column
    }

    /// Returns the offending word as it stands in the text, complete and not escaped; the command's
    /// word if something is missing or the whole line cannot be executed.
    pub fn word(&self) -> &str {
        &self.word
    }

    /// Returns what is wrong and what was expected.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns why the config refused the command, if the line could be parsed.
    pub fn refused(&self) -> Option<&CommandError> {
        self.refused.as_deref()
    }
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RulesError { line, column, word, message, .. } = self;
        write!(f, "line {line}, column {column}: `{}`: {message}", Quoted(word))
    }
}

impl std::error::Error for RulesError {}

/// A config that violates limits: all its problems at once.
///
/// ```
/// let mut config: vsched::Config = "-A -f 7".parse()?;
/// config.services[0].panic_threshold = 101;
/// let error = config.validate().unwrap_err();
/// assert_eq!(error.problems()[0].path(), "service fwmark 7: panic_threshold");
/// # Ok::<(), vsched::error::RulesError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    pub(crate) fn from_problems(problems: Vec<Problem>) -> Result<(), ConfigError> {
        if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
    }

    /// Returns every problem, in the order of the config. Never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// One problem of a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    path: String,
    message: String,
}

impl Problem {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Problem { path: path.into(), message: message.into() }
    }

    /// Returns the location, such as `service tcp 192.168.4.5:80: server 192.168.5.11:80: weight`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns what is wrong and what the limit is.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Most problems that a message lists.
const MOST_NAMED: usize = 100;

/// Writes the first 100 problems, one per line, and the number of further ones.
pub(crate) fn write_problems(
    problems: &[impl fmt::Display],
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    for (index, problem) in problems.iter().take(MOST_NAMED).enumerate() {
        if index > 0 {
            f.write_str("\n")?;
        }
        problem.fmt(f)?;
    }
    match problems.len().saturating_sub(MOST_NAMED) {
        0 => Ok(()),
        more => write!(f, "\nand {more} more"),
    }
}

impl fmt::Display for ConfigError {
    /// Writes the first 100 problems, one per line, and the number of further ones.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_problems(&self.problems, f)
    }
}

impl std::error::Error for ConfigError {}

/// A config or command that a director cannot apply. Nothing was changed.
///
/// ```
/// use vsched::config::Command;
/// use vsched::error::{ApplyError, Refusal};
/// use vsched::{Config, Director};
/// let director = Director::new(&Config::new())?;
/// match director.execute(&Command::DeleteService("fwmark 7".parse()?)) {
///     Err(ApplyError::Command(error)) => assert_eq!(error.refusal(), Refusal::NoService),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApplyError {
    /// The config violates limits.
    Invalid(ConfigError),
    /// The director has too few slots. Servers that were removed and still have connections occupy slots
    /// too.
    #[non_exhaustive]
    Full {
        /// The kind of item of which there are too many: `servers` or `services`.
        what: &'static str,
        /// The maximum number of slots for it.
        limit: u32,
    },
    /// The system does not have enough memory for one of the config's large parts, or for the change
    /// as a whole.
    #[non_exhaustive]
    OutOfMemory {
        /// The part, and the setting that determines its size.
        what: String,
        /// The size of the allocation that failed, in bytes.
        bytes: u64,
    },
    /// The current state refuses the command.
    Command(CommandError),
    /// The server's id is stale, or the server is no longer configured.
    Stale,
    /// The change would remove more than the guardrails allow.
    Guardrails(GuardrailError),
    /// The [`Block`](crate::Block) with the director's state cannot be used, or cannot carry the config.
    Block(BlockError),
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApplyError::Invalid(error) => error.fmt(f),
            ApplyError::Full { what, limit } => {
                write!(f, "more than {limit} {what}, those with open connections included")
            }
            ApplyError::OutOfMemory { what, bytes } => {
                write!(f, "{what}: the system has no {bytes} bytes of memory for it")
            }
            ApplyError::Command(error) => error.fmt(f),
            ApplyError::Stale => f.write_str("no such server"),
            ApplyError::Guardrails(error) => error.fmt(f),
            ApplyError::Block(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ApplyError {}

impl From<ConfigError> for ApplyError {
    fn from(error: ConfigError) -> Self {
        ApplyError::Invalid(error)
    }
}

impl From<GuardrailError> for ApplyError {
    fn from(error: GuardrailError) -> Self {
        ApplyError::Guardrails(error)
    }
}

impl From<CommandError> for ApplyError {
    fn from(error: CommandError) -> Self {
        ApplyError::Command(error)
    }
}
