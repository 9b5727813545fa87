//! lc, wlc, sed and nq in a service with `ties: rotate`: of the least loaded servers, each in turn.
//!
//! Formula: the load of the scheduler; on a tie the first at or after the position after the one picked
//! last, cyclically. For nq all idle servers are equal.
//! Source: none in the kernel, where the first in the list gets all connections while it is idle.
//! Weight 0 and overloaded: skipped. Empty, or none available: no server, and the rotation stays.
//! State: the position picked last, as in rr: one word, which survives reloads as rr's does; one
//! compare-and-swap per pick. It starts again if the scheduler or `ties` changes. Retries advance a
//! separate rotation.
//! Cost: that of the scheduler: O(n) for up to 32 servers, else O(log n) by the same index.
//!
//! A scheduler of its own, so that those without turns do not pay for the choice.

use crate::config::{PickReason, SchedulerKind, Ties};
use crate::pool::servers::Position;
use crate::rotation::version::Superseded;
use crate::sched::least::{Least, Load, Overhead, Rule};
use crate::sched::list_rotation::ListRotation;
use crate::sched::{Build, PickRequest, Scheduler, lc, nq, sed};

pub(crate) struct InTurn {
    least: Least<Rule>,
    rotation: ListRotation,
}

impl InTurn {
    /// The load by which this scheduler compares servers; `None` if it does not search for the least.
    fn rule(build: &Build<'_>) -> Option<Rule> {
        Some(match build.settings.scheduler? {
            SchedulerKind::Lc => lc::Connections(build.generation).rule(),
            SchedulerKind::Wlc => Overhead(build.generation).rule(),
            SchedulerKind::Sed => sed::Delay.rule(),
            SchedulerKind::Nq => nq::IdleOrDelay.rule(),
            _ => return None,
        })
    }

    /// True if this scheduler decides, rather than the configured one by itself.
    pub(super) fn takes_over(build: &Build<'_>) -> bool {
        build.settings.ties == Ties::Rotate && Self::rule(build).is_some()
    }
}

impl Scheduler for InTurn {
    const REASON: PickReason = PickReason::LeastLoad;

    fn build(build: &Build<'_>, former: Option<&Self>) -> Self {
        // Never the default: `takes_over` is asked before.
        let rule = Self::rule(build).unwrap_or(Rule::DELAY);
        InTurn {
            least: Least::shared(rule, build),
            rotation: ListRotation::new(build, former.is_some()),
        }
    }

    #[inline]
    fn pick(&self, request: PickRequest<'_>) -> Result<Option<Position>, Superseded> {
        request.advance(
            |state, _| self.rotation.translate(state),
            |last| {
                let first = self.rotation.first(last, || request.phase());
                let found = self.least.find_from(request, first);
                (found, found.map_or(last, u64::from))
            },
        )
    }

    fn start(&self, _: u32) -> u64 {
        ListRotation::HEAD
    }

    fn translate(&self, state: u64, _: u32) -> u64 {
        self.rotation.translate(state)
    }

    keeps_least!(least);
}
