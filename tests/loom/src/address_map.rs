//! Models of `memory/address_map.rs` with one server per entry: claims concurrent with each other and
//! with the removal of entries. Each model ends with a check of the pins: a server is pinned if and only
//! if an entry names it.

use loom::thread;

use crate::arena::Arena;
use crate::memory::address_map::{AddressKey, Affinity};
use crate::memory::one_server::OneServer;
use crate::memory::pace::Pace;
use crate::sync::{Arc, AtomicU32, Ordering};

struct Map {
    arena: Arc<Arena>,
    map: Affinity<OneServer>,
}

/// A key whose window starts at this entry, with this tag.
fn key(map: &Map, start: u64, tag: u64) -> AddressKey {
    map.map.key_of(1 << 63 | tag << 32 | start)
}

impl Map {
    fn new(servers: u32, capacity: u32) -> Arc<Self> {
        let arena = Arena::with_servers(servers);
        let map = Affinity::new(Arc::clone(&arena), capacity).expect("memory");
        Arc::new(Map { map, arena })
    }

    /// Remembers a server as lblc does.
    fn remember(&self, key: AddressKey, server: u32) -> bool {
        let entry = self.map.find(key).or_else(|| self.map.claim(key));
        if let Some(entry) = entry {
            self.map.write(entry, |remembered| remembered.set(&self.arena, key, server));
        }
        entry.is_some()
    }

    fn server_of(&self, key: AddressKey) -> Option<u32> {
        self.map.find(key)?.payload.get(key)
    }

    /// While no other thread uses the map: its count is the number of its entries, and exactly the
    /// servers that they name are pinned.
    fn check(&self) {
        let mut entries = 0;
        self.map.for_each(|_, _| entries += 1);
        assert_eq!(self.map.entries(), entries, "entries");
        // The next sweep removes late writes.
        self.map.retain(|_| true);
        let mut named = Vec::new();
        self.map.for_each(|key, entry| named.extend(entry.payload.get(key)));
        let free = self.arena.unpinned();
        assert!(named.iter().all(|server| !free.contains(&(*server as usize))), "not pinned");
        (0..2).for_each(|_| self.map.retain(|_| false));
        assert_eq!(self.map.entries(), 0);
        assert_eq!(self.arena.unpinned().len(), self.arena.servers.len(), "pinned by no entry");
    }
}

fn spawn<R: 'static>(
    map: &Arc<Map>,
    act: impl FnOnce(&Map) -> R + 'static,
) -> thread::JoinHandle<R> {
    let map = Arc::clone(map);
    thread::spawn(move || act(&map))
}

/// Two pickers see an address for the first time: it gets one entry, which names the server of one of
/// them.
pub fn one_address_has_one_entry() {
    let map = Map::new(2, 2);
    let key = key(&map, 0, 5);
    let other = spawn(&map, move |map| map.remember(key, 1));
    assert!(map.remember(key, 0));
    assert!(other.join().unwrap());
    assert!(map.server_of(key).is_some());
    assert_eq!(map.map.entries(), 1, "an address has two entries");
    map.check();
}

/// Two pickers see an address while an earlier entry of its window is removed.
pub fn an_entry_ends_beside_claims() {
    let map = Map::new(3, 4);
    let (old, new) = (key(&map, 0, 5), key(&map, 0, 6));
    assert!(map.remember(old, 2));
    let others = [0, 1].map(|server| spawn(&map, move |map| map.remember(new, server)));
    map.map.retain(|_| false);
    for other in others {
        other.join().unwrap();
    }
    map.check();
}

impl Map {
    /// As [`remember`](Self::remember), at a time after which nothing is over.
    fn remember_now(&self, key: AddressKey, server: u32) -> bool {
        let entry = self.map.find(key).or_else(|| self.map.claim(key));
        if let Some(entry) = entry {
            entry.touch(2);
            self.map.write(entry, |remembered| remembered.set(&self.arena, key, server));
        }
        entry.is_some()
    }

    fn sweep(&self) {
        let (mut slice, mut call) = (usize::MAX, usize::MAX);
        self.map.begin_sweep();
        self.map.sweep(&mut Pace { slice: &mut slice, call: &mut call });
    }
}

/// An address that is over comes again, concurrent with the sweep that removes it: it never has its earlier
/// server.
pub fn what_is_over_comes_again_beside_a_sweep() {
    let map = Map::new(2, 2);
    let key = key(&map, 0, 5);
    assert!(map.remember(key, 0));
    map.map.expiry().end_all(1);
    let other = spawn(&map, move |map| {
        map.remember_now(key, 1);
        assert_ne!(map.server_of(key), Some(0), "it is over");
    });
    map.sweep();
    other.join().unwrap();
    assert_ne!(map.server_of(key), Some(0), "it is over");
    map.sweep();
    map.check();
}

