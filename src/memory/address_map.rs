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
//! Entries that are over ([`Expires::is_over`]) are not found and not counted. Sweeps remove them: in a full
//! map all at the next tick, else at their own pace.
//!
//! | location  | operation | ordering | partner          |
//! |-----------|-----------|----------|------------------|
//! | `refused` | additions | Relaxed  | none: a statistic |

use crate::arena::Arena;
use crate::arena::block::maps::SharedMap;
use crate::concurrent::zeroed::OutOfMemory;
use crate::config::Remembered;
pub(crate) use crate::memory::address_entry::{AddressKey, AffinityEntry, Expires, Payload};
use crate::memory::address_table::AffinityTable;
use crate::memory::pace::Pace;
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
    /// Which entries are over. In place, because every lookup reads it; the next map has a copy.
    expiry: P::Expiry,
}

/// How far a [`walk`](Affinity::walk) has come: which table, and how far in it.
#[derive(Default)]
pub(crate) struct Place {
    table: usize,
    word: usize,
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

    /// A map that other owners of a block use too. Every owner hashes alike.
    pub(super) fn shared(arena: Arc<Arena>, map: Arc<SharedMap>, entries: P::Entries) -> Self {
        let (capacity, seed) = (map.capacity, map.seed());
        let table = AffinityTable::shared(Arc::clone(&arena), map, entries);
        let hasher =
            ahash::RandomState::with_seeds(seed, !seed, seed.rotate_left(17), seed ^ 0x9e37_79b9);
        Affinity { hasher, ..Self::of(table, arena, capacity) }
    }

    /// The block's map that this is.
    #[inline]
    pub(super) fn shared_map(&self) -> Option<&SharedMap> {
        self.newest.shared.as_deref()
    }

    /// As [`AffinityTable::recount`].
    pub(super) fn recount(&self) {
        self.newest.recount();
    }

    /// The number of an entry of the newest table.
    pub(super) fn place(&self, entry: &AffinityEntry<P>) -> Option<usize> {
        self.newest.place(entry)
    }

    fn of(table: AffinityTable<P>, arena: Arc<Arena>, capacity: u32) -> Self {
        Affinity {
            arena,
            hasher: ahash::RandomState::new(),
            capacity,
            newest: Arc::new(table),
            older: Box::default(),
            refused: Arc::default(),
            expiry: P::Expiry::default(),
        }
    }

