//! Least connections: the server with the least connection overhead.
//!
//! Formula: least 256 * active + inactive (kernel rules A) or 256 * active + total (B); the first in
//! the list on a tie.
//! Source: Linux IPVS `lc`, as observed (ipvsadm(8), `-s lc`).
//! Weight 0 and overloaded: passed over; other weights count nothing. Empty, or none available: no
//! server.
//! State: none of its own; goes by the servers' counts, with several threads by recent ones, as in the
//! kernel.
//! Cost: a look at each server up to 12 of them, else O(log n) by an index (see `least`), which each
//! connection's begin and end keep, in O(log n) too.
//! Differences from the kernel: overhead does not wrap at 32 bits (see `least`).
//! Choose it for equal servers and connections of unequal length.

use crate::config::KernelRules;
use crate::pool::servers::Position;
use crate::rotation::version::Superseded;
use crate::sched::least::{Least, Load, Rule};
use crate::sched::{Build, PickRequest, Scheduler};

pub(crate) struct Lc(Least<Connections>);

#[derive(Clone, Copy)]
struct Connections(KernelRules);

impl Load for Connections {
    const WEIGHTED: bool = false;

    #[inline(always)]
    fn rule(self) -> Rule {
        Rule::overhead(self.0).unweighted()
    }
}

impl Scheduler for Lc {
    fn build(build: &Build<'_>, _: Option<&Self>) -> Self {
        Lc(Least::shared(Connections(build.generation), build))
    }

    #[inline(always)]
    fn pick(&self, request: PickRequest<'_>) -> Result<Option<Position>, Superseded> {
        Ok(self.0.find(request))
    }

    keeps_least!(0);
}
