//! Per-worker state of services that are shared `per-worker` or in chunks: the worker's rotations and chunks,
//! and the number of connections that it has opened.
//!
//! A place is found by the worker's number, and is reassigned to another worker once its owner has
//! gone. Only the owner opens connections here; other workers may close or update them.
//!
//! | location | operation         | ordering | partner                                              |
//! |----------|-------------------|----------|------------------------------------------------------|
//! | `number` | store in `assign` | SeqCst   | load in `number`; nothing else depends on it         |
//! | `phase`  | store in `assign` | SeqCst   | load in `phase`; as above                            |
//!
//! For the counts see `arena::own_count`, and for why closing a previous owner's connection changes nothing of
//! its successor's `arena::tally`.

use crate::arena::own_count::{Counted, Own, OwnCount};
use crate::arena::service_slot::ServiceSlot;
use crate::arena::slots::ServerSlot;
use crate::arena::tally::Incarnation;
use crate::concurrent::segments::{Segments, SlotRefs};
use crate::sync::{Arc, AtomicU32, Ordering};

/// Most workers that have their own state at a time; any further ones use the shared rotations.
pub(crate) const MAX_WORKERS: u32 = (1 << 22) - 1;

/// What a worker remembers of servers' loads and may not be right any more.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Renewal {
    /// Everything, and the order of ties.
    All,
    /// Servers with connections that no living worker counts as its own.
    Common,
    /// What the worker changed while it used the version before.
    Untold,
}

/// The state of one worker.
pub(crate) struct WorkerState {
    services: Segments<ServiceSlot>,
    servers: Segments<OwnCount>,
    number: AtomicU32,
    phase: AtomicU32,
    incarnation: Incarnation,
}

/// The worker that opened a connection: the worker's number plus 1 (0 = none) in the lower half, its
/// incarnation in the upper. One word, because it is passed on where registers are scarce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct WorkerTag(u64);

impl WorkerTag {
    pub(crate) const NONE: Self = WorkerTag(0);

    #[inline(always)]
    pub(crate) fn new(place: u32, incarnation: u32) -> Self {
        WorkerTag(u64::from(incarnation) << 32 | u64::from(place))
    }

    #[inline(always)]
    pub(crate) fn is_none(self) -> bool {
        self.place() == 0
    }

    #[inline(always)]
    pub(crate) fn place(self) -> u32 {
        self.0 as u32
    }

    #[inline(always)]
    pub(crate) fn incarnation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The worker's number; greater than that of any worker if there is none.
    #[inline]
    pub(crate) fn number(self) -> u32 {
        self.place().wrapping_sub(1)
    }
}

impl Default for WorkerState {
    fn default() -> Self {
        WorkerState {
            services: Segments::new(),
            servers: Segments::new(),
            number: AtomicU32::new(0),
            phase: AtomicU32::new(0),
            incarnation: Incarnation::default(),
        }
    }
}

impl WorkerState {
    /// Assigns the place to a new worker, after its predecessor's [end](Self::end). Allocates. Director
    /// only, before the worker exists.
    pub(crate) fn assign(&self, number: u32, phase: u32, servers: u32, services: u32) {
        // SeqCst: pairs with the loads in `number` and `phase`.
        self.number.store(number, Ordering::SeqCst);
        self.phase.store(phase, Ordering::SeqCst);
        self.grow_to(servers, services);
    }

    /// Makes room for this many slots. Allocates. Director only.
    pub(crate) fn grow_to(&self, servers: u32, services: u32) {
        self.servers.grow_to(servers);
        self.services.grow_to_with(services, || ServiceSlot::new(0));
    }

    /// The worker's number, from 0.
    pub(crate) fn number(&self) -> u32 {
        // SeqCst: pairs with the store in `assign`.
        self.number.load(Ordering::SeqCst)
    }

