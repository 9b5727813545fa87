//! Blocks read by AVX2, four keys at a time.

#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::x86_64::{
    __m256d, _CMP_EQ_OQ, _CMP_LE_OQ, _CMP_LT_OQ, _MM_HINT_T0, _mm_prefetch, _mm256_castpd_si256,
    _mm256_cmp_pd, _mm256_cvtsd_f64, _mm256_min_pd, _mm256_movemask_epi8, _mm256_movemask_pd,
    _mm256_packs_epi16, _mm256_packs_epi32, _mm256_permute_pd, _mm256_permute2f128_pd,
    _mm256_permutevar8x32_epi32, _mm256_set1_pd, _mm256_setr_epi32,
};

use crate::concurrent::simd::FAN_OUT;
use crate::sync::AtomicU64;

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

    /// The least key.
    #[inline(always)]
    pub(crate) fn least(self, keys: &[AtomicU64; FAN_OUT]) -> u64 {
        // SAFETY: as above.
        unsafe { least(keys) }
    }

    /// The least key and its first lane.
    #[inline(always)]
    pub(crate) fn first_least(self, keys: &[AtomicU64; FAN_OUT]) -> (u64, usize) {
        // SAFETY: as above.
        unsafe { first_least(keys) }
    }

    /// The first lane of this key, if it is the least.
    #[inline(always)]
    pub(crate) fn lane_of_least(self, keys: &[AtomicU64; FAN_OUT], key: u64) -> Option<usize> {
        // SAFETY: as above.
        unsafe { lane_of_least(keys, key) }
    }

    /// The first lane from this one on whose key is not above `key`.
    #[inline(always)]
    pub(crate) fn first_up_to(
        self,
        keys: &[AtomicU64; FAN_OUT],
        key: u64,
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
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load(keys: &[AtomicU64; FAN_OUT]) -> [__m256d; 8] {
    let [a, b, c, d, e, f, g, h]: [__m256d; 8];
    // Rust has no vector load that may race with atomic stores; to the compiler this block stands for
    // 32 atomic loads. On x86 each aligned word of a vector load is read untorn, and in program order
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

/// The least key of each column. Keys are the bits of non-negative numbers, never NaN, so they order
/// like the numbers.
///
/// # Safety
/// The processor has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn columns([a, b, c, d, e, f, g, h]: [__m256d; 8]) -> __m256d {
    let min = _mm256_min_pd;
    min(min(min(a, b), min(c, d)), min(min(e, f), min(g, h)))
}

/// The least key, in all four columns.
///
/// # Safety
/// The processor has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn least_of(keys: [__m256d; 8]) -> __m256d {
    // SAFETY: the processor has AVX2.
    unsafe { least_lane(columns(keys)) }
}

/// The least of four numbers, in all four lanes.
///
/// # Safety
/// The processor has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn least_lane(four: __m256d) -> __m256d {
    let two = _mm256_min_pd(four, _mm256_permute2f128_pd::<1>(four, four));
    _mm256_min_pd(two, _mm256_permute_pd::<0b0101>(two))
}

/// Two bits for each lane whose key compares so with the one that `all` repeats.
///
/// # Safety
/// The processor has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn lanes<const COMPARISON: i32>(
    [a, b, c, d, e, f, g, h]: [__m256d; 8],
    all: __m256d,
) -> u64 {
    let so = |lanes| _mm256_castpd_si256(_mm256_cmp_pd::<COMPARISON>(lanes, all));
    // Packing works within each half of its operands; the permutation restores the order.
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    let bits = |a, b, c, d| {
        let (low, high) = (_mm256_packs_epi32(so(a), so(b)), _mm256_packs_epi32(so(c), so(d)));
        let bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
        u64::from(_mm256_movemask_epi8(bytes) as u32)
    };
    bits(a, b, c, d) | bits(e, f, g, h) << 32
}

/// # Safety
/// The processor has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn least(keys: &[AtomicU64; FAN_OUT]) -> u64 {
    // SAFETY: the processor has AVX2.
    let least = unsafe { least_of(load(keys)) };
    _mm256_cvtsd_f64(least).to_bits()
}

/// # Safety
/// The processor has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn first_least(keys: &[AtomicU64; FAN_OUT]) -> (u64, usize) {
    // SAFETY: the processor has AVX2.
    let keys = unsafe { load(keys) };
    // SAFETY: as above.
    let least = unsafe { least_of(keys) };
    // SAFETY: as above.
    let lanes = unsafe { lanes::<_CMP_EQ_OQ>(keys, least) };
    (_mm256_cvtsd_f64(least).to_bits(), lanes.trailing_zeros() as usize / 2)
}

/// Finds the lane and compares with the least independently, so that neither waits for the other.
///
/// # Safety
/// The processor has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn lane_of_least(keys: &[AtomicU64; FAN_OUT], key: u64) -> Option<usize> {
    let all = _mm256_set1_pd(f64::from_bits(key));
    // SAFETY: the processor has AVX2.
    let keys = unsafe { load(keys) };
    // SAFETY: as above.
    let lanes = unsafe { lanes::<_CMP_EQ_OQ>(keys, all) };
    // SAFETY: as above.
    let less = _mm256_cmp_pd::<_CMP_LT_OQ>(unsafe { columns(keys) }, all);
    (lanes != 0 && _mm256_movemask_pd(less) == 0).then_some(lanes.trailing_zeros() as usize / 2)
}

/// # Safety
/// The processor has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn first_up_to(keys: &[AtomicU64; FAN_OUT], key: u64, from: usize) -> Option<usize> {
    let all = _mm256_set1_pd(f64::from_bits(key));
    // SAFETY: the processor has AVX2.
    let lanes = unsafe { lanes::<_CMP_LE_OQ>(load(keys), all) };
    let lanes = lanes.checked_shr(2 * from as u32)?;
    (lanes != 0).then(|| from + lanes.trailing_zeros() as usize / 2)
}
