use super::{AddressKey, Affinity, AffinityTable, Arc, Arena, Ordering};
use crate::arena::slots::ServerSlot;
use crate::memory::one_server::OneServer;
use crate::memory::pace::Pace;
use crate::memory::sizes::CHUNK;

type Map = Affinity<OneServer>;

fn arena() -> Arc<Arena> {
    let arena = Arena::new();
    assert!(arena.servers.grow_to_with(4, || ServerSlot::new(0)));
    (0..4).for_each(|slot| arena.servers.get(slot).expect("a slot").occupy(0));
    Arc::new(arena)
}

fn key(map: &Map, address: u32) -> AddressKey {
    map.key([u64::from(address) << 32, 0], 4)
}

/// Does what lblc does: maps these addresses to the server in slot 1.
fn remember(map: &Map, addresses: impl Iterator<Item = u32>) {
    for address in addresses {
        let key = key(map, address);
        let found = map.find(key).or_else(|| map.claim(key)).expect("room");
        map.write(found, |server| server.set(map.arena(), key, 1));
    }
}

fn knows(map: &Map, address: u32) -> bool {
    let key = key(map, address);
    map.find(key).and_then(|found| found.payload.get(key)) == Some(1)
}

fn is_pinned(arena: &Arena) -> bool {
    let slot = arena.servers.get(1).expect("a slot");
    let vacated = slot.vacate().has_left();
    if vacated {
        slot.occupy(0);
    }
    !vacated
}

/// Number of entries that sweeps have visited since the last call.
fn visited(map: &Map) -> u64 {
    // Relaxed: one thread.
    map.tables().map(|table| table.visited.swap(0, Ordering::Relaxed)).sum()
}

/// A part of a sweep: visits at least so many entries and words of marks, if there are.
fn sweep(map: &Map, most: usize) {
    map.sweep(&mut Pace { slice: &mut usize::MAX.clone(), call: &mut most.clone() });
}

/// A map has addresses of either family, and what says that an entry is empty is no key.
#[test]
fn no_two_families_share_a_key() {
    let map = Map::new(arena(), 1000).expect("memory");
    let lowest = key(&map, 0).word;
    let highest = key(&map, u32::MAX).word;
    assert!(0 < lowest && lowest < highest);
    for address in 0..1000 {
        let word = map.key([0x2001_0db8 << 32, address], 6).word;
        assert!(word > highest, "{address}: {word:#x}");
    }
}

/// Of 2^21 entries, sweeps visit those near the few that have content, and none once that is gone.
#[test]
fn sweeps_look_at_content_and_not_at_capacity() {
    let map = Map::new(arena(), 1 << 20).expect("memory");
    remember(&map, 0..10);
    let near = 10 * CHUNK as u64;
    let mut found = 0;
    map.for_each(|_, _| found += 1);
    assert_eq!(found, 10);
    assert!((10..=near).contains(&visited(&map)));
    map.retain(|_| true);
    assert!((10..=near).contains(&visited(&map)));
    map.expiry().end_all(1);
    map.begin_sweep();
    sweep(&map, usize::MAX);
    assert!((10..=near).contains(&visited(&map)));
    assert_eq!(map.entries(), 0, "all were idle");
    map.retain(|_| true);
    map.for_each(|_, _| panic!("nothing is there"));
    assert_eq!(visited(&map), 0);
    remember(&map, 0..1);
    map.retain(|_| true);
    assert_eq!(visited(&map), CHUNK as u64, "a chunk is in use again");
}

/// A picker writes into an entry long after sweeps have found its chunk clean.
#[test]
fn what_is_written_late_is_swept() {
    let arena = arena();
    let map = Map::new(Arc::clone(&arena), 100).expect("memory");
    remember(&map, 7..8);
    let key = key(&map, 7);
    let late = map.find(key).expect("it is there");
    (0..2).for_each(|_| map.retain(|_| false));
    visited(&map);
    map.retain(|_| false);
    assert_eq!((visited(&map), is_pinned(&arena)), (0, false));
    map.write(late, |server| server.set(&arena, key, 1));
    assert!(is_pinned(&arena));
    map.retain(|_| true);
    assert_eq!((visited(&map), is_pinned(&arena)), (CHUNK as u64, false));
    map.write(late, |server| server.set(&arena, key, 1));
    drop(map);
    assert!(!is_pinned(&arena), "the end of a map is a sweep, too");
}

