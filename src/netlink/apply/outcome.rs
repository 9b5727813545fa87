//! The outcome of one step of a plan.

use std::borrow::Cow;

use crate::netlink::Refused;
use crate::netlink::plan::Step;

/// The outcome of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Execution did not reach it.
    NotTried,
    /// Done.
    Done,
    /// Done with another request, because another program acted first: an edit of what was to be added, an
    /// addition of what was to be edited.
    Adapted,
    /// Another program had already done it.
    AlreadyDone,
    /// The kernel refused it.
    Refused(Refused),
    /// It was sent, but no answer says whether it was done.
    Unknown,
    /// The connections that the step waited for have ended.
    Drained,
    /// The deadline passed, with this many connections left.
    CutOff(u32),
    /// Another program gave the server weight again: it was not deleted.
    Kept,
    /// A step that it depends on was refused, or the service would have been left without an eligible
    /// server.
    Skipped,
    /// Done, then taken back.
    TakenBack,
}

impl Status {
    /// True if the step's effect is in place.
    ///
    /// ```
    /// use vsched::netlink::Status;
    /// assert!(Status::AlreadyDone.is_good());
    /// assert!(Status::CutOff(3).is_good(), "the deadline of a drain is part of the plan");
    /// assert!(!Status::Kept.is_good(), "the server is still there");
    /// ```
    pub fn is_good(self) -> bool {
        use Status::{Adapted, AlreadyDone, CutOff, Done, Drained};
        matches!(self, Done | Adapted | AlreadyDone | Drained | CutOff(_))
    }
}

/// A step and its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome<'r> {
    /// The step.
    pub step: Cow<'r, Step>,
    /// Its outcome.
    pub status: Status,
}
