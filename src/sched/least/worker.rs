//! The search for the least loaded server in services that are shared `per-worker`.
//!
//! Each worker counts the connections it opened itself, and its share of those that no living worker
//! opened. Workers break ties in favor of different servers. A single worker counts all connections and
//! starts at the head of the list, like the exact search.
//!
//! - A worker's changes of its own connections update its index immediately. Others who change them stamp that,
//!   and the worker catches up at its next pick: so an index has one writer, and needs no locked instruction.
//! - Changes that affect all workers (a server's availability, a connection that belongs to none of
//!   them) are stamped once for all, and each worker catches up at its next pick. The cost does not
//!   depend on the number of workers.
//!
//! Most often a worker's own word says all that a key is made of. Otherwise the word has a note
//! ([`OwnCount::note_availability`]), and a key is made of what the word refers to. The worker alone clears
//! notes, when it catches up; the director sets one where it is missing, and stamps what it has set.
//!
//! | location   | operation               | ordering | partner                                               |
//! |------------|-------------------------|----------|-------------------------------------------------------|
//! | `renewals` | addition in `renew_all` | SeqCst   | load in `is_to_renew_all`; before a stamp in `others` |

use std::sync::OnceLock;

use crate::arena::own_count::OwnCount;
use crate::arena::worker_state::{Renewal, WorkerState};
use crate::concurrent::min_tree::{Contended, Least, MinTree, NO_INDEX};
use crate::concurrent::segments::Segments;
use crate::concurrent::simd::Simd;
use crate::concurrent::simd::key::Key;
use crate::concurrent::stamps::{Seen, Stamps};
use crate::pool::positions::Positions;
use crate::pool::servers::{Position, Servers};
use crate::sched::least::index::ATTEMPTS;
use crate::sched::least::keys::{KeyRule, LoadKey, common_multiple};
use crate::sched::least::rule::Rule;
use crate::sched::least::view::{View, counts, is_counted, note, own, says_all};
use crate::sync::{AtomicU32, Ordering};

/// The indexes of all workers, with keys of the width that the weights need (`least::keys`).
pub(crate) enum WorkerIndexes {
    Narrow(Indexes<u32>),
    Wide(Indexes<u64>),
}

/// The same with keys of this width.
pub(crate) struct Indexes<K: Key> {
    simd: Simd,
    rule: KeyRule,
    /// As in the index that all workers share.
    positions: Positions<u32>,
    /// By worker number.
    workers: Segments<OneWorker<K>>,
    /// By position: changes that affect all workers.
    stamps: Stamps,
}

struct OneWorker<K: Key>(OnceLock<WorkerIndex<K>>);

impl<K: Key> Default for OneWorker<K> {
    fn default() -> Self {
        OneWorker(OnceLock::new())
    }
}

/// Written by its worker alone: others stamp what they have changed.
struct WorkerIndex<K: Key> {
    /// Of the changes that affect all workers.
    seen: Seen,
    /// By position: what others have changed of the worker's connections.
    others: Stamps,
    others_seen: Seen,
    /// How often the director has asked to renew all, and how often the worker has.
    renewals: AtomicU32,
    renewed: AtomicU32,
    /// Position of the first place of the worker's view, which changes when a worker becomes the only one, or
    /// ceases to be, or when another one gets its number.
    first: AtomicU32,
    length: u32,
    /// By places in the view.
    keys: MinTree<K>,
}

impl<K: Key> WorkerIndex<K> {
    #[inline(always)]
    fn view(&self) -> View {
        // Relaxed: only the worker uses it.
        View { first: self.first.load(Ordering::Relaxed), length: self.length }
    }

    #[inline(always)]
    fn is_news(&self, stamps: &Stamps) -> bool {
        stamps.are_newer(&self.seen) || self.others.are_newer(&self.others_seen)
    }

    /// Makes the worker renew all at its next pick. Director only.
    fn renew_all(&self) {
        // SeqCst: pairs with the load in `is_to_renew_all`; after what has changed, before the stamp that
        // makes the worker look.
        self.renewals.fetch_add(1, Ordering::SeqCst);
        self.others.changed(0);
    }

