//! Runtime state that outlives every config: slots of atomics, found by index and generation.

pub(crate) mod attached;
pub(crate) mod block;
pub(crate) mod counts;
pub(crate) mod ejection;
pub(crate) mod ejection_budget;
pub(crate) mod health;
pub(crate) mod id;
mod id_text;
pub(crate) mod latency;
pub(crate) mod ledger;
mod membership;
pub(crate) mod own_count;
pub(crate) mod service_slot;
pub(crate) mod slots;
pub(crate) mod statistics;
pub(crate) mod tally;
pub(crate) mod worker_state;

use crate::arena::attached::Attached;
use crate::arena::block::Block;
use crate::arena::block::names::ServerName;
use crate::arena::counts::{Counts, Limits};
use crate::arena::health::HealthSlot;
use crate::arena::id::ServerId;
use crate::arena::own_count::Own;
use crate::arena::service_slot::ServiceSlot;
use crate::arena::slots::ServerSlot;
use crate::arena::tally::Tally;
use crate::arena::worker_state::WorkerState;
use crate::concurrent::segments::{ArcRef, Segments};
use crate::concurrent::waiters::Waiters;
use crate::config::{KernelRules, ServerState, Thresholds};
use crate::error::{BlockError, ConnectionError};
use crate::rotation::chunk::Sequence;
use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// Sizes that `tests/loom` replaces with smaller ones.
pub(crate) mod sizes {
    /// Bits of the version in a server's count word: the bits that the counts leave over.
    pub(crate) const VERSION_BITS: u32 = 10;
    /// How often `settle` looks for a moment in which no owner changes a server's connections.
    pub(crate) const LOOKS: u32 = 1_000;
}

/// All slots of one director.
pub(crate) struct Arena {
    pub(crate) servers: Segments<ServerSlot>,
    /// By server slot, and grown with them.
    pub(crate) health: Segments<HealthSlot>,
    pub(crate) services: Segments<ServiceSlot>,
    /// By worker number.
    pub(crate) workers: Segments<WorkerState>,
    /// By server slot: connections that belong to no living worker. Kept while the server's service is
    /// shared `per-worker`.
    pub(crate) common: Segments<Tally>,
    /// By service slot: tasks that wait for room. Grown when the first waits.
    rooms: Segments<Waiters>,
    shares: AtomicU32,
    kernel_rules: AtomicU32,
    phase: AtomicU32,
    /// That of all owners, in a block.
    clock: ArcRef<AtomicU64>,
    serial: AtomicU32,
    sequences: AtomicU32,
    /// 1 once a host has reported an outcome.
    reports: AtomicU32,
    first_generation: u32,
    /// The slots of servers and services are those of a block.
    attached: Option<Attached>,
}

/// How many arenas this process has made.
static ARENAS: AtomicU32 = AtomicU32::new(0);

impl Arena {
    pub(crate) fn new() -> Self {
        // Relaxed: only uniqueness matters.
        let number = ARENAS.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        Arena {
            // Far apart (a multiple of the golden ratio), so that one director's generations do not
            // grow into another's.
            first_generation: number.wrapping_mul(0x9e37_79b1),
            servers: Segments::new(),
            health: Segments::new(),
            services: Segments::new(),
            workers: Segments::new(),
            common: Segments::new(),
            rooms: Segments::new(),
            shares: AtomicU32::new(1),
            kernel_rules: AtomicU32::new(0),
            phase: AtomicU32::new(0),
            clock: ArcRef::standalone(AtomicU64::new(0)),
            serial: AtomicU32::new(0),
            sequences: AtomicU32::new(0),
            reports: AtomicU32::new(0),
            attached: None,
        }
    }

    /// An arena whose servers and services are those of a block.
    pub(crate) fn in_block(block: &Block) -> Result<Self, BlockError> {
        let parts = block.parts();
        let attached = Attached::new(block)?;
        Ok(Arena {
            clock: ArcRef::of(&parts.clock, 0).ok_or(BlockError::Corrupt)?,
            first_generation: parts.first_generation(),
            servers: Segments::of_lent(&parts.servers),
            health: Segments::of_lent(&parts.health),
            services: Segments::of_lent(&parts.services),
            attached: Some(attached),
            ..Arena::new()
        })
    }

    /// The name of a server's slot, if it is one of a block.
    pub(crate) fn shared_name(&self, server: u32) -> Option<&ServerName> {
        self.attached()?.block.parts().server_names.get(server as usize)
    }

    /// The owner, if the arena's slots are those of a block.
    #[inline(always)]
    pub(crate) fn attached(&self) -> Option<&Attached> {
        self.attached.as_ref()
    }

    /// True if the arena's slots are those of a block.
    #[inline]
    pub(crate) fn is_shared(&self) -> bool {
        self.attached.is_some()
    }

