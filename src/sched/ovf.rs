//! Overflow: fills the server with the highest weight, then the next.
//!
//! Formula: the highest weight among servers with active <= weight; the first in the list on a tie. So a
//! server takes weight + 1 active connections.
//! Source: Linux IPVS `ovf`, as observed (ipvsadm(8), `-s ovf`).
//! Weight 0 and overloaded: skipped. Empty, or all full: no server.
//! State: none; reads the counts of the servers it visits. Inactive connections are ignored, so UDP
//! never overflows.
//! Cost: O(servers that are full or unavailable and rank above the result).
//! Differences from the kernel: none.
//! Choose it to keep few servers busy and the rest idle; the weight is the server's capacity.

use crate::config::PickReason;
use crate::pool::servers::Position;
use crate::rotation::version::Superseded;
use crate::sched::fo::Ranking;
use crate::sched::{Build, PickRequest, Scheduler};

pub(crate) struct Ovf {
    ranking: Ranking,
}

impl Scheduler for Ovf {
    const REASON: PickReason = PickReason::HighestWeight;
    const REFUSES_FLOWS: bool = true;
    const PER_WORKER: bool = false;

    fn build(build: &Build<'_>, _: Option<&Self>) -> Self {
        Ovf { ranking: Ranking::of(build.servers) }
    }

    #[inline]
    fn pick(&self, request: PickRequest<'_>) -> Result<Option<Position>, Superseded> {
        let servers = request.servers;
        Ok(self.ranking.iter().find(|at| {
            servers
                .available(*at, request.tried)
                .is_some_and(|counts| counts.active() <= servers.weight(*at))
        }))
    }
}