    /// Where the worker's rotations start, and its view of the list.
    pub(crate) fn phase(&self) -> u32 {
        // SeqCst: pairs with the store in `assign`.
        self.phase.load(Ordering::SeqCst)
    }

    /// The worker's tag for connections that it opens. Constant while the worker lives.
    pub(crate) fn tag(&self) -> WorkerTag {
        WorkerTag::new(self.number() + 1, self.incarnation.incarnation())
    }

    /// The worker's rotations of a service.
    #[inline]
    pub(crate) fn service(&self, slot: u32) -> Option<&ServiceSlot> {
        self.services.get(slot)
    }

    /// The first segment of [`service`](Self::service), for the worker to keep. Allocates.
    pub(crate) fn first_services(&self) -> Arc<[ServiceSlot]> {
        self.services.first(|| ServiceSlot::new(0))
    }

    /// The worker's count for the server in this slot; `None` past the end.
    #[inline(always)]
    pub(crate) fn own(&self, server: u32) -> Option<&OwnCount> {
        self.servers.get(server)
    }

    /// References to the counts for these servers. Allocates.
    pub(crate) fn own_refs(
        &self,
        servers: impl Iterator<Item = u32>,
    ) -> Option<SlotRefs<OwnCount, ()>> {
        self.servers.slot_refs(servers.map(|server| (server, ())))
    }

    /// Changes the count on behalf of the worker that `tag` names; `None` if that worker has gone, or counts
    /// no such connection.
    pub(crate) fn change_for(
        &self,
        tag: WorkerTag,
        server: u32,
        change: impl FnOnce(&OwnCount) -> Option<Counted>,
    ) -> Option<Counted> {
        let own = self.own(server)?;
        self.incarnation.as_guest(tag.incarnation(), || change(own)).flatten()
    }

    /// Ends the worker's incarnation. Its connections stay for [`take_left`](Self::take_left). Director
    /// only.
    pub(crate) fn end(&self) {
        self.incarnation.end();
    }

    /// True once no thread acts for a worker that has gone: the place may be reassigned, unless it is
    /// [exhausted](Self::is_exhausted). Director only.
    pub(crate) fn is_vacant(&self) -> bool {
        self.incarnation.is_vacant()
    }

    /// True if the place must not be assigned again. Director only.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.incarnation.is_exhausted()
    }

    /// Runs `act` as a guest of the current owner.
    #[cfg(test)]
    pub(crate) fn visit(&self, act: impl FnOnce()) {
        self.incarnation.as_guest(self.incarnation.incarnation(), act);
    }

    /// Sets the incarnation, as after as many owners.
    #[cfg(test)]
    pub(crate) fn age(&self, incarnation: u32) {
        self.incarnation.age(incarnation);
    }

    /// Resets the counts of a worker that has gone, and passes each that was not 0 to `take`.
    /// O(servers). Director only.
    pub(crate) fn take_left(&self, mut take: impl FnMut(u32, Own)) {
        for (server, own) in self.each_own() {
            if own.any().total() != 0 {
                take(server, own.take());
            }
        }
    }

    /// The slots of these servers count the worker's connections from now on. O(servers). Director only.
    pub(crate) fn fold(&self, servers: &Segments<ServerSlot>) {
        for (server, own) in self.each_own() {
            if let Some(slot) = servers.get(server) {
                own.fold(slot);
            }
        }
    }

    fn each_own(&self) -> impl Iterator<Item = (u32, &OwnCount)> {
        (0..).map_while(|server| Some((server, self.servers.get(server)?)))
    }
}

/// Spreads numbers evenly over `0..length`, each far from those before it: 0, 1/2, 1/4, 3/4, …
/// (van der Corput, 1935). 0 if `length` is 0.
pub(crate) fn van_der_corput(number: u32, length: u32) -> u32 {
    ((u64::from(number.reverse_bits()) * u64::from(length)) >> 32) as u32
}

#[cfg(test)]
#[path = "worker_state_tests.rs"]
mod tests;
