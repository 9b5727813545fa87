//! Registration of workers: their statistics, and their places for services shared `per-worker`.

use crate::arena::statistics::Shard;
use crate::arena::worker_state::WorkerState;
use crate::concurrent::segments::ArcRef;
use crate::director::control::Control;
use crate::director::table::ServiceTable;
use crate::sync::Arc;

impl Control {
    pub(in crate::director) fn register(
        &mut self,
        shard: &Arc<Shard>,
        phase: Option<u32>,
    ) -> Option<ArcRef<WorkerState>> {
        let (servers, services) = self.allocator.high_water();
        shard.grow_to(servers, services);
        self.shards.insert(Arc::as_ptr(shard).addr(), Arc::clone(shard));
        let table = self.table()?;
        self.workers.register(&self.arena, phase, (servers, services), &table)
    }

    pub(in crate::director) fn unregister(
        &mut self,
        shard: &Arc<Shard>,
        state: Option<&WorkerState>,
    ) {
        if let (Some(state), Some(table)) = (state, self.table()) {
            self.workers.unregister(&self.arena, state, &table);
        }
        let (servers, services) = self.allocator.high_water();
        self.shards.remove(&Arc::as_ptr(shard).addr());
        self.departed.absorb(shard, servers, services);
    }

    /// Divides the connections of no living worker exactly; see [`WorkerRegistry::share`].
    ///
    /// [`WorkerRegistry::share`]: crate::director::registry::WorkerRegistry::share
    pub(super) fn share_exactly(&self) {
        if let Some(table) = self.table() {
            self.workers.share(&self.arena, &table, true);
        }
    }

    /// The current service table.
    pub(super) fn table(&self) -> Option<Arc<ServiceTable>> {
        self.snapshot.with_live(|tables| tables.last().cloned())
    }

    pub(in crate::director) fn server_total(&self, slot: u32) -> u64 {
        let shards = self.shards.values().map(Arc::as_ref).chain([&self.departed]);
        shards.map(|shard| shard.server_connections(slot)).sum()
    }

    pub(in crate::director) fn service_total(&self, slot: u32) -> (u64, u64) {
        let shards = self.shards.values().map(Arc::as_ref).chain([&self.departed]);
        shards.map(|shard| shard.service_totals(slot)).fold((0, 0), |(a, b), (c, d)| (a + c, b + d))
    }
}
