//! Servers that were removed from the config, and counts that the host has corrected.

use super::{Control, SWEPT};
use crate::arena::id::ServerId;
use crate::arena::slots::ServerSlot;
use crate::arena::tally::Connections;

impl Control {
    /// Updates the server's running service after its counts were corrected by `by`.
    pub(in crate::director) fn counts_corrected(
        &self,
        server: ServerId,
        slot: &ServerSlot,
        by: Connections,
    ) {
        let table = self.table();
        if let Some(compiled) = table.as_ref().and_then(|table| table.service_at(slot.service())) {
            compiled.counts_corrected(server, slot, by);
        }
    }

    /// Forgets the connections of removed servers; returns the number of these servers.
    pub(in crate::director) fn forget_removed(&mut self) -> usize {
        let slots = self.allocator.forget(&self.arena);
        if !slots.is_empty() {
            for templates in self.services.values().filter_map(|live| live.compiled.templates()) {
                templates.take_out(|slot| slots.binary_search(&slot).is_ok());
            }
        }
        self.sweep(SWEPT);
        slots.len()
    }

    /// Frees old tables that no worker protects, then slots that no table names any more, checking at
    /// most `most` removed servers.
    pub(in crate::director) fn sweep(&mut self, most: usize) {
        drop(self.snapshot.reclaim());
        self.sweep_slots(most, usize::MAX);
    }

    /// Frees slots that no table names any more: of servers that were removed, and of others.
    pub(super) fn sweep_slots(&mut self, removed: usize, others: usize) {
        let kept: Vec<u64> =
            self.snapshot.with_live(|tables| tables.iter().map(|table| table.sequence).collect());
        self.allocator.sweep(&self.arena, &kept, removed, others);
    }
}
