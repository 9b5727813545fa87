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
            ConnectionError::Full => "the server counts 67108863 connections, the most it can",
            ConnectionError::Overloaded => "the server is overloaded",
        })
    }
}

impl std::error::Error for ConnectionError {}
