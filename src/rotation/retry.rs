//! The rotation of retries: one word per service, kept across reloads.
//!
//! The word holds the scheduler's state and, in the bits above, the pool version that it belongs to
//! (`rotation::version`). Every rebuild of a service has the next version. The first thread that works
//! with a new version, the director's or a picker's, translates the state (`Scheduler::translate`) in
//! the same compare-and-swap that changes the version. So every step advances either the old state or
//! the translated one, never both, and no thread waits. (`translate` decides what the new state is: wrr
//! restarts its pass after an edit.)
//!
//! A picker that finds a newer version in the word uses an old table: it reads the snapshot again. It
//! finds the newer one there, because only a thread that has read it from the snapshot writes its
//! version.
//!
//! | location | operation                     | ordering | partner                                |
//! |----------|-------------------------------|----------|----------------------------------------|
//! | `word`   | loads in `advance`, `adopt`   | SeqCst   | the compare-and-swaps                  |
//! | `word`   | swaps in `advance`, `adopt`   | SeqCst   | the loads; the snapshot's `current`    |

use crate::rotation::version::{PoolVersion, Superseded, pack, state_of, version_of};
use crate::sync::{AtomicU64, Ordering};

#[derive(Default)]
pub(crate) struct RetryRotation {
    word: AtomicU64,
}

impl RetryRotation {
    /// Starts a rotation. Only if no published service refers to it yet.
    pub(crate) fn start(&self, version: PoolVersion, state: u64) {
        self.word.store(pack(version, state), Ordering::SeqCst);
    }

    /// Advances by one step: `step` maps the state to an answer and the next state, and may run again if
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

    /// Translates the state for a version just published, unless a picker has done so.
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