    /// The owners of the block that are alive, as bits. Those of a block with maps of addresses have 32 at most.
    pub(crate) fn owners_alive(&self) -> Option<u64> {
        let alive = self.attached()?.block.parts().alive();
        Some(alive & u64::from(u32::MAX))
    }

    /// The generation of a slot's first owner. It differs per director, so that an id or a lease of one
    /// director is stale in another instead of naming the owner of the same slot there. Otherwise a
    /// host that replaces its director while connections are open would sooner or later mix them up.
    pub(crate) fn first_generation(&self) -> u32 {
        self.first_generation
    }

    /// Which kernel rules apply to thresholds.
    #[inline]
    pub(crate) fn kernel_rules(&self) -> KernelRules {
        // Relaxed: a plain setting; orders nothing.
        if self.kernel_rules.load(Ordering::Relaxed) == 0 { KernelRules::B } else { KernelRules::A }
    }

    pub(crate) fn set_kernel_rules(&self, rule: KernelRules) {
        // Relaxed: as in `kernel_rules`.
        self.kernel_rules.store(u32::from(rule == KernelRules::A), Ordering::Relaxed);
    }

    /// The phase of the rotations that all workers share.
    pub(crate) fn phase(&self) -> u32 {
        // Relaxed: a plain setting; orders nothing. It changes only under the director's lock.
        self.phase.load(Ordering::Relaxed)
    }

    /// Director only.
    pub(crate) fn set_phase(&self, phase: u32) {
        // Relaxed: as in `phase`.
        self.phase.store(phase, Ordering::Relaxed);
    }

