//! Connections that belong to one worker, or to none, counted per server; and whose they are.
//!
//! A tally may be short of what was subtracted from it while its connections are being handed on, so
//! it is signed. Nothing is read on the strength of one: it decides where the next connection goes.
//!
//! | location      | operation                        | ordering | partner                           |
//! |---------------|----------------------------------|----------|-----------------------------------|
//! | `Tally`       | additions in `add`, swap in `take` | SeqCst | loads in `get`                    |
//! | `incarnation` | store in `end`                   | SeqCst   | load in `as_guest`                |
//! | `guests`      | additions in `as_guest`          | SeqCst   | load in `is_vacant`, after `end`  |
//!
//! Why a worker that takes over a place is never counted an end of its predecessor's connection: the
//! director ends the incarnation, then waits until it sees no guest, and only then gives the place
//! away. A guest announces itself, then looks at the incarnation. All four are SeqCst, so either the
//! director sees the guest, or the guest sees that the incarnation has ended.

use crate::arena::counts::Activity;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// A number of connections, active ones apart; a difference of two such numbers.
///
/// In one word, all of them above, active ones below: they change in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Connections(u64);

const TOTAL: u32 = 32;

impl Connections {
    pub(crate) const NONE: Self = Connections(0);

    #[inline]
    pub(crate) fn one(activity: Activity) -> Self {
        Connections(1 << TOTAL | u64::from(activity == Activity::Active))
    }

    /// What changes when a connection becomes active, or inactive.
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

    /// One of so many equal parts, rounded towards zero. 0 parts are taken for one.
    pub(crate) fn part(self, of: u32) -> Self {
        let of = of.clamp(1, i32::MAX as u32) as i32;
        let active = self.0 as u32 as i32;
        let total = (self.0.wrapping_sub(active as i64 as u64) >> TOTAL) as i32;
        let total = u64::from((total / of) as u32) << TOTAL;
        Connections(total.wrapping_add((active / of) as i64 as u64))
    }

    /// All of them; 0 if fewer.
    #[inline]
    pub(crate) fn total(self) -> u32 {
        // What active ones lack was borrowed here.
        let borrowed = u64::from((self.0 as u32 as i32) < 0) << TOTAL;
        at_least_0((self.0.wrapping_add(borrowed) >> TOTAL) as u32)
    }

    /// The active ones; 0 if fewer.
    #[inline]
    pub(crate) fn active(self) -> u32 {
        at_least_0(self.0 as u32)
    }
}

#[inline]
fn at_least_0(number: u32) -> u32 {
    (number as i32).max(0) as u32
}

/// Connections that are open.
#[derive(Default)]
pub(crate) struct Tally(AtomicU64);

impl Tally {
    #[inline]
    pub(crate) fn get(&self) -> Connections {
        // SeqCst: between a store in an index and a change by another thread, at least one of the two
        // sees the other's.
        Connections(self.0.load(Ordering::SeqCst))
    }

    #[inline]
    pub(crate) fn add(&self, change: Connections) {
        self.0.fetch_add(change.0, Ordering::SeqCst);
    }

    /// Takes all of them away.
    pub(crate) fn take(&self) -> Connections {
        Connections(self.0.swap(0, Ordering::SeqCst))
    }
}

/// Which of a place's owners, one after the other, has it now.
#[derive(Default)]
pub(crate) struct Incarnation {
    incarnation: AtomicU32,
    /// Threads that are about to change something on an owner's behalf.
    guests: AtomicU32,
}

impl Incarnation {
    /// No place has more owners than this: it is left empty then. So no two have the same number.
    pub(crate) const LAST: u32 = (1 << 30) - 1;

    pub(crate) fn incarnation(&self) -> u32 {
        self.incarnation.load(Ordering::SeqCst)
    }

    /// Acts for this owner; `None` if it is gone. Until `act` ends, the place has no other.
    pub(crate) fn as_guest<R>(&self, incarnation: u32, act: impl FnOnce() -> R) -> Option<R> {
        self.guests.fetch_add(1, Ordering::SeqCst);
        let done = (self.incarnation() == incarnation).then(act);
        self.guests.fetch_sub(1, Ordering::SeqCst);
        done
    }

    /// The owner goes. Director only.
    pub(crate) fn end(&self) {
        // One writer.
        self.incarnation.store(self.incarnation() + 1, Ordering::SeqCst);
    }

    /// Nobody acts for an owner that has gone. Director only.
    pub(crate) fn is_vacant(&self) -> bool {
        self.guests.load(Ordering::SeqCst) == 0
    }

    /// It has had all its owners.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.incarnation() >= Self::LAST
    }

    #[cfg(test)]
    pub(crate) fn age(&self, incarnation: u32) {
        self.incarnation.store(incarnation, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::{Connections, Incarnation, Tally};
    use crate::arena::counts::Activity::{Active, Inactive};

    #[test]
    fn what_is_taken_away_first_is_missing_until_it_comes() {
        let tally = Tally::default();
        let read = || (tally.get().active(), tally.get().total());
        tally.add(Connections::one(Active).negative());
        assert_eq!(read(), (0, 0));
        tally.add(Connections::one(Active));
        tally.add(Connections::moved(Inactive));
        // One connection that is not there has become inactive.
        assert_eq!(read(), (0, 0));
        tally.add(Connections::one(Inactive));
        assert_eq!(read(), (0, 1));
        tally.add(Connections::moved(Active));
        assert_eq!(read(), (0, 1));
        tally.add(Connections::moved(Active));
        assert_eq!(read(), (1, 1));
        let most = crate::arena::counts::MAX_CONNECTIONS;
        tally.add(Connections::new(most - 1, most - 1));
        assert_eq!(read(), (most, most));
        assert_eq!(tally.take().part(4), Connections::new(most / 4, most / 4));
        assert_eq!((read(), Connections::NONE.part(0)), ((0, 0), Connections::NONE));
        for (active, total) in [(7, 9), (0, 9), (3, 3)] {
            let part = Connections::new(active / 2, total / 2);
            assert_eq!(Connections::new(active, total).part(2), part);
            assert_eq!(Connections::new(active, total).negative().part(2), part.negative());
        }
    }

    #[test]
    fn an_owner_that_is_gone_has_no_guests() {
        let tenure = Incarnation::default();
        assert_eq!(tenure.as_guest(0, || tenure.is_vacant()), Some(false));
        tenure.end();
        assert_eq!((tenure.as_guest(0, || ()), tenure.is_vacant()), (None, true));
        assert_eq!((tenure.as_guest(1, || ()), tenure.is_exhausted()), (Some(()), false));
        tenure.age(Incarnation::LAST - 1);
        assert!(!tenure.is_exhausted());
        tenure.end();
        assert!(tenure.is_exhausted());
    }
}
