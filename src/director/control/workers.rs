//! Workers that come and go: their statistics, and the places of those that decide by themselves.

use crate::director::control::Control;
use crate::director::table::Table;
use crate::state::own::Own;
use crate::state::segments::Place;
use crate::state::shard::Shard;
use crate::sync::Arc;

impl Control {
    pub(in crate::director) fn join(&mut self, shard: &Arc<Shard>) -> Option<Place<Own>> {
        let (servers, services) = self.owners.reach();
        shard.reach(servers, services);
        self.shards.insert(Arc::as_ptr(shard).addr(), Arc::clone(shard));
        let table = self.table()?;
        self.tenants.join(&self.arena, (servers, services), &table)
    }

    pub(in crate::director) fn depart(&mut self, shard: &Arc<Shard>, own: Option<&Own>) {
        if let (Some(own), Some(table)) = (own, self.table()) {
            self.tenants.depart(&self.arena, own, &table);
        }
        let (servers, services) = self.owners.reach();
        self.shards.remove(&Arc::as_ptr(shard).addr());
        self.departed.absorb(shard, servers, services);
    }

    /// What workers have in common is divided among those who live.
    pub(super) fn share_exactly(&self) {
        if let Some(table) = self.table() {
            self.tenants.share(&self.arena, &table, true);
        }
    }

    /// What is published.
    pub(super) fn table(&self) -> Option<Arc<Table>> {
        self.publication.with_kept(|tables| tables.last().cloned())
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
