//! The connections that one worker has open at one server.
//!
//! A word is *sole* while its connections are counted nowhere else: then a worker that opens and closes
//! touches no memory that other workers write, and all connections are those of the server's slot and of the
//! sole words of all workers. Otherwise the slot counts them too, and the word only decides where
//! the worker's next connection goes. The word says which, so that a thread learns it in the same step in
//! which it counts.
//!
//! - A thread changes the word first, then, unless the word was sole, the slot. (Only a close that began
//!   before workers counted for the server does the reverse; the word is not 0 meanwhile.)
//! - Only the director makes a word sole, and only one that counts nothing: no thread then is between the
//!   word and the slot with a connection that the word counts.
//! - Only the director ends that ([`OwnCount::fold`]): it adds the connections to the slot before the word
//!   ceases to be sole, so that no close finds the slot without its connection. Meanwhile they count twice.
//!
//! The word also has the lower bits of the server's generation. A word of another generation counts nothing,
//! so no slot has to be cleared for its next owner. They wrap as the version of a slot's counts does.
//!
//! | location   | operation                     | ordering | partner                                |
//! |------------|-------------------------------|----------|----------------------------------------|
//! | `OwnCount` | exchanges in `exchange`, swap in `take` | SeqCst | load in `any`                  |

use crate::arena::counts::{Activity, Counts, MAX_CONNECTIONS, layout};
use crate::arena::sizes::VERSION_BITS;
use crate::arena::slots::ServerSlot;
use crate::arena::tally::Connections;
use crate::error::ConnectionError;
use crate::sync::{AtomicU64, Ordering};

/// Where a connection that a worker counts is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    /// In the worker's word alone.
    Here,
    /// In the slot too.
    InSlotToo,
}

const SOLE: u64 = 2;
// Where a slot's word says that it is vacant.
const _: () = assert!(layout::UNAVAILABLE & SOLE == 0);
const ACTIVE: u32 = layout::AT[0];
const TOTAL: u32 = layout::AT[1];
const VERSION: u32 = TOTAL + layout::BITS;
const VERSIONS: u64 = (1 << VERSION_BITS) - 1;

/// As the count word of a slot, with the server's generation as the version, and with a bit that says whether
/// the word is sole instead of the one for a vacant slot. The other bits for servers that are unavailable are the
/// worker's note of that, or that the word does not say all that the worker goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Own(u64);

impl Own {
    fn none(generation: u32) -> Self {
        Own((u64::from(generation) & VERSIONS) << VERSION)
    }

    /// True if the word is one of this generation.
    pub(crate) fn is_of(self, generation: u32) -> bool {
        self.0 >> VERSION == u64::from(generation) & VERSIONS
    }

    #[inline(always)]
    pub(crate) fn is_sole(self) -> bool {
        self.0 & SOLE != 0
    }

    #[inline(always)]
    pub(crate) fn active(self) -> u32 {
        (self.0 >> ACTIVE) as u32 & MAX_CONNECTIONS
    }

    #[inline(always)]
    pub(crate) fn total(self) -> u32 {
        (self.0 >> TOTAL) as u32 & MAX_CONNECTIONS
    }

    #[inline(always)]
    pub(crate) fn word(self) -> u64 {
        self.0
    }

    /// True if the word has a note: a server with it is unavailable, or the word does not say all.
    pub(crate) fn is_noted(self) -> bool {
        self.0 & layout::UNAVAILABLE != 0
    }

    /// The word as counts of a server that is available, if it is sole and has no note.
    #[inline(always)]
    pub(crate) fn as_counts(self) -> Option<Counts> {
        (self.0 & (layout::UNAVAILABLE | SOLE) == SOLE).then(|| Counts::from_word(self.0))
    }

    /// The word with more connections, as counts have them.
    #[inline(always)]
    pub(crate) fn with(self, more: Connections) -> u64 {
        if more == Connections::NONE {
            return self.0;
        }
        // Each has at most 25 bits.
        let (active, total) = (self.active() + more.active(), self.total() + more.total());
        Counts::from_word(self.0).with_connections(active, total).word()
    }

    pub(crate) fn connections(self) -> Connections {
        Connections::new(self.active(), self.total())
    }

    fn counted(self) -> Counted {
        if self.is_sole() { Counted::Here } else { Counted::InSlotToo }
    }

    #[inline]
    fn opened(self, activity: Activity) -> Option<Self> {
        (self.total() < MAX_CONNECTIONS).then(|| Own(self.0 + one(activity)))
    }

    #[inline]
    fn closed(self, activity: Activity) -> Option<Self> {
        let any = match activity {
            Activity::Active => self.active() > 0,
            Activity::Inactive => self.total() > self.active(),
        };
        any.then(|| Own(self.0 - one(activity)))
    }

    #[inline]
    fn moved(self, to: Activity) -> Option<Self> {
        match to {
            Activity::Active if self.total() > self.active() => Some(Own(self.0 + (1 << ACTIVE))),
            Activity::Inactive if self.active() > 0 => Some(Own(self.0 - (1 << ACTIVE))),
            _ => None,
        }
    }
}

/// What a connection of this activity adds to the word.
#[inline(always)]
fn one(activity: Activity) -> u64 {
    (1 << TOTAL) + (u64::from(activity == Activity::Active) << ACTIVE)
}

/// The word of one worker for one server.
#[derive(Default)]
pub(crate) struct OwnCount(AtomicU64);

