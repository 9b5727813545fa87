//! Blocks read by AVX2, eight or four keys at a time.

#![allow(unsafe_code)]

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

use crate::concurrent::simd::FAN_OUT;
use crate::concurrent::simd::key::Key;

/// Prefetches `what` into all levels of the cache.
#[inline(always)]
pub(crate) fn prefetch<T>(what: &T) {
    // SAFETY: a prefetch accesses no memory that the program observes; SSE is part of x86-64.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(what).cast()) }
}

/// Proof that this processor has AVX2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token(());

impl Token {
    pub(crate) fn of_this_processor() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Token(()))
    }

    /// Runs `act`, compiled for processors with AVX2.
    #[inline(always)]
    pub(crate) fn run<R>(self, act: impl FnOnce() -> R) -> R {
        // SAFETY: a token is constructed only where AVX2 was detected.
        unsafe { run(act) }
    }

    /// Like [`run`](Self::run), with arguments in registers: what a closure captures goes through memory.
    #[inline(always)]
    pub(crate) fn run_with<A, B, C, D, R>(
        self,
        (a, b, c, d): (A, B, C, D),
        act: impl FnOnce(A, B, C, D) -> R,
    ) -> R {
        // SAFETY: as above.
        unsafe { run_with(a, b, c, d, act) }
    }

    /// The least key.
    #[inline(always)]
    pub(crate) fn least<K: Key>(self, keys: &[K::Word; FAN_OUT]) -> K {
        // SAFETY: as above.
        unsafe { least(keys) }
    }

    /// The least key and its first lane.
    #[inline(always)]
    pub(crate) fn first_least<K: Key>(self, keys: &[K::Word; FAN_OUT]) -> (K, usize) {
        // SAFETY: as above.
        unsafe { first_least(keys) }
    }

    /// The first lane of this key, if it is the least.
    #[inline(always)]
    pub(crate) fn lane_of_least<K: Key>(self, keys: &[K::Word; FAN_OUT], key: K) -> Option<usize> {
        // SAFETY: as above.
        unsafe { lane_of_least(keys, key) }
    }

    /// The first lane from this one on whose key is not above `key`.
    #[inline(always)]
    pub(crate) fn first_up_to<K: Key>(
        self,
        keys: &[K::Word; FAN_OUT],
        key: K,
        from: usize,
    ) -> Option<usize> {
        // SAFETY: as above.
        unsafe { first_up_to(keys, key, from) }
    }
}

/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
unsafe fn run<R>(act: impl FnOnce() -> R) -> R {
    act()
}

/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
unsafe fn run_with<A, B, C, D, R>(a: A, b: B, c: C, d: D, act: impl FnOnce(A, B, C, D) -> R) -> R {
    act(a, b, c, d)
}

/// # Safety
/// The processor has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn least<K: Key>(keys: &[K::Word; FAN_OUT]) -> K {
    // SAFETY: the processor has AVX2, and a word is as large as its key.
    unsafe { K::first(K::least_lane(K::load_columns(keys.as_ptr().cast()))) }
}

/// # Safety
/// The processor has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn first_least<K: Key>(keys: &[K::Word; FAN_OUT]) -> (K, usize) {
    // SAFETY: as in `least`.
    unsafe {
        let block = K::load(keys.as_ptr().cast());
        let least = K::least_lane(K::columns(block));
        let lanes = K::equal(block, least);
        (K::first(least), (lanes.trailing_zeros() / K::BITS) as usize)
    }
}

/// Finds the lane and compares with the least independently, so that neither waits for the other.
///
/// # Safety
/// The processor has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn lane_of_least<K: Key>(keys: &[K::Word; FAN_OUT], key: K) -> Option<usize> {
    // SAFETY: as in `least`.
    unsafe {
        let (block, all) = (K::load(keys.as_ptr().cast()), K::repeat(key));
        let lanes = K::equal(block, all);
        (lanes != 0 && !K::is_any_below(K::columns(block), all))
            .then_some((lanes.trailing_zeros() / K::BITS) as usize)
    }
}

/// # Safety
/// The processor has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn first_up_to<K: Key>(keys: &[K::Word; FAN_OUT], key: K, from: usize) -> Option<usize> {
    // SAFETY: as in `least`.
    let lanes = unsafe { K::up_to(K::load(keys.as_ptr().cast()), K::repeat(key)) };
    let lanes = lanes.checked_shr(K::BITS * from as u32)?;
    (lanes != 0).then(|| from + (lanes.trailing_zeros() / K::BITS) as usize)
}
