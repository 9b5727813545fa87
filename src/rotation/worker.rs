//! The rotation of one worker that decides by itself: a turn is one addition without a lock.
//!
//! Two words with one writer each hold a state and the pool version that it belongs to. `local` is the
//! worker's: it advances `local`, and on a new version it continues from the previous state, translated
//! by the service (`Scheduler::translate`). A worker that rests misses versions, so the director
//! translates the state at each reload and leaves it in `migrated`. Turns are numbered to the end of the
//! repeated schedule; `SharedRotation::normalize` maps such a number to a turn of one cycle.
//!
//! No thread waits, and no thread swaps. A pick that is in flight while the version changes may be too
//! late for the director's load, with two outcomes:
//!
//! - The worker picks again before the next reload: it continues from `local`, and nothing is lost.
//! - It does not: that turn is taken twice. No turn is ever lost. A swap would prevent this, and make
//!   every pick a third more expensive.
//!
//! Versions wrap. A worker that rests through a multiple of 2,048 reloads continues from its old state:
//! a place in the rotation as good as any other, because schedulers accept every state.
//!
//! | location   | operation             | ordering | partner                                         |
//! |------------|-----------------------|----------|-------------------------------------------------|
//! | `local`    | stores of the worker  | Release  | load in `migrate`                               |
//! | `local`    | loads of the worker   | Relaxed  | none: its own                                   |
//! | `local`    | load in `migrate`     | Acquire  | the stores                                      |
//! | `migrated` | store in `migrate`    | Release  | load in `state`; before the next publication    |
//! | `migrated` | load in `state`       | Acquire  | store in `migrate`                              |
//! | `migrated` | load in `migrate`     | Relaxed  | none: the director's own                        |
//! | both       | stores in `start`     | Release  | none: before the worker or the version is in use |

use crate::rotation::schedule::Schedule;
use crate::rotation::version::{PoolVersion, pack, state_of, version_of};
use crate::sync::{AtomicU64, Ordering};

#[derive(Default)]
pub(crate) struct WorkerRotation {
    local: AtomicU64,
    migrated: AtomicU64,
}

impl WorkerRotation {
    /// Starts a rotation. Only if no published service refers to it, or before its worker exists.
    pub(crate) fn start(&self, version: PoolVersion, state: u64) {
        for word in [&self.local, &self.migrated] {
            // Release: no thread reads it yet.
            word.store(pack(version, state), Ordering::Release);
        }
    }

    /// The number of the next turn, to be taken if it is on the schedule; otherwise the state belongs to
    /// another pool version, or is no turn. The worker only.
    #[inline(always)]
    pub(crate) fn next(&self, version: PoolVersion) -> u64 {
        // Relaxed: the worker's own.
        self.local.load(Ordering::Relaxed).wrapping_add(1).wrapping_sub(pack(version, 0))
    }

    /// Takes that turn. An addition to memory, rather than a store of a word made from the number: it
    /// holds no register while it waits for the previous turn's word.
    #[inline(always)]
    pub(crate) fn take_next(&self) {
        // Relaxed: the worker's own.
        self.store(self.local.load(Ordering::Relaxed).wrapping_add(1));
    }

    /// Takes the next turn of this schedule if its server is available, wrapping at the end. The worker
    /// only.
    #[inline(always)]
    pub(crate) fn take_available<A>(
        &self,
        version: PoolVersion,
        schedule: &Schedule,
        available: impl FnOnce(u32) -> Option<A>,
    ) -> Option<A> {
        let ticket = self.next(version);
        let wraps = schedule.ends_at(ticket);
        let found = available(schedule.position(if wraps { 0 } else { ticket })?)?;
        if wraps {
            self.store(pack(version, 0));
        } else {
            self.take_next();
        }
        Some(found)
    }

    #[inline(always)]
    fn store(&self, word: u64) {
        // Release: pairs with the load in `migrate`.
        self.local.store(word, Ordering::Release);
    }

    /// Advances by one pick: `step` maps the state to an answer and the next state. The worker only.
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
            // Acquire: pairs with the store in `migrate`.
            let migrated = self.migrated.load(Ordering::Acquire);
            // The director has migrated the state since the publication, or not yet.
            if version_of(migrated) == version {
                state_of(migrated)
            } else {
                translate(state_of(migrated))
            }
        }
    }

    /// Translates the state for a pool version just published, in case the worker misses it. Director
    /// only.
    pub(crate) fn migrate(&self, version: PoolVersion, translate: impl Fn(u64) -> u64) {
        // Acquire: pairs with the worker's stores.
        let local = self.local.load(Ordering::Acquire);
        if version_of(local) == version {
            return;
        }
        // Relaxed: the director's own.
        let migrated = self.migrated.load(Ordering::Relaxed);
        let previous = if version_of(local).next() == version { local } else { migrated };
        // Release: pairs with the load in `state`.
        self.migrated.store(pack(version, translate(state_of(previous))), Ordering::Release);
    }
}
