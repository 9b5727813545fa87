//! The least of a block of 32 keys: by AVX2 where the processor has it, else one key at a time.

pub(crate) use crate::concurrent::simd::blocks::{Block, Blocks};
use crate::concurrent::simd::key::{Key, Word};
use crate::sync::Ordering;

/// Keys per block.
pub(crate) const FAN_OUT: usize = 32;

/// Most blocks in the top row of a tree, which a reader reads one after the other: up to this number
/// that costs less than one more row, which each change has to propagate through.
pub(crate) const ROOTS: usize = 2;

/// Prefetches `what` into the cache, where the target has such an instruction.
#[inline(always)]
pub(crate) fn prefetch<T>(what: &T) {
    #[cfg(all(target_arch = "x86_64", not(vsched_portable)))]
    avx2::prefetch(what);
    #[cfg(not(all(target_arch = "x86_64", not(vsched_portable))))]
    let _ = what;
}

/// How blocks are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Simd {
    /// One key at a time, on any processor.
    Scalar,
    /// Four or eight keys at a time.
    #[cfg(all(target_arch = "x86_64", not(vsched_portable)))]
    Avx2(avx2::Token),
}

impl Simd {
    /// The fastest variant that this processor supports.
    pub(crate) fn detect() -> Self {
        #[cfg(all(target_arch = "x86_64", not(vsched_portable)))]
        if let Some(token) = avx2::Token::of_this_processor() {
            return Simd::Avx2(token);
        }
        Simd::Scalar
    }

    /// Runs `act`, which reads many blocks, as one function compiled for this variant: only there is
    /// reading a block inlined. `act` and what it calls should be `inline(always)`.
    #[inline(always)]
    pub(crate) fn run<R>(self, act: impl FnOnce(Simd) -> R) -> R {
        match self {
            Simd::Scalar => scalar(act),
            #[cfg(all(target_arch = "x86_64", not(vsched_portable)))]
            Simd::Avx2(token) => token.run(
                #[inline(always)]
                move || act(Simd::Avx2(token)),
            ),
        }
    }

    /// Like [`run`](Self::run), with arguments in registers: what a closure captures goes through memory.
    #[inline(always)]
    pub(crate) fn run_with<A, B, C, D, R>(
        self,
        (a, b, c, d): (A, B, C, D),
        act: impl FnOnce(Simd, A, B, C, D) -> R,
    ) -> R {
        match self {
            Simd::Scalar => scalar_with(a, b, c, d, act),
            #[cfg(all(target_arch = "x86_64", not(vsched_portable)))]
            Simd::Avx2(token) => token.run_with(
                (a, b, c, d),
                #[inline(always)]
                move |a, b, c, d| act(Simd::Avx2(token), a, b, c, d),
            ),
        }
    }

    /// The least key of the block.
    #[inline(always)]
    pub(crate) fn least<K: Key>(self, block: &Block<K>) -> K {
        match self {
            Simd::Scalar => {
                // SeqCst: pairs with the stores in `min_tree`.
                block.0.iter().map(|key| key.load(Ordering::SeqCst)).min().unwrap_or(K::UNAVAILABLE)
            }
            #[cfg(all(target_arch = "x86_64", not(vsched_portable)))]
            Simd::Avx2(token) => token.least(&block.0),
        }
    }

    /// The first lane of this key, if it is the least of the block.
    #[inline(always)]
    pub(crate) fn lane_of_least<K: Key>(self, block: &Block<K>, key: K) -> Option<usize> {
        match self {
            Simd::Scalar => {
                let (least, lane) = self.first_least(block);
                (least == key).then_some(lane)
            }
            #[cfg(all(target_arch = "x86_64", not(vsched_portable)))]
            Simd::Avx2(token) => token.lane_of_least(&block.0, key),
        }
    }

    /// The least key of the block and its first lane.
    #[inline(always)]
    pub(crate) fn first_least<K: Key>(self, block: &Block<K>) -> (K, usize) {
        match self {
            Simd::Scalar => {
                let mut least = (K::UNAVAILABLE, 0);
                for (lane, key) in block.0.iter().enumerate() {
                    // SeqCst: pairs with the stores in `min_tree`.
                    let key = key.load(Ordering::SeqCst);
                    if key < least.0 {
                        least = (key, lane);
                    }
                }
                least
            }
            #[cfg(all(target_arch = "x86_64", not(vsched_portable)))]
            Simd::Avx2(token) => token.first_least(&block.0),
        }
    }

    /// The first lane from this one on whose key is not above `key`.
    #[inline(always)]
    pub(crate) fn first_up_to<K: Key>(
        self,
        block: &Block<K>,
        key: K,
        from: usize,
    ) -> Option<usize> {
        match self {
            Simd::Scalar => {
                // SeqCst: pairs with the stores in `min_tree`.
                let up_to = |lane: &usize| block.0[*lane].load(Ordering::SeqCst) <= key;
                (from..FAN_OUT).find(up_to)
            }
            #[cfg(all(target_arch = "x86_64", not(vsched_portable)))]
            Simd::Avx2(token) => token.first_up_to(&block.0, key, from),
        }
    }
}

/// Out of line, like the AVX2 variant, to keep the caller short.
#[inline(never)]
fn scalar<R>(act: impl FnOnce(Simd) -> R) -> R {
    act(Simd::Scalar)
}

/// Like [`scalar`], with arguments in registers.
#[inline(never)]
fn scalar_with<A, B, C, D, R>(
    a: A,
    b: B,
    c: C,
    d: D,
    act: impl FnOnce(Simd, A, B, C, D) -> R,
) -> R {
    act(Simd::Scalar, a, b, c, d)
}

#[cfg(all(target_arch = "x86_64", not(vsched_portable)))]
pub(crate) mod avx2;
#[cfg(all(target_arch = "x86_64", not(vsched_portable)))]
pub(crate) use avx2_vectors::Vectors;

/// Without vectors, any key will do.
#[cfg(not(all(target_arch = "x86_64", not(vsched_portable))))]
pub(crate) trait Vectors {}
#[cfg(not(all(target_arch = "x86_64", not(vsched_portable))))]
impl<K> Vectors for K {}

#[cfg(all(target_arch = "x86_64", not(vsched_portable)))]
mod avx2_quotients;
#[cfg(all(target_arch = "x86_64", not(vsched_portable)))]
mod avx2_vectors;
mod blocks;
pub(crate) mod key;
pub(crate) mod quotients;
