//! The least loaded of a few servers, by reading the counts of all of them. No state: no open or close costs
//! more for it.

use crate::arena::slots::ServerSlot;
use crate::concurrent::segments::SlotRefs;
use crate::concurrent::simd::Simd;
use crate::concurrent::simd::quotients::{Dividend, LANES};
use crate::pool::servers::{Position, Servers};
use crate::sched::least::{Rule, has_exact_keys};

/// Most servers for which a scan costs less than an index, which in addition costs an update at each open
/// and close. Measured; see docs/performance.md.
pub(super) const MOST: u32 = 32;

pub(in crate::sched) struct Scan {
    simd: Simd,
    /// By position, then the last server again up to a multiple of [`LANES`].
    slots: SlotRefs<ServerSlot, ()>,
    /// What the load is divided by; NaN for a server that is never found.
    weights: Box<[[f64; LANES]]>,
    dividend: Dividend,
}

impl Scan {
    /// `None` if an index costs less, or if quotients do not tell the loads of these servers apart.
    pub(in crate::sched) fn of(rule: Rule, servers: &Servers) -> Option<Self> {
        if servers.len() > MOST || !has_exact_keys(rule, servers) {
            return None;
        }
        let weight = |weight: u32| match weight {
            0 => f64::NAN,
            _ if rule.is_weighted() => f64::from(weight),
            _ => 1.0,
        };
        let weights: Vec<f64> = servers.weights().map(weight).collect();
        let rounds = weights.chunks(LANES);
        let rounds = rounds
            .map(|round| std::array::from_fn(|lane| round.get(lane).copied().unwrap_or(f64::NAN)));
        let ids = servers.ids();
        let again = ids.clone().last();
        let listed = ids.chain(std::iter::repeat(again).flatten());
        let listed = listed.map(|id| (id.slot, ())).take(rounds.len() * LANES);
        Some(Scan {
            simd: Simd::detect(),
            slots: servers.arena().servers.slot_refs(listed)?,
            weights: rounds.collect(),
            dividend: rule.dividend(),
        })
    }

    /// The first available server with the least load.
    #[inline(always)]
    pub(in crate::sched) fn find(&self) -> Option<Position> {
        let found = self.simd.run(
            #[inline(always)]
            |simd| {
                let word = |slot: &ServerSlot| slot.counts_relaxed().word();
                let words = self.slots.chunks::<LANES>().map(|slots| slots.map(word));
                simd.first_least_quotient(&self.dividend, words.zip(&self.weights))
            },
        );
        found.map(|found| found as Position)
    }
}
