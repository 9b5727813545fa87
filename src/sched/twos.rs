//! Power of two choices: two weighted random draws, of which the less loaded server wins.
//!
//! Formula: with T the sum of the available weights, draw r1 and r2 from 0 to T; walk the available
//! servers in list order and subtract each weight from both; the server that makes r1 zero or less
//! is choice 1, likewise r2. Choice 2 if weight2 * overhead1 > weight1 * overhead2, else choice 1.
//! Source: Linux IPVS `twos`, as observed; Mitzenmacher, "The power of two choices in randomized
//! load balancing", IEEE TPDS 12(10), 2001.
//! Weight 0 and overloaded: skipped. Empty, or none available: no server.
//! State: the number of draws made, one word in the service's slot. Draw k is a fixed function of the
//! config's seed, the service and k, so equal histories repeat.
//! Cost: O(n), two passes.
//! Differences from the kernel: random there, reproducible here; same distribution, including the
//! kernel's small bias toward the first in the list (T + 1 values are drawn); sums and products do not
//! wrap at 32 bits.
//! Choose it when many directors share servers: randomness keeps them from moving in step.

use crate::config::KernelRules;
use crate::pool::servers::{Candidate, Position};
use crate::rotation::version::Superseded;
use crate::sched::least::overhead;
use crate::sched::{Build, PickRequest, Scheduler};

pub(crate) struct Twos {
    generation: KernelRules,
    seed: u64,
}

impl Scheduler for Twos {
    fn build(build: &Build<'_>, _: Option<&Self>) -> Self {
        Twos { generation: build.generation, seed: build.seed }
    }

    #[inline]
    fn pick(&self, request: PickRequest<'_>) -> Result<Option<Position>, Superseded> {
        let available = || request.servers.iter_available(request.tried);
        let sum: u64 = available().map(|server| u64::from(server.weight)).sum();
        if sum == 0 {
            return Ok(None);
        }
        let draw = request.slot.next_draw();
        let (mut first, mut second) = draws(self.seed, draw, sum);
        let (mut one, mut two) = (None, None);
        for server in available() {
            let weight = u64::from(server.weight);
            (first, second) = (first.saturating_sub(weight), second.saturating_sub(weight));
            if first == 0 && one.is_none() {
                one = Some(server);
            }
            if second == 0 && two.is_none() {
                two = Some(server);
            }
            if let (Some(one), Some(two)) = (one, two) {
                return Ok(Some(self.less_loaded(one, two).position));
            }
        }
        // Only if a server became unavailable between the two passes.
        Ok(one.or(two).or_else(|| available().next()).map(|server| server.position))
    }
}

impl Twos {
    fn less_loaded(&self, one: Candidate, two: Candidate) -> Candidate {
        let load = |server: Candidate| u128::from(overhead(server.counts, self.generation));
        let heavier = u128::from(two.weight) * load(one) > u128::from(one.weight) * load(two);
        if heavier { two } else { one }
    }
}

/// Two numbers from 0 to `sum` inclusive, practically uniform: for a sum of 2^53 the error is below
/// 2^-11 of one value's probability.
fn draws(seed: u64, number: u64, sum: u64) -> (u64, u64) {
    let values = u128::from(sum) + 1;
    let reduce = |random: u64| ((u128::from(random) * values) >> 64) as u64;
    let at = number.wrapping_mul(2);
    (reduce(mix(seed, at)), reduce(mix(seed, at.wrapping_add(1))))
}

/// Output `index` of the SplitMix64 sequence that starts at `seed` (Steele, Lea and Flood, "Fast
/// splittable pseudorandom number generators", OOPSLA 2014): any output in O(1), without shared state.
pub(crate) fn mix(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::mix;

    /// The first outputs of the published generator for seed 0.
    #[test]
    fn outputs_are_split_mixs() {
        assert_eq!(
            [0, 1, 2].map(|index| mix(0, index)),
            [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]
        );
    }
}
