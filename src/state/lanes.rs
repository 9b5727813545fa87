//! The least of 32 keys at once: by AVX2 where the processor has it, else one by one.

use crate::sync::{AtomicU64, Ordering};

/// The key of what is never the least. Greater than all others.
pub(crate) const NEVER: u64 = f64::INFINITY.to_bits();

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
        Block(std::array::from_fn(|lane| AtomicU64::new(keys.get(lane).copied().unwrap_or(NEVER))))
    }

    #[inline]
    pub(crate) fn lane(&self, lane: usize) -> Option<&AtomicU64> {
        self.0.get(lane)
    }
}

/// How blocks are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lanes {
    /// One key after the other, on any processor.
    Scalar,
    /// Four at a time.
    #[cfg(all(target_arch = "x86_64", not(vsched_portable)))]
    Avx2(avx2::Token),
}

impl Lanes {
    /// The fastest way this processor has.
    pub(crate) fn detect() -> Self {
        #[cfg(all(target_arch = "x86_64", not(vsched_portable)))]
        if let Some(token) = avx2::Token::of_this_processor() {
            return Lanes::Avx2(token);
        }
        Lanes::Scalar
    }

    /// The least key of the block.
    #[inline]
    pub(crate) fn least(self, block: &Block) -> u64 {
        match self {
            Lanes::Scalar => {
                // SeqCst: pairs with the stores in `min_tree`.
                block.0.iter().map(|key| key.load(Ordering::SeqCst)).min().unwrap_or(NEVER)
            }
            #[cfg(all(target_arch = "x86_64", not(vsched_portable)))]
            Lanes::Avx2(token) => token.least(&block.0),
        }
    }

    /// The least key of the block and its first lane.
    #[inline]
    pub(crate) fn first_least(self, block: &Block) -> (u64, usize) {
        match self {
            Lanes::Scalar => {
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
            Lanes::Avx2(token) => token.first_least(&block.0),
        }
    }
}

#[cfg(all(target_arch = "x86_64", not(vsched_portable)))]
pub(crate) mod avx2;
