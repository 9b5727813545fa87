//! The only module from which lock-free code takes atomics. `tests/loom` compiles that code against
//! its own module of this name, so that the model checker runs the code that ships.

pub(crate) use parking_lot::Mutex;
pub(crate) use std::sync::Arc;
pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