    /// True once after [`renew_all`](Self::renew_all). The worker's, after it has caught up.
    fn is_to_renew_all(&self) -> bool {
        // SeqCst: pairs with the addition in `renew_all`; before the loads of what has changed.
        let renewals = self.renewals.load(Ordering::SeqCst);
        // Relaxed: only the worker uses it.
        let is_due = self.renewed.load(Ordering::Relaxed) != renewals;
        self.renewed.store(renewals, Ordering::Relaxed);
        is_due
    }
}

macro_rules! by_width {
    ($self:expr, $indexes:pat => $result:expr) => {
        match $self {
            WorkerIndexes::Narrow($indexes) => $result,
            WorkerIndexes::Wide($indexes) => $result,
        }
    };
}

impl WorkerIndexes {
    pub(in crate::sched) fn of(rule: Rule, servers: &Servers) -> Self {
        match common_multiple(rule, servers.weights()) {
            Some(multiple) => {
                WorkerIndexes::Narrow(Indexes::of(KeyRule::new(rule, multiple), servers))
            }
            None => WorkerIndexes::Wide(Indexes::of(KeyRule::new(rule, 0), servers)),
        }
    }

    /// Makes the worker's index if it has none, or has the worker renew it. O(servers), allocates. Director
    /// only.
    pub(in crate::sched) fn init_worker(
        &self,
        servers: &Servers,
        worker: &WorkerState,
        renewal: Renewal,
    ) {
        by_width!(self, indexes => indexes.init_worker(servers, worker, renewal));
    }

    /// Updates the worker's index after its own change of its connections to the server in this slot.
    /// O(log n), wait-free. Not inlined, so that callers contain one call.
    #[inline(never)]
    pub(crate) fn changed(
        &self,
        servers: &Servers,
        worker: &WorkerState,
        own: &OwnCount,
        slot: u32,
    ) {
        match self {
            WorkerIndexes::Narrow(indexes) => indexes.changed(servers, worker, own, slot),
            WorkerIndexes::Wide(indexes) => indexes.changed_apart(servers, worker, own, slot),
        }
    }

    /// Stamps another thread's change of the worker's connections. O(log n), wait-free.
    #[inline(never)]
    pub(in crate::sched) fn changed_by_another(&self, worker: &WorkerState, slot: u32) {
        by_width!(self, indexes => {
            if let (Some(index), Some(position)) = (indexes.index(worker), indexes.positions.get(slot)) {
                index.others.changed(position);
            }
        });
    }

    /// Stamps a change at the server in this slot that affects all workers. O(log n), wait-free.
    pub(in crate::sched) fn changed_for_all(&self, slot: u32) {
        let positions = by_width!(self, indexes => &indexes.positions);
        let stamps = by_width!(self, indexes => &indexes.stamps);
        if let Some(position) = positions.get(slot) {
            stamps.changed(position);
        }
    }

    /// The least loaded available server. `None` if the index has none, or if
    /// [`find_again`](Self::find_again) is needed.
    #[inline(always)]
    pub(in crate::sched) fn find(
        &self,
        servers: &Servers,
        worker: &WorkerState,
    ) -> Option<Position> {
        let found = self.find_or_none(servers, worker);
        (found != NO_INDEX).then_some(found)
    }

    /// As for [`changed`](Self::changed).
    #[inline(never)]
    fn find_or_none(&self, servers: &Servers, worker: &WorkerState) -> Position {
        match self {
            WorkerIndexes::Narrow(indexes) => indexes.find_or_none(servers, worker),
            WorkerIndexes::Wide(indexes) => indexes.find_apart(servers, worker),
        }
    }

    /// The least loaded available server; on a tie from this position on, or in the order of the worker's
    /// view. `None` if the index has none, or is too contended.
    #[inline(never)]
    pub(in crate::sched) fn find_again(
        &self,
        servers: &Servers,
        worker: &WorkerState,
        first: Option<Position>,
    ) -> Option<Position> {
        by_width!(self, indexes => indexes.find_again(servers, worker, first))
    }
}

