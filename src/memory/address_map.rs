//! Which server goes with which address: a map of fixed capacity, lock-free, without allocation.
//!
//! A map is a list of tables (see `affinity_table`), the newest first: nearly always one. Another
//! capacity makes another map, with a table of another size before the tables of the former map,
//! which it shares. Nothing is copied, so pickers of the former map go on in the same entries: what
//! is counted in an entry (open connections of a template) is never lost and never counted twice.
//!
//! New entries go to the first table, look-ups read all of them, and the capacity limits the entries
//! of all. A table is dropped by the next change of its service after it is empty and no pool of
//! another map is left to add to it. A table of the wanted size that is in the list already becomes
//! the first: so however often the capacity changes, a map has no more tables than there are sizes,
//! the powers of two from 2^5 to 2^25, and no table ever goes while it has an entry.
//!
//! Why a map does not grow by steps instead: a picker may not allocate, and a step from the
//! director's tick would come after the burst that needs it, whose clients were forgotten meanwhile.
//! A table takes its address space at once, and memory page by page as it fills.
//!
//! | location  | operation | ordering | partner                |
//! |-----------|-----------|----------|------------------------|
//! | `refused` | additions | Relaxed  | none: a figure to show |

use crate::arena::Arena;
use crate::concurrent::zeroed::OutOfMemory;
use crate::config::Remembered;
use crate::memory::address_table::AffinityTable;
pub(crate) use crate::memory::address_table::{AddressKey, AffinityEntry, Payload};
use crate::sync::{Arc, AtomicU64, Ordering};

/// Bits of a key's word: a hash of an IPv6 address, an IPv4 address itself.
const HASHED: u64 = 1 << 63;
const PLAIN: u64 = 1 << 62;

pub(crate) struct Affinity<P: Payload> {
    arena: Arc<Arena>,
    hasher: ahash::RandomState,
    capacity: u32,
    newest: Arc<AffinityTable<P>>,
    /// Tables of former capacities, the newest first. Their entries count; nothing is added.
    older: Box<[Arc<AffinityTable<P>>]>,
    /// Picks that could not be remembered, by this map and those before it.
    refused: Arc<AtomicU64>,
}

impl<P: Payload> Affinity<P> {
    /// A map for so many entries, 1 to 2^24.
    pub(crate) fn new(arena: Arc<Arena>, capacity: u32) -> Result<Self, OutOfMemory> {
        Ok(Self::of(AffinityTable::new(Arc::clone(&arena), capacity)?, arena, capacity))
    }

    /// A map that remembers one address.
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

    /// The map that follows this one: for another capacity, or without tables that nothing needs any
    /// more. `None` if that is this one. Allocates a table where no known one has the size. Director
    /// only: nobody else shares tables.
    pub(crate) fn next(&self, capacity: u32) -> Result<Option<Self>, OutOfMemory> {
        let fitting = self.tables().find(|table| table.fits(capacity));
        let newest = match fitting {
            Some(table) => Arc::clone(table),
            None => Arc::new(AffinityTable::new(Arc::clone(&self.arena), capacity)?),
        };
        // Another owner is a map whose pickers may add to the table. This map's own may add to its
        // first one.
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

    /// The tables, the newest first.
    fn tables(&self) -> impl Iterator<Item = &Arc<AffinityTable<P>>> {
        std::iter::once(&self.newest).chain(&self.older)
    }

    pub(crate) fn arena(&self) -> &Arena {
        &self.arena
    }

    pub(crate) fn entries(&self) -> u32 {
        let all = self.older.iter().map(|table| table.count());
        // Below zero for a moment, if an entry is taken out before it is counted.
        (all.fold(self.newest.count(), u32::wrapping_add) as i32).max(0) as u32
    }

    pub(crate) fn remembered(&self) -> Remembered {
        Remembered {
            entries: self.entries(),
            capacity: self.capacity,
            // Relaxed: a figure to show.
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// The key of an address, given as two words, the first of which begins with an IPv4 address;
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

    /// The key's entry, if it has one.
    #[inline]
    pub(crate) fn find(&self, key: AddressKey) -> Option<&AffinityEntry<P>> {
        let found = self.newest.find(key);
        if found.is_some() || self.older.is_empty() { found } else { self.find_in_older(key) }
    }

    #[inline(never)]
    fn find_in_older(&self, key: AddressKey) -> Option<&AffinityEntry<P>> {
        self.older.iter().find_map(|table| table.find_again(key))
    }

    /// Every entry of the key: two in one table, see [`Table::all`], and one of each table that
    /// pickers of different maps added to.
    pub(crate) fn all(&self, key: AddressKey) -> impl Iterator<Item = &AffinityEntry<P>> {
        self.tables().flat_map(move |table| table.all(key))
    }

    /// An entry for a key that has none; `None` if the map, or the key's part of it, is full.
    pub(crate) fn claim(&self, key: AddressKey) -> Option<&AffinityEntry<P>> {
        let claimed = if self.entries() < self.capacity { self.newest.claim(key) } else { None };
        if claimed.is_none() {
            // Relaxed: a figure to show.
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        claimed
    }

    /// Lets `act` write what an entry of this map remembers. Whatever pins a server is written this
    /// way, or sweeps may never come by it.
    #[inline]
    pub(crate) fn write(&self, entry: &AffinityEntry<P>, act: impl FnOnce(&P)) {
        act(&entry.payload);
        // After the write: see `affinity_table`.
        self.tables().any(|table| table.mark(entry));
    }

    /// Takes out the entries that were not used after `until`. O(entries). Director only.
    pub(crate) fn expire(&self, until: Option<u64>) {
        self.retain(|entry| until.is_none_or(|until| entry.idle_since() > until));
    }

    /// Takes out what is not to stay, and what is left of entries that are out. O(entries). Director
    /// only.
    pub(crate) fn retain(&self, stays: impl Fn(&AffinityEntry<P>) -> bool) {
        self.tables().for_each(|table| table.retain(&stays));
    }

    /// Looks at every entry. O(entries). Director only.
    pub(crate) fn for_each(&self, mut look: impl FnMut(AddressKey, &AffinityEntry<P>)) {
        let entries = self.tables().flat_map(|table| table.iter());
        entries.for_each(|(word, entry)| look(self.key_of(word), entry));
    }

    /// Takes out idle entries in the order of these buckets, a bucket at a time, until so many are
    /// out. Returns the last bucket. O(entries). Director only.
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
