//! The least loaded of a few servers, by reading the counts of all of them. No state: no open or close costs
//! more for it.

use crate::arena::id::ServerId;
use crate::arena::own_count::OwnCount;
use crate::arena::slots::ServerSlot;
use crate::arena::tally::Connections;
use crate::concurrent::segments::SlotRefs;
use crate::concurrent::simd::Simd;
use crate::concurrent::simd::quotients::{Dividend, LANES};
use crate::pool::servers::{Position, Servers};
use crate::sched::least::{Rule, has_exact_keys};
use crate::sync::{AtomicU64, Ordering};

/// Most servers for which a scan costs less than an index, which in addition costs an update at each open
/// and close. Measured; see docs/performance.md.
pub(super) const MOST: u32 = 32;

pub(in crate::sched) struct Scan {
    simd: Simd,
    /// As [`places`](Self::places).
    slots: SlotRefs<ServerSlot, ()>,
    /// What the load is divided by; NaN for a server that is never found.
    weights: Box<[[f64; LANES]]>,
    dividend: Dividend,
}

/// What a worker goes by, as [`Scan::places`].
pub(super) struct Words {
    pub(super) own: SlotRefs<OwnCount, ()>,
    /// The connections that the worker goes by beside its own, most often none.
    pub(super) beside: Box<[[Beside; LANES]]>,
}

/// Written and read by one worker alone.
#[derive(Default)]
pub(super) struct Beside(AtomicU64);

impl Beside {
    #[inline(always)]
    pub(super) fn get(&self) -> Connections {
        // Relaxed: only the worker uses it.
        Connections::from_word(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn set(&self, connections: Connections) {
        // Relaxed: as in `get`.
        self.0.store(connections.word(), Ordering::Relaxed);
    }
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
        let listed = Self::places(servers).map(|id| (id.slot, ()));
        Some(Scan {
            simd: Simd::detect(),
            slots: servers.arena().servers.slot_refs(listed)?,
            weights: rounds.collect(),
            dividend: rule.dividend(),
        })
    }

    /// The servers in list order, then the last one again up to a multiple of [`LANES`].
    pub(super) fn places(servers: &Servers) -> impl Iterator<Item = ServerId> + '_ {
        let (ids, length) = (servers.ids(), servers.len() as usize);
        let again = std::iter::repeat(ids.clone().last()).flatten();
        ids.chain(again).take(length.next_multiple_of(LANES))
    }

    /// The first available server with the least load.
    #[inline(always)]
    pub(in crate::sched) fn find(&self) -> Option<Position> {
        let word = |slot: &ServerSlot| slot.counts_relaxed().word();
        let words = || self.slots.chunks::<LANES>().map(|slots| slots.map(word));
        self.first_least(words, None)
    }

    /// The same by a worker's words, on a tie from the place `start` on; see [`Simd::first_least_quotient`].
    #[inline(always)]
    pub(super) fn find_by(
        &self,
        own: &SlotRefs<OwnCount, ()>,
        start: Option<(u32, u32)>,
    ) -> Option<Position> {
        let word = |own: &OwnCount| own.any().word();
        self.first_least(|| own.chunks::<LANES>().map(|own| own.map(word)), start)
    }

    /// The same by the sums of a worker's words and what it goes by beside them.
    #[inline(always)]
    pub(super) fn find_by_sums(
        &self,
        words: &Words,
        start: Option<(u32, u32)>,
    ) -> Option<Position> {
        let sum = |own: &OwnCount, beside: &Beside| own.any().with(beside.get());
        let sums = || {
            words.beside.iter().enumerate().map_while(|(at, [e, f, g, h])| {
                let [a, b, c, d] = words.own.chunk(at)?;
                Some([sum(a, e), sum(b, f), sum(c, g), sum(d, h)])
            })
        };
        self.first_least(sums, start)
    }

    #[inline(always)]
    fn first_least<W: Iterator<Item = [u64; LANES]>>(
        &self,
        words: impl Fn() -> W,
        start: Option<(u32, u32)>,
    ) -> Option<Position> {
        let found = self.simd.run(
            #[inline(always)]
            |simd| simd.first_least_quotient(&self.dividend, words().zip(&self.weights), start),
        );
        found.map(|found| found as Position)
    }
}
