//! One table of an affinity map: a lock-free hash table of fixed size, keyed by address.
//!
//! A key occupies one of [`WINDOW`] neighboring entries, and no other. Picks add entries; the
//! director's sweeps remove them. A full table refuses new keys; it never displaces an entry.
//!
//! A key is one word: a plain IPv4 address, or a keyed 63-bit hash of an IPv6 address. An entry's
//! payload carries a tag, 32 bits of the key's hash, so that a late write into an entry that has
//! another key by then is not attributed to that key.
//!
//! Entries form chunks of [`CHUNK`], and each chunk with content has a mark. Sweeps read the marks, and
//! the entries of marked chunks only: they cost what the table holds, not what it could hold, and
//! touch no page that was never written.
//!
//! Why a sweep misses no write. A writer writes the payload, then sets the chunk's mark. A sweep that
//! finds a chunk clean clears the mark, then reads the chunk once more. All four are SeqCst, so one of
//! two things happens:
//!
//! - The sweep sees the write, and sets the mark again.
//! - The writer sees that the mark is gone, and sets it.
//!
//! So even a write by a picker that was stopped for any length of time is swept.
//!
//! A sweep goes on where it stopped, word by word of the marks, so that a large table takes several calls.
//! An entry that is over stays until then, and lookups skip it.
//!
//! | location  | operation                            | ordering | partner                          |
//! |-----------|--------------------------------------|----------|----------------------------------|
//! | `key`     | exchanges in `claim`, `take_out`     | SeqCst   | each other, loads in `find`      |
//! | `payload` | see the payloads                     | SeqCst   | its loads; the tag ties it to key |
//! | `marks`   | load and `fetch_or` in `mark`        | SeqCst   | `fetch_and` in `unmark`; after the writer's write, before the sweep's last read |
//! | `wrong`   | swap in `recount`                    | Relaxed  | none: the director's             |
//! | `count`   | additions                            | Relaxed  | none: a limit, exact when quiescent |
//! | `next`    | loads and stores                     | Relaxed  | none: the director's, under its lock |
//! | `left`    | stores in `begin_sweep`, `sweep`     | Release  | load in `is_swept`               |
//! | `left`    | load in `is_swept`                   | Acquire  | the stores                       |
//!
//! Servers that an entry names are pinned: their slots are not reused. A writer takes the pin before it
//! writes the name, and releases it after it has overwritten the name.

use std::iter;

use crate::arena::Arena;
use crate::arena::block::maps::SharedMap;
use crate::concurrent::zeroed::{OutOfMemory, zeroed};
use crate::config::affinity_entries;
use crate::memory::address_entry::{AddressKey, AffinityEntry, Payload, Store};
use crate::memory::sizes::{CHUNK, WINDOW};
use crate::sync::{Arc, AtomicU32, AtomicU64, AtomicUsize, Ordering};

const EMPTY: u64 = 0;

pub(crate) struct AffinityTable<P: Payload> {
    arena: Arc<Arena>,
    entries: P::Entries,
    /// One bit per chunk, set if one of its entries has a key or remembers something.
    marks: Store<AtomicU64>,
    /// Its own count if it has its own entries.
    count: AtomicU32,
    /// The block's map whose entries these are.
    pub(super) shared: Option<Arc<SharedMap>>,
    /// The word of marks with which the sweep goes on, and how many it has still to visit.
    next: AtomicUsize,
    left: AtomicUsize,
    /// The number of entries, counted otherwise than it should be, and what it should be.
    wrong: AtomicU64,
    /// Number of entries that sweeps have visited.
    #[cfg(test)]
    pub(super) visited: AtomicU64,
}

impl<P: Payload> AffinityTable<P> {
    /// A table for `capacity` addresses, which fill at most half of it: otherwise their windows would
    /// fill up long before the table does. Allocates.
    pub(super) fn new(arena: Arc<Arena>, capacity: u32) -> Result<Self, OutOfMemory> {
        // A length past `usize` is more memory than exists.
        let length = usize::try_from(affinity_entries(capacity)).unwrap_or(usize::MAX);
        let store = (zeroed(length)?.into(), Store::Own(zeroed(marks_for(length))?));
        Ok(Self::of(arena, store, None))
    }

