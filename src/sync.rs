//! The only module that names atomics and locks. `tests/loom` compiles the lock-free files against its
//! own module of this name, so that a model checker runs the code that ships.

pub(crate) use parking_lot::Mutex;
pub(crate) use std::sync::Arc;
pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
