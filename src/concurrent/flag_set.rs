//! A set of indices that threads keep current, and whether it is empty.
//!
//! One bit per index, in words of 64, and the number of words that are not empty. The number changes only
//! when a word gets its first bit or loses its last: the exchange that did it shows that in the word that
//! it replaced, so each such change is counted by exactly one thread. Most changes write one word only.
//!
//! A writer ([`FlagSet::set`]) changes a bit until it matches a state that others change. It loads the
//! state, then the bit; if they differ, it changes the bit, and loads both again.
//!
//! Why a bit is correct while no writer is inside the set. Consider the last change of the bit. The writer
//! that made it loads the state afterward, and finds a match. A state that changes later has a writer that
//! loads the bit after it, and finds a match too, because otherwise it would change the bit again.
//!
//! Between a change of a word and that of the number, [`FlagSet::is_empty`] may be wrong by that word: a
//! writer that is stopped there misleads readers until it resumes, and blocks none.
//!
//! | location | operation                    | ordering | partner                                      |
//! |----------|------------------------------|----------|----------------------------------------------|
//! | `words`  | load in `set`                | SeqCst   | the changes; after the load of the state     |
//! | `words`  | changes in `change`          | SeqCst   | the load; before the next load of the state  |
//! | `filled` | additions in `change`        | Relaxed  | none: a sum, exact when quiescent            |
//! | `filled` | load in `is_empty`           | Relaxed  | the same                                     |

use crate::sync::{AtomicU32, AtomicU64, Ordering};

pub(crate) struct FlagSet {
    words: Box<[AtomicU64]>,
    filled: Filled,
}

/// The number of words that are not empty, on a cache line of its own.
#[repr(align(64))]
struct Filled(AtomicU32);

impl FlagSet {
    /// The set of the indices whose flag is true. Allocates one bit per index.
    pub(crate) fn new(flags: impl Iterator<Item = bool>) -> Self {
        let mut words = Vec::new();
        for (flag, index) in flags.zip(0..) {
            let (at, bit) = place_of(index);
            if at == words.len() {
                words.push(0);
            }
            words[at] |= if flag { bit } else { 0 };
        }
        let filled = words.iter().filter(|word| **word != 0).count() as u32;
        let words = words.into_iter().map(AtomicU64::new).collect();
        FlagSet { words, filled: Filled(AtomicU32::new(filled)) }
    }

    /// Adds or removes the index, as `is_in` says of what `current` returns, and repeats until it matches.
    /// O(1), lock-free; does nothing past the end. `current` must load with SeqCst what others change with
    /// SeqCst.
    #[inline(always)]
    pub(crate) fn set<T>(&self, index: u32, current: impl Fn() -> T, is_in: impl Fn(T) -> bool) {
        let (at, bit) = place_of(index);
        let Some(word) = self.words.get(at) else { return };
        loop {
            let wanted = is_in(current());
            // SeqCst: after the load of the state; pairs with the changes in `change`.
            if (word.load(Ordering::SeqCst) & bit != 0) == wanted {
                return;
            }
            self.change(word, bit, wanted);
        }
    }

    #[inline(never)]
    fn change(&self, word: &AtomicU64, bit: u64, add: bool) {
        // SeqCst: before the next load of the state in `set`; pairs with the load of the word there.
        // Relaxed: as in `is_empty`. Below zero briefly, if a word is emptied before it is counted.
        if add {
            if word.fetch_or(bit, Ordering::SeqCst) == 0 {
                self.filled.0.fetch_add(1, Ordering::Relaxed);
            }
        } else if word.fetch_and(!bit, Ordering::SeqCst) == bit {
            self.filled.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// True if no index is in the set. O(1), one load.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        // Relaxed: a recent number will do, and orders nothing.
        self.filled.0.load(Ordering::Relaxed) as i32 <= 0
    }
}

/// The word of an index, and its bit in that word.
#[inline(always)]
fn place_of(index: u32) -> (usize, u64) {
    ((index / u64::BITS) as usize, 1 << (index % u64::BITS))
}

#[cfg(test)]
#[path = "flag_set_tests.rs"]
mod tests;
