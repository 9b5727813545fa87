//! The only module from which lock-free code takes atomics. `tests/loom` compiles that code against
//! its own module of this name, so that the model checker runs the code that ships.

pub(crate) use parking_lot::Mutex;
pub(crate) use std::hint::spin_loop;
pub(crate) use std::sync::Arc;
pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
pub(crate) use std::thread::yield_now;
pub(crate) use std::thread_local;

/// The standard library's, with a name for each kind of access, which a model records.
#[derive(Default)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) fn new(value: T) -> Self {
        UnsafeCell(std::cell::UnsafeCell::new(value))
    }

    /// To read.
    #[inline(always)]
    pub(crate) fn get(&self) -> *const T {
        self.0.get()
    }

    /// To write.
    #[inline(always)]
    pub(crate) fn get_mut(&self) -> *mut T {
        self.0.get()
    }
}

/// Declares a function that returns a reference to a static.
macro_rules! global {
    ($(#[$about:meta])* fn $name:ident() -> $type:ty = $value:expr;) => {
        $(#[$about])*
        fn $name() -> &'static $type {
            static GLOBAL: $type = $value;
            &GLOBAL
        }
    };
}

pub(crate) use global;
