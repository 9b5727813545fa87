//! A spin lock that backs off, around plain memory: what a balancer with a lock per service has.

use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// The longest wait between two looks at the lock, in pauses of the processor: about a microsecond.
const MOST_PAUSES: u32 = 64;

/// On cache lines of its own: two, because the processor fetches lines in pairs.
#[repr(align(128))]
pub struct SpinLock<T> {
    locked: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `with` lets one thread at a time to the value.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    pub fn new(value: T) -> Self {
        SpinLock { locked: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    #[inline(always)]
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        // Acquire: pairs with the Release store below, which publishes the value.
        while self.locked.swap(true, Acquire) {
            self.wait();
        }
        // SAFETY: the lock is held.
        let result = work(unsafe { &mut *self.value.get() });
        // Release: pairs with the Acquire above; the next thread sees the value.
        self.locked.store(false, Release);
        result
    }

    /// Waits until the lock looks free, twice as long after each look.
    #[cold]
    fn wait(&self) {
        let mut pauses = 1;
        // Relaxed: only a hint; the swap decides.
        while self.locked.load(Relaxed) {
            (0..pauses).for_each(|_| spin_loop());
            pauses = MOST_PAUSES.min(2 * pauses);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SpinLock;

    #[test]
    fn one_thread_at_a_time_gets_the_value() {
        const THREADS: u64 = 4;
        const ADDITIONS: u64 = 50_000;
        let lock = SpinLock::new([0_u64; 2]);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..ADDITIONS {
                        lock.with(|[one, other]| {
                            assert_eq!(one, other);
                            *one += 1;
                            *other = std::hint::black_box(*one);
                        });
                    }
                });
            }
        });
        assert_eq!(lock.with(|values| *values), [THREADS * ADDITIONS; 2]);
    }
}
