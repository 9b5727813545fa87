//! One table of an affinity map: entries found by address, lock-free, of a size that never changes.
//!
//! A key may stand in any of [`WINDOW`] neighboring entries, and nowhere else. Picks add entries;
//! the director's sweeps take them out. A table that is full answers so; nothing is displaced.
//!
//! A key is one word: an IPv4 address itself, of an IPv6 address a keyed 63-bit hash. What an entry
//! remembers carries 32 bits of the key's hash, the tag: what a picker writes late, into an entry
//! that has another key by then, is not taken for that key's.
//!
//! Entries lie in chunks of [`CHUNK`], and a chunk that has content has a mark. Sweeps read the
//! marks, and the entries of marked chunks only: they cost what the table holds, not what it could
//! hold, and touch no page that was never written. A writer marks the chunk *after* its write; a
//! sweep that finds a chunk clean clears the mark and *then* looks once more. Both steps of both are
//! SeqCst: either the sweep sees what was written, or the writer sees that the mark is gone. So a
//! picker that is stopped for any time and writes late is swept after.
//!
//! | location  | operation                            | ordering | partner                          |
//! |-----------|--------------------------------------|----------|----------------------------------|
//! | `key`     | swaps in `claim`, `take_out`         | SeqCst   | each other, loads in `find`      |
//! | `payload` | see the payloads                     | SeqCst   | its loads; the tag ties it to key |
//! | `marks`   | load and `fetch_or` in `mark`        | SeqCst   | `fetch_and` in `unmark`; after the writer's write, before the sweep's last look |
//! | `used`    | loads and stores                     | Relaxed  | none: a coarse time              |
//! | `count`   | additions                            | Relaxed  | none: a limit, exact when quiet  |
//!
//! Servers that an entry names are pinned: their slots are not given to others. The pin is taken
//! before the name is written and let go after it is overwritten.

use std::iter;

use crate::arena::Arena;
use crate::concurrent::zeroed::{OutOfMemory, Zeroed, zeroed, zeroed_struct};
use crate::config::affinity_entries;
use crate::memory::sizes::{CHUNK, WINDOW};
use crate::sync::{Arc, AtomicU32, AtomicU64, Ordering};

const EMPTY: u64 = 0;

/// What an entry remembers. Nothing, where all its bytes are zero.
pub(crate) trait Payload: Zeroed {
    /// Forgets it and unpins the servers it names; false if a thread is writing it.
    fn forget(&self, arena: &Arena) -> bool;

    /// It names no server, and no thread is writing it.
    fn is_clear(&self) -> bool;
}

/// An address as a map knows it.
#[derive(Clone, Copy)]
pub(crate) struct AddressKey {
    pub(super) word: u64,
    pub(super) hash: u64,
}

impl AddressKey {
    pub(crate) fn word(self) -> u64 {
        self.word
    }

    /// Bits that tell what was written for this key from what was written for another.
    pub(crate) fn tag(self) -> u32 {
        (self.hash >> 32) as u32
    }
}

zeroed_struct! {
    pub(crate) struct AffinityEntry<P> {
        key: AtomicU64,
        /// Milliseconds of the clock at the last pick.
        used: AtomicU64,
        pub(crate) payload: P,
    }
}

impl<P> AffinityEntry<P> {
    pub(crate) fn touch(&self, now: u64) {
        // Relaxed: a coarse time; orders nothing.
        self.used.store(now, Ordering::Relaxed);
    }

    pub(crate) fn idle_since(&self) -> u64 {
        // Relaxed: as in `touch`.
        self.used.load(Ordering::Relaxed)
    }
}

pub(crate) struct AffinityTable<P: Payload> {
    arena: Arc<Arena>,
    entries: Box<[AffinityEntry<P>]>,
    /// A bit per chunk: an entry of it has a key, or remembers something.
    marks: Box<[AtomicU64]>,
    count: AtomicU32,
    /// Entries that sweeps have looked at.
    #[cfg(test)]
    pub(super) visited: AtomicU64,
}

