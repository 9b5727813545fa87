//! Which entries of an affinity cache are over, by when they were last used, before a sweep has removed
//! them.
//!
//! The director stores the times that its collections go by; a lookup compares an entry's last use with
//! them. So a collection takes effect at once, whatever the size of the map, and the entries' memory can be
//! freed later.
//!
//! | location   | operation        | ordering | partner                                        |
//! |------------|------------------|----------|------------------------------------------------|
//! | `latest`   | loads and stores | Relaxed  | none: coarse times; a pick beside a collection |
//! | `all`      | loads and stores | Relaxed  | may go by either                               |
//! | `buckets`  | loads and stores | Relaxed  |                                                |

use std::sync::OnceLock;

use crate::arena::Arena;
use crate::memory::address_entry::{AffinityEntry, Expires};
use crate::sync::{AtomicU64, Ordering};

/// The 32-bit golden ratio with which the kernel hashes (since Linux 4.7).
pub(crate) const GOLDEN_RATIO: u32 = 0x61c8_8647;
const BUCKET_BITS: u32 = 10;
pub(crate) const BUCKETS: u32 = 1 << BUCKET_BITS;

/// Times in milliseconds of the clock: entries that were last used earlier are over.
#[derive(Default)]
pub(crate) struct Expiry {
    /// The latest of all times below: for entries that are younger, nothing else is read.
    latest: AtomicU64,
    /// For every entry.
    all: AtomicU64,
    /// By [`bucket_of`]. Made by the first collection of a part of the buckets.
    buckets: OnceLock<Box<[AtomicU64]>>,
}

/// The kernel's 10-bit hash of an address, which gives the order of partial collections.
pub(crate) fn bucket_of(word: u64) -> u32 {
    (word as u32).wrapping_mul(GOLDEN_RATIO) >> (32 - BUCKET_BITS)
}

impl Expiry {
    /// Ends all entries that were last used before `time`. Director only.
    pub(crate) fn end_all(&self, time: u64) {
        raise(&self.all, time);
        raise(&self.latest, time);
    }

    /// The same for the entries of one bucket. Allocates at first. Director only.
    pub(crate) fn end_bucket(&self, bucket: u32, time: u64) {
        let make = || (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        if let Some(of_bucket) = self.buckets.get_or_init(make).get(bucket as usize) {
            raise(of_bucket, time);
        }
        raise(&self.latest, time);
    }
}

impl<P> Expires<P> for Expiry {
    #[inline(always)]
    fn may_be_over(&self, entry: &AffinityEntry<P>, _: &Arena) -> bool {
        // Relaxed, here and below: see the table.
        entry.idle_since() < self.latest.load(Ordering::Relaxed)
    }

    /// Wait-free.
    fn is_over(&self, word: u64, entry: &AffinityEntry<P>, arena: &Arena) -> bool {
        let used = entry.idle_since();
        let in_bucket = || {
            let bucket = self.buckets.get()?.get(bucket_of(word) as usize)?;
            Some(used < bucket.load(Ordering::Relaxed))
        };
        self.may_be_over(entry, arena)
            && (used < self.all.load(Ordering::Relaxed) || in_bucket().unwrap_or(false))
    }
}

impl Clone for Expiry {
    fn clone(&self) -> Self {
        let copy = |time: &AtomicU64| AtomicU64::new(time.load(Ordering::Relaxed));
        let copies = |buckets: &[AtomicU64]| buckets.iter().map(copy).collect::<Box<[_]>>();
        let buckets = self.buckets.get().map(|buckets| copies(buckets));
        let buckets = buckets.map_or_else(OnceLock::new, OnceLock::from);
        Expiry { latest: copy(&self.latest), all: copy(&self.all), buckets }
    }
}

fn raise(time: &AtomicU64, to: u64) {
    if time.load(Ordering::Relaxed) < to {
        time.store(to, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn buckets_are_the_kernels() {
        let bucket = |address: [u8; 4]| super::bucket_of(u32::from_be_bytes(address).into());
        assert_eq!(
            [[192, 168, 7, 1], [192, 168, 7, 2], [10, 0, 0, 1]].map(bucket),
            [240, 631, 159]
        );
    }
}
