//! Where a rotation stands that one worker turns by itself, so that a turn is an addition without a lock.
//!
//! Two words with one writer each, either a state and the epoch of the pool that understands it (as in
//! `cursor`): `mine` is the worker's, `moved` the director's. The worker turns `mine`. On a new pool it
//! goes on from the state before, translated by the pool's `carry`. Because a worker that rests misses
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

use crate::state::cursor::{Epoch, epoch_of, pack, state_of};
use crate::sync::{AtomicU64, Ordering};

#[derive(Default)]
pub(crate) struct Alone {
    mine: AtomicU64,
    moved: AtomicU64,
}

impl Alone {
    /// Starts a rotation. Only where no published pool refers to it, or before its worker is.
    pub(crate) fn start(&self, epoch: Epoch, state: u64) {
        for word in [&self.mine, &self.moved] {
            // Release: nobody reads it yet.
            word.store(pack(epoch, state), Ordering::Release);
        }
    }

    /// The number of the turn after the latest one, to be taken if it is one of those that are written
    /// out; else the state is another pool's, or no turn. The worker only.
    #[inline(always)]
    pub(crate) fn next(&self, epoch: Epoch) -> u64 {
        // Relaxed: the worker's own.
        self.mine.load(Ordering::Relaxed).wrapping_add(1).wrapping_sub(pack(epoch, 0))
    }

    /// Takes that turn. The word is not put together from its number: each turn waits for the word of
    /// the one before, and one addition to memory holds no register meanwhile.
    #[inline(always)]
    pub(crate) fn take_next(&self) {
        // Relaxed: the worker's own.
        self.put(self.mine.load(Ordering::Relaxed).wrapping_add(1));
    }

    /// Takes the first turn.
    pub(crate) fn take_first(&self, epoch: Epoch) {
        self.put(pack(epoch, 0));
    }

    #[inline(always)]
    fn put(&self, word: u64) {
        // Release: pairs with the load in `note`.
        self.mine.store(word, Ordering::Release);
    }

    /// Takes one turn: `step` maps the state to an answer and the next state. The worker only.
    pub(crate) fn turn<R>(
        &self,
        epoch: Epoch,
        carry: impl Fn(u64) -> u64,
        step: impl FnOnce(u64) -> (R, u64),
    ) -> R {
        let (answer, state) = step(self.state(epoch, carry));
        self.put(pack(epoch, state));
        answer
    }

    fn state(&self, epoch: Epoch, carry: impl Fn(u64) -> u64) -> u64 {
        // Relaxed: the worker's own.
        let mine = self.mine.load(Ordering::Relaxed);
        if epoch_of(mine) == epoch {
            state_of(mine)
        } else if epoch_of(mine).next() == epoch {
            carry(state_of(mine))
        } else {
            // Acquire: pairs with the store in `note`.
            let moved = self.moved.load(Ordering::Acquire);
            // The director has been here since the pool was published, or not yet.
            if epoch_of(moved) == epoch { state_of(moved) } else { carry(state_of(moved)) }
        }
    }

    /// Notes where the rotation stands in a pool just published, in case the worker misses it. Director
    /// only.
    pub(crate) fn note(&self, epoch: Epoch, carry: impl Fn(u64) -> u64) {
        // Acquire: pairs with the worker's stores.
        let mine = self.mine.load(Ordering::Acquire);
        if epoch_of(mine) == epoch {
            return;
        }
        // Relaxed: the director's own.
        let moved = self.moved.load(Ordering::Relaxed);
        let former = if epoch_of(mine).next() == epoch { mine } else { moved };
        // Release: pairs with the load in `state`.
        self.moved.store(pack(epoch, carry(state_of(former))), Ordering::Release);
    }
}
