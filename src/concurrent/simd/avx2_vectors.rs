//! Keys of 32 and of 64 bits in AVX2's vectors.

#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::x86_64::{
    __m256d, __m256i, _CMP_EQ_OQ, _CMP_LE_OQ, _CMP_LT_OQ, _mm256_castpd_si256, _mm256_cmp_pd,
    _mm256_cmpeq_epi32, _mm256_cvtsd_f64, _mm256_extract_epi32, _mm256_min_epu32, _mm256_min_pd,
    _mm256_movemask_epi8, _mm256_movemask_pd, _mm256_packs_epi16, _mm256_packs_epi32,
    _mm256_permute_pd, _mm256_permute2f128_pd, _mm256_permute4x64_epi64,
    _mm256_permutevar8x32_epi32, _mm256_set1_epi32, _mm256_set1_pd, _mm256_setr_epi32,
    _mm256_shuffle_epi32, _mm256_testz_si256, _mm256_xor_si256,
};

/// How the 32 keys of a block lie in vectors.
pub(crate) trait Vectors: Copy {
    /// Several keys.
    type Vector: Copy;
    /// All keys, in order.
    type Block: Copy;
    /// How many bits [`equal`](Self::equal) and [`up_to`](Self::up_to) return per key.
    const BITS: u32;

    /// Reads 32 words that other threads may write.
    ///
    /// # Safety
    /// The processor has AVX2, and all keys are in one live array of atomic words.
    unsafe fn load(keys: *const Self) -> Self::Block;

    /// The least key of each column of such words.
    ///
    /// # Safety
    /// As for [`load`](Self::load).
    unsafe fn load_columns(keys: *const Self) -> Self::Vector;

    /// The least key of each column.
    ///
    /// # Safety
    /// The processor has AVX2.
    unsafe fn columns(block: Self::Block) -> Self::Vector;

    /// The least key of a vector, in all lanes.
    ///
    /// # Safety
    /// The processor has AVX2.
    unsafe fn least_lane(columns: Self::Vector) -> Self::Vector;

    /// The first key of a vector.
    ///
    /// # Safety
    /// The processor has AVX2.
    unsafe fn first(vector: Self::Vector) -> Self;

    /// The key, in all lanes.
    ///
    /// # Safety
    /// The processor has AVX2.
    unsafe fn repeat(self) -> Self::Vector;

    /// The keys that equal the one that `all` repeats.
    ///
    /// # Safety
    /// The processor has AVX2.
    unsafe fn equal(block: Self::Block, all: Self::Vector) -> u64;

    /// The keys that are not above the one that `all` repeats.
    ///
    /// # Safety
    /// The processor has AVX2.
    unsafe fn up_to(block: Self::Block, all: Self::Vector) -> u64;

    /// True if one of these keys is below the one that `all` repeats.
    ///
    /// # Safety
    /// The processor has AVX2.
    unsafe fn is_any_below(columns: Self::Vector, all: Self::Vector) -> bool;
}

