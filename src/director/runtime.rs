//! What is so of a service's servers at run time, beside the states in which holders hold them.

use std::net::SocketAddr;

use ahash::HashMap;

use crate::config::{RealServer, VirtualService};
use crate::director::ejection::Ejections;

/// By address, so that it survives reloads, removal and return.
#[derive(Default)]
pub(super) struct Runtime {
    /// When the slow start of a server began.
    pub(super) starts: HashMap<SocketAddr, u64>,
    pub(super) ejections: Ejections,
    /// Too few servers are up to believe it; see `shape`.
    pub(super) panics: bool,
}

impl Runtime {
    pub(super) fn is_empty(&self) -> bool {
        let Ejections { records, began, .. } = &self.ejections;
        self.starts.is_empty() && records.is_empty() && began.is_none() && !self.panics
    }
}

/// True if servers' effective weights can differ from the configured ones, or the service can panic.
pub(super) fn is_shaped<S>(service: &VirtualService<S>, servers: &[RealServer]) -> bool {
    service.slow_start.is_some()
        || service.spill_over.is_some()
        || service.panic_threshold > 0
        || servers.iter().any(|server| server.priority != 0)
}
