//! Runtime state that outlives every config: one slot of atomics per server and per service.
//!
//! Slots hold no pointers, locks or thread ids, and are found by index and generation. This module
//! has the operations on them; the director decides which server or service owns which slot.
//!
//! | location     | operation                          | ordering | partner                             |
//! |--------------|------------------------------------|----------|-------------------------------------|
//! | `counts`     | exchanges in `swap`                | SeqCst   | loads in `change`, `open`           |
//! | `counts`     | load in `counts_relaxed`           | Relaxed  | none: it orders nothing             |
//! | `counts`     | load in `counts_seqcst`            | SeqCst   | exchanges in `swap`                 |
//! | `limits`     | stores in `store_limits`, `occupy` | SeqCst   | load in `limits`                    |
//! | `generation` | addition in `end`                  | SeqCst   | load in `is`                        |
//! | `pins`       | additions in `pin`, `unpin`        | SeqCst   | load in `end`                       |
//!
//! A `ServiceSlot`'s `generation`, and the store in `renew`, are used only under the director's lock.
//!
//! `open` loads the count word, then the generation and the limits, then exchanges the word. The
//! director stores new limits before it changes the word's version, and changes the owner between two
//! such exchanges (the first sets `vacant`). A concurrent `open` can observe:
//!
//! - Old word, old limits: the connection precedes the edit, whose exchange then counts it.
//! - Old word, new limits, and no longer below them: `open` itself marks the server and refuses. It does
//!   not wait, so even while the director is stopped between store and exchange no connection passes.
//! - Old word, new limits, and still below them: the old and the new limits both allow it.
//!
//! The version has 10 bits (ABA). If an `open` is suspended for exactly 1,024 changes of one slot, its
//! exchange succeeds although the word is from another time:
//!
//! - Stale limits are harmless: the server may be marked too early or too late, but the next event
//!   compares the number itself (`>=`, `<=`), above a limit `open` refuses unmarked servers too, and
//!   the last close clears every mark.
//! - A stale owner is detected by a second load of the generation. `open` then takes the connection
//!   back, and `close` gives it back, if the version is still that of the exchange; if it is another,
//!   the owner left only after the exchange, as it may once its last connection is closed.
//!   (Suspended there for exactly 1,024 changes, a `close` of the last connection is taken for one of
//!   another owner: it reports `Stale`, and the new owner counts one too many until
//!   `Director::set_counts`.)

use std::cell::Cell;

use crate::arena::counts::{Activity, Counts, Limits, MAX_CONNECTIONS};
pub(crate) use crate::arena::membership::NO_SERVICE;
use crate::arena::membership::{BY_WORKER, Membership, TOLD};
use crate::arena::tally::Connections;
use crate::config::{KernelRules, ServerState, Thresholds};
use crate::error::ConnectionError;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// State of one server.
#[repr(C, align(32))]
pub(crate) struct ServerSlot {
    counts: AtomicU64,
    limits: AtomicU64,
    generation: AtomicU32,
    service: Membership,
    /// As last configured; kept after the server is removed.
    weight: AtomicU32,
    /// Number of affinity entries that name the server.
    pins: AtomicU32,
}

impl ServerSlot {
    /// A vacant slot whose first owner has this generation.
    pub(crate) fn new(generation: u32) -> Self {
        ServerSlot {
            counts: AtomicU64::new(Counts::NO_SLOT.word()),
            limits: AtomicU64::new(0),
            generation: AtomicU32::new(generation),
            service: Membership::none(),
            weight: AtomicU32::new(0),
            pins: AtomicU32::new(0),
        }
    }

    /// Some recent counts, for decisions.
    #[inline]
    pub(crate) fn counts_relaxed(&self) -> Counts {
        // Relaxed: any recent count will do for a decision, and no other access depends on it.
        Counts::from_word(self.counts.load(Ordering::Relaxed))
    }

    /// The counts ordered after this thread's own stores, for keys derived from counts.
    #[inline]
    pub(crate) fn counts_seqcst(&self) -> Counts {
        // SeqCst: pairs with the exchanges in `swap`. Of a thread that stores a derived key and a
        // thread that changes the counts, at least one sees the other's store.
        Counts::from_word(self.counts.load(Ordering::SeqCst))
    }

