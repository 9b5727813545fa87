//! Which server goes with which address: a map of fixed size, lock-free, without allocation.
//!
//! A key may stand in any of [`WINDOW`] neighbouring entries, so a look-up reads two cache lines of
//! keys and never more. Entries are added by picks and taken out by the director's tick only. A map
//! that is full answers so; nothing is displaced.
//!
//! A key is one word: an IPv4 address itself, of an IPv6 address a keyed 63-bit hash. What an entry
//! remembers carries 32 bits of the key's hash, the tag: what a picker writes late, into an entry
//! that has another key by then, is not taken for that key's.
//!
//! | location  | operation                        | ordering | partner                           |
//! |-----------|----------------------------------|----------|-----------------------------------|
//! | `key`     | swaps in `claim`, `take_out`     | SeqCst   | each other, loads in `find`       |
//! | `payload` | see the payloads                 | SeqCst   | its loads; the tag ties it to key |
//! | `used`    | loads and stores                 | Relaxed  | none: a coarse time               |
//! | `entries` | additions                        | Relaxed  | none: a limit, exact when quiet   |
//!
//! Servers that an entry names are pinned: their slots are not given to others. The pin is taken
//! before the name is written and let go after it is overwritten.

use crate::config::Remembered;
use crate::state::Arena;
use crate::state::sizes::WINDOW;
use crate::sync::{Arc, AtomicU32, AtomicU64, Ordering};

const EMPTY: u64 = 0;
/// Bits of a key's word: a hash of an IPv6 address, an IPv4 address itself.
const HASHED: u64 = 1 << 63;
const PLAIN: u64 = 1 << 62;

/// What an entry remembers.
pub(crate) trait Payload: Default {
    /// Remembers for this key what `other` does.
    fn copy(&self, other: &Self, key: Key, arena: &Arena);

    /// Forgets it and unpins the servers it names.
    fn forget(&self, arena: &Arena);
}

pub(crate) struct Affinity<P: Payload> {
    arena: Arc<Arena>,
    table: Box<[Entry<P>]>,
    hasher: ahash::RandomState,
    capacity: u32,
    entries: AtomicU32,
    /// Picks that could not be remembered.
    full: AtomicU64,
}

#[derive(Default)]
pub(crate) struct Entry<P> {
    key: AtomicU64,
    /// Milliseconds of the clock at the last pick.
    used: AtomicU64,
    pub(crate) payload: P,
}

/// An address as the map knows it.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    word: u64,
    hash: u64,
}

impl Key {
    pub(crate) fn word(self) -> u64 {
        self.word
    }

    /// Bits that tell what was written for this key from what was written for another.
    pub(crate) fn tag(self) -> u32 {
        (self.hash >> 32) as u32
    }
}

impl<P> Entry<P> {
    pub(crate) fn touch(&self, now: u64) {
        // Relaxed: a coarse time; orders nothing.
        self.used.store(now, Ordering::Relaxed);
    }

    fn idle_since(&self) -> u64 {
        // Relaxed: as in `touch`.
        self.used.load(Ordering::Relaxed)
    }
}

impl<P: Payload> Affinity<P> {
    /// A map for so many entries, 1 to 2^24.
    pub(crate) fn new(arena: Arc<Arena>, capacity: u32) -> Self {
        Self::with_hasher(arena, capacity, ahash::RandomState::new())
    }

    fn with_hasher(arena: Arc<Arena>, capacity: u32, hasher: ahash::RandomState) -> Self {
        let length = (2 * capacity as usize).max(2 * WINDOW).next_power_of_two();
        Affinity {
            arena,
            table: (0..length).map(|_| Entry::default()).collect(),
            hasher,
            capacity,
            entries: AtomicU32::new(0),
            full: AtomicU64::new(0),
        }
    }

    /// A map for so many entries with those of this one, as far as they fit.
    pub(crate) fn resized(&self, capacity: u32) -> Self {
        let (arena, hasher) = (Arc::clone(&self.arena), self.hasher.clone());
        let resized = Affinity::<P>::with_hasher(arena, capacity, hasher);
        for entry in &self.table {
            let word = entry.key.load(Ordering::SeqCst);
            let key = resized.key_of(word);
            if let Some(copy) = (word != EMPTY).then(|| resized.claim_free(key)).flatten() {
                copy.touch(entry.idle_since());
                copy.payload.copy(&entry.payload, key, &self.arena);
            }
        }
        resized
    }

