//! Live state that outlives every config: a slot of atomics per server and per service.
//!
//! Slots hold no pointers, locks or thread ids, and are found by index and generation. This
//! module is the verbs on them; who gets which slot is the director's affair.
//!
//! | location              | operation                     | ordering | partner                      |
//! |-----------------------|-------------------------------|----------|------------------------------|
//! | `counts`              | swaps in `swap`               | SeqCst   | loads in `change`, `open`    |
//! | `counts`              | load in `glance`              | Relaxed  | none: it orders nothing      |
//! | `counts`              | load in `look`                | SeqCst   | swaps in `swap`              |
//! | `limits`,`generation` | stores in `limit`, `vacate`   | SeqCst   | loads in `open`, `close`     |
//! | `pins`                | additions in `pin`, `unpin`   | SeqCst   | load in `vacate`             |
//!
//! An `open` reads the word, then the generation and the limits, then swaps the word. The director
//! stores new limits before it swaps the word's version, and a new owner between two such swaps
//! (`vacant` set in the first). What an `open` beside it can meet:
//!
//! - Old word, old limits: the connection comes before the edit, whose swap then sees it.
//! - Old word, new limits, and no longer below them: the `open` marks the server itself and refuses.
//!   It waits for nothing, so a director that is stopped between store and swap lets nobody through.
//! - Old word, new limits, and still below them: old and new limits both allow it.
//!
//! The version has 10 bits. If an `open` sleeps through exactly 1,024 changes of one slot, its swap
//! succeeds with a word of another time. Stale limits then do no harm: the server may be marked too
//! early or too late, but whoever comes next goes by the number itself (`>=`, `<=`), above a limit
//! `open` refuses unmarked servers too, and the last close clears every mark. A stale owner is found
//! by a second look at the generation, and the connection is taken back. A `close` looks twice as
//! well, because its server may have been evicted while it counted connections.

use std::cell::Cell;

use crate::arena::counts::{Activity, Counts, Limits};
use crate::config::KernelRules;
use crate::error::ConnectionError;
use crate::rotation::retry::RetryRotation;
use crate::rotation::worker::WorkerRotation;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// State of one server.
#[repr(C, align(32))]
pub(crate) struct ServerSlot {
    counts: AtomicU64,
    limits: AtomicU64,
    generation: AtomicU32,
    service: AtomicU32,
    /// As configured last; also of a removed server.
    weight: AtomicU32,
    /// Affinity entries that name the server.
    pins: AtomicU32,
}

impl ServerSlot {
    /// A vacant slot whose first owner has this generation.
    pub(crate) fn new(generation: u32) -> Self {
        ServerSlot {
            counts: AtomicU64::new(Counts::NO_SLOT.word()),
            limits: AtomicU64::new(0),
            generation: AtomicU32::new(generation),
            service: AtomicU32::new(u32::MAX),
            weight: AtomicU32::new(0),
            pins: AtomicU32::new(0),
        }
    }

    /// The counts as they are somewhere about now; for decisions.
    #[inline]
    pub(crate) fn counts_relaxed(&self) -> Counts {
        // Relaxed: a decision may go by any recent count; nothing is read on the strength of it.
        Counts::from_word(self.counts.load(Ordering::Relaxed))
    }

    /// The counts after whatever this thread has stored; for what is kept about them elsewhere.
    #[inline]
    pub(crate) fn counts_seqcst(&self) -> Counts {
        // SeqCst: between a store of what is kept and a change of the counts by another thread, at
        // least one of the two sees the other's.
        Counts::from_word(self.counts.load(Ordering::SeqCst))
    }

    #[inline(always)]
    pub(crate) fn is(&self, generation: u32) -> bool {
        self.generation.load(Ordering::SeqCst) == generation
    }

    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Index of the slot of the service this server belongs, or last belonged, to.
    pub(crate) fn service(&self) -> u32 {
        self.service.load(Ordering::SeqCst)
    }