impl<P: Payload> AffinityTable<P> {
    /// A table for so many addresses. They take half of it at most: else their windows fill up long
    /// before the table does.
    pub(super) fn new(arena: Arc<Arena>, capacity: u32) -> Result<Self, OutOfMemory> {
        // More than can be counted, where there are fewer bits: more than there is.
        let length = usize::try_from(affinity_entries(capacity)).unwrap_or(usize::MAX);
        Ok(Self::of(arena, zeroed(length)?, zeroed(marks_for(length))?))
    }

    /// A table for one address.
    pub(super) fn smallest(arena: Arc<Arena>) -> Self {
        let entries: Box<[_]> =
            (0..affinity_entries(1)).map(|_| AffinityEntry::default()).collect();
        let marks = (0..marks_for(entries.len())).map(|_| AtomicU64::new(0)).collect();
        Self::of(arena, entries, marks)
    }

    fn of(arena: Arc<Arena>, entries: Box<[AffinityEntry<P>]>, marks: Box<[AtomicU64]>) -> Self {
        AffinityTable {
            arena,
            entries,
            marks,
            count: AtomicU32::new(0),
            #[cfg(test)]
            visited: AtomicU64::new(0),
        }
    }

    /// True if a map for so many addresses has a table of this size.
    pub(super) fn fits(&self, capacity: u32) -> bool {
        self.entries.len() as u64 == affinity_entries(capacity)
    }

    /// Entries that have a key.
    pub(super) fn count(&self) -> u32 {
        // Relaxed: a figure to show and to compare with a limit. Below zero for a moment, if an entry
        // is taken out before it is counted.
        self.count.load(Ordering::Relaxed)
    }

    #[inline]
    fn window(&self, key: AddressKey) -> impl Iterator<Item = &AffinityEntry<P>> {
        let mask = self.entries.len() - 1;
        let start = key.hash as usize & mask;
        (start..start + WINDOW).filter_map(move |at| self.entries.get(at & mask))
    }

    /// The key's entry, if it has one. Inlined where a pick looks first: a call takes a dozen
    /// instructions.
    #[inline(always)]
    pub(super) fn find(&self, key: AddressKey) -> Option<&AffinityEntry<P>> {
        self.window(key).find(|entry| entry.key.load(Ordering::SeqCst) == key.word)
    }

    /// The same, where it is not the first look.
    #[inline(never)]
    pub(super) fn find_again(&self, key: AddressKey) -> Option<&AffinityEntry<P>> {
        self.find(key)
    }

    /// Every entry of the key: two, while a picker that was slow to claim one found an earlier one
    /// free meanwhile. The later one is not found any more, and expires.
    pub(super) fn all(&self, key: AddressKey) -> impl Iterator<Item = &AffinityEntry<P>> {
        self.window(key).filter(move |entry| entry.key.load(Ordering::SeqCst) == key.word)
    }

    /// An entry for a key that has none; `None` if the key's part of the table is full.
    pub(super) fn claim(&self, key: AddressKey) -> Option<&AffinityEntry<P>> {
        for entry in self.window(key) {
            let swap =
                entry.key.compare_exchange(EMPTY, key.word, Ordering::SeqCst, Ordering::SeqCst);
            match swap {
                Ok(_) => {
                    // Relaxed: as in `count`.
                    self.count.fetch_add(1, Ordering::Relaxed);
                    self.mark(entry);
                    return Some(self.settle(key, entry));
                }
                // Another picker was faster with the same key.
                Err(found) if found == key.word => return Some(entry),
                Err(_) => {}
            }
        }
        None
    }

    /// Two pickers may have claimed two entries for one key: the first in the window stays.
    fn settle<'a>(&'a self, key: AddressKey, mine: &'a AffinityEntry<P>) -> &'a AffinityEntry<P> {
        match self.find_again(key) {
            Some(first) if !std::ptr::eq(first, mine) => {
                self.take_out(mine, key.word);
                first
            }
            _ => mine,
        }
    }

