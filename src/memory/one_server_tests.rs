use super::{AddressKey, Arena, OneServer};
use crate::arena::slots::ServerSlot;

#[test]
fn a_server_is_that_of_the_key_it_was_written_for() {
    let arena = Arena::new();
    assert!(arena.servers.grow_to_with(9, || ServerSlot::new(0)));
    let key = |tag: u32| AddressKey { word: u64::from(tag), hash: u64::from(tag) << 32 };
    let entry = OneServer::default();
    for tag in [0, 1, u32::MAX] {
        assert_eq!((entry.get(key(tag)), entry.slot()), (None, None));
    }
    for (tag, slot) in [(5, 7), (0, 8), (u32::MAX, 0)] {
        entry.set(&arena, key(tag), slot);
        assert_eq!((entry.get(key(tag)), entry.slot()), (Some(slot), Some(slot)));
        for other in [1, tag ^ 1, tag ^ 1 << 31] {
            assert_eq!(entry.get(key(other)), None, "{tag} {other}");
            entry.clear(&arena, key(other), slot);
        }
        entry.clear(&arena, key(tag), slot + 1);
        assert_eq!(entry.get(key(tag)), Some(slot));
    }
    entry.clear(&arena, key(u32::MAX), 0);
    assert_eq!(entry.slot(), None);
}
