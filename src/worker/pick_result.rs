//! How a pick returns its answer.

use crate::error::Refused;

/// The result type of a pick, constructed once and in place. Converting a `Result` to an `Option` at
/// the end would copy it, which takes eight instructions.
pub(super) trait PickResult {
    type Picked;

    fn picked(picked: Self::Picked) -> Self;
    /// `why` runs only where the answer says why.
    fn refused(why: impl FnOnce() -> Refused) -> Self;
}

impl<R> PickResult for Option<R> {
    type Picked = R;

    #[inline(always)]
    fn picked(picked: R) -> Self {
        Some(picked)
    }

    #[inline(always)]
    fn refused(_: impl FnOnce() -> Refused) -> Self {
        None
    }
}

impl<R> PickResult for Result<R, Refused> {
    type Picked = R;

    #[inline(always)]
    fn picked(picked: R) -> Self {
        Ok(picked)
    }

    #[inline(always)]
    fn refused(why: impl FnOnce() -> Refused) -> Self {
        Err(why())
    }
}
