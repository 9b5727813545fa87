//! What a worker keeps by itself for services that are shared `per-worker`: where its rotations
//! stand, and how many connections it has opened.
//!
//! A place is found by the worker's number, and goes to another worker when its owner is gone. Only
//! the owner begins connections here; others may end or change them. Such a count decides where the
//! owner's next connection goes, and nothing else: limits and statistics go by the slots.
//!
//! | location  | operation                     | ordering | partner                         |
//! |-----------|-------------------------------|----------|---------------------------------|
//! | `servers` | swaps in `change`             | SeqCst   | loads in `change` and `counts`  |
//! | `servers` | store in `move_in`            | SeqCst   | the same; before the worker is  |
//! | `tenancy` | store in `move_in`, the loads | SeqCst   | none: one word                  |
//!
//! Each count carries the number of the tenancy that it belongs to, so that the end of a former
//! owner's connection changes nothing.

use crate::config::Generation;
use crate::state::counts::{Activity, Counts, Limits};
use crate::state::segments::Segments;
use crate::state::slots::ServiceSlot;
use crate::sync::{Arc, AtomicU32, AtomicU64, Ordering};

/// More workers than this at a time, and the rest share the rotations of all.
pub(crate) const MOST: u32 = (1 << NUMBER_BITS) - 1;
const NUMBER_BITS: u32 = 22;

/// One worker's own state.
pub(crate) struct Own {
    services: Segments<ServiceSlot>,
    servers: Segments<AtomicU64>,
    number: AtomicU32,
    tenancy: AtomicU32,
}

/// Who opened a connection: 0 = nobody keeps it by itself. The worker's number and its tenancy.
pub(crate) type Opener = u32;

/// The number of an opener; beyond all workers if there is none.
pub(crate) fn number_of(opener: Opener) -> u32 {
    (opener & MOST).wrapping_sub(1)
}

impl Default for Own {
    fn default() -> Self {
        Own {
            services: Segments::new(),
            servers: Segments::new(),
            number: AtomicU32::new(0),
            tenancy: AtomicU32::new(0),
        }
    }
}

impl Own {
    /// Makes it a new worker's. Director only, before the worker is.
    pub(crate) fn move_in(&self, number: u32, servers: u32, services: u32) {
        let tenancy = (self.tenancy.load(Ordering::SeqCst) + 1) & Counts::MOST_TAG;
        self.number.store(number, Ordering::SeqCst);
        self.tenancy.store(tenancy, Ordering::SeqCst);
        self.reach(servers, services);
        let none = Counts::tagged(tenancy).word();
        for counts in (0..servers).filter_map(|slot| self.servers.get(slot)) {
            counts.store(none, Ordering::SeqCst);
        }
    }

    /// Makes room for this many slots. Allocates. Director only.
    pub(crate) fn reach(&self, servers: u32, services: u32) {
        let none = Counts::tagged(self.tenancy.load(Ordering::SeqCst)).word();
        self.servers.reach_with(servers, || AtomicU64::new(none));
        self.services.reach_with(services, || ServiceSlot::new(0));
    }

    /// The worker's number, from 0.
    pub(crate) fn number(&self) -> u32 {
        self.number.load(Ordering::SeqCst)
    }

    /// The worker as the opener of a connection.
    #[inline]
    pub(crate) fn opener(&self) -> Opener {
        self.tenancy.load(Ordering::SeqCst) << NUMBER_BITS | (self.number() + 1)
    }

    /// Where the worker stands in a service's rotations.
    #[inline]
    pub(crate) fn service(&self, slot: u32) -> Option<&ServiceSlot> {
        self.services.get(slot)
    }

    /// The first services' part of that, for the worker to keep. Allocates.
    pub(crate) fn first_services(&self) -> Arc<[ServiceSlot]> {
        self.services.first(|| ServiceSlot::new(0))
    }

    /// The connections that the worker has opened to a server and that are open still.
    #[inline]
    pub(crate) fn counts(&self, server: u32) -> Counts {
        let none = Counts::tagged(0);
        self.servers.get(server).map_or(none, |word| Counts::from_word(word.load(Ordering::SeqCst)))
    }

    /// The worker opens a connection; false if it cannot count it.
    #[inline]
    pub(crate) fn open(&self, server: u32, activity: Activity) -> bool {
        let no_limits = Limits::from_word(0);
        self.change(server, |counts| counts.opened(activity, no_limits, Generation::B))
    }

    /// A connection that `opener` has opened here ends.
    pub(crate) fn close(&self, server: u32, opener: Opener, activity: Activity) {
        let no_limits = Limits::from_word(0);
        self.change(server, |counts| {
            let ours = counts.tag() == opener >> NUMBER_BITS;
            if ours { counts.closed(activity, no_limits, Generation::B) } else { None }
        });
    }

    /// A connection that `opener` has opened here changes its activity.
    pub(crate) fn update(&self, server: u32, opener: Opener, to: Activity) {
        self.change(server, |counts| {
            if counts.tag() == opener >> NUMBER_BITS { counts.moved(to) } else { None }
        });
    }

    #[inline]
    fn change(&self, server: u32, next: impl Fn(Counts) -> Option<Counts>) -> bool {
        let Some(counts) = self.servers.get(server) else { return false };
        let mut word = counts.load(Ordering::SeqCst);
        loop {
            let Some(next) = next(Counts::from_word(word)) else { return false };
            let next = next.word();
            match counts.compare_exchange_weak(word, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }
}

/// A place in `length` for each number, far from those of the numbers before: 0, 1/2, 1/4, 3/4, …
/// (van der Corput, 1935).
pub(crate) fn spread(number: u32, length: u32) -> u32 {
    ((u64::from(number.reverse_bits()) * u64::from(length)) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::{MOST, Own, number_of, spread};
    use crate::state::counts::Activity;

    #[test]
    fn places_are_far_apart() {
        assert_eq!([0, 1, 2, 3].map(|number| spread(number, 100)), [0, 50, 25, 75]);
        assert_eq!(spread(7, 0), 0);
        assert!((0..1000).all(|number| spread(number, 3) < 3));
    }

    #[test]
    fn ends_of_a_former_owners_connections_change_nothing() {
        let own = Own::default();
        own.move_in(3, 10, 10);
        let former = own.opener();
        assert_eq!(number_of(former), 3);
        assert!(own.open(5, Activity::Active) && own.open(5, Activity::Active));
        own.move_in(3, 10, 10);
        assert_eq!(own.counts(5).total(), 0);
        assert!(own.open(5, Activity::Active));
        own.close(5, former, Activity::Active);
        assert_eq!(own.counts(5).total(), 1);
        own.update(5, own.opener(), Activity::Inactive);
        assert_eq!((own.counts(5).active(), own.counts(5).total()), (0, 1));
        own.close(5, own.opener(), Activity::Inactive);
        own.close(5, own.opener(), Activity::Inactive);
        assert_eq!(own.counts(5).total(), 0);
        assert!(!own.open(MOST, Activity::Active));
    }
}
