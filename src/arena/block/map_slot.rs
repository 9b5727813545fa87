//! A map of addresses in a block, and its entries: see `maps`.
//!
//! | location  | operation                     | ordering | partner                                   |
//! |-----------|-------------------------------|----------|-------------------------------------------|
//! | `holders` | additions and removals        | SeqCst   | load in `is_held`                         |
//! | others    | loads and stores              | SeqCst   | `holders`, which are read first           |

use crate::concurrent::zeroed::zeroed_struct;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Maps consist of so many entries, or a multiple.
pub(crate) const ENTRIES: u64 = 1024;
/// Entries that share a mark.
pub(super) const CHUNK: usize = 16;

zeroed_struct! {
    /// An entry, as `memory` defines its words.
    #[repr(C)]
    pub(crate) struct MapEntry {
        pub(super) words: [AtomicU64; 6],
    }
}

/// Which of an entry's words names its server, by the complement of its slot in the lower half; 0 = none.
pub(crate) const SERVER: usize = 2;
/// Which has, in its lower half, a bit for each owner that has connections open through it.
pub(crate) const OWNERS: usize = 3;

/// A map's place.
#[repr(C, align(64))]
#[derive(Default)]
pub(crate) struct MapSlot {
    /// A hash of the service's key.
    pub(super) service: AtomicU64,
    /// The owners that use it.
    holders: AtomicU64,
    /// In units of [`ENTRIES`].
    pub(super) first: AtomicU32,
    pub(super) length: AtomicU32,
    /// Addresses that it may remember, and how many it does.
    pub(super) capacity: AtomicU32,
    pub(crate) count: AtomicU32,
}

impl MapSlot {
    pub(super) fn is_held(&self, by: u64) -> bool {
        self.holders.load(Ordering::SeqCst) & by != 0
    }

    pub(super) fn hold(&self, owner: u32) {
        self.holders.fetch_or(1 << owner, Ordering::SeqCst);
    }

    pub(super) fn release(&self, owner: u32) {
        self.holders.fetch_and(!(1 << owner), Ordering::SeqCst);
    }

    /// In units of [`ENTRIES`].
    pub(super) fn range(&self) -> std::ops::Range<u64> {
        let [first, length] =
            [&self.first, &self.length].map(|word| u64::from(word.load(Ordering::SeqCst)));
        first..first + length
    }
}
