//! The memory that a director may take, and what it takes.

use crate::config::{DIRECTOR, ResourceLimits};

pub(super) struct Budget {
    pub(super) limits: ResourceLimits,
    /// What all services take together, and the director.
    pub(super) taken: u64,
}

impl Budget {
    pub(super) fn new(limits: ResourceLimits) -> Self {
        Budget { limits, taken: DIRECTOR }
    }
}