    #[inline(always)]
    pub(crate) fn is(&self, generation: u32) -> bool {
        // SeqCst: pairs with the addition in `end`.
        self.generation.load(Ordering::SeqCst) == generation
    }

    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Slot index of the service to which this server belongs, or last belonged.
    pub(crate) fn service(&self) -> u32 {
        self.service_to_tell().0
    }

    /// The same, and whether the service is told of changes of this server's counts: false only as long as
    /// no published version of the service that contains this server wants to be.
    #[inline(always)]
    pub(crate) fn service_to_tell(&self) -> (u32, bool) {
        self.service.service_to_tell()
    }

    /// The same for changes of what a worker counts alone: false also if the service's workers keep no indexes.
    #[inline(always)]
    pub(crate) fn service_to_tell_all(&self) -> (u32, bool) {
        self.service.service_to_tell_all()
    }

    /// True if workers count the server's connections in words of their own (`arena::own_count`), which may be
    /// sole. False may be late: every word is folded before it becomes false, and no word is sole before it
    /// becomes true.
    #[inline(always)]
    pub(crate) fn is_counted_by_worker(&self) -> bool {
        self.service.is_counted_by_worker()
    }

    /// Adds one connection; true if that changed the mark. With `below_limit` an overloaded server
    /// refuses it. Lock-free.
    #[inline(always)]
    pub(crate) fn open(
        &self,
        generation: u32,
        activity: Activity,
        rule: KernelRules,
        below_limit: bool,
    ) -> Result<bool, ConnectionError> {
        // SeqCst: pairs with the exchanges in `swap`; before the loads of generation and limits.
        let mut word = self.counts.load(Ordering::SeqCst);
        loop {
            let counts = Counts::from_word(word);
            if counts.vacant() || !self.is(generation) {
                return Err(ConnectionError::Stale);
            }
            if below_limit && counts.overloaded() {
                return Err(ConnectionError::Overloaded);
            }
            let limits = self.limits();
            let next = counts.opened(activity, limits, rule).ok_or(ConnectionError::Full)?;
            let marks = counts.overloaded() != next.overloaded();
            if marks && below_limit && counts.is_full_unmarked(limits, rule) {
                word = self.mark(counts)?;
                continue;
            }
            match self.swap(word, next) {
                Ok(()) if self.is(generation) => return Ok(marks),
                Ok(()) => return Err(self.take_back(next, activity, rule)),
                Err(now) => word = now,
            }
        }
    }

    /// Marks a server for limits that the director has stored but not yet applied to the mark. Returns
    /// the current word if it has changed.
    #[cold]
    #[inline(never)]
    fn mark(&self, counts: Counts) -> Result<u64, ConnectionError> {
        match self.swap(counts.word(), counts.marked(true)) {
            Ok(()) => Err(ConnectionError::Overloaded),
            Err(now) => Ok(now),
        }
    }

    /// Takes back a connection whose exchange met another owner's count word. If the owner left after
    /// the exchange, there is nothing to take back: it was evicted with all its connections.
    #[cold]
    #[inline(never)]
    fn take_back(&self, opened: Counts, activity: Activity, rule: KernelRules) -> ConnectionError {
        let _ = self.change(|counts| {
            let same = counts.version() == opened.version();
            let closed = counts.closed(activity, self.limits(), rule).filter(|_| same);
            closed.ok_or(ConnectionError::Stale)
        });
        ConnectionError::Stale
    }

    /// Removes one connection; true if that changed the mark. Lock-free.
    #[inline(always)]
    pub(crate) fn close(
        &self,
        generation: u32,
        activity: Activity,
        rule: KernelRules,
    ) -> Result<bool, ConnectionError> {
        let change = self.change(
            #[inline(always)]
            |counts| {
                if !self.is(generation) {
                    return Err(ConnectionError::Stale);
                }
                counts.closed(activity, self.limits(), rule).ok_or(ConnectionError::Stale)
            },
        )?;
        if self.is(generation) || self.confirm_close(change.after, activity, rule) {
            Ok(change.marks())
        } else {
            Err(ConnectionError::Stale)
        }
    }

