use std::collections::HashMap;

use super::{AddressKey, Arc, Arena, Pace, Templates};
use crate::concurrent::test_random::Random;

/// A whole sweep at this time.
fn tick(templates: &Templates, now: u64) {
    templates.map.arena().set_clock(now);
    templates.begin_sweep();
    let pace = &mut Pace { slice: &mut usize::MAX.clone(), call: &mut usize::MAX.clone() };
    assert!(templates.sweep(pace));
}

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
        tick(&templates, 0);
        assert_eq!(templates.remembered().entries, 1, "the first is gone, the other held");
        let made = templates.map.find(client).map(std::ptr::from_ref);
        let claimed = templates.map.claim(client).map(std::ptr::from_ref);
        templates.release(id);
        tick(&templates, 1);
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
        (1..10).for_each(|minute| tick(&after, minute * 60_000));
        assert_eq!(after.remembered().entries, 1, "gone while a connection is open");
        let late = before.make(before.key([8 << 32, 0], 4), 0, 1);
        after.acquire(late);
        (10..20).for_each(|minute| tick(&after, minute * 60_000));
        assert_eq!(after.remembered().entries, 2, "the same of one made late");
        before.release(id);
        after.release(late);
        tick(&after, 30 * 60_000);
        assert_eq!(after.remembered().entries, 0, "nothing holds them");
    }
}

/// A template as a kernel keeps it, by client: an id, the server, its timeout, its deadline, and the number of
/// open connections made through it.
type Kernel = HashMap<u32, (u64, u32, u64, u64, u32)>;

/// What a sweep of everything does.
fn expire(kernel: &mut Kernel, now: u64) {
    kernel.retain(|_, (_, _, timeout, deadline, open)| {
        while *deadline <= now {
            if *open == 0 {
                return false;
            }
            *timeout = 60_000;
            *deadline += 60_000;
        }
        true
    });
}

/// Connections come and go, the clock moves on, a capacity changes, counts are corrected: with whatever part
/// of the map sweeps have visited, templates are those of a map that is swept whole at each time.
#[test]
fn it_makes_no_difference_how_far_sweeps_have_come() {
    const CLIENTS: u64 = 600;
    let (mut ended, mut lasted) = (0, 0);
    for seed in 0..20 {
        let mut random = Random(seed);
        let arena = Arc::new(Arena::new());
        let mut templates = Templates::new(Arc::clone(&arena), 40_000).expect("memory");
        let mut kernel = Kernel::new();
        let mut open = Vec::new();
        let (mut now, mut next) = (0, 0);
        for step in 0..3_000 {
            let client = random.below(CLIENTS) as u32;
            let key = templates.key([u64::from(client) << 32, 0], 4);
            match random.below(100) {
                0..50 => {
                    let slot = random.below(3) as u32;
                    let found = templates
                        .find(key)
                        .map(|(template, slot)| (slot, templates.renew(key, template)));
                    let expected = kernel.get(&client).map(|(_, slot, ..)| *slot);
                    assert_eq!(found.map(|(slot, _)| slot), expected, "{seed} {step} {client}");
                    let timeout = 1_000 * (1 + random.below(300));
                    let id = found.map_or_else(|| templates.make(key, slot, timeout), |it| it.1);
                    next += 1;
                    let it = kernel.entry(client).or_insert((next, slot, timeout, 0, 0));
                    it.3 = now + it.2;
                    if random.below(3) > 0 {
                        it.4 += 1;
                        templates.acquire(id);
                        open.push((client, it.0, id));
                    }
                }
                50..85 if !open.is_empty() => {
                    let at = random.below(open.len() as u64) as usize;
                    let (client, made, id) = open.swap_remove(at);
                    templates.release(id);
                    if let Some(it) = kernel.get_mut(&client).filter(|it| it.0 == made) {
                        it.4 = it.4.saturating_sub(1);
                    }
                }
                97 => {
                    let capacity = [40_000, 25_000, 90_000][random.below(3) as usize];
                    if let Some(other) = templates.next(capacity).expect("memory") {
                        templates = other;
                    }
                }
                98 => {
                    let slot = random.below(3) as u32;
                    templates.clear_holds(slot);
                    kernel.values_mut().filter(|it| it.1 == slot).for_each(|it| it.4 = 0);
                }
                _ => {
                    now += random.below([900, 20_000, 200_000][step % 3]);
                    arena.set_clock(now);
                    let before = kernel.len();
                    expire(&mut kernel, now);
                    ended += before - kernel.len();
                    lasted += kernel.values().filter(|it| it.2 == 60_000).count();
                    templates.begin_sweep();
                    for _ in 0..random.below(3) {
                        let (mut slice, mut call) = (500, 1 + random.below(3_000) as usize);
                        templates.sweep(&mut Pace { slice: &mut slice, call: &mut call });
                    }
                }
            }
            if step % 100 == 99 {
                assert_eq!(templates.remembered().entries as usize, kernel.len(), "{seed} {step}");
                let by_server = templates.by_server();
                for slot in 0..3 {
                    let count = kernel.values().filter(|it| it.1 == slot).count() as u32;
                    assert_eq!(templates.of_server(slot), count, "{seed} {step} {slot}");
                    assert_eq!(by_server.get(&slot).copied().unwrap_or(0), count);
                }
            }
        }
        assert_eq!(templates.remembered().refused, 0, "{seed}: there was room for all");
        open.into_iter().for_each(|(_, _, id)| templates.release(id));
        // Those begun before the end have to be done first.
        (1..3).for_each(|day| tick(&templates, now + day * 86_400_000));
        assert_eq!(templates.map.entries(), 0, "{seed}");
    }
    assert!(ended > 1_000 && lasted > 1_000, "{ended} {lasted}");
}

/// A call of sweep visits no more than it may, and the next one goes on: a map is visited whole in as many
/// calls as that makes.
#[test]
fn a_large_map_takes_several_calls() {
    let arena = Arc::new(Arena::new());
    let templates = Templates::new(Arc::clone(&arena), 40_000).expect("memory");
    let keys: Vec<AddressKey> =
        (0..30_000u64).map(|client| templates.key([client << 32, 0], 4)).collect();
    keys.iter().for_each(|key| assert!(!templates.make(*key, 0, 10).is_none()));
    // Of 2^17 entries, nearly all chunks of 16 have a client.
    arena.set_clock(86_400_000);
    let (mut calls, mut slices) = (0, 0);
    while templates.map.entries() > 0 {
        templates.begin_sweep();
        let mut call = 1 << 15;
        while !templates.sweep(&mut Pace { slice: &mut (1 << 12), call: &mut call }) {
            slices += 1;
        }
        calls += 1;
        assert!(keys.iter().step_by(97).all(|key| templates.find(*key).is_none()));
        assert_eq!((templates.remembered().entries, templates.of_server(0)), (0, 0));
    }
    assert_eq!(calls, 4, "{slices} slices");
    assert!(slices >= 16, "{slices}");
}