impl Vectors for u32 {
    type Vector = __m256i;
    type Block = [__m256i; 4];
    const BITS: u32 = 1;

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load(keys: *const u32) -> [__m256i; 4] {
        let [a, b, c, d]: [__m256i; 4];
        // Rust has no vector load that may race with atomic stores; to the compiler this block stands for
        // 32 atomic loads. On x86 each aligned word of a vector load is read untorn, and in program order
        // with the stores around it.
        // SAFETY: reads the 128 bytes of `keys`, writes none.
        unsafe {
            asm!(
                "vmovdqu {a}, [{keys}]",
                "vmovdqu {b}, [{keys} + 32]",
                "vmovdqu {c}, [{keys} + 64]",
                "vmovdqu {d}, [{keys} + 96]",
                keys = in(reg) keys,
                a = out(ymm_reg) a, b = out(ymm_reg) b, c = out(ymm_reg) c, d = out(ymm_reg) d,
                options(nostack, preserves_flags, readonly),
            );
        }
        [a, b, c, d]
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load_columns(keys: *const u32) -> __m256i {
        let columns: __m256i;
        // As above; what is read is not needed apart.
        // SAFETY: as above.
        unsafe {
            asm!(
                "vmovdqu {columns}, [{keys}]",
                "vpminud {columns}, {columns}, [{keys} + 32]",
                "vpminud {columns}, {columns}, [{keys} + 64]",
                "vpminud {columns}, {columns}, [{keys} + 96]",
                keys = in(reg) keys,
                columns = out(ymm_reg) columns,
                options(nostack, preserves_flags, readonly),
            );
        }
        columns
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn columns([a, b, c, d]: [__m256i; 4]) -> __m256i {
        _mm256_min_epu32(_mm256_min_epu32(a, b), _mm256_min_epu32(c, d))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn least_lane(columns: __m256i) -> __m256i {
        let four = _mm256_min_epu32(columns, _mm256_permute4x64_epi64::<0b0100_1110>(columns));
        let two = _mm256_min_epu32(four, _mm256_shuffle_epi32::<0b0100_1110>(four));
        _mm256_min_epu32(two, _mm256_shuffle_epi32::<0b1011_0001>(two))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn first(vector: __m256i) -> u32 {
        _mm256_extract_epi32::<0>(vector) as u32
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn repeat(self) -> __m256i {
        _mm256_set1_epi32(self as i32)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn equal([a, b, c, d]: [__m256i; 4], all: __m256i) -> u64 {
        let so = |keys| _mm256_cmpeq_epi32(keys, all);
        // SAFETY: the processor has AVX2.
        unsafe { bytes([so(a), so(b), so(c), so(d)]) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn up_to([a, b, c, d]: [__m256i; 4], all: __m256i) -> u64 {
        // AVX2 has no order of unsigned numbers but their minimum.
        let so = |keys| _mm256_cmpeq_epi32(_mm256_min_epu32(keys, all), keys);
        // SAFETY: the processor has AVX2.
        unsafe { bytes([so(a), so(b), so(c), so(d)]) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn is_any_below(columns: __m256i, all: __m256i) -> bool {
        let below = _mm256_xor_si256(_mm256_min_epu32(columns, all), all);
        _mm256_testz_si256(below, below) == 0
    }
}

/// Keys are the bits of non-negative numbers, never NaN, so they order like the numbers.
impl Vectors for u64 {
    type Vector = __m256d;
    type Block = [__m256d; 8];
    const BITS: u32 = 2;

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load(keys: *const u64) -> [__m256d; 8] {
        let [a, b, c, d, e, f, g, h]: [__m256d; 8];
        // As for 32-bit keys.
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
                keys = in(reg) keys,
                a = out(ymm_reg) a, b = out(ymm_reg) b, c = out(ymm_reg) c, d = out(ymm_reg) d,
                e = out(ymm_reg) e, f = out(ymm_reg) f, g = out(ymm_reg) g, h = out(ymm_reg) h,
                options(nostack, preserves_flags, readonly),
            );
        }
        [a, b, c, d, e, f, g, h]
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load_columns(keys: *const u64) -> __m256d {
        // SAFETY: as the caller says.
        unsafe { Self::columns(Self::load(keys)) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn columns([a, b, c, d, e, f, g, h]: [__m256d; 8]) -> __m256d {
        let min = _mm256_min_pd;
        min(min(min(a, b), min(c, d)), min(min(e, f), min(g, h)))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn least_lane(columns: __m256d) -> __m256d {
        let two = _mm256_min_pd(columns, _mm256_permute2f128_pd::<1>(columns, columns));
        _mm256_min_pd(two, _mm256_permute_pd::<0b0101>(two))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn first(vector: __m256d) -> u64 {
        _mm256_cvtsd_f64(vector).to_bits()
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn repeat(self) -> __m256d {
        _mm256_set1_pd(f64::from_bits(self))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn equal(block: [__m256d; 8], all: __m256d) -> u64 {
        // SAFETY: the processor has AVX2.
        unsafe { compare::<_CMP_EQ_OQ>(block, all) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn up_to(block: [__m256d; 8], all: __m256d) -> u64 {
        // SAFETY: the processor has AVX2.
        unsafe { compare::<_CMP_LE_OQ>(block, all) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn is_any_below(columns: __m256d, all: __m256d) -> bool {
        _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_LT_OQ>(columns, all)) != 0
    }
}

/// # Safety
/// The processor has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn compare<const COMPARISON: i32>(
    [a, b, c, d, e, f, g, h]: [__m256d; 8],
    all: __m256d,
) -> u64 {
    let so = |keys| _mm256_castpd_si256(_mm256_cmp_pd::<COMPARISON>(keys, all));
    // SAFETY: the processor has AVX2.
    unsafe { bytes([so(a), so(b), so(c), so(d)]) | bytes([so(e), so(f), so(g), so(h)]) << 32 }
}

/// One bit per 32 bits of these vectors, which are all set or all clear.
///
/// # Safety
/// The processor has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn bytes([a, b, c, d]: [__m256i; 4]) -> u64 {
    // Packing works within each half of its operands; the permutation restores the order.
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    let (low, high) = (_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    let bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
    u64::from(_mm256_movemask_epi8(bytes) as u32)
}
