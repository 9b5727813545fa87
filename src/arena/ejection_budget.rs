//! How many servers of a service are ejected, and how many may be.
//!
//! | location | operation                        | ordering | partner                         |
//! |----------|----------------------------------|----------|---------------------------------|
//! | budget   | exchanges in `change`, the store | SeqCst   | loads and exchanges in `change` |
//!
//! `ejection` says who takes places and who gives them back.

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
pub(super) struct Place {
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

    /// True if more places are taken than there are: their number was lowered.
    pub(crate) fn is_exceeded(&self) -> bool {
        let (taken, most) = self.taken();
        taken > most
    }

    pub(super) fn take(&self) -> Option<Place> {
        let free = |word: u64| word & MOST_SERVERS < word >> SERVERS & MOST_SERVERS;
        let before = self.change(|word| free(word).then(|| word + 1))?;
        Some(Place { owner: before >> OWNER })
    }

    /// True if the place is one of the present owner's.
    pub(super) fn is_of(&self, place: Place) -> bool {
        // SeqCst: pairs with the store in `renew`.
        self.word.load(Ordering::SeqCst) >> OWNER == place.owner
    }

    pub(super) fn give_back(&self, place: Place) {
        let _ = self.change(|word| {
            (word >> OWNER == place.owner && word & MOST_SERVERS > 0).then(|| word - 1)
        });
    }

    /// Gives back the place of a server whose mark the caller has cleared. Director only: the owner is
    /// the same as when the place was taken.
    pub(crate) fn release(&self) {
        let _ = self.change(|word| (word & MOST_SERVERS > 0).then(|| word - 1));
    }

    /// So many servers are ejected, if still so many places are taken.
    pub(crate) fn recount(&self, taken: u32, ejected: u32) {
        let ejected = u64::from(ejected).min(MOST_SERVERS);
        let _ = self.change(|word| {
            (word & MOST_SERVERS == u64::from(taken)).then_some(word & !MOST_SERVERS | ejected)
        });
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
