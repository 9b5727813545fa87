//! A hazard-pointer snapshot: one published value, readers that protect it, a writer that frees.
//!
//! Each reader announces the value it uses in its own word ([`HazardSlot`]). The writer frees an old
//! value once no slot names it. A reader's check is one load and one compare; a newly published value
//! costs it two stores. A reader never frees, never allocates, and touches no shared counter. An idle
//! reader keeps one old value alive, not all of them.
//!
//! A reader belongs to one thread at a time. Who reads once ([`Snapshot::read`]) borrows a slot: two
//! read-modify-writes more.
//!
//! `arc_swap::ArcSwap` and its `Cache` would do, but they keep a record in thread-local storage: made at
//! a thread's first read, which puts an allocator call into the object code of a pick (a worker may move
//! to a new thread), and destroyed by a destructor of the thread, which a C library that is unloaded
//! must not leave. If arc-swap learns to take that record from the caller, use it and delete this file.
//!
//! | location    | operation                        | ordering | partner                                  |
//! |-------------|----------------------------------|----------|------------------------------------------|
//! | `current`   | store in `publish`               | SeqCst   | the loads in `protect`                   |
//! | `current`   | load in `load`, `load_unguarded` | Relaxed  | none: only compared                      |
//! | `current`   | load in `load_latest`            | SeqCst   | the store in `publish`                   |
//! | `current`   | first load in `protect`          | Acquire  | none: a first guess                      |
//! | `current`   | second load in `protect`         | SeqCst   | store in `publish`, total order with `protected` |
//! | `protected` | store in `protect`               | SeqCst   | load in `reclaim`                        |
//! | `protected` | load in `reclaim`                | SeqCst   | store in `protect`, `Borrowed::drop`     |
//! | `protected` | store in `Borrowed::drop`        | Release  | load in `reclaim`                        |
//! | `borrowed`  | load in `borrow`                 | Relaxed  | none: a first guess                      |
//! | `borrowed`  | exchange in `borrow`             | Acquire  | store in `Borrowed::drop`                |
//! | `borrowed`  | store in `Borrowed::drop`        | Release  | exchange in `borrow`                     |
//! | `lent`      | load and maximum in `borrow`     | SeqCst   | load in `reclaim`                        |
//! | `lent`      | load in `reclaim`                | SeqCst   | maximum in `borrow`                      |
//!
//! Why a protected value is never freed. A reader stores `protected = p`, then loads `current`; the
//! writer stores `current = q`, then loads `protected`. All four are SeqCst, so one of two things
//! happens:
//!
//! - The reader sees `q`, and does not use `p`.
//! - The writer sees `protected == p`, and keeps it.
//!
//! A borrowed slot whose index the writer does not see in `lent` was borrowed after that load in the total
//! order of SeqCst accesses, so its reader sees `q`.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::ops::Deref;
use std::ptr;

use crate::concurrent::segments::Segments;
use crate::sync::{Arc, AtomicPtr, AtomicU32, AtomicUsize, Mutex, Ordering};

/// The current value for readers, and every older value that a reader may still use.
pub(crate) struct Snapshot<T> {
    current: AtomicPtr<T>,
    live: Mutex<Live<T>>,
    /// Slots for those who read once; more are made when all are borrowed.
    slots: Segments<LentSlot<T>>,
    /// All slots that have ever been borrowed are below this index.
    lent: AtomicU32,
}

struct Live<T> {
    /// Invariant: every value that is current or protected by a reader. The last one is current.
    values: Vec<Arc<T>>,
    /// Invariant: the slots of all living readers, each at its `place`.
    slots: Vec<Arc<HazardSlot<T>>>,
}

/// Names the value that one reader uses.
struct HazardSlot<T> {
    protected: AtomicPtr<T>,
    /// Index in `Live::slots`; read and written under the lock.
    place: AtomicUsize,
}

/// Names the value that is read once.
struct LentSlot<T> {
    protected: AtomicPtr<T>,
    /// 1 while a call has the slot.
    borrowed: AtomicU32,
}

impl<T> Default for LentSlot<T> {
    fn default() -> Self {
        LentSlot { protected: AtomicPtr::new(ptr::null_mut()), borrowed: AtomicU32::new(0) }
    }
}

/// The slot while a call has it.
struct Borrowed<'s, T>(&'s LentSlot<T>);

impl<T> Drop for Borrowed<'_, T> {
    fn drop(&mut self) {
        // Release: what was read comes before the free; pairs with the load in `reclaim`.
        self.0.protected.store(ptr::null_mut(), Ordering::Release);
        // Release: pairs with the exchange in `borrow`.
        self.0.borrowed.store(0, Ordering::Release);
    }
}

