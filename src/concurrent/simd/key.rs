//! Keys that blocks hold and trees compare: unsigned numbers of 32 or 64 bits, in atomic words.

use crate::concurrent::simd::Vectors;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// A key. Half as wide, a block takes half the reads.
pub(crate) trait Key: Copy + Ord + Vectors + 'static {
    /// The key of an element that must never be found. Greater than all others.
    const UNAVAILABLE: Self;

    /// The word that holds the key.
    type Word: Word<Self> + 'static;
}

/// An atomic word, with the operations that a tree needs.
pub(crate) trait Word<K> {
    fn new(key: K) -> Self;
    fn load(&self, order: Ordering) -> K;
    fn store(&self, key: K, order: Ordering);
    fn swap(&self, key: K, order: Ordering) -> K;
    fn compare_exchange(
        &self,
        from: K,
        to: K,
        success: Ordering,
        failure: Ordering,
    ) -> Result<K, K>;
}

impl Key for u32 {
    const UNAVAILABLE: u32 = u32::MAX;
    type Word = AtomicU32;
}

/// The bits of a non-negative number, which order as the numbers do.
impl Key for u64 {
    const UNAVAILABLE: u64 = f64::INFINITY.to_bits();
    type Word = AtomicU64;
}

macro_rules! word {
    ($atomic:ty, $key:ty) => {
        impl Word<$key> for $atomic {
            fn new(key: $key) -> Self {
                <$atomic>::new(key)
            }

            #[inline(always)]
            fn load(&self, order: Ordering) -> $key {
                <$atomic>::load(self, order)
            }

            #[inline(always)]
            fn store(&self, key: $key, order: Ordering) {
                <$atomic>::store(self, key, order);
            }

            #[inline(always)]
            fn swap(&self, key: $key, order: Ordering) -> $key {
                <$atomic>::swap(self, key, order)
            }

            #[inline(always)]
            fn compare_exchange(
                &self,
                from: $key,
                to: $key,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$key, $key> {
                <$atomic>::compare_exchange(self, from, to, success, failure)
            }
        }
    };
}

word!(AtomicU32, u32);
word!(AtomicU64, u64);
