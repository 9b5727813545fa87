//! Least connections: the server with the least connection overhead.
//!
//! Formula: the least 256 * active + inactive (kernel rules A) or 256 * active + total (B); the first in
//! the list on a tie (with `ties: rotate`, in this and the other three: see `in_turn`).
//! Source: Linux IPVS `lc`, as observed (ipvsadm(8), `-s lc`).
//! Weight 0 and overloaded: skipped; other weights are ignored. Empty, or none available: no server.
//! State: none; reads the servers' counts, which with several threads may be slightly stale, as in the
//! kernel.
//! Cost: O(n) for up to 32 servers, else O(log n) by an index (see `least`), which each open and close
//! updates in O(log n).
//! Differences from the kernel: overhead does not wrap at 32 bits (see `least`).
//! Choose it for equal servers and connections of unequal length.

use crate::config::{KernelRules, PickReason};
use crate::pool::servers::Position;
use crate::rotation::version::Superseded;
use crate::sched::least::{Least, Load, Rule};
use crate::sched::{Build, PickRequest, Scheduler};

pub(crate) struct Lc(Least<Connections>);

#[derive(Clone, Copy)]
pub(super) struct Connections(pub(super) KernelRules);

impl Load for Connections {
    const WEIGHTED: bool = false;

    #[inline(always)]
    fn rule(self) -> Rule {
        Rule::overhead(self.0).unweighted()
    }
}

impl Scheduler for Lc {
    const REASON: PickReason = PickReason::LeastLoad;

    fn build(build: &Build<'_>, _: Option<&Self>) -> Self {
        Lc(Least::shared(Connections(build.generation), build))
    }

    #[inline(always)]
    fn pick(&self, request: PickRequest<'_>) -> Result<Option<Position>, Superseded> {
        Ok(self.0.find(request))
    }

    keeps_least!(0);
}
