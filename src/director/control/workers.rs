//! Registration of workers: their statistics, and their places for services shared `per-worker` or in chunks.

use crate::arena::statistics::Shard;
use crate::arena::worker_state::WorkerState;
use crate::concurrent::segments::ArcRef;
use crate::director::control::Control;
use crate::director::shards::Shards;
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
        self.set_shards(self.shards.with(shard));
        if self.arena.is_shared() {
            // Nothing is a worker's own there.
            return None;
        }
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
        self.set_shards(self.shards.without(shard, servers, services));
    }

    fn set_shards(&mut self, shards: Shards) {
        self.shards = Arc::new(shards);
        self.statistics.publish(Arc::clone(&self.shards));
        self.reclaim_shards();
    }

    /// Frees lists of shards that no reader looks at any more.
    pub(super) fn reclaim_shards(&self) {
        drop(self.statistics.reclaim());
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
}
