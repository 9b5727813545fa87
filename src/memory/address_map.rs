//! A lock-free map of fixed capacity from addresses to servers; lookups and inserts never allocate.
//!
//! A map is a list of tables (see `address_table`), newest first, and nearly always just one. A change
//! of capacity makes a new map: a table of another size in front of the previous map's tables, which
//! both maps share. Nothing is copied, so pickers of the previous map continue in the same entries, and
//! what is counted in an entry (open connections of a template) is neither lost nor counted twice.
//!
//! - New entries go to the first table. Lookups read all tables. The capacity limits the entries of
//!   all of them together.
//! - A table is dropped by the next change of its service once it is empty and no pool of another map
//!   remains that could add to it.
//! - If the list already has a table of the requested size, that table becomes the first. So however
//!   often the capacity changes, a map has at most one table per size (the powers of two from 2^5 to
//!   2^25), and no table is dropped while it has an entry.
//!
//! Why a map does not grow incrementally: a picker must not allocate, and a step taken by the director's
//! tick would come after the burst that needs it, whose clients would be forgotten by then. A table
//! reserves its address space at once, and memory page by page as it fills.
//!
//! | location  | operation | ordering | partner          |
//! |-----------|-----------|----------|------------------|
//! | `refused` | additions | Relaxed  | none: a statistic |

use crate::arena::Arena;
use crate::concurrent::zeroed::OutOfMemory;
use crate::config::Remembered;
use crate::memory::address_table::AffinityTable;
pub(crate) use crate::memory::address_table::{AddressKey, AffinityEntry, Payload};
use crate::sync::{Arc, AtomicU64, Ordering};

/// Tag bits of a key's word: it holds the hash of an IPv6 address, or a plain IPv4 address.
const HASHED: u64 = 1 << 63;
const PLAIN: u64 = 1 << 62;

pub(crate) struct Affinity<P: Payload> {
    arena: Arc<Arena>,
    hasher: ahash::RandomState,
    capacity: u32,
    newest: Arc<AffinityTable<P>>,
    /// Tables of previous capacities, newest first. Their entries count; none are added.
    older: Box<[Arc<AffinityTable<P>>]>,
    /// Picks that could not be remembered, in this map and its predecessors.
    refused: Arc<AtomicU64>,
}

impl<P: Payload> Affinity<P> {
    /// A map with a capacity of 1 to 2^24 entries. Allocates.
    pub(crate) fn new(arena: Arc<Arena>, capacity: u32) -> Result<Self, OutOfMemory> {
        Ok(Self::of(AffinityTable::new(Arc::clone(&arena), capacity)?, arena, capacity))
    }

    /// A map with a capacity of one entry. Allocates.
    pub(crate) fn smallest(arena: Arc<Arena>) -> Self {
        Self::of(AffinityTable::smallest(Arc::clone(&arena)), arena, 1)
    }

    fn of(table: AffinityTable<P>, arena: Arc<Arena>, capacity: u32) -> Self {
        Affinity {
            arena,
            hasher: ahash::RandomState::new(),
            capacity,
            newest: Arc::new(table),
            older: Box::default(),
            refused: Arc::default(),
        }
    }

    /// The successor of this map: with another capacity, or without tables that are no longer needed.
    /// `None` if nothing would change. Allocates a table unless one of the right size exists. Director
    /// only: nothing else shares tables.
    pub(crate) fn next(&self, capacity: u32) -> Result<Option<Self>, OutOfMemory> {
        let fitting = self.tables().find(|table| table.fits(capacity));
        let newest = match fitting {
            Some(table) => Arc::clone(table),
            None => Arc::new(AffinityTable::new(Arc::clone(&self.arena), capacity)?),
        };
        // A second reference is another map, whose pickers may add to the table. This map's pickers may
        // add to its first table.
        let is_needed = |table: &Arc<AffinityTable<P>>| {
            let shared = Arc::strong_count(table) > 1 || Arc::ptr_eq(table, &self.newest);
            !Arc::ptr_eq(table, &newest) && (shared || table.count() != 0)
        };
        let older: Box<[_]> = self.tables().filter(|table| is_needed(table)).cloned().collect();
        if capacity == self.capacity && older.len() == self.older.len() {
            return Ok(None);
        }
        Ok(Some(Affinity {
            arena: Arc::clone(&self.arena),
            hasher: self.hasher.clone(),
            capacity,
            newest,
            older,
            refused: Arc::clone(&self.refused),
        }))
    }

    /// The tables, newest first.
    fn tables(&self) -> impl Iterator<Item = &Arc<AffinityTable<P>>> {
        std::iter::once(&self.newest).chain(&self.older)
    }

    pub(crate) fn arena(&self) -> &Arena {
        &self.arena
    }

