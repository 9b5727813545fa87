//! Which version of a service's servers a rotation's state belongs to, and words of both.

/// One bit more than any scheduler's state needs: the number after the largest state is still of this
/// version, so that a worker's rotation may add without a check.
const STATE_BITS: u32 = 53;
/// Largest state.
pub(crate) const MAX_STATE: u64 = (1 << STATE_BITS) - 1;

/// Numbers the versions of a service's servers, in the bits where a rotation's word has it. Wraps after
/// 2,048 reloads: a picker would have to sleep between two instructions for exactly as many to take an
/// old version for the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PoolVersion(u64);

impl PoolVersion {
    pub(crate) fn next(self) -> Self {
        PoolVersion(self.0.wrapping_add(1 << STATE_BITS))
    }
}

/// The picker's version is older than the rotation's: read the snapshot again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Superseded;

/// A word of this version and state.
#[inline(always)]
pub(crate) fn pack(version: PoolVersion, state: u64) -> u64 {
    version.0 | state & MAX_STATE
}

pub(crate) fn version_of(word: u64) -> PoolVersion {
    PoolVersion(word & !MAX_STATE)
}

pub(crate) fn state_of(word: u64) -> u64 {
    word & MAX_STATE
}
