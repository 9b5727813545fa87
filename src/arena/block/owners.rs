//! The owners of a block: each is a process, or a director in one, with a ledger of its own.
//!
//! | state     | what its ledger says                | who goes on                                     |
//! |-----------|-------------------------------------|-------------------------------------------------|
//! | `FREE`    | nothing                             | `join`, by compare-and-swap: it becomes `JOINING` |
//! | `JOINING` | nothing that counts                 | the owner, once the ledger is empty: `ALIVE`; or whoever declares it dead |
//! | `ALIVE`   | what the owner holds                | the owner's end, or whoever declares it dead: `DEAD` |
//! | `DEAD`    | what is not given back yet          | whoever reclaims it: `FREE`, once all is given back |
//!
//! | location | operation                        | ordering | partner                           |
//! |----------|----------------------------------|----------|-----------------------------------|
//! | `state`  | exchanges                        | SeqCst   | each other, loads in `state`      |

use crate::sync::{AtomicU64, Ordering};

#[repr(C, align(64))]
#[derive(Default)]
pub(crate) struct OwnerSlot {
    /// state:2, incarnation:32 from bit 32 on.
    state: AtomicU64,
    /// The host's own number for the owner, such as a process id.
    host: AtomicU64,
}

const STATES: u64 = 3;
const FREE: u64 = 0;
const JOINING: u64 = 1;
const ALIVE: u64 = 2;
const DEAD: u64 = 3;
const INCARNATION: u32 = 32;

/// An owner of a block: a plain value, which a supervisor may keep to [reclaim](crate::Block::reclaim) what the
/// owner held.
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

    /// Takes a free place; its next incarnation.
    pub(super) fn begin(&self, host: u64) -> Option<u32> {
        let word = self.word();
        if word & STATES != FREE {
            return None;
        }
        let incarnation = ((word >> INCARNATION) as u32).wrapping_add(1);
        let joining = u64::from(incarnation) << INCARNATION | JOINING;
        // Relaxed: a number for readers.
        let taken = self.exchange(word, joining);
        if taken {
            self.host.store(host, Ordering::Relaxed);
        }
        taken.then_some(incarnation)
    }

    /// The ledger is empty: from now on it counts. False if the owner has been declared dead.
    pub(super) fn complete(&self, incarnation: u32) -> bool {
        let of = u64::from(incarnation) << INCARNATION;
        self.exchange(of | JOINING, of | ALIVE)
    }

    /// Declares this incarnation dead. True if it is dead now, and not free yet.
    pub(super) fn declare_dead(&self, incarnation: u32) -> bool {
        loop {
            let word = self.word();
            if (word >> INCARNATION) as u32 != incarnation || word & STATES == FREE {
                return false;
            }
            if word & STATES == DEAD || self.exchange(word, word | DEAD) {
                return true;
            }
        }
    }

    /// Everything is given back.
    pub(super) fn free(&self, incarnation: u32) {
        let of = u64::from(incarnation) << INCARNATION;
        // False if another thread has done it.
        self.exchange(of | DEAD, of | FREE);
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.word() & STATES == ALIVE
    }

    /// True if this incarnation joins or is alive.
    pub(super) fn is_present(&self, incarnation: u32) -> bool {
        let word = self.word();
        (word >> INCARNATION) as u32 == incarnation && [JOINING, ALIVE].contains(&(word & STATES))
    }

    /// The incarnation that is dead and not free yet.
    pub(super) fn dead(&self) -> Option<u32> {
        let word = self.word();
        (word & STATES == DEAD).then_some((word >> INCARNATION) as u32)
    }

    /// The incarnation that joins or is alive, and the host's number for it.
    pub(super) fn present(&self) -> Option<(u32, u64)> {
        let word = self.word();
        // Relaxed: a number for readers.
        let host = self.host.load(Ordering::Relaxed);
        [JOINING, ALIVE].contains(&(word & STATES)).then_some(((word >> INCARNATION) as u32, host))
    }
}
