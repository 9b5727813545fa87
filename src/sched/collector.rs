//! When entries of an affinity cache are over, exactly as in a kernel: its collections of garbage, at the
//! minutes at which they are due.
//!
//! A kernel looks once per minute. Every 30th time, it removes all entries that were idle for
//! `affinity.expiration`. Otherwise, if there are more than 16,384 entries, it removes those idle for six
//! minutes, bucket by bucket, until it has removed about a third more than are too many; then the 30 do not
//! count on.
//!
//! Here a collection only decides which entries are over, and lookups obey at once ([`Expiry`]). A full one
//! takes no look at the entries. A partial one has to know how many idle entries each bucket has: it counts
//! them, in slices. Once they are counted, all collections up to now are computed, however far the clock has
//! jumped: meanwhile no entry was used, so only the time that each entry is idle differs.

use crate::config::MANY_ENTRIES as MANY;
use crate::memory::address_map::{Affinity, Payload, Place};
use crate::memory::expiry::{BUCKETS, Expiry, bucket_of};

const PERIOD: u64 = 60_000;
const PERIODS_A_SWEEP: u64 = 30;
const IDLE: u64 = 360_000;
const MOST_AT_ONCE: u32 = 8_192;

/// The classes of entries by the first of the coming periods in which they are idle. When the clock jumps,
/// entries were last used before the first period, so in the seventh all are idle.
const CLASSES: usize = 7;

pub(super) struct Collector {
    /// When the next period ends, in milliseconds of the clock.
    next: u64,
    /// Periods since the last full collection, from 1.
    count: u64,
    /// The bucket at which the latest partial collection ended.
    rover: u32,
    /// Up to when collections are due, and after how long entries are over.
    now: u64,
    expiration: u64,
    /// For the collection at `next`, as far as entries are counted.
    counting: Option<Counting>,
}

struct Counting {
    place: Place,
    idle: Idle,
}

/// The entries that are not over.
struct Idle {
    all: u32,
    /// By bucket and class.
    counts: Box<[[u32; CLASSES]]>,
}

impl Collector {
    pub(super) fn new(now: u64) -> Self {
        let next = now.saturating_add(PERIOD);
        Collector { next, count: 1, rover: 0, now, expiration: 0, counting: None }
    }

    /// For a map of other tables: the entries have to be counted again.
    pub(super) fn to_carry_over(&self) -> Self {
        let Collector { next, count, rover, now, expiration, .. } = *self;
        Collector { next, count, rover, now, expiration, counting: None }
    }

    /// Collections are due up to `now`.
    pub(super) fn advance(&mut self, now: u64, expiration: u64) {
        self.now = now;
        self.expiration = expiration;
    }

    /// Makes the collections that are due. False if `slice` was used up: call again.
    pub(super) fn collect<P: Payload<Expiry = Expiry>>(
        &mut self,
        map: &Affinity<P>,
        slice: &mut usize,
    ) -> bool {
        while self.is_due() {
            if self.count >= PERIODS_A_SWEEP {
                self.end_expired(map, self.next);
                self.count = 1;
                self.pass(1);
            } else if map.entries() <= MANY {
                self.pass_quietly(map);
            } else {
                let at = self.next;
                let counting = self.counting.get_or_insert_with(Counting::new);
                let Counting { place, idle } = counting;
                if !map.walk(place, slice, |word, entry| idle.add(word, entry.idle_since(), at)) {
                    return false;
                }
                if let Some(Counting { idle, .. }) = self.counting.take() {
                    self.end_idle(map, idle);
                }
            }
        }
        true
    }

    fn is_due(&self) -> bool {
        // At the end of time no period ends.
        self.next <= self.now && self.next < u64::MAX
    }

    /// Number of periods that are due.
    fn periods(&self) -> u64 {
        if self.is_due() { (self.now - self.next) / PERIOD + 1 } else { 0 }
    }

