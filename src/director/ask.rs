//! Asks the system for memory before something is changed; `headroom` says why.

use std::hint::black_box;

use crate::error::ApplyError;

/// Checks that the system has one block of this size, by allocating and freeing it.
pub(super) fn ask(bytes: u64, what: impl FnOnce() -> String) -> Result<(), ApplyError> {
    let mut block = Vec::<u8>::new();
    let reserved = usize::try_from(bytes).map(|bytes| block.try_reserve_exact(bytes));
    // Otherwise the compiler could remove the allocation.
    black_box(&mut block);
    match reserved {
        Ok(Ok(())) => Ok(()),
        _ => Err(ApplyError::OutOfMemory { what: what(), bytes }),
    }
}
