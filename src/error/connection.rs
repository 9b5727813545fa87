//! Why a pick or a change of a connection was refused.

use std::fmt;

/// Why no server was picked.
///
/// No connection was counted. A worker counts a pick for which no server was available in the service's
/// statistics; it does not count FTP data flows and stale ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
// As in `vsched_status`: the C functions return the number.
#[repr(u8)]
pub enum Refused {
    /// The service has no server or no scheduler; all its servers are quiesced, overloaded, full or
    /// already tried; or the flow is FTP data that the service does not schedule. A later pick may
    /// succeed.
    NoServer = 1,
    /// The service was deleted after its id was looked up, or the id belongs to another director. No
    /// later pick with this id succeeds, even if a service with the same key is added again: look up
    /// the id again.
    NoService = 2,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::NoServer => "no server is available",
            Refused::NoService => "no such service",
        })
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
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConnectionError::Stale => "the server is gone, or the lease was closed already",
            ConnectionError::Full => "the server counts 33554431 connections, the most it can",
            ConnectionError::Overloaded => "the server is overloaded",
        })
    }
}

impl std::error::Error for ConnectionError {}

/// Why a server's state could not be set. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateError {
    /// The server is gone, or the id belongs to another director.
    Stale,
    /// The reason is longer than 255 bytes.
    Reason {
        /// Its length in bytes.
        length: usize,
    },
    /// The service cannot be compiled again: no memory.
    OutOfMemory {
        /// The bytes that it takes.
        bytes: u64,
    },
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateError::Stale => f.write_str("no such server"),
            StateError::Reason { length } => {
                write!(f, "reason: {length} bytes are more than the limit of 255")
            }
            StateError::OutOfMemory { bytes } => write!(f, "no memory for {bytes} bytes"),
        }
    }
}

impl std::error::Error for StateError {}