    fn pass(&mut self, periods: u64) {
        self.next = self.next.saturating_add(periods.saturating_mul(PERIOD));
    }

    fn end_expired<P: Payload<Expiry = Expiry>>(&self, map: &Affinity<P>, at: u64) {
        if let Some(until) = at.checked_sub(self.expiration) {
            map.expiry().end_all(until.saturating_add(1));
        }
        // Also for what pickers have written late.
        map.begin_sweep();
    }

    /// Passes all periods that are due, with no more entries than `MANY`: there are only full collections,
    /// of which the latest decides.
    fn pass_quietly<P: Payload<Expiry = Expiry>>(&mut self, map: &Affinity<P>) {
        // What was counted was for another time.
        self.counting = None;
        let periods = self.periods();
        let to_full = PERIODS_A_SWEEP.saturating_sub(self.count);
        match periods.checked_sub(to_full + 1) {
            Some(beyond) => {
                let since = beyond % PERIODS_A_SWEEP;
                self.pass(periods - 1 - since);
                self.end_expired(map, self.next);
                self.pass(1 + since);
                self.count = 1 + since;
            }
            None => {
                self.pass(periods);
                self.count += periods;
            }
        }
    }

    /// Makes the partial collections that are due. Ends, because in each one after the first few all
    /// entries are idle.
    fn end_idle<P: Payload<Expiry = Expiry>>(&mut self, map: &Affinity<P>, mut idle: Idle) {
        for class in 0.. {
            if !self.is_due() {
                break;
            }
            if idle.all <= MANY {
                self.pass_quietly(map);
                break;
            }
            let ended = self.end_some(map, &mut idle, class);
            self.pass(1);
            if ended > 0 {
                map.begin_sweep();
            } else if class >= CLASSES {
                // Entries that were used while they were counted.
                self.pass(self.periods());
            }
        }
    }

    /// One partial collection, for which entries of classes up to this one are idle. Returns how many it
    /// has ended.
    fn end_some<P: Payload<Expiry = Expiry>>(
        &mut self,
        map: &Affinity<P>,
        idle: &mut Idle,
        class: usize,
    ) -> u32 {
        let goal = ((idle.all - MANY) * 4 / 3).min(MOST_AT_ONCE);
        let until = self.next.checked_sub(IDLE).map_or(0, |until| until + 1);
        let mut ended = 0;
        for bucket in (1..=BUCKETS).map(|step| (self.rover + step) % BUCKETS) {
            let of_bucket = idle.take(bucket, class);
            if of_bucket > 0 {
                map.expiry().end_bucket(bucket, until);
                ended += of_bucket;
            }
            if ended >= goal {
                self.rover = bucket;
                break;
            }
        }
        ended
    }
}

impl Counting {
    fn new() -> Self {
        let counts = vec![[0; CLASSES]; BUCKETS as usize].into_boxed_slice();
        Counting { place: Place::default(), idle: Idle { all: 0, counts } }
    }
}

impl Idle {
    /// Counts an entry; the next period ends at `at`.
    fn add(&mut self, word: u64, used: u64, at: u64) {
        self.all += 1;
        let class = used.saturating_add(IDLE).saturating_sub(at).div_ceil(PERIOD);
        let counts = self.counts.get_mut(bucket_of(word) as usize);
        if let Some(count) = counts.and_then(|counts| counts.get_mut(class as usize)) {
            *count += 1;
        }
    }

    /// Removes the entries of a bucket that are of these classes, and returns their number.
    fn take(&mut self, bucket: u32, up_to: usize) -> u32 {
        let Some(counts) = self.counts.get_mut(bucket as usize) else { return 0 };
        let idle = counts.iter_mut().take(up_to + 1);
        let taken = idle.map(std::mem::take).sum();
        self.all -= taken;
        taken
    }
}

#[cfg(test)]
#[path = "collector_tests.rs"]
mod tests;
