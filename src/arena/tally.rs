//! Connections per server that belong to one worker, or to none, and the incarnation of that worker.
//!
//! A tally is signed, because it may be negative while its connections are being handed over. No other
//! memory is accessed on the strength of a tally: it only decides where the next connection goes.
//!
//! | location      | operation                        | ordering | partner                           |
//! |---------------|----------------------------------|----------|-----------------------------------|
//! | `Tally`       | additions in `add`               | SeqCst   | loads in `get`                    |
//! | `incarnation` | store in `end`                   | SeqCst   | load in `as_guest`                |
//! | `guests`      | additions in `as_guest`          | SeqCst   | load in `is_vacant`, after `end`  |
//!
//! Why the close of a connection of a place's previous worker is never counted against the next one.
//! The director ends the incarnation, then waits until it sees no guest, and only then reassigns the
//! place. A guest announces itself, then loads the incarnation. All four accesses are SeqCst, so one of
//! two things happens:
//!
//! - The director sees the guest, and waits.
//! - The guest sees that the incarnation has ended, and changes nothing.

use crate::arena::counts::Activity;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// A number of connections, total and active, or a signed difference of two such numbers.
///
/// One word, total in the upper half and active in the lower, so that both change in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Connections(u64);

const TOTAL: u32 = 32;

impl Connections {
    pub(crate) const NONE: Self = Connections(0);

    #[inline]
    pub(crate) fn one(activity: Activity) -> Self {
        Connections(1 << TOTAL | u64::from(activity == Activity::Active))
    }

    /// The change when a connection becomes active, or inactive.
    pub(crate) fn moved(to: Activity) -> Self {
        match to {
            Activity::Active => Connections(1),
            Activity::Inactive => Connections(1).negative(),
        }
    }

    pub(crate) fn new(active: u32, total: u32) -> Self {
        Connections(u64::from(total) << TOTAL | u64::from(active))
    }

    pub(crate) fn negative(self) -> Self {
        Connections(self.0.wrapping_neg())
    }

    #[inline]
    pub(crate) fn plus(self, other: Self) -> Self {
        Connections(self.0.wrapping_add(other.0))
    }

    pub(crate) fn word(self) -> u64 {
        self.0
    }

    /// As [`word`](Self::word) has it.
    #[inline(always)]
    pub(crate) fn from_word(word: u64) -> Self {
        Connections(word)
    }

    /// True if one of the two numbers is below 0.
    pub(crate) fn is_negative(self) -> bool {
        self != Connections::new(self.active(), self.total())
    }

    /// The quotient by `of`, rounded toward zero; 0 is treated as 1.
    pub(crate) fn part(self, of: u32) -> Self {
        let of = of.clamp(1, i32::MAX as u32) as i32;
        let active = self.0 as u32 as i32;
        let total = (self.0.wrapping_sub(active as i64 as u64) >> TOTAL) as i32;
        let total = u64::from((total / of) as u32) << TOTAL;
        Connections(total.wrapping_add((active / of) as i64 as u64))
    }

    /// The total; 0 if it is negative.
    #[inline]
    pub(crate) fn total(self) -> u32 {
        // A negative lower half has borrowed from the upper one.
        let borrowed = u64::from((self.0 as u32 as i32) < 0) << TOTAL;
        at_least_0((self.0.wrapping_add(borrowed) >> TOTAL) as u32)
    }

    /// The active connections; 0 if the number is negative.
    #[inline]
    pub(crate) fn active(self) -> u32 {
        at_least_0(self.0 as u32)
    }
}

#[inline]
fn at_least_0(number: u32) -> u32 {
    (number as i32).max(0) as u32
}

/// A count of open connections.
#[derive(Default)]
pub(crate) struct Tally(AtomicU64);

impl Tally {
    #[inline]
    pub(crate) fn get(&self) -> Connections {
        // SeqCst: pairs with the additions. A change that is not seen is stamped after this.
        Connections(self.0.load(Ordering::SeqCst))
    }

    #[inline]
    pub(crate) fn add(&self, change: Connections) {
        // SeqCst: pairs with the load in `get`.
        self.0.fetch_add(change.0, Ordering::SeqCst);
    }
}

/// Which of a place's successive owners holds it now.
#[derive(Default)]
pub(crate) struct Incarnation {
    incarnation: AtomicU32,
    /// Number of threads that are acting for the owner.
    guests: AtomicU32,
}

impl Incarnation {
    /// Most owners of one place, which then stays empty, so that no two owners share a number.
    pub(crate) const LAST: u32 = (1 << 30) - 1;

    pub(crate) fn incarnation(&self) -> u32 {
        // SeqCst: pairs with the store in `end`.
        self.incarnation.load(Ordering::SeqCst)
    }

    /// Runs `act` for this owner; `None` if it has gone. The place gets no other owner until `act` ends.
    pub(crate) fn as_guest<R>(&self, incarnation: u32, act: impl FnOnce() -> R) -> Option<R> {
        // SeqCst: pairs with the load in `is_vacant`; before the load of the incarnation.
        self.guests.fetch_add(1, Ordering::SeqCst);
        let done = (self.incarnation() == incarnation).then(act);
        // SeqCst: pairs with the load in `is_vacant`; after everything that `act` did.
        self.guests.fetch_sub(1, Ordering::SeqCst);
        done
    }

    /// Ends the current owner's incarnation. Director only.
    pub(crate) fn end(&self) {
        // SeqCst: pairs with the load in `as_guest`; before the load in `is_vacant`. No read-modify-write:
        // one writer.
        self.incarnation.store(self.incarnation() + 1, Ordering::SeqCst);
    }

    /// True if no thread acts for an owner, after [`end`](Self::end). Director only.
    pub(crate) fn is_vacant(&self) -> bool {
        // SeqCst: pairs with the additions in `as_guest`; after the store in `end`.
        self.guests.load(Ordering::SeqCst) == 0
    }

    /// True if the place has had [`LAST`](Self::LAST) owners.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.incarnation() >= Self::LAST
    }

    #[cfg(test)]
    pub(crate) fn age(&self, incarnation: u32) {
        self.incarnation.store(incarnation, Ordering::SeqCst);
    }
}

#[cfg(test)]
#[path = "tally_tests.rs"]
mod tests;
