//! The first of a few words with the least quotient, four words at a time.

use crate::concurrent::simd::Simd;

/// Words that are compared at once.
pub(crate) const LANES: usize = 4;

/// A word that packs two numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word {
    /// The lowest bit of each number; all of the first one's are below 2^32.
    pub(crate) at: [u32; 2],
    /// How many bits each number has.
    pub(crate) bits: u32,
    /// A word with any of these bits is never found.
    pub(crate) excluded: u64,
}

/// What is divided: a linear function of the two numbers of a word, times the first one's place, so that both
/// need no more than one shift. That changes no order: all quotients are the same power of two larger.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dividend {
    /// The bits of the first number, where they are.
    pub(super) first: u32,
    pub(super) factor: u32,
    /// How far the second number is above the first, and its bits once it is there; none if it counts nothing.
    pub(super) shift: u64,
    pub(super) second: u64,
    pub(super) plus: f64,
    pub(super) excluded: u64,
    pub(super) zero_if_first_is: bool,
}

impl Dividend {
    /// The second number counts once, or not at all. With `zero_if_first_is` the dividend is 0 if the first
    /// number is.
    pub(crate) fn new(
        word: Word,
        factor: u32,
        counts_second: bool,
        plus: u32,
        zero_if_first_is: bool,
    ) -> Self {
        let [first, second] = word.at;
        let bits = ((1u64 << word.bits) - 1) << first;
        debug_assert!(u32::try_from(bits).is_ok(), "a product of 32 bits by 32");
        Dividend {
            first: bits as u32,
            factor,
            shift: u64::from(second - first),
            second: if counts_second { bits } else { 0 },
            plus: (u64::from(plus) << first) as f64,
            excluded: word.excluded,
            zero_if_first_is,
        }
    }

    /// The dividend; infinite if the word is excluded.
    #[inline(always)]
    fn of(&self, word: u64) -> f64 {
        let first = word & u64::from(self.first);
        let second = word >> self.shift & self.second;
        if word & self.excluded != 0 {
            f64::INFINITY
        } else if self.zero_if_first_is && first == 0 {
            0.0
        } else {
            (first * u64::from(self.factor) + second) as f64 + self.plus
        }
    }
}

impl Simd {
    /// The first of these words with the least quotient, from a place on, cyclically; `start` is that place
    /// and the number of words, by default the first. A word whose divisor is NaN is never found. `None` if
    /// all are excluded.
    #[inline(always)]
    pub(crate) fn first_least_quotient<'a>(
        self,
        dividend: &Dividend,
        words: impl Iterator<Item = ([u64; LANES], &'a [f64; LANES])>,
        start: Option<(u32, u32)>,
    ) -> Option<usize> {
        match self {
            Simd::Scalar => {
                let (mut least, mut found) = (f64::INFINITY, None);
                let (first, length) = start.unwrap_or_default();
                let rank = |at: usize| if at < first as usize { at + length as usize } else { at };
                for (round, (words, divisors)) in words.enumerate() {
                    for (lane, (word, divisor)) in words.iter().zip(divisors).enumerate() {
                        let quotient = dividend.of(*word) / divisor;
                        let at = round * LANES + lane;
                        let sooner = || found.is_some_and(|found| rank(at) < rank(found));
                        if quotient < least || quotient == least && sooner() {
                            (least, found) = (quotient, Some(at));
                        }
                    }
                }
                found
            }
            #[cfg(all(target_arch = "x86_64", not(vsched_portable)))]
            Simd::Avx2(token) => token.first_least_quotient(dividend, words, start),
        }
    }
}

#[cfg(test)]
#[path = "quotients_tests.rs"]
mod tests;
