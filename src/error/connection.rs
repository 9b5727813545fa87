//! Why a pick or a change of a connection was refused.

use std::ffi::CStr;
use std::fmt;

/// Why no server was picked.
///
/// Found by a look at the servers after the pick, in the order of the variants: servers without weight
/// drop out first, then those that are held, then those that are overloaded, then those that were tried;
/// the reason is the step that left none. O(servers), lock-free. A server that changes meanwhile counts
/// as it then is.
///
/// ```
/// use vsched::{Config, Director, Flow, Refused};
/// let config: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1 -w 0".parse()?;
/// let director = Director::new(&config)?;
/// let service = director.service("tcp 10.0.0.1:80")?;
/// let refused = director.pick_server(service, &Flow::default()).expect_err("there is no weight");
/// assert_eq!(refused, Refused::AllQuiesced);
/// assert_eq!(refused.to_string(), "all servers are quiesced");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Refused {
    /// The service was deleted after its id was looked up, or the id belongs to another director. No
    /// later pick with this id succeeds, even if a service with the same key is added again: look the id
    /// up again. Nothing was counted.
    NoService = 1,
    /// The flow is FTP data, which the service does not schedule. Nothing was counted.
    NotScheduled = 2,
    /// No scheduler is bound to the service.
    NoScheduler = 3,
    /// The service has no server.
    NoServer = 4,
    /// Every server has weight 0.
    AllQuiesced = 5,
    /// Every server with a weight is held [draining](crate::ServerState::Draining) or
    /// [down](crate::ServerState::Down), or ejected.
    AllDown = 6,
    /// Every server that is left has reached its upper threshold, or the most connections that one can
    /// have.
    AllOverloaded = 7,
    /// Every server that is left was tried.
    AllTried = 8,
    /// Servers are available, but the scheduler gives this flow none: sh, dh and mh without fallback,
    /// where the flow's own server is quiesced or overloaded; ovf, where each has more active connections
    /// than its weight. Or servers became available and unavailable in turn while the pick was repeated.
    NotThisFlow = 9,
}

impl Refused {
    /// All reasons.
    pub const ALL: &'static [Refused] = &[
        Refused::NoService,
        Refused::NotScheduled,
        Refused::NoScheduler,
        Refused::NoServer,
        Refused::AllQuiesced,
        Refused::AllDown,
        Refused::AllOverloaded,
        Refused::AllTried,
        Refused::NotThisFlow,
    ];

    /// Returns the reason in a few words.
    pub fn text(self) -> &'static str {
        // ASCII.
        self.text_c().to_str().unwrap_or_default()
    }

    /// The [`text`](Self::text) for C.
    pub(crate) const fn text_c(self) -> &'static CStr {
        match self {
            Refused::NoService => c"no such service",
            Refused::NotScheduled => c"FTP data, which the service does not schedule",
            Refused::NoScheduler => c"the service has no scheduler",
            Refused::NoServer => c"the service has no server",
            Refused::AllQuiesced => c"all servers are quiesced",
            Refused::AllDown => c"all servers are draining or down",
            Refused::AllOverloaded => c"all servers are overloaded",
            Refused::AllTried => c"all available servers were tried",
            Refused::NotThisFlow => c"the scheduler has no server for this flow",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Refused {}

/// Why a connection could not be opened, updated or closed. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The server is gone, or the lease is empty or was already closed.
    Stale,
    /// The server already has [`MAX_CONNECTIONS`](crate::MAX_CONNECTIONS) connections.
    Full,
    /// The server is overloaded. No public method returns this: [`open`](crate::Worker::open) accepts
    /// an overloaded server, and [`connect`](crate::Worker::connect) picks another one.
    Overloaded,
    /// Other owners of the [`Block`](crate::Block) never stopped changing the server's counts meanwhile. Only
    /// [`set_counts`](crate::Director::set_counts) returns this.
    Busy,
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConnectionError::Stale => "the server is gone, or the lease was closed already",
            ConnectionError::Full => "the server counts 33554431 connections, the most it can",
            ConnectionError::Overloaded => "the server is overloaded",
            ConnectionError::Busy => "other processes keep changing the server's counts",
        })
    }
}

impl std::error::Error for ConnectionError {}

/// A set of tried servers that has no room for another. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TriedFull {
    limit: usize,
}

impl TriedFull {
    pub(crate) const fn new(limit: usize) -> Self {
        TriedFull { limit }
    }

    /// Returns the number of servers that the set can have.
    pub const fn limit(self) -> usize {
        self.limit
    }
}

impl fmt::Display for TriedFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} servers were tried, the most that the set can have", self.limit)
    }
}

impl std::error::Error for TriedFull {}

/// Why a server's state could not be set. Nothing was changed.
///
/// ```
/// use vsched::{Holder, ServerState, StateError};
/// # use vsched::{Config, Director};
/// # let config: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?;
/// # let director = Director::new(&config)?;
/// # let server = director.server(director.service("tcp 10.0.0.1:80")?, "10.0.1.1:80")?;
/// let refusal = director.set_state(server, Holder::Ejector, ServerState::Down);
/// assert_eq!(refusal, Err(StateError::Ejector), "a host may only end an ejection");
/// director.set_state(server, Holder::Ejector, ServerState::Up)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateError {
    /// The server is gone, or the id belongs to another director.
    Stale,
    /// The reason is longer than 255 bytes.
    #[non_exhaustive]
    Reason {
        /// Its length in bytes.
        length: usize,
    },
    /// The service cannot be compiled again: no memory.
    #[non_exhaustive]
    OutOfMemory {
        /// The bytes that it takes.
        bytes: u64,
    },
    /// Only a service's own ejection holds a server in the ejector's name.
    Ejector,
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateError::Stale => f.write_str("no such server"),
            StateError::Reason { length } => {
                write!(f, "reason: {length} bytes are more than the limit of 255")
            }
            StateError::OutOfMemory { bytes } => write!(f, "no memory for {bytes} bytes"),
            StateError::Ejector => {
                f.write_str("holder ejector: expected state up, which ends an ejection")
            }
        }
    }
}

impl std::error::Error for StateError {}

#[cfg(test)]
mod tests {
    use super::StateError;

    #[test]
    fn missing_memory_has_a_size() {
        assert_eq!(StateError::OutOfMemory { bytes: 7 }.to_string(), "no memory for 7 bytes");
    }
}
