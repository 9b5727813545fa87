//! The memory that a director may use, and what it uses.

use crate::config::{DIRECTOR, ResourceLimits};

pub(super) struct Budget {
    pub(super) limits: ResourceLimits,
    /// Bytes that all services and the director use together, at most.
    pub(super) taken: u64,
}

impl Budget {
    pub(super) fn new(limits: ResourceLimits) -> Self {
        Budget { limits, taken: DIRECTOR }
    }
}
