//! What is done with a service's scheduler whichever it is, without a pointer to functions in it.

use crate::sched::{AnyScheduler, Scheduler};

/// What can be done with any scheduler.
pub(crate) trait Visit {
    type Output;

    fn visit<S: Scheduler>(self, scheduler: &S) -> Self::Output;

    /// There is no scheduler.
    fn general(self) -> Self::Output;
}

/// A scheduler as one of those that a service may have.
pub(crate) trait Kind: Scheduler {
    /// The service's, if it is of this kind.
    fn of(state: &AnyScheduler) -> Option<&Self>;
}

/// What can be made for any kind of scheduler.
pub(crate) trait VisitKind {
    type Output;

    fn kind<S: Kind>(self) -> Self::Output;

    /// There is no scheduler.
    fn general(self) -> Self::Output;
}
