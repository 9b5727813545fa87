//! Servers that were removed from the config, and counts that the host has corrected.

use std::net::SocketAddr;

use super::{Control, SWEPT};
use crate::arena::id::ServerId;
use crate::arena::slots::ServerSlot;
use crate::arena::tally::Connections;
use crate::config::ServiceKey;

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

    /// Number of servers that were removed from the config and still have a slot.
    pub(in crate::director) fn removed_servers(&self) -> usize {
        self.allocator.removed()
    }

    /// Those of them that get their counts back if added again.
    pub(in crate::director) fn removed(
        &self,
    ) -> impl Iterator<Item = (&ServiceKey, &SocketAddr, ServerId)> {
        self.allocator.each_removed()
    }
}
