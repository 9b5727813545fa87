//! Weighted least connections: the server with the least connection overhead per weight.
//!
//! Formula: the least (256 * active + inactive) / weight in kernel rules A, (256 * active + total) /
//! weight in B, compared by cross-multiplication; the first in the list on a tie.
//! Source: Linux IPVS `wlc`, as observed (ipvsadm(8), `-s wlc`).
//! Weight 0 and overloaded: skipped. Empty, or none available: no server.
//! State: none; reads the servers' counts.
//! Cost: O(n) for up to 32 servers, or if a weight is above 65,536; else O(log n) by an index (see
//! `least`), which each open and close updates in O(log n).
//! Differences from the kernel: overhead does not wrap at 32 bits (see `least`).
//! Choose it when in doubt: it is ipvsadm's default.

use crate::config::PickReason;
use crate::pool::servers::Position;
use crate::rotation::version::Superseded;
use crate::sched::least::{Least, Overhead};
use crate::sched::{Build, PickRequest, Scheduler};

pub(crate) struct Wlc(Least<Overhead>);

impl Scheduler for Wlc {
    const REASON: PickReason = PickReason::LeastLoad;

    fn build(build: &Build<'_>, _: Option<&Self>) -> Self {
        Wlc(Least::shared(Overhead(build.generation), build))
    }

    #[inline(always)]
    fn pick(&self, request: PickRequest<'_>) -> Result<Option<Position>, Superseded> {
        Ok(self.0.find(request))
    }

    keeps_least!(0);
}
