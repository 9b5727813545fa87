//! Models of `concurrent/per_thread.rs`: threads that end, and pass their numbers on, beside others that
//! begin, and beside the end of the holder.
//!
//! The whole file is modeled, with loom's thread-local storage. Loom records what threads do with the
//! places and the numbers, and runs a thread's destructors after its end is known to others, as the
//! system does for scoped threads. It records nothing of the standard library's `Arc`, which the file uses
//! to find a holder that may be gone: [`Holder::order`] stands for the ordering of its counter. It has no
//! part in the first segment's `OnceLock`, which a holder makes before threads share it; later segments,
//! for threads from the 65th on, are not modeled.

use std::cell::Cell;
use std::sync::Weak;

use loom::alloc::Track;
use loom::cell::UnsafeCell;
use loom::thread::{self, JoinHandle, ThreadId};

use crate::concurrent::per_thread::{Ending, Leave, PerThread};
use crate::sync::{Arc, AtomicU32, Ordering};

/// A thread's value. Loom fails if it is used without ordering, or never dropped.
struct Value {
    of: ThreadId,
    uses: Track<UnsafeCell<u32>>,
    /// Its holder, which the drop uses.
    uses_at_end: Option<Weak<Holder>>,
}

std::thread_local! {
    /// A thread has found the value of another one. Not a panic of that thread, after which its destructors
    /// would run outside of the model: the next execution fails instead.
    static FOREIGN: Cell<bool> = const { Cell::new(false) };
}

struct Holder {
    values: PerThread<Value>,
    order: AtomicU32,
    /// Told of the end of a thread, it drops the thread's value.
    is_left: bool,
}

impl Holder {
    fn new(is_left: bool) -> Arc<Self> {
        assert!(!FOREIGN.take(), "the value of another thread");
        Arc::new(Holder { values: PerThread::new(), order: AtomicU32::new(0), is_left })
    }

    /// The orders with which an `Arc` counts: Release for a reference that ends, Acquire for a new one
    /// from a `Weak`, and before the drop. In between, other threads run.
    fn order(&self) {
        self.order.fetch_add(1, Ordering::AcqRel);
    }

    /// Uses the thread's value twice, as one that has a reference to the holder. Nothing if the thread is ending.
    fn work(self: &Arc<Self>, uses_at_end: bool) {
        for _ in 0..2 {
            if self.use_value().is_none() {
                let holder: Weak<Holder> = Arc::downgrade(self);
                let value = Value {
                    of: thread::current().id(),
                    uses: Track::new(UnsafeCell::new(0)),
                    uses_at_end: uses_at_end.then(|| holder.clone()),
                };
                assert!(self.values.enter(holder as Weak<dyn Leave>, || value), "a living thread");
                assert!(self.use_value().is_some());
            }
        }
    }

    fn use_value(&self) -> Option<()> {
        self.values.with(|value, _| {
            let value = value?;
            if value.of != thread::current().id() {
                FOREIGN.set(true);
            }
            // Two accesses and a step of other threads between: a drop in the meantime is found.
            value.add();
            self.order();
            value.add();
            Some(())
        })
    }
}

impl Value {
    #[allow(unsafe_code)]
    fn add(&self) {
        // SAFETY: loom fails before two accesses meet.
        self.uses.get_ref().with_mut(|uses| unsafe { *uses += 1 });
    }
}

impl Leave for Holder {
    fn leave(&self, thread: &Ending) {
        self.order();
        if self.is_left {
            self.values.leave(thread);
        }
        self.order();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.order();
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.add();
        let holder = self.uses_at_end.take().and_then(|holder| holder.upgrade());
        if let Some(holder) = holder {
            holder.order();
            assert!(holder.values.with(|value, _| value.is_none()), "a value while it is dropped");
            let again: Weak<Holder> = Arc::downgrade(&holder);
            assert!(!holder.values.enter(again, || unreachable!("the thread is ending")));
            holder.order();
        }
    }
}

/// A thread that works, lets go of the holders, and ends.
fn working<const N: usize>(holders: &[Arc<Holder>; N]) -> JoinHandle<()> {
    let holders = holders.clone();
    thread::spawn(move || {
        holders.iter().for_each(|holder| holder.work(false));
        holders.into_iter().for_each(release);
    })
}

fn release(holder: Arc<Holder>) {
    holder.order();
    drop(holder);
}

fn pass_on(is_left: bool) {
    let holders = [Holder::new(is_left)];
    let threads = [(); 2].map(|()| working(&holders));
    holders.into_iter().for_each(release);
    for thread in threads {
        thread.join().unwrap();
    }
}

/// One thread ends while another begins, which may get its number and its place.
pub fn a_number_passes_to_the_next_thread() {
    pass_on(true);
}

/// The holder's last reference ends while a thread ends that has a value: one of both drops it.
pub fn a_holder_dropped_beside_an_end() {
    let holders = [Holder::new(true)];
    let working = working(&holders);
    holders.into_iter().for_each(release);
    working.join().unwrap();
}

/// A thread has values of two holders; one of these ends with the thread, the other serves the next one.
pub fn an_end_beside_another_holder() {
    let holders = [Holder::new(true), Holder::new(true)];
    let both = working(&holders);
    let [first, second] = holders;
    release(first);
    let one = working(&[Arc::clone(&second)]);
    release(second);
    both.join().unwrap();
    one.join().unwrap();
}

/// A value's drop looks for its own thread's value, at the end of the thread or of the holder.
pub fn a_destructor_uses_its_holder() {
    let holder = Holder::new(true);
    let other = Arc::clone(&holder);
    let working = thread::spawn(move || {
        other.work(true);
        release(other);
    });
    let next = self::working(&[Arc::clone(&holder)]);
    release(holder);
    working.join().unwrap();
    next.join().unwrap();
}

/// Wrong: the next thread with the number finds what the one before has left.
pub fn planted_a_holder_that_is_not_left() {
    pass_on(false);
}
