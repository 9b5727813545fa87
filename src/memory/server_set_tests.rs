use super::{AddressKey, Arena, Members, Ordering, Payload, ServerSet, WRITING};
use crate::arena::slots::ServerSlot;
use crate::memory::sizes::MOST;

const SERVERS: u32 = 2 * MOST as u32;

fn arena() -> Arena {
    let arena = Arena::new();
    assert!(arena.servers.grow_to_with(SERVERS, || ServerSlot::new(0)));
    (0..SERVERS).for_each(|slot| arena.servers.get(slot).expect("a slot").occupy(0));
    arena
}

fn key(tag: u32) -> AddressKey {
    AddressKey { word: u64::from(tag), hash: u64::from(tag) << 32 }
}

/// Slots that an entry names.
fn pinned(arena: &Arena) -> Vec<u32> {
    let is_pinned = |slot: &u32| {
        let server = arena.servers.get(*slot).expect("a slot");
        let vacated = server.vacate().has_left();
        if vacated {
            server.occupy(0);
        }
        !vacated
    };
    (0..SERVERS).filter(is_pinned).collect()
}

fn read(set: &ServerSet, tag: u32) -> Members {
    set.read(key(tag)).expect("nothing is writing")
}

fn change(arena: &Arena, set: &ServerSet, tag: u32, act: impl FnOnce(&mut Members)) {
    let mut members = read(set, tag);
    act(&mut members);
    set.write(arena, key(tag), &members);
}

#[test]
fn members_are_read_as_they_were_written() {
    let (arena, set) = (arena(), ServerSet::default());
    assert!(set.is_clear() && read(&set, 7).slots().is_empty());
    for (now, slot) in [(1, 3), (2, 0), (3, 5), (4, 3)] {
        change(&arena, &set, 7, |members| members.add(slot, now));
        assert!(!set.is_clear());
    }
    // A member that is added again changes nothing, not the time either.
    assert_eq!((read(&set, 7).slots(), read(&set, 7).modified), (&[5, 0, 3][..], 3));
    assert_eq!(pinned(&arena), [0, 3, 5]);
    for (now, slot, left) in [(9, 4, &[5, 0, 3][..]), (10, 0, &[5, 3]), (11, 3, &[5]), (12, 5, &[])]
    {
        change(&arena, &set, 7, |members| members.remove(slot, now));
        let members = read(&set, 7);
        assert_eq!(members.slots(), left);
        assert_eq!(members.modified, if now == 9 { 3 } else { now });
        let mut expected = left.to_vec();
        expected.sort_unstable();
        assert_eq!(pinned(&arena), expected);
    }
    assert!(set.is_clear());
}

#[test]
fn a_member_leaves_from_any_place_of_a_full_set() {
    for place in 0..MOST {
        let (arena, set) = (arena(), ServerSet::default());
        for slot in 0..=MOST as u32 {
            change(&arena, &set, 1, |members| members.add(slot, 1));
        }
        let mut expected: Vec<u32> = (1..=MOST as u32).rev().collect();
        assert_eq!(read(&set, 1).slots(), expected, "the oldest made room");
        change(&arena, &set, 1, |members| members.remove(expected[place], 2));
        expected.remove(place);
        assert_eq!(read(&set, 1).slots(), expected);
    }
}

#[test]
fn what_was_written_for_another_key_is_no_member() {
    let (arena, set) = (arena(), ServerSet::default());
    change(&arena, &set, 1, |members| members.add(4, 1));
    assert!(read(&set, 2).slots().is_empty());
    change(&arena, &set, 2, |members| members.add(6, 1));
    assert_eq!((read(&set, 2).slots(), read(&set, 1).slots()), (&[6][..], &[][..]));
    assert_eq!(pinned(&arena), [6]);
}

/// Any earlier read is refused, through a wrap of the version too.
#[test]
fn a_set_that_changed_since_it_was_read_is_left_alone() {
    for version in [0, 2, u64::from(u32::MAX) - 3, u64::from(u32::MAX) - 1] {
        let (arena, set) = (arena(), ServerSet::default());
        set.head.store(1 << 32 | version, Ordering::SeqCst);
        let mut early = read(&set, 1);
        early.add(9, 9);
        for change_of in 0..3 {
            match change_of {
                0 => change(&arena, &set, 1, |members| members.add(4, 1)),
                1 => change(&arena, &set, 1, |_| {}),
                _ => assert!(set.forget(&arena)),
            }
            set.write(&arena, key(1), &early);
            assert!(!read(&set, 1).slots().contains(&9), "{version} {change_of}");
            assert!(!pinned(&arena).contains(&9));
        }
    }
}

#[test]
fn a_set_that_is_being_written_is_left_to_its_writer() {
    let (arena, set) = (arena(), ServerSet::default());
    change(&arena, &set, 1, |members| members.add(4, 1));
    let members = read(&set, 1);
    let head = set.head.fetch_or(WRITING, Ordering::SeqCst);
    assert!(set.read(key(1)).is_none() && set.read(key(2)).is_none());
    assert!(!set.is_clear() && !set.forget(&arena));
    set.write(&arena, key(1), &members);
    assert_eq!(set.head.load(Ordering::SeqCst), head | WRITING, "nothing has changed");
    assert_eq!(pinned(&arena), [4]);
    set.head.store(head, Ordering::SeqCst);
    assert!(set.forget(&arena) && set.is_clear());
    assert_eq!((read(&set, 1).slots(), pinned(&arena)), (&[][..], vec![]));
    set.head.fetch_or(WRITING, Ordering::SeqCst);
    assert!(!set.is_clear() && !set.forget(&arena), "an empty one too");
}