impl OwnCount {
    /// What the worker counts for a server of this generation.
    #[inline]
    pub(crate) fn get(&self, generation: u32) -> Own {
        let own = self.any();
        if own.is_of(generation) { own } else { Own::none(generation) }
    }

    /// What the word counts, of whichever generation.
    #[inline(always)]
    pub(crate) fn any(&self) -> Own {
        // SeqCst: pairs with the exchanges. After a publication the director sees each change whose thread has
        // not seen that publication yet.
        Own(self.0.load(Ordering::SeqCst))
    }

    /// Counts a connection. `is_current` says whether the server's generation still is this one.
    ///
    /// # Errors
    /// The server is gone, or the worker has as many connections there as a count can hold.
    #[inline(always)]
    pub(crate) fn open(
        &self,
        generation: u32,
        activity: Activity,
        is_current: impl Fn() -> bool,
    ) -> Result<Counted, ConnectionError> {
        let mut before = self.any();
        loop {
            // After the load: a word of the next owner makes the exchange fail.
            if !is_current() {
                return Err(ConnectionError::Stale);
            }
            let own = if before.is_of(generation) { before } else { Own::none(generation) };
            let after = own.opened(activity).ok_or(ConnectionError::Full)?;
            match self.exchange(before, after) {
                Ok(()) if is_current() => return Ok(after.counted()),
                Ok(()) => {
                    self.close(generation, activity);
                    return Err(ConnectionError::Stale);
                }
                Err(now) => before = now,
            }
        }
    }

    /// Uncounts a connection; `None` if none of that activity is counted.
    #[inline(always)]
    pub(crate) fn close(&self, generation: u32, activity: Activity) -> Option<Counted> {
        self.change(generation, |own| own.closed(activity))
    }

    /// Counts a connection as active or inactive; `None` if there is none to move.
    #[inline(always)]
    pub(crate) fn update(&self, generation: u32, to: Activity) -> Option<Counted> {
        self.change(generation, |own| own.moved(to))
    }

    #[inline(always)]
    fn change(&self, generation: u32, next: impl Fn(Own) -> Option<Own>) -> Option<Counted> {
        let mut before = self.any();
        loop {
            let after = next(before).filter(|_| before.is_of(generation))?;
            match self.exchange(before, after) {
                Ok(()) => return Some(after.counted()),
                Err(now) => before = now,
            }
        }
    }

    /// Makes the word one of this generation. Director only, while no worker can find a server of it.
    pub(crate) fn adopt(&self, generation: u32) {
        let mut own = self.any();
        while !own.is_of(generation) {
            match self.exchange(own, Own::none(generation)) {
                Ok(()) => return,
                // A connection of the owner before.
                Err(now) => own = now,
            }
        }
    }

    /// From now on the connections are counted here alone, unless there are some already. True if they are.
    /// Director only, while the server has no limits.
    pub(crate) fn make_sole(&self, generation: u32) -> bool {
        self.adopt(generation);
        let own = self.get(generation);
        own.is_sole() || own.total() == 0 && self.exchange(own, Own(own.0 | SOLE)).is_ok()
    }

    /// Notes whether the server is available, and the word says all that the worker goes by.
    pub(crate) fn note_availability(&self, generation: u32, available: bool) {
        let unavailable = if available { 0 } else { layout::UNAVAILABLE };
        // `None` if that is so already, or if the word is of another generation.
        self.change(generation, |own| {
            let noted = Own(own.0 & !layout::UNAVAILABLE | unavailable);
            (noted != own).then_some(noted)
        });
    }

    /// From now on the slot counts the connections too; false if it has no room for them. Director only.
    pub(crate) fn fold(&self, slot: &ServerSlot) -> bool {
        let mut own = self.any();
        if !own.is_sole() || !own.is_of(slot.generation()) {
            return true;
        }
        if !slot.adjust(own.connections()) {
            return false;
        }
        loop {
            match self.exchange(own, Own(own.0 & !SOLE)) {
                Ok(()) => return true,
                Err(now) => {
                    // What the slot has too many, or not yet.
                    let change = now.connections().plus(own.connections().negative());
                    if !slot.adjust(change) {
                        slot.adjust(own.connections().negative());
                        return false;
                    }
                    own = now;
                }
            }
        }
    }

    /// Resets the word of a worker that has gone, which is not sole; returns what it counted.
    pub(crate) fn take(&self) -> Own {
        // SeqCst: as in `exchange`.
        Own(self.0.swap(0, Ordering::SeqCst))
    }

    #[inline(always)]
    fn exchange(&self, before: Own, after: Own) -> Result<(), Own> {
        // SeqCst: pairs with the load in `any`.
        let (success, failure) = (Ordering::SeqCst, Ordering::SeqCst);
        let exchanged = self.0.compare_exchange(before.0, after.0, success, failure);
        exchanged.map(drop).map_err(Own)
    }
}

impl Counts {
    /// These counts and those of a worker's word that is sole: its part beside the slot's.
    #[inline(always)]
    pub(crate) fn with_sole(self, own: Own) -> Self {
        if own.is_sole() && own.total() > 0 {
            let (active, total) = (self.active(), self.total());
            // Each has at most 25 bits.
            self.with_connections(active + own.active(), total + own.total())
        } else {
            self
        }
    }
}

#[cfg(test)]
#[path = "own_count_tests.rs"]
mod tests;
