//! Servers that are gone from the config and not from their clients.

use std::net::SocketAddr;

use crate::arena::id::ServerId;
use crate::config::ServiceKey;
use crate::director::Director;

/// A server that was removed from the config and still has connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RemovedServer {
    /// Its service, which may be gone too.
    pub service: ServiceKey,
    /// Its address and port.
    pub server: SocketAddr,
    /// What its leases name.
    pub id: ServerId,
    /// Active connections.
    pub active: u32,
    /// Inactive connections.
    pub inactive: u32,
}

impl Director {
    /// The servers that were removed from the config and still have connections, sorted by service
    /// and address. One that is added again is not removed. Takes the lock, allocates; O(n log n) in
    /// [`removed_servers`](Self::removed_servers).
    pub fn removed_with_connections(&self) -> Vec<RemovedServer> {
        let control = self.inner.control.lock();
        let with_connections = |(service, server, id): (&ServiceKey, &SocketAddr, ServerId)| {
            let counts = self.inner.arena.servers.get(id.slot)?.counts_relaxed();
            let (active, inactive) = (counts.active(), counts.inactive());
            let removed =
                RemovedServer { service: *service, server: *server, id, active, inactive };
            (active > 0 || inactive > 0).then_some(removed)
        };
        let mut found: Vec<_> = control.removed().filter_map(with_connections).collect();
        found.sort_unstable_by_key(|removed| (removed.service, removed.server));
        found
    }
}
