//! Keys of loads per weight: numbers that order exactly as the fractions do.
//!
//! | bits | key                                        | used if                                        |
//! |------|--------------------------------------------|------------------------------------------------|
//! | 32   | the load times `L / weight`                | `L` is at most [`MOST_COMMON_MULTIPLE`]        |
//! | 64   | the bits of the quotient in floating point | else, and the weights are at most [`HEAVIEST`] |
//!
//! `L` is the least common multiple of the weights that are not 0, after all are divided by their greatest
//! common divisor; 1 if the load is not divided by the weight. A key of 32 bits takes half the vector work of
//! one with 64, and no division.
//!
//! 32 bits end at a load of 2^32 * weight / `L`. A connection adds at most 257 to the load, so that is at least
//! 65,536 active connections per unit of weight (the weights divided as above) if `L` is 255, and 16 million
//! if all weights are equal. Beyond, the key is [`UNAVAILABLE`](Key::UNAVAILABLE). So a key that is found is
//! exact, and those of all servers beyond are greater. While all servers are beyond, none is found, and a
//! scan decides: O(n).

use crate::arena::counts::{Counts, MAX_CONNECTIONS, layout};
use crate::concurrent::simd::key::Key;
use crate::sched::least::rule::Rule;

/// Largest weight for which 64-bit floating point distinguishes any two loads per weight: a load has up
/// to 35 bits, so fractions differ by at least 2^-51, while rounding moves one by at most 2^-53.
pub(in crate::sched) const HEAVIEST: u32 = 1 << 16;

/// Largest common multiple of the weights for 32-bit keys: a larger one would leave less than 65,536 active
/// connections per unit of weight.
pub(in crate::sched) const MOST_COMMON_MULTIPLE: u32 = 255;

/// A key that is made of a load and a number that stands for the weight.
pub(crate) trait LoadKey: Key {
    /// The key of an idle server, for rules that pick such a server at once.
    const AT_ONCE: Self;

    /// `scale` is the factor `L / weight` of a key with 32 bits, and the weight for one with 64.
    fn of(load: u64, scale: u32) -> Self;
}

/// A [`Rule`] as a function of the count word, in few instructions.
pub(in crate::sched) struct KeyRule {
    active: u64,
    /// The bits of all connections if they count, else none: their factor is at most 1.
    total: u64,
    next: u64,
    idle_first: bool,
}

impl KeyRule {
    pub(in crate::sched) fn new(rule: Rule) -> Self {
        let [active, total, next] = rule.factors().map(u64::from);
        KeyRule {
            active,
            total: total * u64::from(MAX_CONNECTIONS),
            next,
            idle_first: rule.is_idle_first(),
        }
    }

    /// The key of a server that is not quiesced: [`UNAVAILABLE`](Key::UNAVAILABLE) if it is overloaded,
    /// draining or down. See [`LoadKey::of`].
    #[inline(always)]
    pub(in crate::sched) fn key<K: LoadKey>(&self, scale: u32, counts: Counts) -> K {
        if !counts.available() {
            return K::UNAVAILABLE;
        }
        let active = u64::from(counts.active());
        if self.idle_first && active == 0 {
            return K::AT_ONCE;
        }
        let total = counts.word() >> layout::AT[1] & self.total;
        K::of(active * self.active + total + self.next, scale)
    }
}

impl LoadKey for u32 {
    const AT_ONCE: u32 = 0;

    #[inline(always)]
    fn of(load: u64, factor: u32) -> u32 {
        // At most 35 and 8 bits.
        u32::try_from(load * u64::from(factor)).unwrap_or(u32::UNAVAILABLE)
    }
}

impl LoadKey for u64 {
    const AT_ONCE: u64 = 0;

    #[inline(always)]
    fn of(load: u64, weight: u32) -> u64 {
        // The signed conversion is one instruction, and a load has at most 35 bits.
        (load as i64 as f64 / f64::from(weight)).to_bits()
    }
}

impl Rule {
    /// A 64-bit number that orders as the load per weight does; [`UNAVAILABLE`](Key::UNAVAILABLE) if the
    /// server is quiesced, overloaded, draining or down.
    #[inline(always)]
    pub(in crate::sched) fn key(self, weight: u32, counts: Counts) -> u64 {
        if weight == 0 || !counts.available() {
            u64::UNAVAILABLE
        } else if self.at_once(counts) {
            u64::AT_ONCE
        } else {
            u64::of(self.load(counts), divisor(self, weight))
        }
    }
}

/// What the load is divided by.
pub(in crate::sched) fn divisor(rule: Rule, weight: u32) -> u32 {
    if rule.is_weighted() { weight } else { weight.min(1) }
}

/// For each of these divisors what a 32-bit key multiplies the load by, 0 for 0; `None` if such keys would
/// leave too few connections per unit of weight.
pub(in crate::sched) fn factors<I: Iterator<Item = u32>>(
    divisors: impl Fn() -> I,
) -> Option<Vec<u32>> {
    let unit = divisors().fold(0, gcd);
    let units = || divisors().map(|divisor| divisor.checked_div(unit).unwrap_or(0));
    let multiple = units().filter(|units| *units > 0).try_fold(1, |multiple, units| {
        let next = u64::from(multiple) * u64::from(units / gcd(multiple, units));
        u32::try_from(next).ok().filter(|next| *next <= MOST_COMMON_MULTIPLE)
    })?;
    Some(units().map(|units| multiple.checked_div(units).unwrap_or(0)).collect())
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
