//! Blocks of two keys, read one at a time, which models can inspect and in which they can stop a thread.

#[path = "../../../../src/concurrent/simd/key.rs"]
pub(crate) mod key;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use loom::thread;

use crate::concurrent::simd::key::{Key, Word};
use crate::sync::{Arc, Ordering};

pub(crate) const FAN_OUT: usize = 2;
pub(crate) const ROOTS: usize = 1;

/// A key as a number.
pub(crate) trait Vectors {
    fn of(number: u64) -> Self;
    fn number(self) -> u64;
}

macro_rules! vectors {
    ($($key:ty)+) => {$(
        impl Vectors for $key {
            fn of(number: u64) -> Self {
                number as $key
            }

            fn number(self) -> u64 {
                self.into()
            }
        }
    )+};
}

vectors!(u32 u64);

pub(crate) struct Block<K: Key>([K::Word; FAN_OUT]);

pub(crate) struct Blocks<K: Key>(Arc<[Block<K>]>);

/// The keys of a tree, in the order of its rows.
pub(crate) type Keys = Box<dyn Fn(usize) -> u64>;

thread_local! {
    // Loom runs all threads of a model on the one that started it.
    static MADE: Cell<Option<Keys>> = const { Cell::new(None) };
    static STOP: Cell<Option<(thread::ThreadId, usize)>> = const { Cell::new(None) };
}

/// Returns the keys of the tree made last.
pub(crate) fn made() -> Keys {
    MADE.take().expect("a tree was made")
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

impl<K: Key> Blocks<K> {
    pub(crate) fn of(keys: &[K]) -> Self {
        assert!(keys.len().is_multiple_of(FAN_OUT), "whole blocks");
        let block = |keys: &[K]| Block(std::array::from_fn(|lane| K::Word::new(keys[lane])));
        let blocks: Arc<[Block<K>]> = keys.chunks(FAN_OUT).map(block).collect();
        let made = Arc::clone(&blocks);
        MADE.set(Some(Box::new(move |index| {
            made[index / FAN_OUT].0[index % FAN_OUT].load(Ordering::SeqCst).number()
        })));
        Blocks(blocks)
    }

    /// A word; a step, which precedes a change of it.
    pub(crate) fn word(&self, index: usize) -> Option<&K::Word> {
        stop_or_go_on();
        self.0.get(index / FAN_OUT)?.0.get(index % FAN_OUT)
    }

    pub(crate) fn block(&self, index: usize) -> Option<&Block<K>> {
        self.0.get(index / FAN_OUT)
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

    pub(crate) fn run_with<A, B, C, D, R>(
        self,
        (a, b, c, d): (A, B, C, D),
        act: impl FnOnce(Simd, A, B, C, D) -> R,
    ) -> R {
        act(self, a, b, c, d)
    }

    pub(crate) fn lane_of_least<K: Key>(self, block: &Block<K>, key: K) -> Option<usize> {
        let (least, lane) = self.first_least(block);
        (least == key).then_some(lane)
    }

    /// The least key, as `recompute` reads it.
    pub(crate) fn least<K: Key>(self, block: &Block<K>) -> K {
        stop_or_go_on();
        let (thread, address) = (thread::current().id(), std::ptr::from_ref(block) as usize);
        if let (Simd::LooksOnce, Some((by, at, least))) = (self, LAST.take()) {
            if (by, at) == (thread, address) {
                return K::of(least);
            }
        }
        let (least, _) = self.first_least(block);
        LAST.set(Some((thread, address, least.number())));
        least
    }

    pub(crate) fn first_least<K: Key>(self, block: &Block<K>) -> (K, usize) {
        let mut least = (K::UNAVAILABLE, 0);
        for (lane, key) in block.0.iter().enumerate() {
            let key = key.load(Ordering::SeqCst);
            if key < least.0 {
                least = (key, lane);
            }
        }
        least
    }

    pub(crate) fn first_up_to<K: Key>(
        self,
        block: &Block<K>,
        key: K,
        from: usize,
    ) -> Option<usize> {
        (from..FAN_OUT).find(|lane| block.0[*lane].load(Ordering::SeqCst) <= key)
    }
}
