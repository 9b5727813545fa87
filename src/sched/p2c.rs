//! Weighted power of two choices: two different weighted random servers, of which the less loaded wins.
//!
//! Formula: choose server 1 at random in proportion to weight among the available servers, then server 2
//! in the same way among the others. Server 2 if (active2 + 1) / weight2 < (active1 + 1) / weight1, else
//! server 1: on a tie the first choice wins, so idle servers are picked in proportion to weight. A single
//! available server is picked without a comparison.
//! Source: Mitzenmacher, "The power of two choices in randomized load balancing", IEEE TPDS 12(10), 2001;
//! two different servers, as in Envoy's `least_request` and nginx' `random two least_conn`. Not in Linux.
//! Weight 0 and overloaded: skipped. Empty, or none available: no server.
//! State: the number of picks, one word in the service's slot. The choices of pick k are a fixed function
//! of the config's seed, the service and k, so equal histories repeat. Inactive connections are ignored.
//! Cost: O(1 / the share of the weight that is available) expected, at most O(n); see `random`.
//! Differences from twos: the two choices differ, so the choices themselves avoid a busy server even if
//! there are two in all; load is the expected delay of sed; no bias toward the first in the list.
//! Choose it when many directors share servers and no kernel has to run the config.

use crate::config::PickReason;
use crate::pool::servers::{Candidate, Position};
use crate::rotation::version::Superseded;
use crate::sched::random::{WeightedTable, pair, reason};
use crate::sched::{Build, Explained, PickRequest, Scheduler};

pub(crate) struct P2c {
    table: WeightedTable,
    seed: u64,
}

impl Scheduler for P2c {
    const REASON: PickReason = PickReason::LeastLoad;

    fn build(build: &Build<'_>, _: Option<&Self>) -> Self {
        P2c { table: WeightedTable::new(build.servers, 0), seed: build.seed }
    }

    #[inline]
    fn pick(&self, request: PickRequest<'_>) -> Result<Option<Position>, Superseded> {
        Ok(self.two(request).map(|(one, two)| less_loaded(one, two).position))
    }

    fn explain(&self, request: PickRequest<'_>) -> Result<Explained, Superseded> {
        Ok(self.two(request).map(|(one, two)| {
            let reason = reason(request.servers, one, two.unwrap_or(one));
            (less_loaded(one, two).position, reason)
        }))
    }

    fn load(&self, server: Candidate) -> Option<(u64, u32)> {
        Some((u64::from(server.counts.active()) + 1, server.weight))
    }
}

impl P2c {
    #[inline(always)]
    fn two(&self, request: PickRequest<'_>) -> Option<(Candidate, Option<Candidate>)> {
        let PickRequest { servers, tried, slot, .. } = request;
        self.table.two::<true>(servers, tried, pair(self.seed, slot.next_draw()))
    }
}

#[inline]
fn less_loaded(one: Candidate, two: Option<Candidate>) -> Candidate {
    two.filter(|two| is_less_loaded(*two, one)).unwrap_or(one)
}

/// True if `one` has the longer expected delay. Products fit: active connections have less than 31 bits,
/// weights have 31.
fn is_less_loaded(two: Candidate, one: Candidate) -> bool {
    let next = |server: Candidate| u64::from(server.counts.active()) + 1;
    next(two) * u64::from(one.weight) < next(one) * u64::from(two.weight)
}