    pub(crate) fn arena(&self) -> &Arena {
        &self.arena
    }

    pub(crate) fn capacity(&self) -> u32 {
        self.capacity
    }

    pub(crate) fn entries(&self) -> u32 {
        // Relaxed: a figure to show and to compare with a limit. Below zero for a moment, if an entry
        // is taken out before it is counted.
        (self.entries.load(Ordering::Relaxed) as i32).max(0) as u32
    }

    pub(crate) fn remembered(&self) -> Remembered {
        Remembered {
            entries: self.entries(),
            capacity: self.capacity,
            // Relaxed: a figure to show.
            refused: self.full.load(Ordering::Relaxed),
        }
    }

    /// The key of an address, given as two words, the first of which begins with an IPv4 address;
    /// `family` is 4 or 6.
    #[inline]
    pub(crate) fn key(&self, address: [u64; 2], family: u8) -> Key {
        self.key_of(match family {
            6 => HASHED | self.hasher.hash_one(address),
            _ => PLAIN | address[0] >> 32,
        })
    }

    #[inline]
    pub(crate) fn key_of(&self, word: u64) -> Key {
        let hash = if word & HASHED != 0 { word } else { self.hasher.hash_one(word) };
        Key { word, hash }
    }

    #[inline]
    fn window(&self, key: Key) -> impl Iterator<Item = &Entry<P>> {
        let mask = self.table.len() - 1;
        let start = key.hash as usize & mask;
        (start..start + WINDOW).filter_map(move |at| self.table.get(at & mask))
    }

    /// The key's entry, if it has one.
    #[inline]
    pub(crate) fn find(&self, key: Key) -> Option<&Entry<P>> {
        self.window(key).find(|entry| entry.key.load(Ordering::SeqCst) == key.word)
    }

    /// Every entry of the key: two, while a picker that was slow to claim one found an earlier one
    /// free meanwhile. The later one is not found any more, and expires.
    pub(crate) fn all(&self, key: Key) -> impl Iterator<Item = &Entry<P>> {
        self.window(key).filter(move |entry| entry.key.load(Ordering::SeqCst) == key.word)
    }

    /// An entry for a key that has none; `None` if the map, or the key's part of it, is full.
    pub(crate) fn claim(&self, key: Key) -> Option<&Entry<P>> {
        let claimed = if self.entries() < self.capacity { self.claim_free(key) } else { None };
        if claimed.is_none() {
            // Relaxed: a figure to show.
            self.full.fetch_add(1, Ordering::Relaxed);
        }
        claimed
    }

