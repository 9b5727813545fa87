//! Blocks of keys, which are also one array of words.

#![allow(unsafe_code)]

use std::slice;

use crate::concurrent::simd::FAN_OUT;
use crate::concurrent::simd::key::{Key, Word};

/// 32 keys on cache lines of their own.
#[repr(C, align(64))]
pub(crate) struct Block<K: Key>(pub(super) [K::Word; FAN_OUT]);

/// Blocks one after the other.
pub(crate) struct Blocks<K: Key>(Box<[Block<K>]>);

impl<K: Key> Blocks<K> {
    /// Blocks of these keys. Words past the end are [`UNAVAILABLE`](Key::UNAVAILABLE).
    pub(crate) fn of(keys: &[K]) -> Self {
        let word = |key: Option<&K>| K::Word::new(key.copied().unwrap_or(K::UNAVAILABLE));
        let block = |keys: &[K]| Block(std::array::from_fn(|lane| word(keys.get(lane))));
        Blocks(keys.chunks(FAN_OUT).map(block).collect())
    }

    /// A word by its index among the words of all blocks: fewer instructions than by block and lane.
    #[inline(always)]
    pub(crate) fn word(&self, index: usize) -> Option<&K::Word> {
        const {
            assert!(size_of::<K::Word>() == size_of::<K>(), "for vector loads");
            assert!(size_of::<Block<K>>() == FAN_OUT * size_of::<K::Word>());
        }
        // SAFETY: the memory of so many blocks, each of which is an array of `FAN_OUT` words and nothing else,
        // borrowed as long as the blocks.
        let words = unsafe {
            slice::from_raw_parts(self.0.as_ptr().cast::<K::Word>(), self.0.len() * FAN_OUT)
        };
        words.get(index)
    }

    /// The block of the word with this index.
    #[inline(always)]
    pub(crate) fn block(&self, index: usize) -> Option<&Block<K>> {
        self.0.get(index / FAN_OUT)
    }
}