    /// A unique number (until it wraps), never 0.
    pub(crate) fn next_serial(&self) -> u32 {
        if let Some(serial) = self.attached().and_then(Attached::next_serial) {
            return serial;
        }
        // Relaxed: only uniqueness matters.
        self.serial.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1)
    }

    /// A sequence that no chunk is of yet, until the numbers come again after 2^32 - 1 of them.
    pub(crate) fn next_sequence(&self) -> Sequence {
        // Relaxed: only uniqueness matters.
        let former = self.sequences.fetch_add(1, Ordering::Relaxed);
        Sequence::new(former.wrapping_add(1).max(1))
    }

    /// The tasks that wait for room in the service of this slot, which exists. Allocates.
    pub(crate) fn waiters(&self, service: u32) -> Option<&Waiters> {
        let next = service.checked_add(1)?;
        self.rooms.grow_to(next);
        self.rooms.get(service)
    }

    /// A server of this service has room again: wakes the first task that waits for it.
    #[cold]
    #[inline(never)]
    pub(crate) fn room_made(&self, service: u32) {
        // After the change of the count; pairs with the fence in `Waiters::enter`, before which the task
        // has made the waiters that are looked up here.
        fence(Ordering::SeqCst);
        if let Some(waiters) = self.rooms.get(service) {
            waiters.notify();
        }
    }

    /// Servers of any service may have room again.
    pub(crate) fn rooms_made(&self) {
        // As in `room_made`, once for all.
        fence(Ordering::SeqCst);
        (0..).map_while(|service| self.rooms.get(service)).for_each(Waiters::notify);
    }

    /// Records that hosts report outcomes. A load, after the first time.
    #[inline]
    pub(crate) fn expect_reports(&self) {
        // Relaxed, here and below: no partner. A tick that misses the first report finds it at the next.
        if self.reports.load(Ordering::Relaxed) == 0 {
            self.reports.store(1, Ordering::Relaxed);
        }
    }

    /// True if an outcome has ever been reported: only then a tick has to visit each server.
    pub(crate) fn has_reports(&self) -> bool {
        self.reports.load(Ordering::Relaxed) != 0
    }

    /// Sets a server's run-time state; returns the previous one. Every pick that begins later obeys, unless the
    /// version of its service that picks know does not look at states. O(1); in a block O(versions).
    pub(crate) fn set_state(
        &self,
        server: ServerId,
        state: ServerState,
    ) -> Result<ServerState, ConnectionError> {
        let slot = self.servers.get(server.slot).ok_or(ConnectionError::Stale)?;
        let before = slot.set_state(server.generation, state)?;
        if state != ServerState::Up {
            self.look_at(slot);
        }
        Ok(before)
    }

    /// The server in this slot is held, in other processes' picks too.
    fn look_at(&self, slot: &ServerSlot) {
        if let Some(attached) = self.attached() {
            attached.look_at(slot.service());
        }
    }

    /// Ejects a server, if its service's budget has a place; false if it is down already, or if its id is
    /// stale. Lock-free.
    pub(crate) fn eject(&self, server: ServerId) -> bool {
        let Some(slot) = self.servers.get(server.slot) else { return false };
        let index = slot.service();
        let ejected = self.services.get(index).is_some_and(|service| {
            ejection::eject(slot, server.generation, (index, &service.ejections))
        });
        if ejected {
            self.look_at(slot);
        }
        ejected
    }

    /// As [`eject`](Self::eject), if the service ejects servers with this many failures in a row.
    #[inline]
    pub(crate) fn eject_failing(&self, server: ServerId, failures: u32) -> bool {
        let slot = self.servers.get(server.slot);
        let service = slot.and_then(|slot| self.services.get(slot.service()));
        service.is_some_and(|service| service.ejections.is_reached(failures)) && self.eject(server)
    }

    /// Ends the ejection of the server in this slot; false if it is not ejected. Director only.
    pub(crate) fn end_ejection(&self, slot: u32, state: ServerState) -> bool {
        let ended = self.servers.get(slot).is_some_and(|slot| slot.end_ejection(state));
        if ended {
            self.release_place(slot);
        }
        ended
    }

    /// The server in this slot belongs to no service from now on, and is in this state; its ejection ends.
    /// Director only.
    pub(crate) fn detach(&self, slot: u32, state: ServerState) {
        if self.attached().is_some() {
            // Other owners may have the server in theirs.
            return;
        }
        let Some(slot) = self.servers.get(slot) else { return };
        let service = self.services.get(slot.service());
        if slot.detach(state) {
            if let Some(service) = service {
                service.ejections.release();
            }
        }
    }

    /// Gives the place of the server in this slot back, which is not ejected any more. Director only.
    pub(crate) fn release_place(&self, slot: u32) {
        let service = self.servers.get(slot).map(ServerSlot::service);
        if let Some(service) = service.and_then(|service| self.services.get(service)) {
            service.ejections.release();
        }
    }

    /// Into how many equal parts, one per worker, `common` is divided: 1 if there is at most one living
    /// worker, else about the number of living workers.
    #[inline]
    pub(crate) fn shares(&self) -> u32 {
        // SeqCst: pairs with the store in `set_shares`. Either the writer of an index sees the new number,
        // or the director, which reads the index after that store, sees the writer's store.
        self.shares.load(Ordering::SeqCst)
    }

    /// Director only.
    pub(crate) fn set_shares(&self, shares: u32) {
        // SeqCst: pairs with the load in `shares`.
        self.shares.store(shares, Ordering::SeqCst);
    }

    /// All connections of the server in this slot, with those that workers count alone. O(workers) if there
    /// may be such. While the director folds them they may be counted twice.
    pub(crate) fn all_connections(&self, number: u32) -> Option<Counts> {
        let slot = self.servers.get(number)?;
        if !slot.is_counted_by_worker() {
            return Some(slot.counts_seqcst());
        }
        let generation = slot.generation();
        let own = self.each_worker().filter_map(|worker| worker.own(number));
        let sole = own.map(|own| own.get(generation)).filter(|own| own.is_sole());
        let add = |(active, total): (u32, u32), own: Own| {
            (active.saturating_add(own.active()), total.saturating_add(own.total()))
        };
        let (active, total) = sole.fold((0, 0), add);
        // SeqCst: after the loads of the words. What is folded meanwhile is found twice, not never.
        let counts = slot.counts_seqcst();
        let (active, total) =
            (counts.active().saturating_add(active), counts.total().saturating_add(total));
        Some(counts.with_connections(active, total))
    }

    /// The places of all workers, living or not.
    fn each_worker(&self) -> impl Iterator<Item = &WorkerState> {
        (0..).map_while(|number| self.workers.get(number))
    }

    /// The server's slot counts all its connections from now on. Director only. O(workers).
    pub(crate) fn fold(&self, number: u32) {
        let Some(slot) = self.servers.get(number).filter(|slot| slot.is_counted_by_worker()) else {
            return;
        };
        for own in self.each_worker().filter_map(|worker| worker.own(number)) {
            own.fold(slot);
        }
    }

    /// Sets limits, which apply to all connections. Director only. As [`ServerSlot::limit`]; O(workers) if
    /// workers count connections alone.
    pub(crate) fn limit(&self, number: u32, limits: Limits, rule: KernelRules) -> bool {
        if limits != Limits::new(Thresholds::default()) {
            self.fold(number);
        }
        self.servers.get(number).is_some_and(|slot| slot.limit(limits, rule))
    }

    /// The coarse clock: milliseconds on the caller's clock as of the last tick.
    pub(crate) fn clock(&self) -> u64 {
        // Relaxed: a coarse clock; orders nothing.
        self.clock.get().load(Ordering::Relaxed)
    }

    /// Advances the clock; a smaller value is ignored.
    pub(crate) fn set_clock(&self, now: u64) {
        // Relaxed: as in `clock`.
        self.clock.get().fetch_max(now, Ordering::Relaxed);
    }
}
