//! Errors of the exchange with the kernel, in words.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::wire::{Command, WireError};
use crate::config::{NotInLinux, ServiceKey, SyncRole};
use crate::error::Quoted;

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Object {
    /// All of IPVS.
    Everything,
    /// A virtual service.
    Service(ServiceKey),
    /// A real server of a virtual service.
    Server(ServiceKey, SocketAddr),
    /// A synchronization daemon.
    Daemon(SyncRole),
    /// The connection timeouts.
    Timeouts,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Object::Everything => f.write_str("everything"),
            Object::Service(key) => write!(f, "service {key}"),
            Object::Server(key, server) => write!(f, "service {key}: server {server}"),
            Object::Daemon(SyncRole::Master) => f.write_str("daemon master"),
            Object::Daemon(SyncRole::Backup) => f.write_str("daemon backup"),
            Object::Timeouts => f.write_str("timeouts"),
        }
    }
}

/// Why the kernel refused a request, as far as the error number says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The object to add exists already.
    Exists,
    /// There is no such service.
    NoService,
    /// There is no such server.
    NoServer,
    /// There is no such scheduler or persistence engine.
    NoScheduler,
    /// There is no such daemon.
    NoDaemon,
    /// There is no such network interface.
    NoInterface,
    /// A value is not acceptable.
    Invalid,
    /// A weight or threshold is out of range.
    Range,
    /// The address family is not supported.
    Family,
    /// CAP_NET_ADMIN in the initial user namespace is missing.
    Permission,
    /// The kernel is out of memory.
    Memory,
    /// The kernel does not know the command.
    Unsupported,
    /// Any other error number.
    Other,
}

/// A request that the kernel refused, and that changed nothing.
///
/// ```
/// use vsched::netlink::{Cause, Object, Refused, wire::Command};
/// let object = Object::Service("tcp 10.0.0.1:80".parse()?);
/// // One number of the kernel, two meanings.
/// let (add, edit) = (Command::NewService, Command::SetDest);
/// assert_eq!(Refused::new(add, object, libc::ENOENT).cause(), Cause::NoScheduler);
/// assert_eq!(Refused::new(edit, object, libc::ENOENT).cause(), Cause::NoServer);
/// # Ok::<(), vsched::error::KeyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    command: Command,
    object: Object,
    errno: i32,
}

impl Refused {
    /// The refusal of a command with this error number.
    pub fn new(command: Command, object: Object, errno: i32) -> Self {
        Refused { command, object, errno }
    }

    /// The command.
    pub fn command(&self) -> Command {
        self.command
    }

    /// What it was about.
    pub fn object(&self) -> Object {
        self.object
    }

    /// The kernel's error number.
    pub fn errno(&self) -> i32 {
        self.errno
    }

    /// What the number means for this command.
    pub fn cause(&self) -> Cause {
        use Command::{
            DelDaemon, DelDest, NewDaemon, NewDest, NewService, SetDest, SetService, Zero,
        };
        match (self.errno, self.command) {
            (libc::EEXIST, _) => Cause::Exists,
            (libc::ESRCH, DelDaemon) => Cause::NoDaemon,
            (libc::ESRCH, _) => Cause::NoService,
            (libc::ENOENT, NewService | SetService) => Cause::NoScheduler,
            (libc::ENOENT, NewDest | SetDest | DelDest | Zero) => Cause::NoServer,
            (libc::ENODEV, NewDaemon) => Cause::NoInterface,
            (libc::EINVAL, _) => Cause::Invalid,
            (libc::ERANGE, _) => Cause::Range,
            (libc::EAFNOSUPPORT, _) => Cause::Family,
            (libc::EPERM | libc::EACCES, _) => Cause::Permission,
            (libc::ENOMEM, _) => Cause::Memory,
            (libc::EOPNOTSUPP | libc::ENOPROTOOPT, _) => Cause::Unsupported,
            _ => Cause::Other,
        }
    }

