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

/// A key that is made of a load and a weight.
pub(crate) trait LoadKey: Key {
    /// The key of an idle server, for rules that pick such a server at once.
    const AT_ONCE: Self;

    /// What [`of`](Self::of) takes for a weight; `multiple` is a common multiple of all weights.
    fn scale(multiple: u32, weight: u32) -> u32;

    fn of(load: u64, scale: u32) -> Self;

    /// True if this is the key of such a load, and not [`UNAVAILABLE`](Key::UNAVAILABLE).
    fn is_of(self, load: u64, multiple: u32, weight: u32) -> bool;
}

impl LoadKey for u32 {
    const AT_ONCE: u32 = 0;

    fn scale(multiple: u32, weight: u32) -> u32 {
        multiple.checked_div(weight).unwrap_or(0)
    }

    #[inline(always)]
    fn of(load: u64, factor: u32) -> u32 {
        // At most 35 and 8 bits.
        u32::try_from(load * u64::from(factor)).unwrap_or(u32::UNAVAILABLE)
    }

    #[inline(always)]
    fn is_of(self, load: u64, multiple: u32, weight: u32) -> bool {
        // At most 32 and 17, 35 and 24 bits. Without the factor, which a pick does not have at hand.
        u64::from(self) * u64::from(weight) == load * u64::from(multiple)
    }
}

impl LoadKey for u64 {
    const AT_ONCE: u64 = 0;

    fn scale(_: u32, weight: u32) -> u32 {
        weight
    }

    #[inline(always)]
    fn of(load: u64, weight: u32) -> u64 {
        // The signed conversion is one instruction, and a load has at most 35 bits.
        (load as i64 as f64 / f64::from(weight)).to_bits()
    }

    #[inline(always)]
    fn is_of(self, load: u64, _: u32, weight: u32) -> bool {
        self == Self::of(load, weight)
    }
}

/// A [`Rule`] as a function of the count word, in few instructions.
pub(in crate::sched) struct KeyRule {
    active: u64,
    /// The bits of all connections if they count, else none: their factor is at most 1.
    total: u64,
    next: u64,
    /// The bits of the weight if it counts, and what then is added to those.
    weight: u32,
    unit: u32,
    /// A common multiple of the weights, for keys of 32 bits.
    multiple: u32,
    idle_first: bool,
}

impl KeyRule {
    pub(in crate::sched) fn new(rule: Rule, multiple: u32) -> Self {
        let [active, total, next] = rule.factors().map(u64::from);
        let (weight, unit) = if rule.is_weighted() { (u32::MAX, 0) } else { (0, 1) };
        let total = total * u64::from(MAX_CONNECTIONS);
        KeyRule { active, total, next, weight, unit, multiple, idle_first: rule.is_idle_first() }
    }

    /// What [`key`](Self::key) takes for a weight; 0 for weight 0.
    pub(in crate::sched) fn scale<K: LoadKey>(&self, weight: u32) -> u32 {
        if weight == 0 { 0 } else { K::scale(self.multiple, weight & self.weight | self.unit) }
    }

    /// The key of a server that is not quiesced: [`UNAVAILABLE`](Key::UNAVAILABLE) if it is overloaded,
    /// draining or down.
    #[inline(always)]
    pub(in crate::sched) fn key<K: LoadKey>(&self, scale: u32, counts: Counts) -> K {
        if !counts.available() {
            K::UNAVAILABLE
        } else if self.at_once(counts) {
            K::AT_ONCE
        } else {
            K::of(self.load(counts), scale)
        }
    }

    /// True if this key was found in a tree, and is the server's.
    #[inline(always)]
    pub(in crate::sched) fn is_key<K: LoadKey>(&self, key: K, weight: u32, counts: Counts) -> bool {
        if !counts.available() {
            return false;
        }
        if self.at_once(counts) {
            return key == K::AT_ONCE;
        }
        key.is_of(self.load(counts), self.multiple, weight & self.weight | self.unit)
    }

    #[inline(always)]
    fn at_once(&self, counts: Counts) -> bool {
        self.idle_first && counts.active() == 0
    }

    #[inline(always)]
    fn load(&self, counts: Counts) -> u64 {
        let total = counts.word() >> layout::AT[1] & self.total;
        u64::from(counts.active()) * self.active + total + self.next
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
fn divisor(rule: Rule, weight: u32) -> u32 {
    if rule.is_weighted() { weight } else { weight.min(1) }
}

/// The least common multiple of what the loads are divided by; `None` if keys of 32 bits would leave too few
/// connections per unit of weight.
pub(in crate::sched) fn common_multiple(
    rule: Rule,
    weights: impl Iterator<Item = u32> + Clone,
) -> Option<u32> {
    let divisors = weights.map(|weight| divisor(rule, weight)).filter(|divisor| *divisor > 0);
    let unit = divisors.clone().fold(0, gcd).max(1);
    let multiple = divisors.map(|divisor| divisor / unit).try_fold(1, |multiple, units| {
        let next = u64::from(multiple) * u64::from(units / gcd(multiple, units));
        u32::try_from(next).ok().filter(|next| *next <= MOST_COMMON_MULTIPLE)
    })?;
    multiple.checked_mul(unit)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