impl<T> Snapshot<T> {
    pub(crate) fn new(first: Arc<T>) -> Self {
        let slots = Segments::new();
        // So that no read allocates before a whole segment of slots is borrowed.
        slots.grow_to(1);
        Snapshot {
            current: AtomicPtr::new(Arc::as_ptr(&first).cast_mut()),
            live: Mutex::new(Live { values: vec![first], slots: Vec::new() }),
            slots,
            lent: AtomicU32::new(0),
        }
    }

    /// Makes `next` the current value. Frees nothing.
    pub(crate) fn publish(&self, next: Arc<T>) {
        let mut live = self.live.lock();
        let current = Arc::as_ptr(&next).cast_mut();
        live.values.push(next);
        // SeqCst: pairs with the loads in `protect`; before the loads in `reclaim`.
        self.current.store(current, Ordering::SeqCst);
    }

    /// Removes and returns the values that no reader can use any more; dropping them frees them.
    pub(crate) fn reclaim(&self) -> Vec<Arc<T>> {
        let mut live = self.live.lock();
        let Live { values, slots } = &mut *live;
        let current = values.last().map_or(ptr::null(), Arc::as_ptr);
        let is_kept = |value: &Arc<T>| {
            let value = Arc::as_ptr(value);
            // SeqCst: pairs with the store in `protect`.
            let names = |word: &AtomicPtr<T>| ptr::eq(word.load(Ordering::SeqCst), value);
            let of_reader = |slot: &Arc<HazardSlot<T>>| names(&slot.protected);
            ptr::eq(value, current) || slots.iter().any(of_reader) || self.lent().any(names)
        };
        let (kept, gone) = std::mem::take(values).into_iter().partition(is_kept);
        *values = kept;
        gone
    }

    /// Calls `look` with every value that a reader may still use, oldest first.
    pub(crate) fn with_live<R>(&self, look: impl FnOnce(&[Arc<T>]) -> R) -> R {
        look(&self.live.lock().values)
    }

    /// The words of all slots that were ever borrowed.
    fn lent(&self) -> impl Iterator<Item = &AtomicPtr<T>> {
        // SeqCst: pairs with the maximum in `borrow`.
        let lent = self.lent.load(Ordering::SeqCst);
        (0..lent).filter_map(|index| Some(&self.slots.get(index)?.protected))
    }

    /// Runs `look` on the current value, which stays until it returns. Lock-free, O(concurrent calls);
    /// allocates, which other calls wait for, if there have never been as many, beyond 64.
    pub(crate) fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        let Some(slot) = self.borrow() else {
            // More calls at once than there can be slots.
            let current = self.with_live(|values| values.last().cloned());
            return look(&current.expect("the invariant of `Live::values`"));
        };
        let value = protect(&self.current, &slot.0.protected);
        // SAFETY: `current` is never null. `slot`, which outlives the call of `look`, names the value, so
        // `reclaim` keeps it (see the module's argument): no other call stores into a borrowed slot.
        look(unsafe { &*value })
    }

    /// The first free slot; a new one if there is none.
    fn borrow(&self) -> Option<Borrowed<'_, T>> {
        for index in 0.. {
            let slot = match self.slots.get(index) {
                Some(slot) => slot,
                None if self.slots.grow_to(index + 1) => self.slots.get(index)?,
                None => break,
            };
            let borrowed = &slot.borrowed;
            // Acquire: pairs with the store in `Borrowed::drop`. Relaxed: only a guess.
            if borrowed.load(Ordering::Relaxed) == 0
                && borrowed.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                // SeqCst, both: before the store and the load in `protect`; pairs with the load in `lent`.
                if self.lent.load(Ordering::SeqCst) <= index {
                    self.lent.fetch_max(index + 1, Ordering::SeqCst);
                }
                return Some(Borrowed(slot));
            }
        }
        None
    }

    /// Registers a new reader. Allocates.
    pub(crate) fn reader(publication: &Arc<Self>) -> Reader<T> {
        let mut live = publication.live.lock();
        let place = AtomicUsize::new(live.slots.len());
        let slot = Arc::new(HazardSlot { protected: AtomicPtr::new(ptr::null_mut()), place });
        live.slots.push(Arc::clone(&slot));
        drop(live);
        Reader {
            publication: Arc::clone(publication),
            slot,
            value: AtomicPtr::new(ptr::null_mut()),
            guards: Cell::new(0),
        }
    }
}

/// One thread's access to the snapshot. `Send`, not `Sync`.
pub(crate) struct Reader<T> {
    publication: Arc<Snapshot<T>>,
    slot: Arc<HazardSlot<T>>,
    /// The value that `slot` names, or null before the first `protect`. Atomic only because raw
    /// pointers are not `Send`.
    value: AtomicPtr<T>,
    /// Number of living [`Guard`]s. While there is one, `slot` must not change.
    guards: Cell<usize>,
}

