//! Failover: the available server with the highest weight.
//!
//! Formula: the highest weight; the first in the list on a tie.
//! Source: Linux IPVS `fo`, as observed (ipvsadm(8), `-s fo`).
//! Weight 0 and overloaded: skipped. Empty, or none available: no server.
//! State: none; the order is fixed when the pool is built.
//! Cost: O(1), plus one step per unavailable server of higher rank.
//! Differences from the kernel: none.
//! Choose it for a primary with standbys.

use crate::config::PickReason;
use crate::pool::servers::{Position, Servers};
use crate::rotation::version::Superseded;
use crate::sched::{Build, PickRequest, Scheduler};

pub(crate) struct Fo {
    ranking: Ranking,
}

/// Positions of the servers with a weight above 0, highest weight first, in list order on a tie.
pub(crate) struct Ranking(Box<[Position]>);

impl Ranking {
    pub(crate) fn of(servers: &Servers) -> Self {
        let mut order: Vec<Position> =
            (0..servers.len()).filter(|at| servers.weight(*at) > 0).collect();
        order.sort_by_key(|at| std::cmp::Reverse(servers.weight(*at)));
        Ranking(order.into_boxed_slice())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Position> + '_ {
        self.0.iter().copied()
    }
}

impl Scheduler for Fo {
    const REASON: PickReason = PickReason::HighestWeight;
    const PER_WORKER: bool = false;

    fn build(build: &Build<'_>, _: Option<&Self>) -> Self {
        Fo { ranking: Ranking::of(build.servers) }
    }

    #[inline(always)]
    fn pick(&self, request: PickRequest<'_>) -> Result<Option<Position>, Superseded> {
        let free = |at: &Position| request.servers.available(*at, request.tried).is_some();
        Ok(self.ranking.iter().find(free))
    }
}
