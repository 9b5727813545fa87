//! One published value, many readers that keep it for as long as they like, frees by the writer only.
//!
//! Each reader announces the value it holds in a word of its own ([`Hold`], a hazard pointer). The
//! writer frees a retired value when no word names it. So a reader's check is one load and one
//! compare, a change costs it two stores, it never frees, allocates, or touches a shared counter,
//! and an idle reader keeps one old value alive, not all of them.
//!
//! Chosen over `arc_swap::Cache`, which allocates a record on each thread's first re-read (a worker
//! may be moved to a fresh thread) and so puts an allocator call in the object code of a pick. If
//! arc-swap learns to take that record from the caller, take it back and drop this file.
//!
//! | location  | operation               | ordering | partner                                     |
//! |-----------|-------------------------|----------|---------------------------------------------|
//! | `current` | store in `publish`      | SeqCst   | the loads in `renew`                        |
//! | `current` | load in `hold`, `peek`  | Relaxed  | none: only compared                         |
//! | `current` | second load in `renew`  | SeqCst   | store in `publish`, total order with `held` |
//! | `held`    | store in `renew`        | SeqCst   | load in `retire`                            |
//! | `held`    | load in `retire`        | SeqCst   | store in `renew`                            |
//!
//! Why a held value is never freed: `renew` stores `held = p`, then loads `current`; the writer
//! stores `current = q`, then loads `held`. All four are SeqCst, so either the reader sees `q` and
//! does not use `p`, or the writer sees `held == p` and keeps it.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::ops::Deref;
use std::ptr;

use crate::sync::{Arc, AtomicPtr, AtomicUsize, Mutex, Ordering};

/// Where readers find the current value; keeps every value that a reader may still look at.
pub(crate) struct Snapshot<T> {
    current: AtomicPtr<T>,
    live: Mutex<Live<T>>,
}

struct Live<T> {
    /// Invariant: every value that is current or held by a reader. The last one is current.
    values: Vec<Arc<T>>,
    /// Invariant: the holds of all living readers, each where its `place` says.
    slots: Vec<Arc<HazardSlot<T>>>,
}

/// What one reader holds.
struct HazardSlot<T> {
    protected: AtomicPtr<T>,
    /// Where it stands in `Kept::holds`; read and written under the lock.
    place: AtomicUsize,
}

impl<T> Snapshot<T> {
    pub(crate) fn new(first: Arc<T>) -> Self {
        Snapshot {
            current: AtomicPtr::new(Arc::as_ptr(&first).cast_mut()),
            live: Mutex::new(Live { values: vec![first], slots: Vec::new() }),
        }
    }

    /// Makes `next` what readers find from now on. Frees nothing.
    pub(crate) fn publish(&self, next: Arc<T>) {
        let mut kept = self.live.lock();
        let current = Arc::as_ptr(&next).cast_mut();
        kept.values.push(next);
        // SeqCst: pairs with the loads in `renew`; before the loads in `retire`.
        self.current.store(current, Ordering::SeqCst);
    }

    /// Takes out the values that no reader can look at any more; dropping them frees them.
    pub(crate) fn reclaim(&self) -> Vec<Arc<T>> {
        let mut kept = self.live.lock();
        let Live { values, slots: holds } = &mut *kept;
        let current = values.last().map_or(ptr::null(), Arc::as_ptr);
        let is_kept = |value: &Arc<T>| {
            let value = Arc::as_ptr(value);
            // SeqCst: pairs with the store in `renew`.
            let held =
                |hold: &Arc<HazardSlot<T>>| ptr::eq(hold.protected.load(Ordering::SeqCst), value);
            ptr::eq(value, current) || holds.iter().any(held)
        };
        let (kept, gone) = std::mem::take(values).into_iter().partition(is_kept);
        *values = kept;
        gone
    }

    /// Looks at every value that a reader may still look at, oldest first.
    pub(crate) fn with_live<R>(&self, look: impl FnOnce(&[Arc<T>]) -> R) -> R {
        look(&self.live.lock().values)
    }

    /// A new reader. Allocates.
    pub(crate) fn reader(publication: &Arc<Self>) -> Reader<T> {
        let mut kept = publication.live.lock();
        let place = AtomicUsize::new(kept.slots.len());
        let hold = Arc::new(HazardSlot { protected: AtomicPtr::new(ptr::null_mut()), place });
        kept.slots.push(Arc::clone(&hold));
        drop(kept);
        Reader {
            publication: Arc::clone(publication),
            slot: hold,
            value: AtomicPtr::new(ptr::null_mut()),
            guards: Cell::new(0),
        }
    }
}