/// Read access to the protected value. The reader keeps its value as long as a guard exists.
pub(crate) struct Guard<'r, T> {
    reader: &'r Reader<T>,
    value: *const T,
}

impl<T> Reader<T> {
    /// Returns the current value. Wait-free while nothing is published, else lock-free: it retries only
    /// if another value was published in the meantime. While a guard exists, the value does not change.
    #[inline(always)]
    pub(crate) fn load(&self) -> Guard<'_, T> {
        // Relaxed: compared only. The value that is used came through `protect`.
        self.load_as_of(self.publication.current.load(Ordering::Relaxed))
    }

    /// Calls `look` with the current value if it is already protected; `None` otherwise.
    ///
    /// Saves the guard of [`load`](Self::load), whose cost is measurable in a pick.
    ///
    /// # Safety
    /// While `look` runs, and while its result is used, no other method of this reader is called.
    #[inline(always)]
    pub(crate) unsafe fn load_unguarded<'a, R>(
        &'a self,
        look: impl FnOnce(&'a T) -> Option<R>,
    ) -> Option<R> {
        // Relaxed: as in `load` and in `load_as_of`.
        let value = self.value.load(Ordering::Relaxed);
        if value != self.publication.current.load(Ordering::Relaxed) {
            return None;
        }
        // SAFETY: as in `Guard::deref`, except that the caller, instead of a guard, rules out a call of
        // `protect`. The value is not null, because it equals `current`, which never is.
        look(unsafe { &*value })
    }

    #[inline(always)]
    fn load_as_of(&self, current: *mut T) -> Guard<'_, T> {
        // Relaxed: only this reader's thread accesses it.
        let mut value = self.value.load(Ordering::Relaxed);
        if value != current {
            value = self.protect_unless_guarded();
        }
        self.guards.set(self.guards.get() + 1);
        Guard { reader: self, value }
    }

    /// Like [`load`](Self::load), but sees every value that was published before an earlier SeqCst
    /// access of this thread.
    #[inline(always)]
    pub(crate) fn load_latest(&self) -> Guard<'_, T> {
        // SeqCst: after the caller's own accesses; pairs with the store in `publish`.
        self.load_as_of(self.publication.current.load(Ordering::SeqCst))
    }

    /// Lets go of an older value, unless a guard keeps it.
    #[inline(always)]
    pub(crate) fn catch_up(&self) {
        // Relaxed: as in `load` and in `load_as_of`.
        let current = self.publication.current.load(Ordering::Relaxed);
        if self.value.load(Ordering::Relaxed) != current {
            self.protect_unless_guarded();
        }
    }

    /// Runs `look` on the current value.
    #[inline]
    pub(crate) fn with<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.load())
    }

    #[cold]
    #[inline(never)]
    fn protect_unless_guarded(&self) -> *mut T {
        if self.guards.get() == 0 {
            // Relaxed: as in `load_as_of`.
            let value = protect(&self.publication.current, &self.slot.protected);
            self.value.store(value, Ordering::Relaxed);
        }
        // Relaxed: as in `load_as_of`.
        self.value.load(Ordering::Relaxed)
    }
}

/// Names the current value in `protected`, and returns it.
fn protect<T>(current: &AtomicPtr<T>, protected: &AtomicPtr<T>) -> *mut T {
    // Acquire: a first guess; the load below decides.
    let mut wanted = current.load(Ordering::Acquire);
    loop {
        // SeqCst: pairs with the load in `reclaim`; before the load of `current` below.
        protected.store(wanted, Ordering::SeqCst);
        // SeqCst: pairs with the store in `publish`.
        let now = current.load(Ordering::SeqCst);
        if now == wanted {
            return now;
        }
        wanted = now;
    }
}

impl<T> Drop for Reader<T> {
    fn drop(&mut self) {
        let mut live = self.publication.live.lock();
        let slots = &mut live.slots;
        // Relaxed, here and below: under the lock.
        let place = self.slot.place.load(Ordering::Relaxed);
        debug_assert!(Arc::ptr_eq(&slots[place], &self.slot));
        // The last slot moves here: O(1), regardless of the number of readers.
        slots.swap_remove(place);
        if let Some(moved) = slots.get(place) {
            moved.place.store(place, Ordering::Relaxed);
        }
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: `value` came from `protect`, now or in an earlier call: `Reader::value` is null only
        // before the first call, which finds no guard and protects `current`, which is never null. So
        // this reader's slot, one of `Live::slots` until the reader is dropped, named `value` when
        // this guard was made, and `reclaim` keeps what a slot names (see the module's argument). It
        // still names it: only `protect` stores there, and only `protect_unless_guarded` calls it,
        // when this reader, which is not `Sync`, has no guard.
        unsafe { &*self.value }
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.reader.guards.set(self.reader.guards.get() - 1);
    }
}
