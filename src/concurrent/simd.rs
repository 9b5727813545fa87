//! The least of 32 keys at once: by AVX2 where the processor has it, else one by one.

use crate::sync::{AtomicU64, Ordering};

/// The key of what is never the least. Greater than all others.
pub(crate) const UNAVAILABLE: u64 = f64::INFINITY.to_bits();

/// Keys in a block.
pub(crate) const FAN_OUT: usize = 32;

/// So many blocks at the top of a tree are read one after the other: up to here that costs less than
/// a row above them, which each change has to climb.
pub(crate) const ROOTS: usize = 2;

/// 32 keys on cache lines of their own.
#[repr(C, align(64))]
pub(crate) struct Block([AtomicU64; FAN_OUT]);

impl Block {
    /// These keys; the lanes behind them are never the least.
    pub(crate) fn of(keys: &[u64]) -> Self {
        Block(std::array::from_fn(|lane| {
            AtomicU64::new(keys.get(lane).copied().unwrap_or(UNAVAILABLE))
        }))
    }

    #[inline]
    pub(crate) fn lane(&self, lane: usize) -> Option<&AtomicU64> {
        self.0.get(lane)
    }
}

/// Fetches into the cache what is read soon, where the processor can be told so.
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
    /// One key after the other, on any processor.
    Scalar,
    /// Four at a time.
    #[cfg(all(target_arch = "x86_64", not(vsched_portable)))]
    Avx2(avx2::Token),
}

impl Simd {
    /// The fastest way this processor has.
    pub(crate) fn detect() -> Self {
        #[cfg(all(target_arch = "x86_64", not(vsched_portable)))]
        if let Some(token) = avx2::Token::of_this_processor() {
            return Simd::Avx2(token);
        }
        Simd::Scalar
    }

    /// Runs what reads many blocks as one function that is compiled for this way: reading a block is
    /// inlined there only. `act` and what it calls should be `inline(always)`.
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

    /// The least key of the block.
    #[inline(always)]
    pub(crate) fn least(self, block: &Block) -> u64 {
        match self {
            Simd::Scalar => {
                // SeqCst: pairs with the stores in `min_tree`.
                block.0.iter().map(|key| key.load(Ordering::SeqCst)).min().unwrap_or(UNAVAILABLE)
            }
            #[cfg(all(target_arch = "x86_64", not(vsched_portable)))]
            Simd::Avx2(token) => token.least(&block.0),
        }
    }

    /// The first lane of this key, if it is the least of the block.
    #[inline(always)]
    pub(crate) fn lane_of_least(self, block: &Block, key: u64) -> Option<usize> {
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
    pub(crate) fn first_least(self, block: &Block) -> (u64, usize) {
        match self {
            Simd::Scalar => {
                let mut least = (u64::MAX, 0);
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
}

/// Apart, as the other way is: its caller stays short.
#[inline(never)]
fn scalar<R>(act: impl FnOnce(Simd) -> R) -> R {
    act(Simd::Scalar)
}

#[cfg(all(target_arch = "x86_64", not(vsched_portable)))]
pub(crate) mod avx2;