    pub(crate) fn entries(&self) -> u32 {
        let all = self.older.iter().map(|table| table.count());
        // May be negative briefly, if an entry is removed before it is counted.
        (all.fold(self.newest.count(), u32::wrapping_add) as i32).max(0) as u32
    }

    pub(crate) fn remembered(&self) -> Remembered {
        // Relaxed: a statistic.
        let refused = self.refused.load(Ordering::Relaxed);
        Remembered::new(self.entries(), self.capacity, refused)
    }

    /// The key of an address, given as two words; an IPv4 address is the upper half of the first.
    /// `family` is 4 or 6.
    #[inline]
    pub(crate) fn key(&self, address: [u64; 2], family: u8) -> AddressKey {
        self.key_of(match family {
            6 => HASHED | self.hasher.hash_one(address),
            _ => PLAIN | address[0] >> 32,
        })
    }

    #[inline]
    pub(crate) fn key_of(&self, word: u64) -> AddressKey {
        let hash = if word & HASHED != 0 { word } else { self.hasher.hash_one(word) };
        AddressKey { word, hash }
    }

    /// The key's entry, if it has one. Wait-free.
    #[inline]
    pub(crate) fn find(&self, key: AddressKey) -> Option<&AffinityEntry<P>> {
        let found = self.newest.find(key);
        if found.is_some() || self.older.is_empty() { found } else { self.find_in_older(key) }
    }

    #[inline(never)]
    fn find_in_older(&self, key: AddressKey) -> Option<&AffinityEntry<P>> {
        self.older.iter().find_map(|table| table.find_again(key))
    }

    /// Every entry of the key: up to two per table, see [`AffinityTable::all`], and one per table that
    /// pickers of different maps added to.
    pub(crate) fn all(&self, key: AddressKey) -> impl Iterator<Item = &AffinityEntry<P>> {
        self.tables().flat_map(move |table| table.all(key))
    }

    /// Claims an entry for a key that has none; `None` if the map, or the key's window, is full. Counts
    /// the failure.
    pub(crate) fn claim(&self, key: AddressKey) -> Option<&AffinityEntry<P>> {
        let claimed = if self.entries() < self.capacity { self.newest.claim(key) } else { None };
        if claimed.is_none() {
            // Relaxed: a statistic.
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        claimed
    }

    /// Runs `act` to write an entry's payload, then marks the entry for sweeps. Every write that pins a
    /// server must go through here, or sweeps may never visit it.
    #[inline]
    pub(crate) fn write(&self, entry: &AffinityEntry<P>, act: impl FnOnce(&P)) {
        act(&entry.payload);
        // After the write: see `address_table`.
        self.tables().any(|table| table.mark(entry));
    }

    /// Removes the entries that were not used after `until`. O(entries). Director only.
    pub(crate) fn expire(&self, until: Option<u64>) {
        self.retain(|entry| until.is_none_or(|until| entry.idle_since() > until));
    }

    /// Removes the entries that `stays` rejects, and the remains of entries removed before. O(entries).
    /// Director only.
    pub(crate) fn retain(&self, stays: impl Fn(&AffinityEntry<P>) -> bool) {
        self.tables().for_each(|table| table.retain(&stays));
    }

    /// Calls `look` with every entry. O(entries). Director only.
    pub(crate) fn for_each(&self, mut look: impl FnMut(AddressKey, &AffinityEntry<P>)) {
        let entries = self.tables().flat_map(|table| table.iter());
        entries.for_each(|(word, entry)| look(self.key_of(word), entry));
    }

    /// Removes idle entries bucket by bucket, in the order of `buckets`, until at least `goal` are
    /// removed. Returns the last bucket visited. O(entries). Director only.
    pub(crate) fn expire_some(
        &self,
        until: Option<u64>,
        goal: u32,
        bucket_of: impl Fn(u64) -> u32,
        buckets: impl Iterator<Item = u32>,
    ) -> Option<u32> {
        let is_idle =
            |entry: &AffinityEntry<P>| until.is_some_and(|until| entry.idle_since() <= until);
        let all = self.tables().flat_map(|table| table.iter().map(move |found| (table, found)));
        let idle: Vec<_> = all.filter(|(_, (_, entry))| is_idle(entry)).collect();
        let mut out = 0;
        let mut last = None;
        for bucket in buckets {
            last = Some(bucket);
            for (table, (word, entry)) in
                idle.iter().filter(|(_, (word, _))| bucket_of(*word) == bucket)
            {
                table.clear(entry, *word);
                out += 1;
            }
            if out >= goal {
                break;
            }
        }
        last
    }
}

#[cfg(test)]
#[path = "address_map_tests.rs"]
mod tests;