impl<K: LoadKey> Indexes<K> {
    fn of(rule: KeyRule, servers: &Servers) -> Self {
        let scale = |weight| Some(rule.scale::<K>(weight)).filter(|scale| *scale > 0);
        let slots = servers.ids().map(|id| id.slot);
        let positions = Positions::of_slots(slots.zip(servers.weights().map(scale)));
        let stamps = Stamps::new(servers.len());
        Indexes { simd: Simd::detect(), rule, positions, workers: Segments::new(), stamps }
    }

    fn init_worker(&self, servers: &Servers, worker: &WorkerState, renewal: Renewal) {
        self.workers.grow_to(worker.number() + 1);
        let Some(OneWorker(index)) = self.workers.get(worker.number()) else { return };
        for (position, id) in (0..).zip(servers.ids()) {
            self.note_missing(servers, worker, position, id.slot);
        }
        let view = View::of(worker, servers);
        let is_new = index.get().is_none();
        let index = index.get_or_init(|| {
            // Before the counts are read, so that a later change is newer than this copy.
            let (seen, others) = (self.stamps.seen(), Stamps::new(servers.len()));
            let key = |at| self.key_at(servers, worker, view.position(at));
            let keys = MinTree::new((0..servers.len()).map(key), self.simd);
            let (others_seen, length) = (others.seen(), view.length);
            let [renewals, renewed] = [0; 2].map(AtomicU32::new);
            let first = AtomicU32::new(view.first);
            WorkerIndex { seen, others, others_seen, renewals, renewed, first, length, keys }
        });
        if is_new {
            return;
        }
        let common = &servers.arena().common;
        let is_due = |position: Position, slot: u32| match renewal {
            Renewal::All => false,
            Renewal::Common => common.get(slot).is_some_and(is_counted),
            // A change of the worker's own is found here, or the worker has found this version.
            Renewal::Untold => {
                let key = self.key_at(servers, worker, position);
                index.keys.key(view.place(position)) != Some(key)
            }
        };
        let due = (0..).zip(servers.ids()).filter(|(position, id)| is_due(*position, id.slot));
        due.for_each(|(position, _)| index.others.changed(position));
        if renewal == Renewal::All {
            index.renew_all();
        }
    }

    /// Notes in the worker's word, if it is sole, that it does not say all, and stamps that: the worker may just
    /// have found that it does. Stamps as well what is noted and need not be.
    fn note_missing(&self, servers: &Servers, worker: &WorkerState, position: Position, slot: u32) {
        let Some(own) = worker.own(slot) else { return };
        let (says_all, own) = (says_all(servers, position), own.any());
        if !own.is_sole() || says_all && !own.is_noted() {
            return;
        }
        if !says_all {
            note(servers, worker, position, false);
        }
        if self.positions.get(slot).is_some() {
            self.stamps.changed(position);
        }
    }

    #[inline(always)]
    fn index(&self, worker: &WorkerState) -> Option<&WorkerIndex<K>> {
        let OneWorker(index) = self.workers.get(worker.number())?;
        index.get()
    }

    #[inline(always)]
    fn changed(&self, servers: &Servers, worker: &WorkerState, own: &OwnCount, slot: u32) {
        #[cfg(test)]
        LOOKED_AT.with(|looked_at| looked_at.set(looked_at.get() + 1));
        let Some(index) = self.index(worker) else { return };
        match self.positions.find_close(slot) {
            Some((position, scale)) => self.set(index, scale, own, (servers, worker, position)),
            None => self.changed_scattered(index, servers, worker, slot),
        }
    }

    /// Not inlined, to save no registers where it is not called.
    #[inline(never)]
    fn changed_apart(&self, servers: &Servers, worker: &WorkerState, own: &OwnCount, slot: u32) {
        self.changed(servers, worker, own, slot);
    }

