//! Shortest expected delay: the server on which the next connection would wait least.
//!
//! Formula: the least (active + 1) / weight; the first in the list on a tie.
//! Source: Linux IPVS `sed`, as observed; Weinrib and Shenker, "Greed is not enough: adaptive load
//! sharing in large heterogeneous systems", INFOCOM 1988.
//! Weight 0 and overloaded: skipped. Empty, or none available: no server.
//! State: none; reads the servers' counts. Inactive connections are ignored, so UDP always goes to the
//! first server with the highest weight.
//! Cost: O(n) for up to 32 servers, or if a weight is above 65,536; else O(log n) by an index (see
//! `least`), which each open and close updates in O(log n).
//! Differences from the kernel: products do not wrap at 32 bits.
//! Choose it for TCP services whose servers differ widely in weight.

use crate::config::PickReason;
use crate::pool::servers::Position;
use crate::rotation::version::Superseded;
use crate::sched::least::{Least, Load, Rule};
use crate::sched::{Build, PickRequest, Scheduler};

pub(crate) struct Sed(Least<Delay>);

#[derive(Clone, Copy)]
pub(super) struct Delay;

/// The expected delay of one more connection, before the division by the weight.
impl Load for Delay {
    #[inline(always)]
    fn rule(self) -> Rule {
        Rule::DELAY
    }
}

impl Scheduler for Sed {
    const REASON: PickReason = PickReason::LeastLoad;

    fn build(build: &Build<'_>, _: Option<&Self>) -> Self {
        Sed(Least::shared(Delay, build))
    }

    #[inline(always)]
    fn pick(&self, request: PickRequest<'_>) -> Result<Option<Position>, Superseded> {
        Ok(self.0.find(request))
    }

    keeps_least!(0);
}
