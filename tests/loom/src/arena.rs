//! The arena's files under test, and an arena without segments.

#![allow(dead_code, unreachable_pub, reason = "these files serve the crate, not the models")]

pub(crate) mod block;
#[path = "../../../src/arena/counts.rs"]
pub(crate) mod counts;
#[path = "../../../src/arena/ejection.rs"]
pub(crate) mod ejection;
#[path = "../../../src/arena/ejection_budget.rs"]
pub(crate) mod ejection_budget;
#[path = "../../../src/arena/health.rs"]
pub(crate) mod health;
#[path = "../../../src/arena/id.rs"]
pub(crate) mod id;
#[path = "../../../src/arena/latency.rs"]
pub(crate) mod latency;
#[path = "../../../src/arena/ledger.rs"]
pub(crate) mod ledger;
#[path = "../../../src/arena/membership.rs"]
mod membership;
#[path = "../../../src/arena/own_count.rs"]
pub(crate) mod own_count;
#[path = "../../../src/arena/service_slot.rs"]
pub(crate) mod service_slot;
#[path = "../../../src/arena/slots.rs"]
pub(crate) mod slots;
#[path = "../../../src/arena/tally.rs"]
pub(crate) mod tally;

use std::sync::atomic::{AtomicU64, Ordering as Plain};

use crate::arena::slots::ServerSlot;
use crate::sync::{Arc, AtomicU32, Ordering};

pub(crate) mod sizes {
    /// Two bits, so that four changes lead back to the previous word (ABA): a new owner and two edits.
    pub(crate) const VERSION_BITS: u32 = 2;
    /// One that fails and one that does not.
    pub(crate) const LOOKS: u32 = 2;
}

pub(crate) struct Arena {
    pub(crate) servers: Servers,
    serial: AtomicU32,
    /// In a block: the owners that are alive.
    alive: Option<u64>,
    /// Not modeled itself: a tick sets it before it does anything else.
    clock: AtomicU64,
}

pub(crate) struct Servers(Vec<ServerSlot>);

impl Servers {
    pub(crate) fn get(&self, slot: u32) -> Option<&ServerSlot> {
        self.0.get(slot as usize)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// For the unit tests in the files, which clippy compiles here too.
    pub(crate) fn grow_to_with(&self, length: u32, _make: impl Fn() -> ServerSlot) -> bool {
        length as usize <= self.len()
    }
}

impl Arena {
    /// As in the crate, for the unit tests in the files, which clippy compiles here too.
    pub(crate) fn new() -> Self {
        Self::of(Vec::new())
    }

    pub(crate) fn with_servers(count: u32) -> Arc<Self> {
        let servers = (0..count).map(|_| {
            let slot = ServerSlot::new(0);
            slot.occupy(0);
            slot
        });
        Arc::new(Self::of(servers.collect()))
    }

    /// The arena of all owners of a block; these are alive.
    pub(crate) fn in_block(alive: u64) -> Arc<Self> {
        let slot = ServerSlot::new(0);
        slot.occupy(0);
        Arc::new(Arena { alive: Some(alive), ..Self::of(vec![slot]) })
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.alive.is_some()
    }

    pub(crate) fn owners_alive(&self) -> Option<u64> {
        self.alive
    }

    fn of(servers: Vec<ServerSlot>) -> Self {
        let (serial, clock) = (AtomicU32::new(0), AtomicU64::new(0));
        Arena { servers: Servers(servers), serial, alive: None, clock }
    }

    pub(crate) fn clock(&self) -> u64 {
        self.clock.load(Plain::Relaxed)
    }

    pub(crate) fn set_clock(&self, now: u64) {
        self.clock.store(now, Plain::Relaxed);
    }

    pub(crate) fn next_serial(&self) -> u32 {
        self.serial.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The servers that no entry names.
    pub(crate) fn unpinned(&self) -> Vec<usize> {
        let vacated = self.servers.0.iter().map(|slot| slot.vacate().has_left());
        vacated.enumerate().filter_map(|(at, vacated)| vacated.then_some(at)).collect()
    }
}