    #[inline(never)]
    fn changed_scattered(
        &self,
        index: &WorkerIndex<K>,
        servers: &Servers,
        worker: &WorkerState,
        slot: u32,
    ) {
        if let Some(position) = self.positions.get(slot) {
            self.refresh(servers, worker, index, position);
        }
    }

    #[inline(never)]
    fn find_apart(&self, servers: &Servers, worker: &WorkerState) -> Position {
        self.find_or_none(servers, worker)
    }

    #[inline(always)]
    fn find_or_none(&self, servers: &Servers, worker: &WorkerState) -> Position {
        let Some(index) = self.index(worker) else { return NO_INDEX };
        if index.is_news(&self.stamps) {
            return NO_INDEX;
        }
        let found = self.simd.run(
            #[inline(always)]
            move |simd| index.keys.descend(simd),
        );
        let Ok(Some(found)) = found else { return NO_INDEX };
        let position = index.view().position(found.index);
        if self.is_current(found.key, servers, worker, position) { position } else { NO_INDEX }
    }

    fn find_again(
        &self,
        servers: &Servers,
        worker: &WorkerState,
        first: Option<Position>,
    ) -> Option<Position> {
        let index = self.index(worker)?;
        let look = |position| {
            note(servers, worker, position, says_all(servers, position));
            self.refresh(servers, worker, index, position);
        };
        self.stamps.catch_up(&index.seen, look);
        index.others.catch_up(&index.others_seen, |position| {
            self.refresh(servers, worker, index, position);
        });
        if index.is_to_renew_all() {
            // Relaxed: only the worker uses it.
            index.first.store(View::of(worker, servers).first, Ordering::Relaxed);
            (0..servers.len()).for_each(look);
        }
        let (view, keys) = (index.view(), &index.keys);
        for _ in 0..ATTEMPTS {
            let found: Result<Option<Least<K>>, Contended> = match first {
                Some(first) => keys.least_from(view.place(first)),
                None => keys.least(),
            };
            let found = found.ok().flatten()?;
            let position = view.position(found.index);
            if self.is_current(found.key, servers, worker, position) {
                return Some(position);
            }
            self.refresh(servers, worker, index, position);
        }
        None
    }

    /// True if the key that was found is that of the counts.
    #[inline(always)]
    fn is_current(
        &self,
        key: K,
        servers: &Servers,
        worker: &WorkerState,
        position: Position,
    ) -> bool {
        let server = servers.slot_and_weight(position);
        let (Some((slot, weight)), Some(own)) = (server, own(servers, worker, position)) else {
            return false;
        };
        // Held or full by now, and not told of yet.
        slot.counts_relaxed().available()
            && self.rule.is_key(key, weight, counts(own, servers, worker, position))
    }

    fn key_at(&self, servers: &Servers, worker: &WorkerState, position: Position) -> K {
        #[cfg(test)]
        LOOKED_AT.with(|looked_at| looked_at.set(looked_at.get() + 1));
        let scale = self.rule.scale::<K>(servers.weight(position));
        let own = own(servers, worker, position).filter(|_| scale > 0);
        own.map_or(K::UNAVAILABLE, |own| {
            self.rule.key(scale, counts(own, servers, worker, position))
        })
    }

    #[inline(never)]
    fn refresh(
        &self,
        servers: &Servers,
        worker: &WorkerState,
        index: &WorkerIndex<K>,
        position: Position,
    ) {
        let key = self.key_at(servers, worker, position);
        index.keys.set_unshared(index.view().place(position), key);
    }

    #[inline(always)]
    fn set(
        &self,
        index: &WorkerIndex<K>,
        scale: u32,
        own: &OwnCount,
        (servers, worker, position): (&Servers, &WorkerState, Position),
    ) {
        let key = self.rule.key(scale, counts(own, servers, worker, position));
        index.keys.set_unshared(index.view().place(position), key);
    }
}

#[cfg(test)]
thread_local! {
    /// How often this thread has made the key of a server, for some worker's index.
    static LOOKED_AT: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
