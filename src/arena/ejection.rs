//! How many servers of a service are ejected, and how many may be.
//!
//! | location | operation                        | ordering | partner                         |
//! |----------|----------------------------------|----------|---------------------------------|
//! | budget   | exchanges in `change`, the store | SeqCst   | loads and exchanges in `change` |
//!
//! A server is ejected by the thread that reports the failure which reaches the limit. It takes a place
//! from the service's budget first, then marks the server's count word, and gives the place back if the
//! word has changed its owner or is marked already. So at any time at most as many words are marked as
//! places are taken, and at most `most` places are. Every operation that clears the mark gives its place
//! back; only the director clears marks.

use crate::arena::slots::ServerSlot;
use crate::config::ServerState;
use crate::error::ConnectionError;
use crate::sync::{AtomicU64, Ordering};

const SERVERS: u32 = 20;
const MOST_SERVERS: u64 = (1 << SERVERS) - 1;
const LIMIT: u32 = 2 * SERVERS;
const LIMIT_MAX: u64 = (1 << 16) - 1;
const OWNER: u32 = LIMIT + 16;

/// A service's budget of ejections.
pub(crate) struct EjectionBudget {
    /// From the lowest bit: ejected:20, most:20, limit:16, owner:8, the low bits of the generation.
    word: AtomicU64,
}

/// A place taken from a budget, for the service that owned it then.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    owner: u64,
}

impl EjectionBudget {
    /// A budget that allows nothing, of an owner with this generation.
    pub(crate) fn new(generation: u32) -> Self {
        EjectionBudget { word: AtomicU64::new(u64::from(generation) << OWNER) }
    }

    /// The slot gets another owner. Director only.
    pub(crate) fn renew(&self, generation: u32) {
        // SeqCst: pairs with the exchanges in `change`, which fail across it or compare the owner.
        self.word.store(u64::from(generation) << OWNER, Ordering::SeqCst);
    }

    /// Failures in a row at which a server is ejected; 0 = never. `most` servers may be ejected at a
    /// time; if more are, the director releases some. Director only.
    pub(crate) fn allow(&self, limit: u32, most: u32) {
        let limit = u64::from(limit).min(LIMIT_MAX) << LIMIT;
        let most = u64::from(most).min(MOST_SERVERS) << SERVERS;
        let kept = u64::MAX << OWNER | MOST_SERVERS;
        let _ = self.change(|word| Some(word & kept | limit | most));
    }

    /// True if a server with this many failures in a row is to be ejected.
    #[inline]
    pub(crate) fn is_reached(&self, failures: u32) -> bool {
        // Relaxed: a setting; any recent value will do.
        let limit = self.word.load(Ordering::Relaxed) >> LIMIT & LIMIT_MAX;
        limit != 0 && u64::from(failures) >= limit
    }

    /// True if the service ejects none, and none is ejected.
    pub(crate) fn is_unused(&self) -> bool {
        // SeqCst: pairs with the exchanges in `change`.
        self.word.load(Ordering::SeqCst) << (64 - OWNER) == 0
    }

    /// Places taken, and how many there are.
    pub(crate) fn taken(&self) -> (u32, u32) {
        // SeqCst: pairs with the exchanges in `change`.
        let word = self.word.load(Ordering::SeqCst);
        ((word & MOST_SERVERS) as u32, (word >> SERVERS & MOST_SERVERS) as u32)
    }

    fn take(&self) -> Option<Place> {
        let free = |word: u64| word & MOST_SERVERS < word >> SERVERS & MOST_SERVERS;
        let before = self.change(|word| free(word).then(|| word + 1))?;
        Some(Place { owner: before >> OWNER })
    }

    fn give_back(&self, place: Place) {
        let _ = self.change(|word| {
            (word >> OWNER == place.owner && word & MOST_SERVERS > 0).then(|| word - 1)
        });
    }

    /// Gives back the place of a server whose mark the caller has cleared. Director only: the owner is
    /// the same as when the place was taken.
    pub(crate) fn release(&self) {
        let _ = self.change(|word| (word & MOST_SERVERS > 0).then(|| word - 1));
    }

    /// Exchanges the word; returns the previous one, or `None` if `next` does.
    fn change(&self, next: impl Fn(u64) -> Option<u64>) -> Option<u64> {
        // SeqCst, here and below: pairs with itself and with the store in `renew`.
        let mut word = self.word.load(Ordering::SeqCst);
        loop {
            let after = next(word)?;
            let swap =
                self.word.compare_exchange_weak(word, after, Ordering::SeqCst, Ordering::SeqCst);
            match swap {
                Ok(_) => return Some(word),
                Err(now) => word = now,
            }
        }
    }
}

/// Ejects the server with this generation: every later pick passes over it. False if it is down or
/// ejected already, if its slot has another owner, or if the budget is used up. Lock-free.
pub(crate) fn eject(slot: &ServerSlot, generation: u32, budget: &EjectionBudget) -> bool {
    if slot.counts_relaxed().is_down() {
        return false;
    }
    let Some(place) = budget.take() else { return false };
    let ejected = slot.eject(generation);
    if !ejected {
        budget.give_back(place);
    }
    ejected
}

impl ServerSlot {
    /// Ejects the server; false if it is down already, or if this is not its generation. Lock-free.
    fn eject(&self, generation: u32) -> bool {
        let ejected = self.change(|counts| {
            let owned = !counts.vacant() && self.is(generation);
            counts.ejected().filter(|_| owned).ok_or(ConnectionError::Stale)
        });
        ejected.is_ok()
    }

    /// Ends the server's ejection: from now on it is in this state. False if it is not ejected.
    /// Director only.
    pub(crate) fn end_ejection(&self, state: ServerState) -> bool {
        let ended = self.change(|counts| {
            let released = counts.is_ejected().then(|| counts.in_state(state));
            released.ok_or(ConnectionError::Stale)
        });
        ended.is_ok()
    }
}
