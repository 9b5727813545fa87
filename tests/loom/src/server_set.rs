//! Models of `memory/server_set.rs`: sets are read and written atomically, and exactly the members are
//! pinned. Sets hold two servers here.

use loom::thread;

use crate::arena::Arena;
use crate::memory::address_map::{AddressKey, Affinity};
use crate::memory::server_set::ServerSet;
use crate::sync::Arc;

struct Map {
    arena: Arc<Arena>,
    map: Affinity<ServerSet>,
}

/// The pairs that writers write, pair `i` with the time `i + 1`.
const PAIRS: [[u32; 2]; 2] = [[0, 1], [1, 2]];

impl Map {
    fn new() -> Arc<Self> {
        let arena = Arena::with_servers(3);
        let map = Affinity::new(Arc::clone(&arena), 1).expect("memory");
        Arc::new(Map { map, arena })
    }

    fn key(&self) -> AddressKey {
        self.map.key_of(1 << 63 | 5 << 32)
    }

    /// Writes a pair into the set, both servers in one write.
    fn write(&self, pair: usize) {
        let key = self.key();
        let Some(entry) = self.map.find(key).or_else(|| self.map.claim(key)) else { return };
        if let Some(mut members) = entry.payload.read(key) {
            let [first, second] = PAIRS[pair];
            let time = pair as u64 + 1;
            for slot in members.slots().to_vec() {
                members.remove(slot, time);
            }
            members.add(first, time);
            members.add(second, time);
            self.map.write(entry, |set| set.write(&self.arena, key, &members));
        }
    }

    /// Reads the set: nothing, or a pair with its time.
    fn read(&self) -> Option<(Vec<u32>, u64)> {
        let key = self.key();
        let members = self.map.find(key)?.payload.read(key)?;
        Some((members.slots().to_vec(), members.modified))
    }

    fn check(&self) {
        let named = self.read();
        assert!(is_whole(&named), "torn: {named:?}");
        let named = named.map_or(Vec::new(), |(slots, _)| slots);
        let free = self.arena.unpinned();
        let unnamed = |slot: &usize| !named.contains(&(*slot as u32));
        assert!(free.iter().all(unnamed), "not pinned");
        assert_eq!(free.len() + named.len(), 3, "pinned by no entry");
        self.map.retain(|_| false);
        assert_eq!(self.arena.unpinned().len(), 3, "pinned by no entry");
    }
}

fn is_whole(found: &Option<(Vec<u32>, u64)>) -> bool {
    let pair = |(slots, time): &(Vec<u32>, u64)| match *time {
        0 => slots.is_empty(),
        // The newest member comes first.
        time => slots.iter().rev().eq(&PAIRS[time as usize - 1]),
    };
    found.as_ref().is_none_or(pair)
}

fn spawn<R: 'static>(
    map: &Arc<Map>,
    act: impl FnOnce(&Map) -> R + 'static,
) -> thread::JoinHandle<R> {
    let map = Arc::clone(map);
    thread::spawn(move || act(&map))
}

/// A reader concurrent with two writers.
pub fn sets_are_read_whole() {
    let map = Map::new();
    map.write(0);
    let reading = spawn(&map, |map| {
        let found = map.read();
        assert!(is_whole(&found), "torn: {found:?}");
    });
    map.write(1);
    reading.join().unwrap();
    map.check();
}

/// Two writers: the set of one of them remains, complete.
pub fn writers_meet() {
    let map = Map::new();
    let other = spawn(&map, |map| map.write(1));
    map.write(0);
    other.join().unwrap();
    map.check();
}

/// The director removes the entry during a write; the next sweep removes the rest.
pub fn a_set_ends_beside_a_writer() {
    let map = Map::new();
    map.write(0);
    let other = spawn(&map, |map| map.write(1));
    map.map.retain(|_| false);
    other.join().unwrap();
    (0..2).for_each(|_| map.map.retain(|_| false));
    assert_eq!(map.arena.unpinned().len(), 3, "pinned by no entry");
}

/// Wrong: members and time are read by two separate reads.
pub fn planted_read_in_two_halves() {
    let map = Map::new();
    map.write(0);
    let reading = spawn(&map, |map| {
        let slots = map.read().map(|(slots, _)| slots);
        let time = map.read().map(|(_, time)| time);
        let found = slots.zip(time);
        assert!(is_whole(&found), "torn: {found:?}");
    });
    map.write(1);
    reading.join().unwrap();
}

/// Wrong: one sweep only, and the servers of a late writer stay pinned.
pub fn planted_one_sweep() {
    let map = Map::new();
    map.write(0);
    let other = spawn(&map, |map| map.write(1));
    map.map.retain(|_| false);
    other.join().unwrap();
    assert_eq!(map.arena.unpinned().len(), 3, "pinned by no entry");
}