    /// A table whose entries other owners of a block use too.
    pub(super) fn shared(arena: Arc<Arena>, map: Arc<SharedMap>, entries: P::Entries) -> Self {
        let marks = Store::Shared(map.marks.clone());
        Self::of(arena, (entries, marks), Some(map))
    }

    /// A table for one address.
    pub(super) fn smallest(arena: Arc<Arena>) -> Self {
        let entries: Box<[_]> =
            (0..affinity_entries(1)).map(|_| AffinityEntry::default()).collect();
        let marks = (0..marks_for(entries.len())).map(|_| AtomicU64::new(0)).collect();
        Self::of(arena, (entries.into(), Store::Own(marks)), None)
    }

    fn of(
        arena: Arc<Arena>,
        (entries, marks): (P::Entries, Store<AtomicU64>),
        shared: Option<Arc<SharedMap>>,
    ) -> Self {
        AffinityTable {
            arena,
            entries,
            marks,
            count: AtomicU32::new(0),
            shared,
            next: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
            wrong: AtomicU64::new(0),
            #[cfg(test)]
            visited: AtomicU64::new(0),
        }
    }

    /// True if a table for `capacity` addresses has this size.
    pub(super) fn fits(&self, capacity: u32) -> bool {
        self.entries.len() as u64 == affinity_entries(capacity)
    }

    /// Number of entries that have a key.
    pub(super) fn count(&self) -> u32 {
        // Relaxed: a statistic, compared with a limit. May be negative briefly, if an entry is removed
        // before it is counted.
        self.counter().load(Ordering::Relaxed)
    }

