//! Power of two choices: two weighted random draws, of which the less loaded server wins.
//!
//! Formula: with T the sum of the available weights, draw r1 and r2 from 0 to T; walk the available
//! servers in list order and subtract each weight from both; the server that makes r1 zero or less
//! is choice 1, likewise r2. Choice 2 if weight2 * overhead1 > weight1 * overhead2, else choice 1.
//! Source: Linux IPVS `twos`, as observed; Mitzenmacher, "The power of two choices in randomized
//! load balancing", IEEE TPDS 12(10), 2001.
//! Weight 0 and overloaded: skipped. Empty, or none available: no server.
//! State: the number of picks, one word in the service's slot. The draws of pick k are a fixed function of
//! the config's seed, the service and k, so equal histories repeat.
//! Cost: O(1 / the share of the weight that is available) expected, at most O(n); see `random`.
//! Differences from the kernel: random there, reproducible here; same distribution, including the
//! kernel's small bias toward the first in the list (T + 1 values are drawn); sums and products do not
//! wrap at 32 bits.
//! Choose it when many directors share servers: randomness keeps them from moving in step.

use crate::config::{KernelRules, PickReason};
use crate::pool::servers::{Candidate, Position};
use crate::rotation::version::Superseded;
use crate::sched::least::overhead;
use crate::sched::random::{WeightedTable, pair, reason};
use crate::sched::{Build, Explained, PickRequest, Scheduler};

/// Of the T + 1 values, the one that the first available server has in addition to its weight.
const BIAS: u64 = 1;

pub(crate) struct Twos {
    table: WeightedTable,
    generation: KernelRules,
    seed: u64,
}

impl Scheduler for Twos {
    const REASON: PickReason = PickReason::LeastLoad;

    fn build(build: &Build<'_>, _: Option<&Self>) -> Self {
        let table = WeightedTable::new(build.servers, BIAS);
        Twos { table, generation: build.generation, seed: build.seed }
    }

    #[inline]
    fn pick(&self, request: PickRequest<'_>) -> Result<Option<Position>, Superseded> {
        Ok(self.two(request).map(|(one, two)| self.less_loaded(one, two).position))
    }

    fn explain(&self, request: PickRequest<'_>) -> Result<Explained, Superseded> {
        Ok(self.two(request).map(|(one, two)| {
            let reason = reason(request.servers, one, two);
            (self.less_loaded(one, two).position, reason)
        }))
    }

    fn load(&self, server: Candidate) -> Option<(u64, u32)> {
        Some((overhead(server.counts, self.generation), server.weight))
    }
}

impl Twos {
    #[inline(always)]
    fn two(&self, request: PickRequest<'_>) -> Option<(Candidate, Candidate)> {
        let PickRequest { servers, tried, slot, .. } = request;
        let random = pair(self.seed, slot.next_draw());
        let (one, two) = self.table.two::<false>(servers, tried, random)?;
        // None: the last available server has become unavailable.
        Some((one, two.unwrap_or(one)))
    }

    fn less_loaded(&self, one: Candidate, two: Candidate) -> Candidate {
        let load = |server: Candidate| u128::from(overhead(server.counts, self.generation));
        let heavier = u128::from(two.weight) * load(one) > u128::from(one.weight) * load(two);
        if heavier { two } else { one }
    }
}
