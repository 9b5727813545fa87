//! Blocks of two keys, read one at a time, which models can inspect and in which they can stop a thread.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use loom::thread;

use crate::sync::{Arc, AtomicU64, Ordering};

pub(crate) const UNAVAILABLE: u64 = f64::INFINITY.to_bits();
pub(crate) const FAN_OUT: usize = 2;
pub(crate) const ROOTS: usize = 1;

pub(crate) type Keys = Arc<[AtomicU64; FAN_OUT]>;

pub(crate) struct Block(Keys);

thread_local! {
    // Loom runs all threads of a model on the one that started it.
    static MADE: RefCell<Vec<Keys>> = const { RefCell::new(Vec::new()) };
    static STOP: Cell<Option<(thread::ThreadId, usize)>> = const { Cell::new(None) };
}

/// Returns the blocks made since the last call, in the order of a tree's rows.
pub(crate) fn made() -> Vec<Keys> {
    MADE.take()
}

/// Runs `act` and stops its thread for good after it has accessed `steps` of a tree's words and blocks;
/// one thread of a model at a time. True if it was stopped.
pub(crate) fn stopped_after(steps: usize, act: impl FnOnce()) -> bool {
    STOP.set(Some((thread::current().id(), steps)));
    let stopped = catch_unwind(AssertUnwindSafe(act)).is_err();
    STOP.set(None);
    stopped
}

fn stop_or_go_on() {
    if let Some((id, steps)) = STOP.get() {
        if id == thread::current().id() {
            STOP.set(Some((id, steps.saturating_sub(1))));
            if steps == 0 {
                // Unwinds without a panic message.
                resume_unwind(Box::new(()));
            }
        }
    }
}

impl Block {
    pub(crate) fn of(keys: &[u64]) -> Self {
        let key = |lane: usize| AtomicU64::new(keys.get(lane).copied().unwrap_or(UNAVAILABLE));
        let keys: Keys = Arc::new(std::array::from_fn(key));
        MADE.with_borrow_mut(|made| made.push(Arc::clone(&keys)));
        Block(keys)
    }

    /// A word; a step, which precedes a change of it.
    pub(crate) fn lane(&self, lane: usize) -> Option<&AtomicU64> {
        stop_or_go_on();
        self.0.get(lane)
    }
}

/// Changes nothing that a model sees.
pub(crate) fn prefetch<T>(_: &T) {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Simd {
    Scalar,
    /// Wrong: after a writer has stored a node, its next read of the block returns what it stored.
    LooksOnce,
}

thread_local! {
    static LAST: Cell<Option<(thread::ThreadId, usize, u64)>> = const { Cell::new(None) };
}

impl Simd {
    pub(crate) fn detect() -> Self {
        Simd::Scalar
    }

    pub(crate) fn run<R>(self, act: impl FnOnce(Simd) -> R) -> R {
        act(self)
    }

    pub(crate) fn lane_of_least(self, block: &Block, key: u64) -> Option<usize> {
        let (least, lane) = self.first_least(block);
        (least == key).then_some(lane)
    }

    /// The least key, as `recompute` reads it.
    pub(crate) fn least(self, block: &Block) -> u64 {
        stop_or_go_on();
        let (thread, address) = (thread::current().id(), Arc::as_ptr(&block.0) as usize);
        if let (Simd::LooksOnce, Some((by, at, least))) = (self, LAST.take()) {
            if (by, at) == (thread, address) {
                return least;
            }
        }
        let (least, _) = self.first_least(block);
        LAST.set(Some((thread, address, least)));
        least
    }

    pub(crate) fn first_least(self, block: &Block) -> (u64, usize) {
        let mut least = (u64::MAX, 0);
        for (lane, key) in block.0.iter().enumerate() {
            let key = key.load(Ordering::SeqCst);
            if key < least.0 {
                least = (key, lane);
            }
        }
        least
    }

    pub(crate) fn first_up_to(self, block: &Block, key: u64, from: usize) -> Option<usize> {
        (from..FAN_OUT).find(|lane| block.0[*lane].load(Ordering::SeqCst) <= key)
    }
}
