//! Four keys at a time.

#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::x86_64::{
    __m128d, __m256d, _CMP_EQ_OQ, _mm_cvtsd_f64, _mm_min_pd, _mm_unpackhi_pd,
    _mm256_broadcastsd_pd, _mm256_castpd256_pd128, _mm256_cmp_pd, _mm256_extractf128_pd,
    _mm256_min_pd, _mm256_movemask_pd,
};

use crate::state::lanes::FAN_OUT;
use crate::sync::AtomicU64;

/// Proof that this processor has AVX2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token(());

impl Token {
    pub(crate) fn of_this_processor() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Token(()))
    }

    /// The least key.
    #[inline]
    pub(crate) fn least(self, keys: &[AtomicU64; FAN_OUT]) -> u64 {
        // SAFETY: a token is made only where AVX2 was detected.
        unsafe { least(keys) }
    }

    /// The least key and its first lane.
    #[inline]
    pub(crate) fn first_least(self, keys: &[AtomicU64; FAN_OUT]) -> (u64, usize) {
        // SAFETY: as above.
        unsafe { first_least(keys) }
    }
}

/// # Safety
/// The processor has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load(keys: &[AtomicU64; FAN_OUT]) -> [__m256d; 8] {
    let [a, b, c, d, e, f, g, h]: [__m256d; 8];
    // Rust has no vector load that may race with atomic stores; to the compiler this stands for 32
    // atomic loads. On x86 each aligned word of a vector load is read whole, and in program order
    // with the stores around it.
    // SAFETY: reads the 256 bytes of `keys`, writes none.
    unsafe {
        asm!(
            "vmovupd {a}, [{keys}]",
            "vmovupd {b}, [{keys} + 32]",
            "vmovupd {c}, [{keys} + 64]",
            "vmovupd {d}, [{keys} + 96]",
            "vmovupd {e}, [{keys} + 128]",
            "vmovupd {f}, [{keys} + 160]",
            "vmovupd {g}, [{keys} + 192]",
            "vmovupd {h}, [{keys} + 224]",
            keys = in(reg) keys.as_ptr(),
            a = out(ymm_reg) a, b = out(ymm_reg) b, c = out(ymm_reg) c, d = out(ymm_reg) d,
            e = out(ymm_reg) e, f = out(ymm_reg) f, g = out(ymm_reg) g, h = out(ymm_reg) h,
            options(nostack, preserves_flags, readonly),
        );
    }
    [a, b, c, d, e, f, g, h]
}

/// Keys are bits of numbers that are not negative and no NaN, so they order as numbers.
///
/// # Safety
/// The processor has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn least_of([a, b, c, d, e, f, g, h]: [__m256d; 8]) -> __m128d {
    let min = _mm256_min_pd;
    let four = min(min(min(a, b), min(c, d)), min(min(e, f), min(g, h)));
    let two = _mm_min_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd::<1>(four));
    _mm_min_pd(two, _mm_unpackhi_pd(two, two))
}

/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
unsafe fn least(keys: &[AtomicU64; FAN_OUT]) -> u64 {
    // SAFETY: the processor has AVX2.
    let least = unsafe { least_of(load(keys)) };
    _mm_cvtsd_f64(least).to_bits()
}

/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
unsafe fn first_least(keys: &[AtomicU64; FAN_OUT]) -> (u64, usize) {
    // SAFETY: the processor has AVX2.
    let keys = unsafe { load(keys) };
    // SAFETY: as above.
    let least = unsafe { least_of(keys) };
    let all = _mm256_broadcastsd_pd(least);
    let [a, b, c, d, e, f, g, h] = keys;
    let equal = |lanes| _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_EQ_OQ>(lanes, all)) as u32;
    let low = equal(a) | equal(b) << 4 | equal(c) << 8 | equal(d) << 12;
    let high = equal(e) | equal(f) << 4 | equal(g) << 8 | equal(h) << 12;
    (_mm_cvtsd_f64(least).to_bits(), (low | high << 16).trailing_zeros() as usize)
}