    /// True if an exchange that closed a connection met its owner's count word. The owner may leave as
    /// soon as its last connection is closed; then the version is another by now. If the version is the
    /// same, the owner had been evicted before: the connection was another owner's, and is given back.
    #[cold]
    #[inline(never)]
    fn confirm_close(&self, closed: Counts, activity: Activity, rule: KernelRules) -> bool {
        let given_back = self.change(|counts| {
            let same = counts.version() == closed.version();
            let opened = counts.opened(activity, self.limits(), rule).filter(|_| same);
            opened.ok_or(ConnectionError::Stale)
        });
        given_back.is_err()
    }

    /// Replaces the counts; returns the previous ones.
    pub(crate) fn correct(
        &self,
        generation: u32,
        active: u32,
        inactive: u32,
        rule: KernelRules,
    ) -> Result<Counts, ConnectionError> {
        let former = Cell::new(Counts::from_word(0));
        self.change(|counts| {
            if counts.vacant() || !self.is(generation) {
                return Err(ConnectionError::Stale);
            }
            former.set(counts);
            let corrected = counts.corrected(active, inactive, self.limits(), rule);
            corrected.ok_or(ConnectionError::Full)
        })?;
        Ok(former.get())
    }

    /// Moves one connection from active to inactive or back. Lock-free.
    #[inline]
    pub(crate) fn update(&self, generation: u32, to: Activity) -> Result<(), ConnectionError> {
        let changed = self.change(|counts| {
            if !self.is(generation) {
                return Err(ConnectionError::Stale);
            }
            counts.moved(to).ok_or(ConnectionError::Stale)
        });
        changed.map(|_| ())
    }

    /// Sets new limits and derives the mark from them; true if that changed the mark. Director only.
    pub(crate) fn limit(&self, new: Limits, rule: KernelRules) -> bool {
        let old = self.store_limits(new);
        self.mark_for_limits(old, new, rule)
    }

    /// The first half of [`limit`](Self::limit): stores the limits and returns the previous ones.
    pub(crate) fn store_limits(&self, new: Limits) -> Limits {
        let old = self.limits();
        // SeqCst: pairs with the load in `limits`; before the exchange in `mark_for_limits`.
        self.limits.store(new.word(), Ordering::SeqCst);
        old
    }

    /// The second half of [`limit`](Self::limit): derives the mark; true if it changed.
    pub(crate) fn mark_for_limits(&self, old: Limits, new: Limits, rule: KernelRules) -> bool {
        // Never an error: the closure returns `Ok`.
        self.change(|counts| Ok(counts.limited(old, new, rule))).is_ok_and(Change::marks)
    }

    /// Sets the server's run-time state; returns the previous one. Lock-free.
    pub(crate) fn set_state(
        &self,
        generation: u32,
        state: ServerState,
    ) -> Result<ServerState, ConnectionError> {
        let change = self.change(|counts| {
            if counts.vacant() || !self.is(generation) {
                return Err(ConnectionError::Stale);
            }
            Ok(counts.held(state))
        })?;
        Ok(change.before.state())
    }

    /// Assigns the slot to a server of this service, up, without connections or limits. Director only.
    pub(crate) fn occupy(&self, service: u32) {
        // SeqCst: pairs with the load in `limits`; before the exchange below.
        self.limits.store(0, Ordering::SeqCst);
        self.service.set(service);
        let _ = self.change(|counts| Ok(counts.occupied()));
    }

    /// The weight as last configured, even of a server that was removed.
    pub(crate) fn weight(&self) -> u32 {
        // Relaxed: a plain setting; orders nothing.
        self.weight.load(Ordering::Relaxed)
    }

    /// Director only.
    pub(crate) fn set_weight(&self, weight: u32) {
        // Relaxed: as in `weight`.
        self.weight.store(weight, Ordering::Relaxed);
    }

    /// Records that an affinity entry names the server: its slot is not reused while pinned.
    pub(crate) fn pin(&self) {
        // SeqCst: pairs with the load in `end`.
        self.pins.fetch_add(1, Ordering::SeqCst);
    }

    /// Undoes one [`pin`](Self::pin).
    pub(crate) fn unpin(&self) {
        // SeqCst: as in `pin`.
        self.pins.fetch_sub(1, Ordering::SeqCst);
    }

    /// Sets the server's service, which is not told of changes: the one added again, or [`NO_SERVICE`] if
    /// it was deleted. Director only.
    pub(crate) fn set_service(&self, service: u32) {
        self.service.set(service);
    }

