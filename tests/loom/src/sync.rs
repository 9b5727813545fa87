//! The stand-in for `crate::sync` of `vsched`, built on loom.
//!
//! Loom treats a SeqCst access as an AcqRel one, which is too weak for hazard pointers, but it supports
//! SeqCst fences. So a SeqCst access becomes an Acquire or Release one with a fence on one side, as
//! compilers emit it for weakly ordered hardware. The runner of a model chooses the side. Between a
//! SeqCst store and a SeqCst load there is a fence in both variants. If the code's store were weaker,
//! there would be none with [`Fences::After`]; if its load were weaker, there would be none with
//! [`Fences::Before`]. Every model runs with both variants, so that a weakened ordering is detected.

use std::cell::Cell;
pub(crate) use std::sync::Arc;

pub(crate) use loom::sync::atomic::Ordering;
use loom::sync::atomic::Ordering::{AcqRel, Acquire, Release, SeqCst};
use loom::sync::{MutexGuard, atomic};

/// On which side of SeqCst accesses the fences are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fences {
    /// Before each access.
    Before,
    /// After each access.
    After,
    /// No fences: SeqCst is AcqRel.
    Nowhere,
}

std::thread_local! {
    // Loom runs all threads of a model on the one that started it.
    pub(crate) static FENCES: Cell<Fences> = const { Cell::new(Fences::Before) };
}

/// Runs an access with the fence of its order.
fn fenced<R>(order: Ordering, access: impl FnOnce() -> R) -> R {
    let fence = |side| {
        if order == SeqCst && FENCES.get() == side {
            atomic::fence(SeqCst);
        }
    };
    fence(Fences::Before);
    let result = access();
    fence(Fences::After);
    result
}

/// The order of the access itself: `instead` if it is SeqCst.
fn plain(order: Ordering, instead: Ordering) -> Ordering {
    if order == SeqCst { instead } else { order }
}

macro_rules! wrap {
    ($name:ident $(<$T:ident>)?, $value:ty) => {
        pub(crate) struct $name $(<$T>)? (atomic::$name $(<$T>)?);

        #[allow(dead_code, reason = "each has what some need")]
        impl $(<$T>)? $name $(<$T>)? {
            pub(crate) fn new(value: $value) -> Self {
                $name(atomic::$name::new(value))
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                fenced(order, || self.0.load(plain(order, Acquire)))
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                fenced(order, || self.0.store(value, plain(order, Release)));
            }

            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                fenced(order, || self.0.swap(value, plain(order, AcqRel)))
            }

            pub(crate) fn compare_exchange(
                &self,
                from: $value,
                to: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                fenced(success, || {
                    let (success, failure) = (plain(success, AcqRel), plain(failure, Acquire));
                    self.0.compare_exchange(from, to, success, failure)
                })
            }

            /// Never fails spuriously, which would only repeat the callers' loops.
            pub(crate) fn compare_exchange_weak(
                &self,
                from: $value,
                to: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(from, to, success, failure)
            }

            /// As in the standard library.
            pub(crate) fn fetch_update(
                &self,
                success: Ordering,
                failure: Ordering,
                mut next: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                let mut now = self.load(failure);
                while let Some(next) = next(now) {
                    match self.compare_exchange_weak(now, next, success, failure) {
                        Ok(before) => return Ok(before),
                        Err(found) => now = found,
                    }
                }
                Err(now)
            }
        }
    };
}

macro_rules! wrap_integer {
    ($name:ident, $value:ty) => {
        wrap!($name, $value);

        impl Default for $name {
            fn default() -> Self {
                Self::new(0)
            }
        }

        #[allow(dead_code, reason = "each has what some need")]
        impl $name {
            pub(crate) fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                fenced(order, || self.0.fetch_add(value, plain(order, AcqRel)))
            }

            pub(crate) fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                fenced(order, || self.0.fetch_sub(value, plain(order, AcqRel)))
            }

            pub(crate) fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                fenced(order, || self.0.fetch_or(value, plain(order, AcqRel)))
            }

            pub(crate) fn fetch_max(&self, value: $value, order: Ordering) -> $value {
                fenced(order, || self.0.fetch_max(value, plain(order, AcqRel)))
            }

            pub(crate) fn fetch_and(&self, value: $value, order: Ordering) -> $value {
                fenced(order, || self.0.fetch_and(value, plain(order, AcqRel)))
            }
        }
    };
}

wrap!(AtomicPtr<T>, *mut T);
wrap_integer!(AtomicU32, u32);
wrap_integer!(AtomicU64, u64);
wrap_integer!(AtomicUsize, usize);

pub(crate) use loom::hint::spin_loop;
pub(crate) use loom::sync::atomic::fence;
pub(crate) use loom::thread::yield_now;
pub(crate) use loom::thread_local;

/// Records each access as momentary: what follows a reference later on is for the model to record.
pub(crate) struct UnsafeCell<T>(loom::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) fn new(value: T) -> Self {
        UnsafeCell(loom::cell::UnsafeCell::new(value))
    }

    pub(crate) fn get(&self) -> *const T {
        self.0.with(|value| value)
    }

    pub(crate) fn get_mut(&self) -> *mut T {
        self.0.with_mut(|value| value)
    }
}

/// One value per execution, which stays: threads end after the model's function has returned.
macro_rules! global {
    ($(#[$about:meta])* fn $name:ident() -> $type:ty = $value:expr;) => {
        $(#[$about])*
        fn $name() -> &'static $type {
            loom::lazy_static! {
                static ref GLOBAL: &'static $type = Box::leak(Box::new($value));
            }
            *GLOBAL
        }
    };
}

pub(crate) use global;

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Mutex::new(T::default())
    }
}

/// With the interface of `parking_lot`.
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Mutex(loom::sync::Mutex::new(value))
    }

    #[allow(dead_code, reason = "each has what some need")]
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("a model ends with its first panic")
    }
}
