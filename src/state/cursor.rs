//! Where a rotation of retries stands: one word, kept across reloads.
//!
//! The word holds the state ([`STATE_BITS`], whatever the scheduler makes of it) and, in the bits
//! above, the epoch of the pool that understands it. Every rebuild of a service's pool has the next
//! epoch. Whichever thread works with a new pool first, the director's or a picker's, translates the
//! state by the pool's `carry` in the same compare-and-swap that moves the epoch on. So every turn is
//! taken from the old state or from the translated one, none from both, and no thread waits. `carry`
//! decides what the new state is: that of wrr begins its pass again after an edit.
//!
//! A picker that meets a newer epoch holds a retired pool: it reads the publication again. It finds
//! the newer one, because only who has read that from the publication writes its epoch.
//!
//! | location | operation                   | ordering | partner                               |
//! |----------|-----------------------------|----------|---------------------------------------|
//! | `word`   | loads in turns and `adopt`  | SeqCst   | the compare-and-swaps                 |
//! | `word`   | swaps in turns and `adopt`  | SeqCst   | the loads; the publication's `current` |

use crate::sync::{AtomicU64, Ordering};

/// One more than any scheduler's state has: the state after the largest is still none of the next epoch,
/// so that `alone` may add without a look.
const STATE_BITS: u32 = 53;
/// Largest state.
pub(crate) const MAX_STATE: u64 = (1 << STATE_BITS) - 1;

/// Which pool of a service a cursor's state belongs to, in the bits where a cursor has it. Wraps
/// after 2048 reloads; a picker would have to sleep between two instructions for just as many to be
/// mistaken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Epoch(u64);

impl Epoch {
    pub(crate) fn next(self) -> Self {
        Epoch(self.0.wrapping_add(1 << STATE_BITS))
    }
}

/// The picker's pool is older than the cursor: read the publication again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outdated;

#[derive(Default)]
pub(crate) struct Cursor {
    word: AtomicU64,
}

/// A word of this epoch and state.
#[inline(always)]
pub(crate) fn pack(epoch: Epoch, state: u64) -> u64 {
    epoch.0 | state & MAX_STATE
}

pub(crate) fn epoch_of(word: u64) -> Epoch {
    Epoch(word & !MAX_STATE)
}

pub(crate) fn state_of(word: u64) -> u64 {
    word & MAX_STATE
}

impl Cursor {
    /// Starts a rotation. Only for a cursor that no published pool refers to yet.
    pub(crate) fn start(&self, epoch: Epoch, state: u64) {
        self.word.store(pack(epoch, state), Ordering::SeqCst);
    }

    /// Takes one turn: `step` maps the state to an answer and the next state, and may run again if
    /// another picker was faster.
    #[inline]
    pub(crate) fn turn<R>(
        &self,
        epoch: Epoch,
        carry: impl Fn(u64) -> u64,
        step: impl Fn(u64) -> (R, u64),
    ) -> Result<R, Outdated> {
        let mut word = self.word.load(Ordering::SeqCst);
        loop {
            if epoch_of(word) != epoch {
                word = self.adopt_from(word, epoch, &carry)?;
                continue;
            }
            let (answer, state) = step(state_of(word));
            let next = pack(epoch, state);
            if next == word {
                return Ok(answer);
            }
            match self.word.compare_exchange_weak(word, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return Ok(answer),
                Err(now) => word = now,
            }
        }
    }

    /// Moves the cursor on to a pool just published, unless a picker has done so.
    pub(crate) fn adopt(&self, epoch: Epoch, carry: impl Fn(u64) -> u64) {
        let mut word = self.word.load(Ordering::SeqCst);
        while epoch_of(word) != epoch {
            match self.adopt_from(word, epoch, &carry) {
                Ok(now) => word = now,
                Err(Outdated) => return,
            }
        }
    }

    #[cold]
    fn adopt_from(
        &self,
        word: u64,
        epoch: Epoch,
        carry: impl Fn(u64) -> u64,
    ) -> Result<u64, Outdated> {
        if epoch_of(word).next() != epoch {
            return Err(Outdated);
        }
        let next = pack(epoch, carry(state_of(word)));
        match self.word.compare_exchange(word, next, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => Ok(next),
            Err(now) => Ok(now),
        }
    }
}
