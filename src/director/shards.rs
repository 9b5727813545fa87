//! The statistics of all workers, living and dropped.

use crate::arena::statistics::Shard;
use crate::director::ask::ask;
use crate::sync::Arc;

/// The sum of these shards counts every connection once. Immutable: a worker that comes or goes
/// makes another list.
#[derive(Default, Clone)]
pub(crate) struct Shards {
    living: Vec<Arc<Shard>>,
    /// Sums of workers that were dropped: one, unless memory was short.
    departed: Vec<Arc<Shard>>,
}

impl Shards {
    /// Number of living workers.
    pub(super) fn workers(&self) -> usize {
        self.living.len()
    }

    pub(super) fn grow_to(&self, servers: u32, services: u32) {
        self.living.iter().for_each(|shard| shard.grow_to(servers, services));
    }

    /// The same with one more worker.
    pub(super) fn with(&self, shard: &Arc<Shard>) -> Self {
        let mut shards = self.clone();
        shards.living.push(Arc::clone(shard));
        shards
    }

    /// The same after this worker was dropped. O(workers + `servers` + `services`).
    pub(super) fn without(&self, shard: &Arc<Shard>, servers: u32, services: u32) -> Self {
        let mut shards = self.clone();
        shards.living.retain(|living| !Arc::ptr_eq(living, shard));
        shards.departed.push(Arc::clone(shard));
        if ask(Shard::bytes(servers, services), String::new).is_ok() {
            let sum = Shard::new();
            for departed in &shards.departed {
                sum.absorb(departed, servers, services);
            }
            shards.departed = vec![Arc::new(sum)];
        }
        shards
    }

    fn all(&self) -> impl Iterator<Item = &Shard> {
        self.living.iter().chain(&self.departed).map(Arc::as_ref)
    }

    /// Connections of a server slot, of all its owners.
    pub(super) fn server_total(&self, slot: u32) -> u64 {
        self.all().map(|shard| shard.server_connections(slot)).sum()
    }

    /// Connections and refusals of a service slot, of all its owners.
    pub(super) fn service_total(&self, slot: u32) -> (u64, u64) {
        let totals = self.all().map(|shard| shard.service_totals(slot));
        totals.fold((0, 0), |(a, b), (c, d)| (a + c, b + d))
    }
}
