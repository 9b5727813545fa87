//! Quotients of packed words by AVX2, four at a time.

#![allow(unsafe_code)]

use std::arch::x86_64::{
    _CMP_EQ_OQ, _CMP_LT_OQ, _mm_cvtsi64_si128, _mm_cvttsd_si32, _mm256_add_epi64, _mm256_add_pd,
    _mm256_and_pd, _mm256_and_si256, _mm256_andnot_pd, _mm256_blendv_pd, _mm256_castpd_si256,
    _mm256_castpd256_pd128, _mm256_castsi256_pd, _mm256_cmp_pd, _mm256_cmpeq_epi64, _mm256_div_pd,
    _mm256_mul_epu32, _mm256_or_pd, _mm256_or_si256, _mm256_set1_epi64x, _mm256_set1_pd,
    _mm256_setr_epi64x, _mm256_setr_pd, _mm256_setzero_si256, _mm256_srl_epi64, _mm256_sub_pd,
};

use crate::concurrent::simd::avx2::Token;
use crate::concurrent::simd::avx2_vectors::Vectors;
use crate::concurrent::simd::quotients::{Dividend, LANES};

/// A number below 2^52 in the lower bits of this one adds itself.
const BASE: f64 = (1u64 << 52) as f64;

impl Token {
    #[inline(always)]
    pub(super) fn first_least_quotient<'a>(
        self,
        dividend: &Dividend,
        words: impl Iterator<Item = ([u64; LANES], &'a [f64; LANES])>,
        start: Option<(u32, u32)>,
    ) -> Option<usize> {
        // SAFETY: a token is constructed only where AVX2 was detected.
        unsafe {
            match (dividend.zero_if_first_is, start) {
                (false, None) => first_least_quotient::<false, false>(dividend, words, (0, 0)),
                (true, None) => first_least_quotient::<true, false>(dividend, words, (0, 0)),
                (false, Some(start)) => first_least_quotient::<false, true>(dividend, words, start),
                (true, Some(start)) => first_least_quotient::<true, true>(dividend, words, start),
            }
        }
    }
}

/// # Safety
/// The processor has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn first_least_quotient<'a, const ZERO_IF_FIRST_IS: bool, const STARTS: bool>(
    dividend: &Dividend,
    words: impl Iterator<Item = ([u64; LANES], &'a [f64; LANES])>,
    (start, length): (u32, u32),
) -> Option<usize> {
    let all = |number: u64| _mm256_set1_epi64x(number as i64);
    let base = _mm256_set1_pd(BASE);
    let (first, second, excluded) =
        (all(dividend.first.into()), all(dividend.second), all(dividend.excluded));
    let shift = _mm_cvtsi64_si128(dividend.shift as i64);
    let factor = all(dividend.factor.into());
    let base_without_plus = _mm256_set1_pd(BASE - dividend.plus);

    let none_found = _mm256_set1_pd(f64::INFINITY);
    let (mut least, mut found) = (none_found, none_found);
    let mut numbers = _mm256_setr_pd(0.0, 1.0, 2.0, 3.0);
    let (start, past_end) = (_mm256_set1_pd(start.into()), _mm256_set1_pd(length.into()));
    for ([a, b, c, d], [e, f, g, h]) in words {
        let words = _mm256_setr_epi64x(a as i64, b as i64, c as i64, d as i64);
        let first = _mm256_and_si256(words, first);
        let second = _mm256_and_si256(_mm256_srl_epi64(words, shift), second);
        // Both factors have less than 32 bits.
        let sum = _mm256_add_epi64(_mm256_mul_epu32(first, factor), second);
        let sum = _mm256_castsi256_pd(_mm256_or_si256(sum, _mm256_castpd_si256(base)));
        let mut sum = _mm256_sub_pd(sum, base_without_plus);
        if ZERO_IF_FIRST_IS {
            let is_zero = _mm256_cmpeq_epi64(first, _mm256_setzero_si256());
            sum = _mm256_andnot_pd(_mm256_castsi256_pd(is_zero), sum);
        }
        let quotients = _mm256_div_pd(sum, _mm256_setr_pd(*e, *f, *g, *h));
        let allowed = _mm256_cmpeq_epi64(_mm256_and_si256(words, excluded), _mm256_setzero_si256());
        let mut ranks = numbers;
        // Not on a tie: the first stays. Nor if the quotient is no number.
        let mut less = _mm256_cmp_pd::<_CMP_LT_OQ>(quotients, least);
        if STARTS {
            let is_before = _mm256_cmp_pd::<_CMP_LT_OQ>(numbers, start);
            ranks = _mm256_add_pd(numbers, _mm256_and_pd(is_before, past_end));
            let ties = _mm256_cmp_pd::<_CMP_EQ_OQ>(quotients, least);
            let sooner = _mm256_cmp_pd::<_CMP_LT_OQ>(ranks, found);
            less = _mm256_or_pd(less, _mm256_and_pd(ties, sooner));
        }
        let less = _mm256_and_pd(less, _mm256_castsi256_pd(allowed));
        least = _mm256_blendv_pd(least, quotients, less);
        found = _mm256_blendv_pd(found, ranks, less);
        numbers = _mm256_add_pd(numbers, _mm256_set1_pd(LANES as f64));
    }
    // SAFETY: the processor has AVX2.
    let all_least = unsafe { u64::least_lane(least) };
    let is_least = _mm256_cmp_pd::<_CMP_EQ_OQ>(least, all_least);
    let found = _mm256_blendv_pd(none_found, found, is_least);
    // SAFETY: as above.
    let first = _mm256_castpd256_pd128(unsafe { u64::least_lane(found) });
    // Infinite becomes negative.
    let rank = u32::try_from(_mm_cvttsd_si32(first)).ok()?;
    let is_past_end = STARTS && rank >= length;
    Some(if is_past_end { rank - length } else { rank } as usize)
}
