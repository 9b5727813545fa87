//! The one place that names the atomics. `tests/loom` compiles the lock-free files of `state/`
//! against its own module of this name, so that a model checker runs the very code that ships.

pub(crate) use parking_lot::Mutex;
pub(crate) use std::sync::Arc;
pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