    fn claim_free(&self, key: Key) -> Option<&Entry<P>> {
        for entry in self.window(key) {
            let swap =
                entry.key.compare_exchange(EMPTY, key.word, Ordering::SeqCst, Ordering::SeqCst);
            match swap {
                Ok(_) => {
                    // Relaxed: as in `entries`.
                    self.entries.fetch_add(1, Ordering::Relaxed);
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
    fn settle<'a>(&'a self, key: Key, mine: &'a Entry<P>) -> &'a Entry<P> {
        match self.find(key) {
            Some(first) if !std::ptr::eq(first, mine) => {
                self.take_out(mine, key.word);
                first
            }
            _ => mine,
        }
    }

    /// Empties the entry unless it has another key by now: the director and a picker that settles
    /// may both want to, and count it once.
    fn take_out(&self, entry: &Entry<P>, word: u64) -> bool {
        let swap = entry.key.compare_exchange(word, EMPTY, Ordering::SeqCst, Ordering::SeqCst);
        if swap.is_ok() {
            // Relaxed: as in `entries`.
            self.entries.fetch_sub(1, Ordering::Relaxed);
        }
        swap.is_ok()
    }

    /// Takes out the entries that were not used after `until`. Director only.
    pub(crate) fn expire(&self, until: Option<u64>) {
        self.retain(|entry| until.is_none_or(|until| entry.idle_since() > until));
    }

    /// Takes out what is not to stay, and what is left of entries that are out. Director only.
    pub(crate) fn retain(&self, stays: impl Fn(&Entry<P>) -> bool) {
        for entry in &self.table {
            let word = entry.key.load(Ordering::SeqCst);
            if word == EMPTY {
                // Written late by a picker that had found the entry under its former key.
                entry.payload.forget(&self.arena);
            } else if !stays(entry) {
                self.free(entry, word);
            }
        }
    }

    /// Looks at every entry. Director only.
    pub(crate) fn for_each(&self, mut look: impl FnMut(Key, &Entry<P>)) {
        for entry in &self.table {
            let word = entry.key.load(Ordering::SeqCst);
            if word != EMPTY {
                look(self.key_of(word), entry);
            }
        }
    }

    /// Takes out idle entries in the order of these buckets, a bucket at a time, until so many are
    /// out. Returns the last bucket. Director only.
    pub(crate) fn expire_some(
        &self,
        until: Option<u64>,
        goal: u32,
        bucket_of: impl Fn(u64) -> u32,
        buckets: impl Iterator<Item = u32>,
    ) -> Option<u32> {
        let mut idle: Vec<(u64, &Entry<P>)> = Vec::new();
        for entry in &self.table {
            let key = entry.key.load(Ordering::SeqCst);
            if key != EMPTY && until.is_some_and(|until| entry.idle_since() <= until) {
                idle.push((key, entry));
            }
        }
        let mut out = 0;
        let mut last = None;
        for bucket in buckets {
            last = Some(bucket);
            for (key, entry) in idle.iter().filter(|(key, _)| bucket_of(*key) == bucket) {
                self.free(entry, *key);
                out += 1;
            }
            if out >= goal {
                break;
            }
        }
        last
    }

    fn free(&self, entry: &Entry<P>, word: u64) {
        // Else the next sweep forgets what it remembers.
        if self.take_out(entry, word) {
            entry.payload.forget(&self.arena);
        }
    }
}

impl<P: Payload> Drop for Affinity<P> {
    fn drop(&mut self) {
        for entry in &self.table {
            entry.payload.forget(&self.arena);
        }
    }
}

/// One server, by its slot.
pub(crate) struct OneServer(AtomicU64);

const NOBODY: u64 = u64::MAX;

impl Default for OneServer {
    fn default() -> Self {
        OneServer(AtomicU64::new(NOBODY))
    }
}

impl OneServer {
    /// The server's slot, if it was written for this key.
    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<u32> {
        let word = self.0.load(Ordering::SeqCst);
        (word != NOBODY && (word >> 32) as u32 == key.tag()).then_some(word as u32)
    }

    /// The server's slot, for whichever key it was written.
    pub(crate) fn slot(&self) -> Option<u32> {
        let word = self.0.load(Ordering::SeqCst);
        (word != NOBODY).then_some(word as u32)
    }

    pub(crate) fn set(&self, arena: &Arena, key: Key, slot: u32) {
        pin(arena, slot);
        let former = self.0.swap(u64::from(key.tag()) << 32 | u64::from(slot), Ordering::SeqCst);
        unpin(arena, former);
    }

    /// Forgets this server, unless another has been written meanwhile.
    pub(crate) fn clear(&self, arena: &Arena, key: Key, slot: u32) {
        let known = u64::from(key.tag()) << 32 | u64::from(slot);
        if self.0.compare_exchange(known, NOBODY, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            unpin_slot(arena, slot);
        }
    }
}

impl Payload for OneServer {
    fn copy(&self, other: &Self, key: Key, arena: &Arena) {
        if let Some(slot) = other.get(key) {
            self.set(arena, key, slot);
        }
    }

    fn forget(&self, arena: &Arena) {
        unpin(arena, self.0.swap(NOBODY, Ordering::SeqCst));
    }
}

pub(crate) fn pin(arena: &Arena, slot: u32) {
    if let Some(server) = arena.servers.get(slot) {
        server.pin();
    }
}

fn unpin(arena: &Arena, word: u64) {
    if word != NOBODY {
        unpin_slot(arena, word as u32);
    }
}

pub(crate) fn unpin_slot(arena: &Arena, slot: u32) {
    if let Some(server) = arena.servers.get(slot) {
        server.unpin();
    }
}