    /// Empties the entry unless it has another key by now: the director and a picker that settles
    /// may both want to, and count it once.
    fn take_out(&self, entry: &AffinityEntry<P>, word: u64) -> bool {
        let swap = entry.key.compare_exchange(word, EMPTY, Ordering::SeqCst, Ordering::SeqCst);
        if swap.is_ok() {
            // Relaxed: as in `count`.
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        swap.is_ok()
    }

    /// Sweeps see the entry from now on; false if it is another table's.
    #[inline]
    pub(super) fn mark(&self, entry: &AffinityEntry<P>) -> bool {
        let start = self.entries.as_ptr().addr();
        // Before the first it wraps to beyond the last.
        let at =
            std::ptr::from_ref(entry).addr().wrapping_sub(start) / size_of::<AffinityEntry<P>>();
        let (word, bit) = place_of(at / CHUNK);
        let (true, Some(marks)) = (at < self.entries.len(), self.marks.get(word)) else {
            return false;
        };
        // SeqCst: after the write that it is about; pairs with `unmark`. A load first: the mark is
        // nearly always there, and its line is shared by many entries.
        if marks.load(Ordering::SeqCst) & bit == 0 {
            marks.fetch_or(bit, Ordering::SeqCst);
        }
        true
    }

    /// The chunk was found clean: sweeps pass it over from now on, unless it is not clean any more.
    fn unmark(&self, chunk: usize) {
        let (word, bit) = place_of(chunk);
        let Some(marks) = self.marks.get(word) else { return };
        // SeqCst: before the looks below; pairs with the load in `mark`.
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

    /// The numbers of marked chunks. A word of marks stands for 64 chunks: of a table of 2^25 entries
    /// a sweep reads 256 KiB of marks, of one of the default capacity 256 bytes.
    fn marked(&self) -> impl Iterator<Item = usize> + '_ {
        let bits_of = |mut bits: u64| {
            iter::from_fn(move || {
                let bit = bits.trailing_zeros();
                bits &= bits.wrapping_sub(1);
                (bit < u64::BITS).then_some(bit as usize)
            })
        };
        self.marks.iter().zip(0usize..).flat_map(move |(marks, word)| {
            let bits = bits_of(marks.load(Ordering::SeqCst));
            bits.map(move |bit| word * u64::BITS as usize + bit)
        })
    }

    /// The entries of marked chunks, with what their keys are.
    fn content(&self) -> impl Iterator<Item = (u64, &AffinityEntry<P>)> {
        let entries = self.marked().flat_map(|chunk| self.entries_of(chunk));
        entries.map(|entry| {
            #[cfg(test)]
            self.visited.fetch_add(1, Ordering::Relaxed);
            (entry.key.load(Ordering::SeqCst), entry)
        })
    }

    /// The entries that have keys, with these. Director only.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &AffinityEntry<P>)> {
        self.content().filter(|(word, _)| *word != EMPTY)
    }

    /// Takes out what is not to stay, and what is left of entries that are out. Director only.
    pub(super) fn retain(&self, stays: impl Fn(&AffinityEntry<P>) -> bool) {
        for chunk in self.marked() {
            let mut clean = true;
            for entry in self.entries_of(chunk) {
                #[cfg(test)]
                self.visited.fetch_add(1, Ordering::Relaxed);
                let word = entry.key.load(Ordering::SeqCst);
                clean &= if word == EMPTY {
                    // Written late by a picker that had found the entry under its former key.
                    entry.payload.forget(&self.arena)
                } else {
                    !stays(entry) && self.clear(entry, word)
                };
            }
            if clean {
                self.unmark(chunk);
            }
        }
    }

    /// Takes an entry out and forgets what it remembers; false if something is left of it, which the
    /// next sweep forgets. Director only.
    pub(super) fn clear(&self, entry: &AffinityEntry<P>, word: u64) -> bool {
        self.take_out(entry, word) && entry.payload.forget(&self.arena)
    }
}

/// Words of marks for so many entries.
fn marks_for(length: usize) -> usize {
    length.div_ceil(CHUNK * u64::BITS as usize)
}

/// A chunk's word of marks, and its bit there.
fn place_of(chunk: usize) -> (usize, u64) {
    (chunk / u64::BITS as usize, 1 << (chunk % u64::BITS as usize))
}

impl<P: Payload> Drop for AffinityTable<P> {
    fn drop(&mut self) {
        for (_, entry) in self.content() {
            entry.payload.forget(&self.arena);
        }
    }
}
