//! The outcome of a plan.

use std::fmt;

use super::outcome::{Outcome, Status};
use super::step_log::StepLog;
use crate::netlink::{Error, Refused};

/// The steps of one plan, or of several plans in order, with their outcomes.
#[derive(Debug, Default)]
pub struct Outcomes {
    logs: Vec<StepLog>,
}

impl Outcomes {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.logs.iter().map(StepLog::len).sum()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Outcome<'_>> {
        self.logs.iter().flat_map(|log| log.all().map(|(_, outcome)| outcome))
    }

    fn statuses(&self) -> impl Iterator<Item = Status> + '_ {
        self.logs.iter().flat_map(|log| log.statuses(0..log.len()))
    }
}

impl From<StepLog> for Outcomes {
    fn from(log: StepLog) -> Self {
        Outcomes { logs: vec![log] }
    }
}

/// The outcome of a plan. Prints one line per step.
///
/// ```no_run
/// use vsched::netlink::plan::Policy;
/// use vsched::netlink::{Ipvs, SyncError};
/// # let wanted = vsched::Config::new();
/// match Ipvs::open()?.sync(wanted, &Policy::default()) {
///     Err(SyncError::Incomplete(report)) => {
///         for outcome in report.outcomes().iter().filter(|outcome| !outcome.status.is_good()) {
///             eprintln!("{outcome}");
///         }
///         eprintln!("all is as before: {}", report.is_rolled_back() && report.left().next().is_none());
///     }
///     Err(error) => eprintln!("{error}"),
///     Ok(report) => println!("{} requests", report.requests()),
/// }
/// # Ok::<(), vsched::netlink::Error>(())
/// ```
#[must_use]
#[derive(Debug, Default)]
pub struct Report {
    pub(super) outcomes: Outcomes,
    pub(super) rollback: Outcomes,
    pub(super) error: Option<Error>,
    pub(super) requests: u64,
    pub(super) rolled_back: bool,
}

impl Report {
    /// Every step of the plan, in its order.
    pub fn outcomes(&self) -> &Outcomes {
        &self.outcomes
    }

    /// The steps that took back what was done, in their order.
    pub fn rollback(&self) -> &Outcomes {
        &self.rollback
    }

    /// True if what was done was taken back, as far as [`rollback`](Self::rollback) says.
    pub fn is_rolled_back(&self) -> bool {
        self.rolled_back
    }

    /// True if every step succeeded. Only another reading can tell whether the config runs;
    /// [`Ipvs::sync`](crate::netlink::Ipvs::sync) does that.
    pub fn is_complete(&self) -> bool {
        self.error.is_none() && !self.rolled_back && self.outcomes.statuses().all(Status::is_good)
    }

    /// The steps of a rolled-back plan that could not be taken back.
    pub fn left(&self) -> impl Iterator<Item = Outcome<'_>> {
        let left = |status| matches!(status, Status::Done | Status::Adapted | Status::Unknown);
        self.outcomes.iter().filter(move |outcome| self.rolled_back && left(outcome.status))
    }

    /// Refusals of the kernel, including those during a rollback.
    pub fn refusals(&self) -> impl Iterator<Item = Refused> + '_ {
        self.statuses().filter_map(|status| match status {
            Status::Refused(refused) => Some(refused),
            _ => None,
        })
    }

    pub(in crate::netlink) fn statuses(&self) -> impl Iterator<Item = Status> + '_ {
        self.outcomes.statuses().chain(self.rollback.statuses())
    }

    /// The exchange with the kernel that failed, if one did.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// How many changes were sent to the kernel, repetitions included.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// This report followed by the next plan's.
    pub(in crate::netlink) fn then(mut self, next: Report) -> Report {
        if self.outcomes.is_empty() {
            return next;
        }
        self.outcomes.logs.extend(next.outcomes.logs);
        self.rollback.logs.extend(next.rollback.logs);
        self.error = next.error;
        self.requests += next.requests;
        self.rolled_back = next.rolled_back;
        self
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::NotTried => "not tried",
            Status::Done => "done",
            Status::Adapted => "done, around changes by others",
            Status::AlreadyDone => "was so already",
            Status::Refused(refused) => return write!(f, "REFUSED: {refused}"),
            Status::Unknown => "UNKNOWN: no answer tells whether it was done",
            Status::Drained => "its connections have ended",
            Status::CutOff(left) => return write!(f, "the time is over, {left} connections left"),
            Status::Kept => "kept: somebody gave the server weight again",
            Status::Skipped => "held back: what it builds on is not there",
            Status::TakenBack => "done, and taken back",
        })
    }
}

impl fmt::Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.status)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.outcomes.iter().try_for_each(|outcome| writeln!(f, "{outcome}"))?;
        self.rollback.iter().try_for_each(|outcome| writeln!(f, "rollback: {outcome}"))?;
        match &self.error {
            Some(error) => writeln!(f, "stopped: {error}"),
            None => Ok(()),
        }
    }
}