fn late_writer(tags: [u64; 2]) {
    let map = Map::new(2, 4);
    let [old, new] = tags.map(|tag| key(&map, 0, tag));
    let window = Arc::new(AtomicU32::new(0));
    assert!(map.remember(old, 0));
    let late = spawn(&map, move |map| map.remember(old, 0));
    let seen = Arc::clone(&window);
    let other = spawn(&map, move |map| {
        map.remember(new, 1);
        // Any server except none and its own belongs to another key.
        if map.server_of(new) == Some(0) {
            seen.store(1, Ordering::Relaxed);
        }
    });
    map.map.retain(|_| false);
    late.join().unwrap();
    other.join().unwrap();
    assert_eq!(window.load(Ordering::Relaxed), 0, "an address has another's server");
    map.check();
}

/// A picker writes into an entry that has another key by then: the write is not attributed to that key.
pub fn what_is_written_late_is_nobodys() {
    late_writer([5, 6]);
}

/// A picker writes into an entry, by `write`, while sweeps remove the entry and find its chunk clean: a
/// later sweep removes what it has written.
fn late_writer_beside_sweeps(write: impl Fn(&Map, AddressKey) + 'static) {
    let map = Map::new(1, 4);
    let key = key(&map, 0, 5);
    assert!(map.remember(key, 0));
    let late = spawn(&map, move |map| write(map, key));
    map.map.retain(|_| false);
    map.map.retain(|_| true);
    late.join().unwrap();
    map.check();
}

/// The writer marks the chunk after its write, and the sweep reads again after it has cleared the mark.
pub fn what_is_written_late_is_swept() {
    late_writer_beside_sweeps(|map, key| {
        if let Some(found) = map.map.find(key) {
            map.map.write(found, |remembered| remembered.set(&map.arena, key, 0));
        }
    });
}

/// Wrong: the writer does not mark the chunk.
pub fn planted_written_without_a_mark() {
    late_writer_beside_sweeps(|map, key| {
        if let Some(found) = map.map.find(key) {
            found.payload.set(&map.arena, key, 0);
        }
    });
}

/// Wrong: the writer marks the chunk before its write.
pub fn planted_marked_before_it_is_written() {
    late_writer_beside_sweeps(|map, key| {
        if let Some(found) = map.map.find(key) {
            map.map.write(found, |_| {});
            found.payload.set(&map.arena, key, 0);
        }
    });
}

/// A picker claims an entry in a chunk that a sweep finds clean: later sweeps visit it.
pub fn a_claim_beside_a_clean_sweep() {
    let map = Map::new(2, 4);
    let (old, new) = (key(&map, 0, 5), key(&map, 0, 6));
    assert!(map.remember(old, 0));
    let other = spawn(&map, move |map| map.remember(new, 1));
    map.map.retain(|_| false);
    other.join().unwrap();
    let mut seen = 0;
    map.map.for_each(|_, _| seen += 1);
    assert_eq!(map.map.entries(), seen, "an entry that sweeps do not see");
    map.check();
}

/// The capacity changes while pickers of the previous map continue: the next map finds and removes
/// their entries, in tables to which it adds nothing itself.
pub fn another_capacity_beside_a_claim() {
    let former = Map::new(2, 1);
    let (one, other) = (key(&former, 0, 5), key(&former, 0, 6));
    let late = spawn(&former, move |map| map.remember(one, 0));
    let next = former.map.next(4).expect("memory").expect("another map");
    let map = Map { arena: Arc::clone(&former.arena), map: next };
    assert!(map.remember(other, 1));
    assert!(late.join().unwrap());
    assert_eq!((map.server_of(one), map.server_of(other)), (Some(0), Some(1)));
    map.check();
    assert!(former.map.next(1).expect("memory").is_none());
}

/// Wrong: the two keys differ, but not in their tags.
pub fn planted_equal_tags() {
    let map = Map::new(2, 4);
    // Same tag and window, different word.
    let (old, new) = (key(&map, 0, 5), key(&map, 8, 5));
    assert!(map.remember(old, 0));
    let late = spawn(&map, move |map| map.remember(old, 0));
    map.map.retain(|_| false);
    map.remember(new, 1);
    let found = map.server_of(new);
    late.join().unwrap();
    assert!(found != Some(0) && map.server_of(new) != Some(0), "an address has another's server");
}

/// Wrong: an entry's server is changed directly, without the pins.
pub fn planted_a_name_without_its_pin() {
    let map = Map::new(2, 1);
    let key = key(&map, 0, 5);
    let other = spawn(&map, move |map| map.remember(key, 1));
    map.remember(key, 0);
    other.join().unwrap();
    if let Some(slot) = map.server_of(key).and_then(|server| map.arena.servers.get(server)) {
        slot.unpin();
    }
    map.check();
}
