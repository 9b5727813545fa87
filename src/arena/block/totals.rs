//! Statistics of all owners of a block: each adds to the block's totals, now and then, what its own have become more
//! by. So a connection costs nothing for it; what a killed process has not added yet is lost.
//!
//! | location | operation      | ordering | partner                                     |
//! |----------|----------------|----------|---------------------------------------------|
//! | `added`  | store in `add` | Release  | load in `total`; before the addition        |
//! | `added`  | load in `total` | Acquire | store in `add`; after the load of the total |

use crate::arena::block::Block;
use crate::concurrent::segments::Segments;
use crate::sync::{AtomicU64, Ordering};

/// How much of its own statistics an owner has added, by slot.
pub(crate) struct Totals {
    servers: Segments<Added>,
    services: Segments<[Added; 2]>,
}

/// Of one number, this much was added.
#[derive(Default)]
struct Added(AtomicU64);

impl Added {
    /// Adds what `own` is more than before.
    fn add(&self, own: u64, add: impl FnOnce(u64)) {
        // Relaxed: one writer.
        let more = own.wrapping_sub(self.0.load(Ordering::Relaxed));
        if more > 0 {
            // Release: pairs with the load in `total`. Who reads in between finds less, not more.
            self.0.store(own, Ordering::Release);
            add(more);
        }
    }

    /// The total of all.
    fn total(&self, all: u64, own: u64) -> u64 {
        // Acquire: pairs with the store in `add`.
        all.wrapping_add(own.saturating_sub(self.0.load(Ordering::Acquire)))
    }
}

impl Totals {
    pub(crate) fn new() -> Self {
        Totals { servers: Segments::new(), services: Segments::new() }
    }

    /// The server in this slot begins, for this owner, whose own total is that of former servers. Under the
    /// director's lock, as all but reading. Allocates.
    pub(crate) fn begin_server(&self, slot: u32, own: u64) {
        self.servers.grow_to(slot.saturating_add(1));
        if let Some(added) = self.servers.get(slot) {
            added.add(own, |_| ());
        }
    }

    /// The same for a service: connections and refusals.
    pub(crate) fn begin_service(&self, slot: u32, own: (u64, u64)) {
        self.services.grow_to(slot.saturating_add(1));
        if let Some([connections, refused]) = self.services.get(slot) {
            connections.add(own.0, |_| ());
            refused.add(own.1, |_| ());
        }
    }

    pub(crate) fn add_server(&self, block: &Block, slot: u32, own: u64) {
        let name = block.parts().server_names.get(slot as usize);
        if let (Some(added), Some(name)) = (self.servers.get(slot), name) {
            added.add(own, |more| name.add_connections(more));
        }
    }

    pub(crate) fn add_service(&self, block: &Block, slot: u32, own: (u64, u64)) {
        let name = block.parts().service_names.get(slot as usize);
        if let (Some([connections, refused]), Some(name)) = (self.services.get(slot), name) {
            connections.add(own.0, |more| name.add_connections(more));
            refused.add(own.1, |more| name.add_refused(more));
        }
    }

    /// Connections of all owners, where this one counted so many.
    pub(crate) fn of_server(&self, block: &Block, slot: u32, own: u64) -> u64 {
        let name = block.parts().server_names.get(slot as usize);
        let all = name.map_or(0, |name| name.connections());
        self.servers.get(slot).map_or(own, |added| added.total(all, own))
    }

    /// The same for a service: connections and refusals.
    pub(crate) fn of_service(&self, block: &Block, slot: u32, own: (u64, u64)) -> (u64, u64) {
        let name = block.parts().service_names.get(slot as usize);
        let all = name.map_or((0, 0), |name| (name.connections(), name.refused()));
        let Some([connections, refused]) = self.services.get(slot) else { return own };
        (connections.total(all.0, own.0), refused.total(all.1, own.1))
    }
}