    fn words(&self) -> &'static str {
        match (self.cause(), self.command) {
            (Cause::Exists, Command::NewDaemon) => "it runs already",
            (Cause::Exists, _) => "it exists already",
            (Cause::NoService, _) => "no such service",
            (Cause::NoServer, _) => "no such server",
            (Cause::NoScheduler, _) => {
                "no such scheduler or persistence engine; is its module installed?"
            }
            (Cause::NoDaemon, _) => "no such daemon runs",
            (Cause::NoInterface, _) => "no such network interface",
            (Cause::Invalid, Command::NewDest | Command::SetDest) => {
                "not acceptable: an address that is not unicast here (a namespace without any \
                 address takes none), gue without a port, an upper threshold above 2147483647, or \
                 a server of the other address family without a tunnel or beside a daemon"
            }
            (Cause::Invalid, Command::NewService | Command::SetService) => {
                "not acceptable: a scheduler name that is too long, an IPv6 prefix outside 1 to \
                 128, or more servers than the scheduler's table takes"
            }
            (Cause::Invalid, Command::NewDaemon) => {
                "not acceptable: a group that is not multicast, or servers of another address \
                 family than their service"
            }
            (Cause::Invalid, Command::SetConfig) => "not acceptable: a timeout that is too long",
            (Cause::Invalid, _) => "not acceptable",
            (Cause::Range, _) => {
                "out of range: a weight above 2147483647, or a lower threshold above the upper"
            }
            (Cause::Family, _) => "the kernel does not support this address family",
            (Cause::Permission, _) => "CAP_NET_ADMIN in the initial user namespace is needed",
            (Cause::Memory, _) => "the kernel is short of memory",
            (Cause::Unsupported, _) => "the kernel does not know this command",
            (Cause::Other, _) => "the kernel refuses it",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refused { command, object, errno } = self;
        let system = io::Error::from_raw_os_error(*errno);
        write!(f, "{object}: {command}: {} ({system})", self.words())
    }
}

impl std::error::Error for Refused {}

/// An exchange with the kernel that failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// This kernel has no IPVS, or it is not loaded and could not be.
    Absent,
    /// The kernel refused a request.
    Refused(Refused),
    /// A request for a scheduler or another setting that Linux does not have. Of the call's requests,
    /// none was sent.
    #[non_exhaustive]
    NotInLinux {
        /// The service or server.
        object: Object,
        /// The setting.
        setting: NotInLinux,
    },
    /// No answer came in time. The request may have been carried out.
    Timeout(Duration),
    /// Answers were lost because the receive buffer was full, or were cut off. The request may have been
    /// carried out: read again.
    Lost,
    /// Other programs changed the object during every attempt to read it.
    #[non_exhaustive]
    Unsettled {
        /// What was being read.
        object: Object,
        /// The number of attempts.
        attempts: u32,
    },
    /// A request that cannot be written or an answer that cannot be understood.
    Wire(WireError),
    /// A system call failed.
    #[non_exhaustive]
    System {
        /// What was being done.
        step: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A network namespace that cannot be entered.
    #[non_exhaustive]
    Namespace {
        /// Its path.
        path: std::path::PathBuf,
        /// Why it cannot be entered.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn system(step: &'static str) -> impl Fn(io::Error) -> Error {
        move |source| Error::System { step, source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Absent => f.write_str("this kernel has no IPVS: load it with `modprobe ip_vs`"),
            Error::Refused(refused) => refused.fmt(f),
            Error::NotInLinux { object, setting } => write!(f, "{object}: {setting}"),
            Error::Timeout(time) => write!(f, "no answer from the kernel within {time:?}"),
            Error::Lost => f.write_str(
                "answers of the kernel were lost; what was asked for may have been done",
            ),
            Error::Unsettled { object, attempts } => {
                write!(f, "{object}: changed by others during each of {attempts} readings")
            }
            Error::Wire(error) => error.fmt(f),
            Error::System { step, source } => write!(f, "{step}: {source}"),
            Error::Namespace { path, source } => {
                write!(f, "network namespace {}: {source}", Quoted(&path.to_string_lossy()))
            }
        }
    }
}

impl std::error::Error for Error {}

impl From<WireError> for Error {
    fn from(error: WireError) -> Self {
        Error::Wire(error)
    }
}

/// A request of a batch that the kernel refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// Its place in the batch.
    pub index: usize,
    /// Why.
    pub refused: Refused,
}

impl Failure {
    /// Returns the refusal of the request at this place.
    pub const fn new(index: usize, refused: Refused) -> Self {
        Failure { index, refused }
    }
}

/// A batch that did not complete.
#[derive(Debug)]
#[non_exhaustive]
pub struct Stopped {
    /// What stopped it.
    pub error: Error,
    /// How many requests, counted from the first, have a known outcome: done, except for `failures`.
    pub answered: usize,
    /// How many requests were sent. Those from `answered` on may have been done or not.
    pub sent: usize,
    /// Requests known to be refused; some may be between `answered` and `sent`.
    pub failures: Vec<Failure>,
}

impl Stopped {
    /// Returns a batch without refusals.
    pub const fn new(error: Error, answered: usize, sent: usize) -> Self {
        Stopped { error, answered, sent, failures: Vec::new() }
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stopped { error, answered, sent, failures } = self;
        let refused = failures.len();
        write!(f, "{error}; {answered} of {sent} requests sent are answered, {refused} refused")
    }
}

impl std::error::Error for Stopped {}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
