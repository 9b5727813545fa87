//! Where a rotation of retries stands: one word, kept across reloads.
//!
//! The word holds the state ([`STATE_BITS`], whatever the scheduler makes of it) and, in the bits
//! above, the epoch of the pool that understands it. Every rebuild of a service's pool has the next
//! epoch. Whichever thread works with a new pool first, the director's or a picker's, translates the
//! state by the pool's `translate` in the same compare-and-swap that moves the epoch on. So every turn is
//! taken from the old state or from the translated one, none from both, and no thread waits. `translate`
//! decides what the new state is: that of wrr begins its pass again after an edit.
//!
//! A picker that meets a newer epoch holds a retired pool: it reads the publication again. It finds
//! the newer one, because only who has read that from the publication writes its epoch.
//!
//! | location | operation                   | ordering | partner                               |
//! |----------|-----------------------------|----------|---------------------------------------|
//! | `word`   | loads in turns and `adopt`  | SeqCst   | the compare-and-swaps                 |
//! | `word`   | swaps in turns and `adopt`  | SeqCst   | the loads; the publication's `current` |

use crate::rotation::version::{PoolVersion, Superseded, pack, state_of, version_of};
use crate::sync::{AtomicU64, Ordering};

#[derive(Default)]
pub(crate) struct RetryRotation {
    word: AtomicU64,
}

impl RetryRotation {
    /// Starts a rotation. Only for a cursor that no published pool refers to yet.
    pub(crate) fn start(&self, version: PoolVersion, state: u64) {
        self.word.store(pack(version, state), Ordering::SeqCst);
    }

    /// Takes one turn: `step` maps the state to an answer and the next state, and may run again if
    /// another picker was faster.
    #[inline]
    pub(crate) fn advance<R>(
        &self,
        version: PoolVersion,
        translate: impl Fn(u64) -> u64,
        step: impl Fn(u64) -> (R, u64),
    ) -> Result<R, Superseded> {
        let mut word = self.word.load(Ordering::SeqCst);
        loop {
            if version_of(word) != version {
                word = self.adopt_from(word, version, &translate)?;
                continue;
            }
            let (answer, state) = step(state_of(word));
            let next = pack(version, state);
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
    pub(crate) fn adopt(&self, version: PoolVersion, translate: impl Fn(u64) -> u64) {
        let mut word = self.word.load(Ordering::SeqCst);
        while version_of(word) != version {
            match self.adopt_from(word, version, &translate) {
                Ok(now) => word = now,
                Err(Superseded) => return,
            }
        }
    }

    #[cold]
    fn adopt_from(
        &self,
        word: u64,
        version: PoolVersion,
        translate: impl Fn(u64) -> u64,
    ) -> Result<u64, Superseded> {
        if version_of(word).next() != version {
            return Err(Superseded);
        }
        let next = pack(version, translate(state_of(word)));
        match self.word.compare_exchange(word, next, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => Ok(next),
            Err(now) => Ok(now),
        }
    }
}