    /// The successor of this map: with another capacity, or without tables that are no longer needed.
    /// `None` if nothing would change. Allocates a table unless one of the right size exists. Director
    /// only: nothing else shares tables.
    pub(crate) fn next(&self, capacity: u32) -> Result<Option<Self>, OutOfMemory> {
        if self.shared_map().is_some() {
            return Ok(None);
        }
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
            expiry: self.expiry.clone(),
        }))
    }

    /// The tables, newest first.
    fn tables(&self) -> impl Iterator<Item = &Arc<AffinityTable<P>>> {
        std::iter::once(&self.newest).chain(&self.older)
    }

    pub(crate) fn arena(&self) -> &Arena {
        &self.arena
    }

    pub(crate) fn expiry(&self) -> &P::Expiry {
        &self.expiry
    }

    #[inline(always)]
    fn is_over(&self, word: u64, entry: &AffinityEntry<P>) -> bool {
        self.expiry.is_over(word, entry, &self.arena)
    }

    /// Number of entries, with those that are over.
    pub(crate) fn entries(&self) -> u32 {
        let all = self.older.iter().map(|table| table.count());
        // May be negative briefly, if an entry is removed before it is counted.
        (all.fold(self.newest.count(), u32::wrapping_add) as i32).max(0) as u32
    }

    /// What the map remembers, if no entry has ended since the sweep was begun. O(1) if the sweep is done,
    /// else O(entries).
    pub(crate) fn remembered(&self) -> Remembered {
        if self.is_swept() { self.of_entries(self.entries()) } else { self.remembered_now() }
    }

    /// What the map remembers. O(entries).
    pub(crate) fn remembered_now(&self) -> Remembered {
        let mut living = 0;
        self.for_each(|_, _| living += 1);
        self.of_entries(living)
    }

    fn of_entries(&self, entries: u32) -> Remembered {
        // Relaxed: a statistic.
        Remembered::new(entries, self.capacity, self.refused.load(Ordering::Relaxed))
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

    /// The key's entry, if it has one that is not over. Wait-free.
    #[inline]
    pub(crate) fn find(&self, key: AddressKey) -> Option<&AffinityEntry<P>> {
        match self.newest.find(key) {
            Some(entry) if !self.expiry.may_be_over(entry, &self.arena) => Some(entry),
            None if self.older.is_empty() => None,
            _ => self.find_among_all(key),
        }
    }

    #[cold]
    #[inline(never)]
    fn find_among_all(&self, key: AddressKey) -> Option<&AffinityEntry<P>> {
        self.all(key).find(|entry| !self.is_over(key.word, entry))
    }

    /// Every entry of the key, even if it is over: up to two per table, see [`AffinityTable::all`], and one
    /// per table that pickers of different maps added to.
    pub(crate) fn all(&self, key: AddressKey) -> impl Iterator<Item = &AffinityEntry<P>> {
        self.tables().flat_map(move |table| table.all(key))
    }

    /// Claims an entry for a key that has none, or only one that is over; `None` if the map, or the key's
    /// window, is full. Counts the failure.
    pub(crate) fn claim(&self, key: AddressKey) -> Option<&AffinityEntry<P>> {
        let claimed = if self.is_full() { None } else { self.newest.claim(key) };
        match claimed.or_else(|| self.all(key).next()) {
            // What it remembers is another key's, or was over for this one.
            Some(entry) => {
                if self.is_over(key.word, entry) {
                    entry.payload.forget(&self.arena);
                }
                Some(entry)
            }
            None => {
                // Relaxed: a statistic.
                self.refused.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    /// True if no other address has room.
    pub(crate) fn is_full(&self) -> bool {
        self.entries() >= self.capacity
    }

    /// Runs `act` to write an entry's payload, then marks the entry for sweeps. Every write that pins a
    /// server must go through here, or sweeps may never visit it.
    #[inline]
    pub(crate) fn write(&self, entry: &AffinityEntry<P>, act: impl FnOnce(&P)) {
        act(&entry.payload);
        // After the write: see `address_table`.
        self.tables().any(|table| table.mark(entry));
    }

    /// Removes the entries that `stays` rejects, and the remains of entries removed before. O(entries).
    /// Director only.
    pub(crate) fn retain(&self, stays: impl Fn(&AffinityEntry<P>) -> bool) {
        self.tables().for_each(|table| table.retain(|_, entry| stays(entry)));
    }

    /// Calls `look` with every entry that is not over. O(entries).
    pub(crate) fn for_each(&self, mut look: impl FnMut(AddressKey, &AffinityEntry<P>)) {
        let mut all = usize::MAX;
        self.walk(&mut Place::default(), &mut all, |word, entry| look(self.key_of(word), entry));
    }

    /// The same in a part of the map: goes on at `place` until it has visited as many entries as are left
    /// in `slice`. True at the end.
    pub(crate) fn walk(
        &self,
        place: &mut Place,
        slice: &mut usize,
        mut look: impl FnMut(u64, &AffinityEntry<P>),
    ) -> bool {
        for table in self.tables().skip(place.table) {
            let visited = table.walk(&mut place.word, *slice, |word, entry| {
                if !self.is_over(word, entry) {
                    look(word, entry);
                }
            });
            *slice = slice.saturating_sub(visited);
            if !table.is_end(place.word) {
                return false;
            }
            *place = Place { table: place.table + 1, word: 0 };
        }
        true
    }

    /// Lets the next calls of [`sweep`](Self::sweep) visit the whole map.
    pub(crate) fn begin_sweep(&self) {
        self.tables().for_each(|table| table.begin_sweep());
    }

    /// True if the sweep has visited the whole map since it was begun.
    pub(crate) fn is_swept(&self) -> bool {
        self.tables().all(|table| table.is_swept())
    }

    /// Removes entries that are over, and the remains of entries removed before, as far as `pace` allows.
    /// Director only.
    pub(crate) fn sweep(&self, pace: &mut Pace<'_>) {
        let sweep = |table: &AffinityTable<P>, most: usize, pace: &mut Pace<'_>| {
            pace.take(table.sweep(most, |word, entry| !self.is_over(word, entry)));
        };
        // First each its share, so that no table waits for ever for a larger one.
        let share = pace.left() / (1 + self.older.len());
        self.tables().for_each(|table| sweep(table, share, pace));
        self.tables().for_each(|table| sweep(table, pace.left(), pace));
    }
}

#[cfg(test)]
#[path = "address_map_tests.rs"]
mod tests;