/// One thread's access to a publication. `Send`, not `Sync`.
pub(crate) struct Reader<T> {
    publication: Arc<Snapshot<T>>,
    slot: Arc<HazardSlot<T>>,
    /// What `hold` names. Atomic only because raw pointers are not `Send`.
    value: AtomicPtr<T>,
    /// How many [`Held`]s there are: while there is one, the reader must not let go of what it names.
    guards: Cell<usize>,
}

/// What a reader holds, looked at. As long as one exists, the reader keeps to its value.
pub(crate) struct Guard<'r, T> {
    reader: &'r Reader<T>,
    value: *const T,
}

impl<T> Reader<T> {
    /// The current value, to look at. Wait-free while nothing is published, else lock-free: it tries
    /// again only if yet another value was published meanwhile. What is held already is held on to.
    #[inline(always)]
    pub(crate) fn load(&self) -> Guard<'_, T> {
        // Relaxed: compared only. What is looked at came through `renew`.
        self.load_as_of(self.publication.current.load(Ordering::Relaxed))
    }

    /// Looks at the current value if it is held already, without the guard that
    /// [`hold`](Self::hold) gives: a pick feels what it costs.
    ///
    /// # Safety
    /// As long as `look` runs or its answer is used, nothing else is asked of this reader.
    #[inline(always)]
    pub(crate) unsafe fn load_unguarded<'a, R>(
        &'a self,
        look: impl FnOnce(&'a T) -> Option<R>,
    ) -> Option<R> {
        // Relaxed: as in `hold` and in `hold_as_of`.
        let value = self.value.load(Ordering::Relaxed);
        if value != self.publication.current.load(Ordering::Relaxed) {
            return None;
        }
        // SAFETY: as in `Held::deref`, but for its end: no `Held` keeps `renew` from letting go of
        // the value, our caller does. It is not null, for `current` never is.
        look(unsafe { &*value })
    }

    #[inline(always)]
    fn load_as_of(&self, current: *mut T) -> Guard<'_, T> {
        // Relaxed: only this reader's thread knows it.
        let mut value = self.value.load(Ordering::Relaxed);
        if value != current {
            value = self.protect_unless_guarded();
        }
        self.guards.set(self.guards.get() + 1);
        Guard { reader: self, value }
    }

    /// As [`hold`](Self::hold), and sees what was published before anything that this thread has
    /// read or changed by SeqCst so far.
    #[inline(always)]
    pub(crate) fn load_latest(&self) -> Guard<'_, T> {
        // SeqCst: after the caller's own accesses; pairs with the store in `publish`.
        self.load_as_of(self.publication.current.load(Ordering::SeqCst))
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
            // Relaxed: as in `hold_as_of`.
            self.value.store(self.protect(), Ordering::Relaxed);
        }
        // Relaxed: as in `hold_as_of`.
        self.value.load(Ordering::Relaxed)
    }

    fn protect(&self) -> *mut T {
        let current = &self.publication.current;
        // Acquire: a first guess; the load below decides.
        let mut wanted = current.load(Ordering::Acquire);
        loop {
            // SeqCst: pairs with the load in `retire`; before the load of `current` below.
            self.slot.protected.store(wanted, Ordering::SeqCst);
            // SeqCst: pairs with the store in `publish`.
            let now = current.load(Ordering::SeqCst);
            if now == wanted {
                return now;
            }
            wanted = now;
        }
    }
}

impl<T> Drop for Reader<T> {
    fn drop(&mut self) {
        let mut kept = self.publication.live.lock();
        let holds = &mut kept.slots;
        // Relaxed, here and below: under the lock.
        let place = self.slot.place.load(Ordering::Relaxed);
        debug_assert!(Arc::ptr_eq(&holds[place], &self.slot));
        // The last one takes its place: O(1), however many readers there are.
        holds.swap_remove(place);
        if let Some(moved) = holds.get(place) {
            moved.place.store(place, Ordering::Relaxed);
        }
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: `value` came from `renew`, now or in an earlier call: `Reader::value` is null only
        // before the first, which finds nothing held and renews, as `current` is never null. So
        // this reader's hold, one of `Kept::holds` until the reader is dropped, named `value` when
        // this `Held` was made, and `retire` leaves what a hold names in `Kept::values` (see the
        // module's argument). It names it still: only `renew` stores there, and only
        // `renew_unless_held` calls it, when there is no `Held` of this reader, which is not `Sync`.
        unsafe { &*self.value }
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.reader.guards.set(self.reader.guards.get() - 1);
    }
}
