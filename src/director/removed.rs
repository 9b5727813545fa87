//! Servers that were removed from the config and still have connections.

use std::net::SocketAddr;

use crate::arena::id::ServerId;
use crate::config::ServiceKey;
use crate::director::Director;
use crate::sync::{Ordering, fence};

/// A server that was removed from the config and still has connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RemovedServer {
    /// The key of its service, which may have been removed too.
    pub service: ServiceKey,
    /// Its address and port.
    pub server: SocketAddr,
    /// Its id, which the leases of its connections name. Not part of serde texts.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub id: ServerId,
    /// Active connections.
    pub active: u32,
    /// Inactive connections.
    pub inactive: u32,
}

impl Director {
    /// Returns the servers that were removed from the config and still have connections, sorted by
    /// service and address.
    ///
    /// A server that was added again is not listed, nor is one whose connections were
    /// [forgotten](Self::forget_removed). Lock-free, allocates; O(n log n) in
    /// [`removed_servers`](Self::removed_servers).
    ///
    /// ```
    /// use vsched::{Activity, Config, Director};
    /// let director = Director::new(&"-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?)?;
    /// let server = director.server(director.service("tcp 10.0.0.1:80")?, "10.0.1.1:80")?;
    /// let lease = director.worker().open(server, Activity::Active)?;
    /// director.apply(&Config::new())?;
    /// let removed = &director.removed_with_connections()[0];
    /// assert_eq!((removed.id, removed.active), (server, 1));
    /// director.worker().close(lease)?;
    /// assert!(director.removed_with_connections().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn removed_with_connections(&self) -> Vec<RemovedServer> {
        let arena = &self.inner.arena;
        let with_connections = |(service, server, id): (&ServiceKey, SocketAddr, ServerId)| {
            let slot = arena.servers.get(id.slot)?;
            let counts = slot.counts_relaxed();
            // Acquire: if the slot has got another owner, that is seen below.
            fence(Ordering::Acquire);
            let (active, inactive) = (counts.active(), counts.inactive());
            let counted = slot.is(id.generation) && (active > 0 || inactive > 0);
            counted.then_some(RemovedServer { service: *service, server, id, active, inactive })
        };
        let mut found: Vec<_> = self.view_with_roster(|view, roster| {
            let removed = roster.removed_at(view.table.sequence);
            removed.iter().filter_map(with_connections).collect()
        });
        found.sort_unstable_by_key(|removed| (removed.service, removed.server));
        found
    }
}
