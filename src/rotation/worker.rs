//! Where a rotation stands that one worker turns by itself, so that a turn is an addition without a lock.
//!
//! Two words with one writer each, either a state and the epoch of the pool that understands it (as in
//! `cursor`): `mine` is the worker's, `moved` the director's. The worker turns `mine`. On a new pool it
//! goes on from the state before, translated by the pool's `translate`. Because a worker that rests misses
//! pools, the director translates at each reload what it finds, and leaves it in `moved`. Turns are
//! numbered to the end of what is written out, which is several cycles if they are short; who reads a
//! state asks `Rounds::noted` for the turn of one cycle.
//!
//! Nobody waits, and nobody swaps: a pick that is under way while the pool changes may come too late
//! for the director's look. It counts all the same if the worker picks before yet another reload, for
//! it goes over by `mine` then; else its turn is given twice, and never is one lost. A swap would
//! prevent that, and cost every pick a third.
//!
//! Epochs wrap. A worker that rests through a multiple of 2,048 reloads goes on from its old state: some
//! place in the rotation, as good as another, for schedulers take any state.
//!
//! | location | operation                | ordering | partner                                     |
//! |----------|--------------------------|----------|---------------------------------------------|
//! | `mine`   | stores of the worker     | Release  | load in `note`                              |
//! | `mine`   | loads of the worker      | Relaxed  | none: its own                               |
//! | `mine`   | load in `note`           | Acquire  | the stores                                  |
//! | `moved`  | store in `note`          | Release  | load in `state`; before the next publication |
//! | `moved`  | load in `state`          | Acquire  | store in `note`                             |
//! | `moved`  | load in `note`           | Relaxed  | none: the director's own                    |
//! | both     | stores in `start`        | Release  | none: before the worker or the pool is      |

use crate::rotation::version::{PoolVersion, pack, state_of, version_of};
use crate::sync::{AtomicU64, Ordering};

#[derive(Default)]
pub(crate) struct WorkerRotation {
    local: AtomicU64,
    migrated: AtomicU64,
}

impl WorkerRotation {
    /// Starts a rotation. Only where no published pool refers to it, or before its worker is.
    pub(crate) fn start(&self, version: PoolVersion, state: u64) {
        for word in [&self.local, &self.migrated] {
            // Release: nobody reads it yet.
            word.store(pack(version, state), Ordering::Release);
        }
    }

    /// The number of the turn after the latest one, to be taken if it is one of those that are written
    /// out; else the state is another pool's, or no turn. The worker only.
    #[inline(always)]
    pub(crate) fn next(&self, version: PoolVersion) -> u64 {
        // Relaxed: the worker's own.
        self.local.load(Ordering::Relaxed).wrapping_add(1).wrapping_sub(pack(version, 0))
    }

    /// Takes that turn. The word is not put together from its number: each turn waits for the word of
    /// the one before, and one addition to memory holds no register meanwhile.
    #[inline(always)]
    pub(crate) fn take_next(&self) {
        // Relaxed: the worker's own.
        self.store(self.local.load(Ordering::Relaxed).wrapping_add(1));
    }

    /// Takes the first turn.
    pub(crate) fn take_first(&self, version: PoolVersion) {
        self.store(pack(version, 0));
    }

    #[inline(always)]
    fn store(&self, word: u64) {
        // Release: pairs with the load in `note`.
        self.local.store(word, Ordering::Release);
    }

    /// Takes one turn: `step` maps the state to an answer and the next state. The worker only.
    pub(crate) fn advance<R>(
        &self,
        version: PoolVersion,
        translate: impl Fn(u64) -> u64,
        step: impl FnOnce(u64) -> (R, u64),
    ) -> R {
        let (answer, state) = step(self.state(version, translate));
        self.store(pack(version, state));
        answer
    }

    fn state(&self, version: PoolVersion, translate: impl Fn(u64) -> u64) -> u64 {
        // Relaxed: the worker's own.
        let local = self.local.load(Ordering::Relaxed);
        if version_of(local) == version {
            state_of(local)
        } else if version_of(local).next() == version {
            translate(state_of(local))
        } else {
            // Acquire: pairs with the store in `note`.
            let migrated = self.migrated.load(Ordering::Acquire);
            // The director has been here since the pool was published, or not yet.
            if version_of(migrated) == version {
                state_of(migrated)
            } else {
                translate(state_of(migrated))
            }
        }
    }

    /// Notes where the rotation stands in a pool just published, in case the worker misses it. Director
    /// only.
    pub(crate) fn migrate(&self, version: PoolVersion, translate: impl Fn(u64) -> u64) {
        // Acquire: pairs with the worker's stores.
        let local = self.local.load(Ordering::Acquire);
        if version_of(local) == version {
            return;
        }
        // Relaxed: the director's own.
        let migrated = self.migrated.load(Ordering::Relaxed);
        let former = if version_of(local).next() == version { local } else { migrated };
        // Release: pairs with the load in `state`.
        self.migrated.store(pack(version, translate(state_of(former))), Ordering::Release);
    }
}
