//! Per-worker statistics. Each worker is the only writer of its shard, so counting is a load and a store
//! on an unshared cache line; readers sum the shards. A connection counts for the service before it does for the
//! server, so that a reader who reads the servers first never finds more there.
//!
//! | location | operation      | ordering | partner         |
//! |----------|----------------|----------|-----------------|
//! | `Total`  | store in `add` | Release  | load in `get`   |
//! | `Total`  | load in `get`  | Acquire  | store in `add`  |

use crate::concurrent::segments::Segments;
use crate::sync::{AtomicU64, Ordering};

/// One worker's totals, by slot index.
pub(crate) struct Shard {
    servers: Segments<Total>,
    services: Segments<ServiceTotals>,
}

#[derive(Default)]
struct Total(AtomicU64);

#[derive(Default)]
struct ServiceTotals {
    connections: Total,
    refused: Total,
}

impl Total {
    /// Adds `count`. Only the shard's writer may call it.
    #[inline]
    fn add(&self, count: u64) {
        // Relaxed: its own last store. No read-modify-write: one writer.
        let total = self.0.load(Ordering::Relaxed).wrapping_add(count);
        // Release: pairs with the load in `get`; after what was added before.
        self.0.store(total, Ordering::Release);
    }

    fn get(&self) -> u64 {
        // Acquire: pairs with the store in `add`; before what is read next.
        self.0.load(Ordering::Acquire)
    }
}

impl Shard {
    pub(crate) fn new() -> Self {
        Shard { servers: Segments::new(), services: Segments::new() }
    }

    /// An upper bound of the memory of a shard with this many slots.
    pub(crate) fn bytes(servers: u32, services: u32) -> u64 {
        // Segments double, from 64 on.
        let rounded = |slots: u32| u64::from(slots) * 2 + 64;
        let (server, service) = (size_of::<Total>() as u64, size_of::<ServiceTotals>() as u64);
        size_of::<Shard>() as u64 + rounded(servers) * server + rounded(services) * service
    }

    /// Makes room for this many slots. Allocates.
    pub(crate) fn grow_to(&self, servers: u32, services: u32) {
        self.servers.grow_to(servers);
        self.services.grow_to(services);
    }

    /// Counts a connection to a server of a service.
    #[inline]
    pub(crate) fn count_connection(&self, server: u32, service: u32) {
        if let Some(totals) = self.services.get(service) {
            totals.connections.add(1);
        }
        if let Some(total) = self.servers.get(server) {
            total.add(1);
        }
    }

    /// Counts a pick that found no server.
    #[inline]
    pub(crate) fn count_refusal(&self, service: u32) {
        if let Some(totals) = self.services.get(service) {
            totals.refused.add(1);
        }
    }

    pub(crate) fn server_connections(&self, server: u32) -> u64 {
        self.servers.get(server).map_or(0, Total::get)
    }

    /// Connections and refusals of a service.
    pub(crate) fn service_totals(&self, service: u32) -> (u64, u64) {
        self.services
            .get(service)
            .map_or((0, 0), |totals| (totals.connections.get(), totals.refused.get()))
    }

    /// Adds the totals of a worker that has gone. Only for a shard that has no other writer. Allocates.
    pub(crate) fn absorb(&self, departed: &Shard, servers: u32, services: u32) {
        self.grow_to(servers, services);
        for index in 0..servers {
            if let Some(total) = self.servers.get(index) {
                total.add(departed.server_connections(index));
            }
        }
        for index in 0..services {
            if let Some(totals) = self.services.get(index) {
                let (connections, refused) = departed.service_totals(index);
                totals.connections.add(connections);
                totals.refused.add(refused);
            }
        }
    }
}
