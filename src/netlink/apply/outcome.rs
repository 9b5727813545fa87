//! What became of one step of a plan.

use std::borrow::Cow;

use crate::netlink::Refused;
use crate::netlink::plan::Step;

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Its turn did not come.
    NotTried,
    /// Done.
    Done,
    /// Done by another way, because others were there in between: an edit of what was to be added, an
    /// addition of what was to be edited.
    Adapted,
    /// Others had done it.
    AlreadyDone,
    /// The kernel refused it.
    Refused(Refused),
    /// It was sent, and no answer tells whether it was done.
    Unknown,
    /// The connections that were waited for have ended.
    Drained,
    /// The deadline came, with so many connections left.
    CutOff(u32),
    /// Somebody gave the server weight again: it was not deleted.
    Kept,
    /// A step that it builds on was refused, or the service would have been left without an eligible
    /// server.
    Skipped,
    /// Done, and taken back.
    TakenBack,
}

impl Status {
    /// True if nothing is missing.
    pub fn is_good(self) -> bool {
        use Status::{Adapted, AlreadyDone, CutOff, Done, Drained};
        matches!(self, Done | Adapted | AlreadyDone | Drained | CutOff(_))
    }
}

/// A step and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome<'r> {
    /// The step.
    pub step: Cow<'r, Step>,
    /// What became of it.
    pub status: Status,
}
