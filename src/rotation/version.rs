//! Which version of a service's servers a rotation's state belongs to, and words of both.

/// One more than any scheduler's state has: the state after the largest is still none of the next epoch,
/// so that `alone` may add without a look.
const STATE_BITS: u32 = 53;
/// Largest state.
pub(crate) const MAX_STATE: u64 = (1 << STATE_BITS) - 1;

/// Which pool of a service a cursor's state belongs to, in the bits where a cursor has it. Wraps
/// after 2048 reloads; a picker would have to sleep between two instructions for just as many to be
/// mistaken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PoolVersion(u64);

impl PoolVersion {
    pub(crate) fn next(self) -> Self {
        PoolVersion(self.0.wrapping_add(1 << STATE_BITS))
    }
}

/// The picker's pool is older than the cursor: read the publication again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Superseded;

/// A word of this epoch and state.
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