    /// One connection more; true if that changed the mark. With `below_limit` an overloaded server
    /// refuses it.
    #[inline(always)]
    pub(crate) fn open(
        &self,
        generation: u32,
        activity: Activity,
        rule: KernelRules,
        below_limit: bool,
    ) -> Result<bool, ConnectionError> {
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
                Ok(()) => return Err(self.take_back(activity, rule)),
                Err(now) => word = now,
            }
        }
    }

    /// Marks a server for limits that the director has not marked it for yet; the word now if it is
    /// another.
    #[cold]
    #[inline(never)]
    fn mark(&self, counts: Counts) -> Result<u64, ConnectionError> {
        match self.swap(counts.word(), counts.marked(true)) {
            Ok(()) => Err(ConnectionError::Overloaded),
            Err(now) => Ok(now),
        }
    }

    /// Takes back a connection that was counted for an owner that has left the slot meanwhile.
    #[cold]
    #[inline(never)]
    fn take_back(&self, activity: Activity, rule: KernelRules) -> ConnectionError {
        let _ = self.change(|counts| {
            counts.closed(activity, self.limits(), rule).ok_or(ConnectionError::Stale)
        });
        ConnectionError::Stale
    }

    /// One connection less; true if that changed the mark.
    #[inline(always)]
    pub(crate) fn close(
        &self,
        generation: u32,
        activity: Activity,
        rule: KernelRules,
    ) -> Result<bool, ConnectionError> {
        let marks = self.change(|counts| {
            if !self.is(generation) {
                return Err(ConnectionError::Stale);
            }
            counts.closed(activity, self.limits(), rule).ok_or(ConnectionError::Stale)
        })?;
        if self.is(generation) { Ok(marks) } else { Err(self.give_back(activity, rule)) }
    }

    /// Gives back a connection that was taken from an owner who has got the slot meanwhile: the
    /// connection's own server was evicted.
    #[cold]
    #[inline(never)]
    fn give_back(&self, activity: Activity, rule: KernelRules) -> ConnectionError {
        let _ = self.change(|counts| {
            counts.opened(activity, self.limits(), rule).ok_or(ConnectionError::Stale)
        });
        ConnectionError::Stale
    }

    /// These counts instead; what they were.
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

    /// One connection from active to inactive or back.
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

    /// New limits, and the mark that follows from them; true if that changed. Director only.
    pub(crate) fn limit(&self, new: Limits, rule: KernelRules) -> bool {
        let old = self.store_limits(new);
        self.mark_for_limits(old, new, rule)
    }

    /// The first half of [`limit`](Self::limit): the former limits.
    pub(crate) fn store_limits(&self, new: Limits) -> Limits {
        let old = self.limits();
        self.limits.store(new.word(), Ordering::SeqCst);
        old
    }

    /// The second half of [`limit`](Self::limit).
    pub(crate) fn mark_for_limits(&self, old: Limits, new: Limits, rule: KernelRules) -> bool {
        // Never an error.
        self.change(|counts| Ok(counts.limited(old, new, rule))).unwrap_or(false)
    }

    /// Gives the slot to a server of this service, without connections and limits. Director only.
    pub(crate) fn occupy(&self, service: u32) {
        self.limits.store(0, Ordering::SeqCst);
        self.service.store(service, Ordering::SeqCst);
        let _ = self.change(|counts| Ok(counts.occupied()));
    }

    /// The weight as configured last, also of a server that was removed.
    pub(crate) fn weight(&self) -> u32 {
        // Relaxed: a plain setting; orders nothing.
        self.weight.load(Ordering::Relaxed)
    }

    /// Director only.
    pub(crate) fn set_weight(&self, weight: u32) {
        // Relaxed: as in `weight`.
        self.weight.store(weight, Ordering::Relaxed);
    }

    /// An affinity entry names the server: its slot is not given to another.
    pub(crate) fn pin(&self) {
        self.pins.fetch_add(1, Ordering::SeqCst);
    }

    /// An affinity entry names it no longer.
    pub(crate) fn unpin(&self) {
        self.pins.fetch_sub(1, Ordering::SeqCst);
    }

    /// The server's service was deleted (`u32::MAX`) or made again. Director only.
    pub(crate) fn set_service(&self, service: u32) {
        self.service.store(service, Ordering::SeqCst);
    }

    /// Takes the slot from its owner, whose ids are stale from now on; false while connections are
    /// counted or affinity entries name it. Director only.
    pub(crate) fn vacate(&self) -> bool {
        self.end(|counts| counts.vacated().ok_or(ConnectionError::Overloaded))
    }

    /// As [`vacate`](Self::vacate), whatever is counted: leases of these connections are stale from
    /// now on. Director only.
    pub(crate) fn evict(&self) -> bool {
        self.end(|counts| Ok(counts.evicted()))
    }

    fn end(&self, ended: impl Fn(Counts) -> Result<Counts, ConnectionError>) -> bool {
        // A pin that comes later is one of a retired table, and holds nothing but the number.
        let ended = self.pins.load(Ordering::SeqCst) == 0 && self.change(ended).is_ok();
        if ended {
            self.generation.fetch_add(1, Ordering::SeqCst);
        }
        ended
    }

    #[inline(always)]
    fn limits(&self) -> Limits {
        Limits::from_word(self.limits.load(Ordering::SeqCst))
    }

    #[inline(always)]
    fn change(
        &self,
        next: impl Fn(Counts) -> Result<Counts, ConnectionError>,
    ) -> Result<bool, ConnectionError> {
        let mut word = self.counts.load(Ordering::SeqCst);
        loop {
            let counts = Counts::from_word(word);
            let next = next(counts)?;
            match self.swap(word, next) {
                Ok(()) => return Ok(counts.overloaded() != next.overloaded()),
                Err(now) => word = now,
            }
        }
    }

    /// The word now if it is another.
    #[inline(always)]
    fn swap(&self, word: u64, next: Counts) -> Result<(), u64> {
        let swap = self.counts.compare_exchange_weak(
            word,
            next.word(),
            Ordering::SeqCst,
            Ordering::SeqCst,
        );
        swap.map(|_| ())
    }
}

/// State of one service.
#[repr(C, align(64))]
pub(crate) struct ServiceSlot {
    /// Where its rotation stands, for a worker that decides by itself. What all share is the pool's
    /// `Round`.
    pub(crate) worker_rotation: WorkerRotation,
    /// Where the rotation of its retries stands.
    pub(crate) retry_rotation: RetryRotation,
    /// How many random draws it has made.
    draws: AtomicU64,
    generation: AtomicU32,
}

impl ServiceSlot {
    /// A slot whose first owner has this generation.
    pub(crate) fn new(generation: u32) -> Self {
        ServiceSlot {
            worker_rotation: WorkerRotation::default(),
            retry_rotation: RetryRotation::default(),
            draws: AtomicU64::new(0),
            generation: AtomicU32::new(generation),
        }
    }

    /// Draws begin far from those of other numbers. Only before the slot is picked with.
    pub(crate) fn start_draws(&self, number: u32) {
        // Relaxed: as in `next_draw`.
        self.draws.store(u64::from(number) << 40, Ordering::Relaxed);
    }

    /// The number of a draw nobody else gets.
    pub(crate) fn next_draw(&self) -> u64 {
        // Relaxed: only the number's uniqueness counts.
        self.draws.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Makes the slot ready for another service. Director only.
    pub(crate) fn renew(&self) {
        self.draws.store(0, Ordering::SeqCst);
        self.generation.fetch_add(1, Ordering::SeqCst);
    }
}