    /// Sets whether the service is told of changes. The director stores true before it publishes the
    /// first version that wants to be: a change after which `service_to_tell` still says false comes before
    /// that publication, after which the director reads all counts itself. Director only.
    pub(crate) fn set_told(&self, told: bool) {
        self.service.set_flag(TOLD, told);
    }

    /// Sets [`is_counted_by_worker`](Self::is_counted_by_worker). Director only.
    pub(crate) fn set_counted_by_worker(&self, by_worker: bool) {
        self.service.set_flag(BY_WORKER, by_worker);
    }

    /// Adds connections that a worker has counted alone; false if the slot has no room for them. Director
    /// only, while the server has no limits.
    pub(crate) fn adjust(&self, by: Connections) -> bool {
        let adjusted = self.change(|counts| {
            let now = Connections::new(counts.active(), counts.total()).plus(by);
            let fits = now.total() <= MAX_CONNECTIONS;
            let adjusted = fits.then(|| counts.with_connections(now.active(), now.total()));
            adjusted.ok_or(ConnectionError::Full)
        });
        adjusted.is_ok()
    }

    /// True if the server has an upper threshold.
    pub(crate) fn is_limited(&self) -> bool {
        self.limits() != Limits::new(Thresholds::default())
    }

    /// Takes the slot from its owner, whose ids become stale; false while connections are counted or
    /// affinity entries name it. Director only.
    pub(crate) fn vacate(&self) -> Ended {
        self.end(|counts| counts.vacated().ok_or(ConnectionError::Overloaded))
    }

    /// Like [`vacate`](Self::vacate), but even while connections are counted: their leases become stale.
    /// Director only.
    pub(crate) fn evict(&self) -> Ended {
        self.end(|counts| Ok(counts.evicted()))
    }

    fn end(&self, ended: impl Fn(Counts) -> Result<Counts, ConnectionError>) -> Ended {
        // SeqCst: pairs with `pin`. A later pin comes from a retired table, and holds only the number.
        if self.pins.load(Ordering::SeqCst) != 0 {
            return Ended::No;
        }
        let Ok(change) = self.change(ended) else { return Ended::No };
        // SeqCst: pairs with the load in `is`; after the exchange that ended the owner's counts.
        self.generation.fetch_add(1, Ordering::SeqCst);
        if change.before.is_ejected() { Ended::Ejected } else { Ended::Yes }
    }

    #[inline(always)]
    pub(super) fn limits(&self) -> Limits {
        // SeqCst: pairs with the stores in `store_limits` and `occupy`.
        Limits::from_word(self.limits.load(Ordering::SeqCst))
    }

    #[inline(always)]
    pub(super) fn change(
        &self,
        next: impl Fn(Counts) -> Result<Counts, ConnectionError>,
    ) -> Result<Change, ConnectionError> {
        // SeqCst: as in `open`.
        let mut word = self.counts.load(Ordering::SeqCst);
        loop {
            let before = Counts::from_word(word);
            let after = next(before)?;
            match self.swap(word, after) {
                Ok(()) => return Ok(Change { before, after }),
                Err(now) => word = now,
            }
        }
    }

    /// Exchanges the word; the current word if it differs.
    #[inline(always)]
    fn swap(&self, word: u64, next: Counts) -> Result<(), u64> {
        // SeqCst: pairs with the loads in `open`, `change` and `counts_seqcst`.
        let swap = self.counts.compare_exchange_weak(
            word,
            next.word(),
            Ordering::SeqCst,
            Ordering::SeqCst,
        );
        swap.map(|_| ())
    }
}

/// Whether a slot's owner has left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It has not.
    No,
    Yes,
    /// It has, and was ejected: its place in the budget is free.
    Ejected,
}

impl Ended {
    pub(crate) fn has_left(self) -> bool {
        self != Ended::No
    }
}

/// An exchange of a count word.
#[derive(Clone, Copy)]
pub(super) struct Change {
    pub(super) before: Counts,
    after: Counts,
}

impl Change {
    /// True if it changed the overload mark.
    #[inline(always)]
    fn marks(self) -> bool {
        self.before.overloaded() != self.after.overloaded()
    }
}

#[cfg(test)]
#[path = "slots_tests.rs"]
mod tests;
