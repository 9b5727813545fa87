//! Weighted least connections: the server with the least connection overhead for its weight.
//!
//! Formula: least (256 * active + inactive) / weight in kernel rules A, (256 * active + total) /
//! weight in B, compared by cross-multiplication; the first in the list on a tie.
//! Source: Linux IPVS `wlc`, as observed (ipvsadm(8), `-s wlc`).
//! Weight 0 and overloaded: passed over. Empty, or none available: no server.
//! State: none of its own; goes by the servers' counts.
//! Cost: a look at each server up to 12 of them, or if a weight is above 65,536; else O(log n) by an
//! index (see `least`), which each connection's begin and end keep, in O(log n) too.
//! Differences from the kernel: overhead does not wrap at 32 bits (see `least`).
//! Choose it when in doubt: it is ipvsadm's default.

use crate::pool::servers::Position;
use crate::rotation::version::Superseded;
use crate::sched::least::{Least, Overhead};
use crate::sched::{Build, PickRequest, Scheduler};

pub(crate) struct Wlc(Least<Overhead>);

impl Scheduler for Wlc {
    fn build(build: &Build<'_>, _: Option<&Self>) -> Self {
        Wlc(Least::shared(Overhead(build.generation), build))
    }

    #[inline(always)]
    fn pick(&self, request: PickRequest<'_>) -> Result<Option<Position>, Superseded> {
        Ok(self.0.find(request))
    }

    keeps_least!(0);
}
