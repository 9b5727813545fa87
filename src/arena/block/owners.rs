//! The owners of a block: each is a process, or a director in one, with a ledger of its own.
//!
//! | state     | what its ledger says                | who goes on                                     |
//! |-----------|-------------------------------------|-------------------------------------------------|
//! | `FREE`    | nothing                             | `join`, by compare-and-swap: it becomes `JOINING` |
//! | `JOINING` | nothing that counts                 | the owner, once the ledger is empty: `ALIVE`; or a process that declares it dead |
//! | `ALIVE`   | what the owner holds                | the owner's end, or a process that declares it dead: `DEAD` |
//! | `DEAD`    | what is not given back yet          | the process that reclaims it: `FREE`, once all is given back |
//!
//! | location | operation                        | ordering | partner                           |
//! |----------|----------------------------------|----------|-----------------------------------|
//! | `state`  | exchanges                        | SeqCst   | each other, loads in `state`      |
//! | `ticked` | loads and stores                 | Relaxed  | none: a coarse time               |
//! | `birth`, `space` | loads and stores         | Relaxed  | between the exchanges to `JOINING` and `ALIVE` |

use crate::arena::block::processes::Process;
use crate::sync::{AtomicU64, Ordering};

#[repr(C, align(64))]
#[derive(Default)]
pub(crate) struct OwnerSlot {
    /// state:2, incarnation:30, process id:32. One word, so that whose place it is is known at every instruction.
    state: AtomicU64,
    /// When the owner ticked last, and 1 ms; 0 = never.
    ticked: AtomicU64,
    birth: AtomicU64,
    space: AtomicU64,
}

/// Milliseconds after which an owner that has not ticked is not expected to.
const EXPECTED: u64 = 10_000;

const STATES: u64 = 3;
const FREE: u64 = 0;
const JOINING: u64 = 1;
const ALIVE: u64 = 2;
const DEAD: u64 = 3;
const INCARNATION: u32 = 2;
const INCARNATIONS: u64 = (1 << 30) - 1;
const PROCESS: u32 = 32;

fn incarnation_of(word: u64) -> u32 {
    (word >> INCARNATION & INCARNATIONS) as u32
}

fn process_of(word: u64) -> u32 {
    (word >> PROCESS) as u32
}

fn word_of(state: u64, incarnation: u32, process: u32) -> u64 {
    u64::from(process) << PROCESS | u64::from(incarnation) << INCARNATION | state
}

/// Identifies an owner of a [`Block`](crate::Block): one director in one process, until it is dropped or
/// [reclaimed](crate::Block::reclaim). A plain value, which another process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct OwnerId {
    pub(crate) number: u32,
    pub(crate) incarnation: u32,
}

impl OwnerSlot {
    fn word(&self) -> u64 {
        // SeqCst: pairs with the exchanges.
        self.state.load(Ordering::SeqCst)
    }

    fn exchange(&self, from: u64, to: u64) -> bool {
        // SeqCst: pairs with the loads of the word, before and after changes of the ledger.
        self.state.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Takes a free place for this process; its next incarnation.
    pub(super) fn begin(&self, process: u32) -> Option<u32> {
        let word = self.word();
        if word & STATES != FREE {
            return None;
        }
        let incarnation = ((u64::from(incarnation_of(word)) + 1) & INCARNATIONS) as u32;
        self.exchange(word, word_of(JOINING, incarnation, process)).then_some(incarnation)
    }

    /// Records which process joins.
    pub(super) fn set_process(&self, process: Process) {
        // Relaxed: before the exchange in `complete`.
        self.birth.store(process.birth, Ordering::Relaxed);
        self.space.store(process.space, Ordering::Relaxed);
    }

    pub(super) fn process(&self) -> Process {
        // Relaxed: after the load of the state.
        let [birth, space] = [&self.birth, &self.space].map(|word| word.load(Ordering::Relaxed));
        Process { birth, space }
    }

    /// The owner ticks at this time; `None`: it never has.
    pub(crate) fn set_ticked(&self, now: Option<u64>) {
        // Relaxed: a coarse time.
        self.ticked.store(now.map_or(0, |now| now.saturating_add(1)), Ordering::Relaxed);
    }

    /// True if the owner has ticked lately.
    pub(crate) fn ticks(&self, now: u64) -> bool {
        // Relaxed: a coarse time.
        let ticked = self.ticked.load(Ordering::Relaxed);
        ticked != 0 && now.saturating_sub(ticked) < EXPECTED
    }

    /// The ledger is empty: from now on it counts. False if the owner has been declared dead.
    pub(super) fn complete(&self, incarnation: u32, process: u32) -> bool {
        let from = word_of(JOINING, incarnation, process);
        self.exchange(from, word_of(ALIVE, incarnation, process))
    }

    /// Declares this incarnation dead. True if it is dead now, and not free yet.
    pub(super) fn declare_dead(&self, incarnation: u32) -> bool {
        loop {
            let word = self.word();
            if incarnation_of(word) != incarnation || word & STATES == FREE {
                return false;
            }
            if word & STATES == DEAD || self.exchange(word, word | DEAD) {
                return true;
            }
        }
    }

    /// Everything is given back.
    pub(super) fn free(&self, incarnation: u32) {
        let word = self.word();
        if incarnation_of(word) == incarnation && word & STATES == DEAD {
            // False if another thread has done it.
            self.exchange(word, word_of(FREE, incarnation, 0));
        }
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.word() & STATES == ALIVE
    }

    /// True if this incarnation joins or is alive.
    pub(super) fn is_present(&self, incarnation: u32) -> bool {
        self.present().is_some_and(|(present, _)| present == incarnation)
    }

    /// The incarnation that is dead and not free yet.
    pub(super) fn dead(&self) -> Option<u32> {
        let word = self.word();
        (word & STATES == DEAD).then(|| incarnation_of(word))
    }

    /// The incarnation of this process that is not free yet.
    pub(super) fn of_process(&self, process: u32) -> Option<u32> {
        let word = self.word();
        let is = process_of(word) == process && word & STATES != FREE;
        is.then(|| incarnation_of(word))
    }

    /// The incarnation that joins or is alive, and its process.
    pub(super) fn present(&self) -> Option<(u32, u32)> {
        let word = self.word();
        let is_present = [JOINING, ALIVE].contains(&(word & STATES));
        is_present.then(|| (incarnation_of(word), process_of(word)))
    }
}
