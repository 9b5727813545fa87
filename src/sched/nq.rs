//! Never queue: an idle server if there is one, else as sed.
//!
//! Formula: the first in the list without active connections, regardless of its weight; else the least
//! (active + 1) / weight, the first in the list on a tie.
//! Source: Linux IPVS `nq`, as observed; Weinrib and Shenker, INFOCOM 1988.
//! Weight 0 and overloaded: skipped. Empty, or none available: no server.
//! State: none; reads the servers' counts. Inactive connections are ignored.
//! Cost: O(n) for up to 32 servers, or if a weight is above 65,536; else O(log n) by an index (see
//! `least`), which each open and close updates in O(log n).
//! Differences from the kernel: products do not wrap at 32 bits.
//! Choose it for long TCP requests: a slow idle server beats a queue at a fast one.

use crate::config::PickReason;
use crate::pool::servers::Position;
use crate::rotation::version::Superseded;
use crate::sched::least::{Least, Load, Rule};
use crate::sched::{Build, PickRequest, Scheduler};

pub(crate) struct Nq(Least<IdleOrDelay>);

#[derive(Clone, Copy)]
pub(super) struct IdleOrDelay;

impl Load for IdleOrDelay {
    #[inline(always)]
    fn rule(self) -> Rule {
        Rule::DELAY.idle_first()
    }
}

impl Scheduler for Nq {
    const REASON: PickReason = PickReason::LeastLoad;

    fn build(build: &Build<'_>, _: Option<&Self>) -> Self {
        Nq(Least::shared(IdleOrDelay, build))
    }

    #[inline(always)]
    fn pick(&self, request: PickRequest<'_>) -> Result<Option<Position>, Superseded> {
        Ok(self.0.find(request))
    }

    keeps_least!(0);
}
