//! One value per thread: made at the thread's first use, dropped when the thread ends or with the owner.
//!
//! Each thread has a number while it lives, the lowest that is free. An owner keeps its values by thread
//! number, so that dropping the owner drops them all, and a look-up is an index.
//!
//! Crate `thread_local` does the same, but panics where a thread's destructors use it after its own, and
//! keeps the value of a thread that has ended for the next one with its number. Here such a thread has no
//! value, and a value ends with its thread.
//!
//! Why a value is one thread's: only the thread that has a number looks at the place of that number, except
//! the owner's drop, which is alone. A number passes from one thread to the next through the lock of
//! `numbers`, after the first has dropped its values.

#![allow(unsafe_code)]

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Weak;

use crate::concurrent::segments::Segments;
use crate::sync::{Arc, Mutex, UnsafeCell, global, thread_local};

/// Values of type `T`, one per thread.
pub(crate) struct PerThread<T> {
    places: Segments<Place<T>>,
    /// The first segment, at hand: indexing it takes fewer instructions.
    first: Arc<[Place<T>]>,
}

/// The place of one thread's value. On a cache line of its own, because its thread writes there.
#[repr(align(128))]
struct Place<T>(UnsafeCell<Option<T>>);

// SAFETY: a place is used by the thread that has its number, and by the owner's drop, never at a time (see
// the module's argument). So a value is never shared, only handed from thread to thread.
unsafe impl<T: Send> Sync for Place<T> {}

/// Something with a [`PerThread`], which threads that end leave.
pub(crate) trait Leave: Send + Sync {
    /// Calls [`PerThread::leave`].
    fn leave(&self, thread: &Ending);
}

/// The end of the current thread.
pub(crate) struct Ending {
    number: u32,
}

/// The current thread, from its first use of any `PerThread` to its end.
struct Thread {
    number: u32,
    numbers: &'static Mutex<Numbers>,
    /// Owners in which the thread has a value.
    owners: RefCell<Vec<Weak<dyn Leave>>>,
}

struct Numbers {
    /// Those of threads that have ended.
    free: BinaryHeap<Reverse<u32>>,
    /// The first that no thread has had.
    next: u32,
}

global! {
    /// The numbers of all threads.
    fn numbers() -> Mutex<Numbers> = Mutex::new(Numbers { free: BinaryHeap::new(), next: 0 });
}

thread_local! {
    static THREAD: Thread = Thread::begin();
}

impl<T> Place<T> {
    fn empty() -> Self {
        Place(UnsafeCell::new(None))
    }
}

impl<T> PerThread<T> {
    pub(crate) fn new() -> Self {
        let places = Segments::new();
        let first = places.first(Place::empty);
        PerThread { places, first }
    }

    /// Calls `act` with this thread's value and the thread's number. Wait-free.
    ///
    /// `None` if the thread has no value yet, or if it is ending; see [`enter`](Self::enter).
    #[inline(always)]
    pub(crate) fn with<R>(&self, act: impl FnOnce(Option<&T>, u32) -> R) -> R {
        let number = THREAD.try_with(|thread| thread.number).unwrap_or(u32::MAX);
        let place = match self.first.get(number as usize) {
            Some(place) => Some(place),
            None => self.later_place(number),
        };
        // SAFETY: this thread has the number, and a mutable reference exists only in `enter` and `leave`,
        // which call nothing while they have it.
        let value = place.and_then(|place| unsafe { &*place.0.get() }.as_ref());
        act(value, number)
    }

    /// A place that is not in the first segment. Out of line, so that it takes no registers of `with`.
    #[cold]
    #[inline(never)]
    fn later_place(&self, number: u32) -> Option<&Place<T>> {
        self.places.get(number)
    }

    /// Makes this thread's value, unless it has one. False if the thread is ending: then it gets none.
    /// Takes a lock; allocates. `owner` is what contains this `PerThread`.
    pub(crate) fn enter(&self, owner: Weak<dyn Leave>, make: impl FnOnce() -> T) -> bool {
        let Ok(number) = THREAD.try_with(|thread| thread.number) else { return false };
        // A number is that of a living thread, of which there are far fewer than `CAPACITY`.
        self.places.grow_to_with(number + 1, Place::empty);
        let Some(place) = self.places.get(number) else { return false };
        // SAFETY: as in `with`.
        if unsafe { &*place.0.get() }.is_some() {
            return true;
        }
        let value = make();
        let noted = THREAD.try_with(|thread| {
            let mut owners = thread.owners.borrow_mut();
            owners.retain(|owner| owner.strong_count() > 0);
            owners.push(owner);
        });
        // SAFETY: as in `with`. If `make` has entered, its value stays, so that nothing is dropped here.
        let own = unsafe { &mut *place.0.get_mut() };
        if noted.is_ok() && own.is_none() {
            *own = Some(value);
        }
        noted.is_ok()
    }

    /// Drops this thread's value.
    pub(crate) fn leave(&self, thread: &Ending) {
        let Some(place) = self.places.get(thread.number) else { return };
        // SAFETY: as in `with`: this thread has the number until `Thread::drop` gives it back, and no
        // `act` is under way, as the thread's own functions have returned. The value is dropped after the
        // reference.
        let value = unsafe { (*place.0.get_mut()).take() };
        drop(value);
    }
}

impl Thread {
    fn begin() -> Self {
        let numbers = numbers();
        let Numbers { free, next } = &mut *numbers.lock();
        let number = free.pop().map_or_else(
            || {
                *next += 1;
                *next - 1
            },
            |Reverse(number)| number,
        );
        Thread { number, numbers, owners: RefCell::default() }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        let ending = Ending { number: self.number };
        // Moved out: a value's drop may come back here, and then finds the thread ending.
        for owner in self.owners.take() {
            if let Some(owner) = owner.upgrade() {
                owner.leave(&ending);
            }
        }
        self.numbers.lock().free.push(Reverse(self.number));
    }
}

#[cfg(test)]
#[path = "per_thread_tests.rs"]
mod tests;