    /// Corrects the number of entries that have a key, if it has been wrong by the same since the last call: an owner
    /// of a block may have died between a change of an entry and that of the number. O(entries).
    pub(super) fn recount(&self) {
        let (counted, mut keys) = (self.count(), 0);
        self.walk(&mut 0, usize::MAX, |_, _| keys += 1);
        let wrong = u64::from(counted) << 32 | u64::from(keys);
        // Relaxed, all: as in `count`.
        if counted != keys && self.wrong.swap(wrong, Ordering::Relaxed) == wrong {
            let counter = self.counter();
            let _ = counter.compare_exchange(counted, keys, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    fn counter(&self) -> &AtomicU32 {
        self.shared.as_ref().map_or(&self.count, |map| &map.slot.get().count)
    }

    /// The number of an entry; `None` if it is not in this table.
    #[inline]
    pub(super) fn place(&self, entry: &AffinityEntry<P>) -> Option<usize> {
        let start = self.entries.as_ptr().addr();
        // An address below the first entry wraps past the end.
        let at =
            std::ptr::from_ref(entry).addr().wrapping_sub(start) / size_of::<AffinityEntry<P>>();
        (at < self.entries.len()).then_some(at)
    }

    #[inline]
    fn window(&self, key: AddressKey) -> impl Iterator<Item = &AffinityEntry<P>> {
        self.window_at(key.hash as usize)
    }

    /// The window that begins at an entry, whose number is taken modulo the table's length.
    #[inline]
    fn window_at(&self, start: usize) -> impl Iterator<Item = &AffinityEntry<P>> {
        let entries = &*self.entries;
        let mask = entries.len() - 1;
        let start = start & mask;
        (start..start + WINDOW).filter_map(move |at| entries.get(at & mask))
    }

    /// The key's first entry, even if it is over. Wait-free. Inlined into the first lookup of a pick: a
    /// call takes a dozen instructions.
    #[inline(always)]
    pub(super) fn find(&self, key: AddressKey) -> Option<&AffinityEntry<P>> {
        self.window(key).find(|entry| entry.key.load(Ordering::SeqCst) == key.word)
    }

    /// Every entry of the key. There are two if a picker that was slow to claim one found an earlier
    /// entry that had become free in the meantime; the later one is no longer found, and expires.
    pub(super) fn all(&self, key: AddressKey) -> impl Iterator<Item = &AffinityEntry<P>> {
        self.window(key).filter(move |entry| entry.key.load(Ordering::SeqCst) == key.word)
    }

    /// Claims an entry for a key that has none; `None` if the key's window is full. Wait-free.
    pub(super) fn claim(&self, key: AddressKey) -> Option<&AffinityEntry<P>> {
        for entry in self.window(key) {
            let swap =
                entry.key.compare_exchange(EMPTY, key.word, Ordering::SeqCst, Ordering::SeqCst);
            match swap {
                Ok(_) => {
                    // Relaxed: as in `count`.
                    self.counter().fetch_add(1, Ordering::Relaxed);
                    self.mark(entry);
                    return Some(self.settle(key, entry));
                }
                // Another picker has claimed it for the same key.
                Err(found) if found == key.word => return Some(entry),
                Err(_) => {}
            }
        }
        None
    }

    /// Resolves a race: if two pickers have claimed two entries for one key, the first in the window
    /// stays.
    fn settle<'a>(&'a self, key: AddressKey, mine: &'a AffinityEntry<P>) -> &'a AffinityEntry<P> {
        match self.all(key).next() {
            Some(first) if !std::ptr::eq(first, mine) => {
                self.take_out(mine, key.word);
                first
            }
            _ => mine,
        }
    }

    /// Empties the entry unless its key has changed: the director and pickers in `settle` may both try, and
    /// only one of them counts it.
    fn take_out(&self, entry: &AffinityEntry<P>, word: u64) -> bool {
        let swap = entry.key.compare_exchange(word, EMPTY, Ordering::SeqCst, Ordering::SeqCst);
        if swap.is_ok() {
            // Relaxed: as in `count`.
            self.counter().fetch_sub(1, Ordering::Relaxed);
        }
        swap.is_ok()
    }

    /// Marks the entry's chunk, so that sweeps visit it; false if the entry is not in this table.
    #[inline]
    pub(super) fn mark(&self, entry: &AffinityEntry<P>) -> bool {
        let Some(at) = self.place(entry) else { return false };
        let (word, bit) = place_of(at / CHUNK);
        let Some(marks) = self.marks.get(word) else { return false };
        // SeqCst: after the write that it covers; pairs with `unmark`. A load first: the mark is nearly
        // always set, and many entries share its cache line.
        if marks.load(Ordering::SeqCst) & bit == 0 {
            marks.fetch_or(bit, Ordering::SeqCst);
        }
        true
    }

    /// Clears the mark of a chunk that was found clean, unless it is no longer clean.
    fn unmark(&self, chunk: usize) {
        let (word, bit) = place_of(chunk);
        let Some(marks) = self.marks.get(word) else { return };
        // SeqCst: before the loads below; pairs with the load in `mark`.
        marks.fetch_and(!bit, Ordering::SeqCst);
        let is_clean = |entry: &AffinityEntry<P>| {
            entry.key.load(Ordering::SeqCst) == EMPTY && entry.payload.is_clear()
        };
        if !self.entries_of(chunk).iter().all(is_clean) {
            marks.fetch_or(bit, Ordering::SeqCst);
        }
    }

    fn entries_of(&self, chunk: usize) -> &[AffinityEntry<P>] {
        let start = chunk * CHUNK;
        let end = self.entries.len().min(start + CHUNK);
        self.entries.get(start..end).unwrap_or(&[])
    }

    /// The marked chunks of a word of marks, which covers 64: a sweep reads 256 KiB of marks for a table of
    /// 2^25 entries, and 256 bytes for one of the default capacity.
    fn marked(&self, word: usize) -> impl Iterator<Item = usize> + use<P> {
        let marks = self.marks.get(word);
        let mut bits = marks.map_or(0, |marks| marks.load(Ordering::SeqCst));
        iter::from_fn(move || {
            let bit = bits.trailing_zeros();
            bits &= bits.wrapping_sub(1);
            (bit < u64::BITS).then_some(word * u64::BITS as usize + bit as usize)
        })
    }

    /// The entries of a word of marks in marked chunks, with their keys.
    fn content_of(&self, word: usize) -> impl Iterator<Item = (u64, &AffinityEntry<P>)> {
        let entries = self.marked(word).flat_map(|chunk| self.entries_of(chunk));
        entries.map(|entry| {
            #[cfg(test)]
            self.visited.fetch_add(1, Ordering::Relaxed);
            (entry.key.load(Ordering::SeqCst), entry)
        })
    }

    /// Calls `look` with every entry that has a key and is not over, from the word of marks `at` on, which
    /// it moves on, until it has visited at least `most`. Returns the number of those visited, and 1 per
    /// word.
    pub(super) fn walk(
        &self,
        at: &mut usize,
        most: usize,
        mut look: impl FnMut(u64, &AffinityEntry<P>),
    ) -> usize {
        let mut visited = 0;
        while *at < self.marks.len() && visited < most {
            for (word, entry) in self.content_of(*at) {
                visited += 1;
                if word != EMPTY {
                    look(word, entry);
                }
            }
            visited += 1;
            *at += 1;
        }
        visited
    }

    /// True if a [`walk`](Self::walk) that has come here is at its end.
    pub(super) fn is_end(&self, at: usize) -> bool {
        at >= self.marks.len()
    }

    /// Removes the entries that `stays` rejects, and the remains of entries removed before. Director
    /// only.
    pub(super) fn retain(&self, stays: impl Fn(u64, &AffinityEntry<P>) -> bool) {
        (0..self.marks.len()).for_each(|word| _ = self.retain_in(word, &stays));
    }

    /// Lets the next calls of [`sweep`](Self::sweep) visit the whole table, after what a sweep before has
    /// left of it.
    pub(super) fn begin_sweep(&self) {
        // Relaxed: the director's, under its lock.
        let before = self.left.load(Ordering::Relaxed).min(self.marks.len());
        // Release: pairs with the load in `is_swept`.
        self.left.store(before + self.marks.len(), Ordering::Release);
    }

    /// True if the sweep has visited the whole table since it was begun.
    pub(super) fn is_swept(&self) -> bool {
        // Acquire: who sees the end of a sweep sees what it has removed; pairs with the stores.
        self.left.load(Ordering::Acquire) == 0
    }

    /// As [`retain`](Self::retain), in a part of the table, until it has visited at least `most` entries.
    /// Returns the number of those visited, and 1 per word of marks. Director only.
    pub(super) fn sweep(
        &self,
        most: usize,
        stays: impl Fn(u64, &AffinityEntry<P>) -> bool,
    ) -> usize {
        // Relaxed, here and below: the director's, under its lock.
        let mut left = self.left.load(Ordering::Relaxed);
        let mut next = self.next.load(Ordering::Relaxed);
        let mut visited = 0;
        while left > 0 && visited < most {
            visited += 1 + self.retain_in(next, &stays);
            next = if next + 1 < self.marks.len() { next + 1 } else { 0 };
            left -= 1;
        }
        self.next.store(next, Ordering::Relaxed);
        // Release: pairs with the load in `is_swept`.
        self.left.store(left, Ordering::Release);
        visited
    }

    /// As [`retain`](Self::retain), in the chunks of a word of marks. Returns the number of entries visited.
    fn retain_in(&self, word: usize, stays: &impl Fn(u64, &AffinityEntry<P>) -> bool) -> usize {
        let mut visited = 0;
        for chunk in self.marked(word) {
            let mut clean = true;
            for entry in self.entries_of(chunk) {
                visited += 1;
                let word = entry.key.load(Ordering::SeqCst);
                clean &= if word == EMPTY {
                    // Possibly written late, by a picker that found the entry under its previous key.
                    entry.payload.forget(&self.arena)
                } else {
                    !stays(word, entry) && self.clear(entry, word)
                };
            }
            if clean {
                self.unmark(chunk);
            }
        }
        #[cfg(test)]
        self.visited.fetch_add(visited as u64, Ordering::Relaxed);
        visited
    }

    /// Removes an entry and clears its payload; false if something remains, which the next sweep clears.
    /// Director only.
    fn clear(&self, entry: &AffinityEntry<P>, word: u64) -> bool {
        self.take_out(entry, word) && entry.payload.forget(&self.arena)
    }
}

/// Number of words of marks for `length` entries.
fn marks_for(length: usize) -> usize {
    length.div_ceil(CHUNK * u64::BITS as usize)
}

/// The index of a chunk's word of marks, and its bit in that word.
fn place_of(chunk: usize) -> (usize, u64) {
    (chunk / u64::BITS as usize, 1 << (chunk % u64::BITS as usize))
}

impl<P: Payload> Drop for AffinityTable<P> {
    fn drop(&mut self) {
        if self.shared.is_some() {
            return;
        }
        for word in 0..self.marks.len() {
            self.content_of(word).for_each(|(_, entry)| _ = entry.payload.forget(&self.arena));
        }
    }
}