#[test]
fn another_capacity_leaves_entries_where_they_are() {
    let arena = arena();
    let first = Map::new(Arc::clone(&arena), 100).expect("memory");
    remember(&first, 0..50);
    assert!(first.next(100).expect("memory").is_none(), "nothing to do");
    let same_size = first.next(120).expect("memory").expect("another map");
    assert_eq!((same_size.tables().count(), same_size.capacity), (1, 120));
    let large = first.next(10_000).expect("memory").expect("another map");
    assert!((0..50).all(|address| knows(&large, address)));
    // Pickers of both maps continue, and neither undoes what the other does.
    remember(&first, 50..60);
    remember(&large, 60..1000);
    assert!((50..1000).all(|address| knows(&large, address)));
    assert_eq!((first.entries(), large.entries()), (60, 1000));
    let small = large.next(100).expect("memory").expect("another map");
    assert!((0..1000).all(|address| knows(&small, address)), "a smaller one forgets nothing");
    assert!(small.claim(key(&small, 2000)).is_none(), "nor does it take more");
    assert_eq!(large.remembered().refused, 1, "counted for all");
    drop((first, large, same_size));
    small.retain(|_| false);
    assert_eq!(small.entries(), 0);
    let last = small.next(100).expect("memory").expect("another map");
    assert_eq!(last.tables().count(), 1, "without the empty one");
    drop((small, last));
    assert!(!is_pinned(&arena));
}

/// Only tables stay that a stopped picker of an earlier map may still add to.
#[test]
fn a_map_has_no_more_tables_than_it_needs() {
    let capacities = [10, 1000, 100_000, 100, 10_000, 1000, 10, 100_000];
    let mut map = Map::new(arena(), 20).expect("memory");
    let mut earlier = Vec::new();
    let count = |map: &Map| {
        let sizes = map.tables().map(|table: &Arc<AffinityTable<_>>| Arc::as_ptr(table));
        sizes.collect::<std::collections::HashSet<_>>().len()
    };
    for (round, capacity) in (0u32..).zip(capacities.into_iter().cycle().take(80)) {
        let next = map.next(capacity).expect("memory").expect("another map");
        earlier.push(std::mem::replace(&mut map, next));
        if map.entries() < capacity {
            remember(&map, round..round + 1);
        }
        assert!((1..=6).contains(&map.tables().count()), "one a size, at most");
        assert_eq!(map.tables().count(), count(&map));
    }
    assert!(map.entries() > 50);
    map.retain(|_| false);
    let empty = map.next(20).expect("memory").expect("another map");
    assert_eq!(empty.tables().count(), 6, "earlier maps have pickers");
    earlier.clear();
    drop(map);
    let last = empty.next(20).expect("memory").expect("another map");
    assert_eq!(last.tables().count(), 1);
}

/// A sweep in parts removes what one sweep does; what is over is not found meanwhile.
#[test]
fn a_sweep_goes_on_where_it_stopped() {
    let arena = arena();
    let map = Map::new(Arc::clone(&arena), 4096).expect("memory");
    remember(&map, 0..2000);
    let words = 8192 / (64 * CHUNK) as u32;
    map.expiry().end_all(1);
    map.begin_sweep();
    assert!((0..2000).all(|address| map.find(key(&map, address)).is_none()));
    assert_eq!((map.entries(), map.remembered().entries), (2000, 0));
    map.for_each(|_, _| panic!("nothing is to be seen"));
    visited(&map);
    for part in 0..words {
        assert!(!map.is_swept() && is_pinned(&arena), "{part}");
        sweep(&map, 500);
    }
    assert!(map.is_swept());
    assert_eq!((map.entries(), is_pinned(&arena)), (0, false));
    assert!((2000..=8192).contains(&visited(&map)), "once");
    sweep(&map, usize::MAX);
    assert_eq!(visited(&map), 0, "it is done");
}

/// In a full map, an address that is over still has its own entry, and others have room after a sweep.
#[test]
fn what_is_over_makes_room_at_a_sweep() {
    let map = Map::new(arena(), 4).expect("memory");
    remember(&map, 0..4);
    assert!(map.is_full() && map.claim(key(&map, 9)).is_none());
    map.expiry().end_all(1);
    map.begin_sweep();
    let own = map.claim(key(&map, 2)).expect("its own");
    own.touch(1);
    assert!(map.claim(key(&map, 9)).is_none(), "not swept yet");
    assert_eq!((map.entries(), map.remembered().entries, map.remembered().refused), (4, 1, 2));
    sweep(&map, usize::MAX);
    assert_eq!(map.entries(), 1);
    (9..12).for_each(|address| map.claim(key(&map, address)).expect("room").touch(1));
    assert_eq!((map.is_full(), map.remembered().entries), (true, 4));
}

/// An address that is over and comes again has none of what it had.
#[test]
fn what_is_over_begins_anew() {
    let arena = arena();
    for capacity in [1, 100] {
        let map = Map::new(Arc::clone(&arena), capacity).expect("memory");
        remember(&map, 7..8);
        map.expiry().end_all(1);
        let key = key(&map, 7);
        let entry = map.claim(key).expect("its own");
        assert_eq!(entry.payload.get(key), None);
        entry.touch(1);
        assert!(map.find(key).is_some());
        assert_eq!((map.entries(), map.remembered().refused), (1, 0));
    }
    assert!(!is_pinned(&arena));
}
