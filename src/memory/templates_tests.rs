use super::{AddressKey, Arc, Arena, Templates};

/// A picker is slow to claim an entry for a client: in the meantime another picker makes the
/// client's template, and an earlier entry becomes free, which the slow picker claims.
#[test]
fn connections_close_in_an_entry_that_is_not_found_any_more() {
    let twice = (1..1000).filter(|client| {
        let templates = Templates::new(Arc::new(Arena::new()), 8).expect("memory");
        let key = |client: u64| -> AddressKey { templates.key([client << 32, 0], 4) };
        templates.make(key(0), 0, 0);
        let client = key(*client);
        let id = templates.make(client, 0, 1);
        templates.acquire(id);
        templates.tick(0);
        assert_eq!(templates.remembered().entries, 1, "the first is gone, the other held");
        let made = templates.map.find(client).map(std::ptr::from_ref);
        let claimed = templates.map.claim(client).map(std::ptr::from_ref);
        templates.release(id);
        templates.tick(1);
        assert_eq!(templates.remembered().entries, 0, "no connection holds it");
        made != claimed
    });
    assert!(twice.count() > 0, "no client had two entries");
}

/// Connections open and close through either of two maps, while one replaces the other.
#[test]
fn connections_are_counted_across_another_capacity() {
    for capacity in [1, 9, 8000] {
        let before = Templates::new(Arc::new(Arena::new()), 8).expect("memory");
        let client = before.key([7 << 32, 0], 4);
        let id = before.make(client, 0, 1);
        before.acquire(id);
        let after = before.next(capacity).expect("memory").expect("another map");
        before.acquire(id);
        after.release(id);
        // One is open, opened by a picker that still had the previous map.
        (1..10).for_each(|minute| after.tick(minute * 60_000));
        assert_eq!(after.remembered().entries, 1, "gone while a connection is open");
        let late = before.make(before.key([8 << 32, 0], 4), 0, 1);
        after.acquire(late);
        (10..20).for_each(|minute| after.tick(minute * 60_000));
        assert_eq!(after.remembered().entries, 2, "the same of one made late");
        before.release(id);
        after.release(late);
        after.tick(30 * 60_000);
        assert_eq!(after.remembered().entries, 0, "nothing holds them");
    }
}
