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
//! | `current` | load in `with`          | Relaxed  | none: only compared                         |
//! | `current` | second load in `renew`  | SeqCst   | store in `publish`, total order with `held` |
//! | `held`    | store in `renew`        | SeqCst   | load in `retire`                            |
//! | `held`    | load in `retire`        | SeqCst   | store in `renew`                            |
//!
//! Why a held value is never freed: `renew` stores `held = p`, then loads `current`; the writer
//! stores `current = q`, then loads `held`. All four are SeqCst, so either the reader sees `q` and
//! does not use `p`, or the writer sees `held == p` and keeps it.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr;

use crate::sync::{Arc, AtomicPtr, Mutex, Ordering};

/// Where readers find the current value; keeps every value that a reader may still look at.
pub(crate) struct Publication<T> {
    current: AtomicPtr<T>,
    kept: Mutex<Kept<T>>,
}

struct Kept<T> {
    /// Invariant: every value that is current or held by a reader. The last one is current.
    values: Vec<Arc<T>>,
    /// Invariant: the holds of all living readers.
    holds: Vec<Arc<Hold<T>>>,
}

/// What one reader holds.
struct Hold<T> {
    held: AtomicPtr<T>,
}

impl<T> Publication<T> {
    pub(crate) fn new(first: Arc<T>) -> Self {
        Publication {
            current: AtomicPtr::new(Arc::as_ptr(&first).cast_mut()),
            kept: Mutex::new(Kept { values: vec![first], holds: Vec::new() }),
        }
    }

    /// Makes `next` what readers find from now on. Frees nothing.
    pub(crate) fn publish(&self, next: Arc<T>) {
        let mut kept = self.kept.lock();
        let current = Arc::as_ptr(&next).cast_mut();
        kept.values.push(next);
        // SeqCst: pairs with the loads in `renew`; before the loads in `retire`.
        self.current.store(current, Ordering::SeqCst);
    }

    /// Takes out the values that no reader can look at any more; dropping them frees them.
    pub(crate) fn retire(&self) -> Vec<Arc<T>> {
        let mut kept = self.kept.lock();
        let Kept { values, holds } = &mut *kept;
        let current = values.last().map_or(ptr::null(), Arc::as_ptr);
        let is_kept = |value: &Arc<T>| {
            let value = Arc::as_ptr(value);
            // SeqCst: pairs with the store in `renew`.
            let held = |hold: &Arc<Hold<T>>| ptr::eq(hold.held.load(Ordering::SeqCst), value);
            ptr::eq(value, current) || holds.iter().any(held)
        };
        let (kept, gone) = std::mem::take(values).into_iter().partition(is_kept);
        *values = kept;
        gone
    }

    /// Looks at every value that a reader may still look at, oldest first.
    pub(crate) fn with_kept<R>(&self, look: impl FnOnce(&[Arc<T>]) -> R) -> R {
        look(&self.kept.lock().values)
    }

    /// A new reader. Allocates.
    pub(crate) fn reader(publication: &Arc<Self>) -> Reader<T> {
        let hold = Arc::new(Hold { held: AtomicPtr::new(ptr::null_mut()) });
        publication.kept.lock().holds.push(Arc::clone(&hold));
        Reader { publication: Arc::clone(publication), hold, busy: Cell::new(false) }
    }
}

/// One thread's access to a publication. `Send`, not `Sync`.
pub(crate) struct Reader<T> {
    publication: Arc<Publication<T>>,
    hold: Arc<Hold<T>>,
    /// Set while a closure of `with` runs: a nested `with` must not let go of what the outer holds.
    busy: Cell<bool>,
}

impl<T> Reader<T> {
    /// Runs `look` on the current value. Wait-free while nothing is published, else lock-free: it
    /// tries again only if yet another value was published meanwhile. A nested call sees what the
    /// outer one sees.
    #[inline]
    pub(crate) fn with<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        // Relaxed: only this reader stores here.
        let mut value = self.hold.held.load(Ordering::Relaxed);
        // Relaxed: compared only. What is looked at came through `renew`.
        let current = self.publication.current.load(Ordering::Relaxed);
        let outermost = !self.busy.get();
        if value != current && outermost {
            value = self.renew();
        }
        let _busy = Busy { flag: &self.busy, outermost };
        self.busy.set(true);
        // SAFETY: `value` came from `renew`, here or in an earlier call: `held` is null only before
        // the first call, which is outermost and renews, as `current` is never null. So this
        // reader's hold, one of `Kept::holds` until the reader is dropped, names `value`, and
        // `retire` leaves what a hold names in `Kept::values` (see the module's argument). The hold
        // names it while `look` runs: only `renew` stores there, and only an outermost `with` of
        // this reader, which is not `Sync`, calls it.
        look(unsafe { &*value })
    }

    #[cold]
    fn renew(&self) -> *mut T {
        let current = &self.publication.current;
        // Acquire: a first guess; the load below decides.
        let mut wanted = current.load(Ordering::Acquire);
        loop {
            // SeqCst: pairs with the load in `retire`; before the load of `current` below.
            self.hold.held.store(wanted, Ordering::SeqCst);
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
        self.publication.kept.lock().holds.retain(|hold| !Arc::ptr_eq(hold, &self.hold));
    }
}

struct Busy<'a> {
    flag: &'a Cell<bool>,
    outermost: bool,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        if self.outermost {
            self.flag.set(false);
        }
    }
}
