use super::{LOOKED_AT, WorkerRegistry};
use crate::arena::Arena;
use crate::arena::tally::Incarnation;
use crate::arena::worker_state::WorkerState;
use crate::director::table::ServiceTable;

fn numbers(registry: &mut WorkerRegistry, arena: &Arena, count: u32) -> Vec<u32> {
    let table = ServiceTable::empty();
    let mut register = || registry.register(arena, None, (0, 0), &table).unwrap().get().number();
    (0..count).map(|_| register()).collect()
}

fn unregister(registry: &mut WorkerRegistry, arena: &Arena, number: u32) {
    let table = ServiceTable::empty();
    registry.unregister(arena, arena.workers.get(number).unwrap(), &table);
}

#[test]
fn the_lowest_free_place_is_the_next() {
    let (mut registry, arena) = (WorkerRegistry::default(), Arena::new());
    assert_eq!(numbers(&mut registry, &arena, 5), [0, 1, 2, 3, 4]);
    for number in [3, 0, 2] {
        unregister(&mut registry, &arena, number);
    }
    assert_eq!(numbers(&mut registry, &arena, 4), [0, 2, 3, 5]);
    assert_eq!(registry.living.len(), 6);
}

#[test]
fn a_place_with_a_guest_waits_and_one_that_is_over_is_left() {
    let (mut registry, arena) = (WorkerRegistry::default(), Arena::new());
    let made = LOOKED_AT as u32 + 2;
    numbers(&mut registry, &arena, made);
    let tag = |number| arena.workers.get(number).map(WorkerState::tag).unwrap();
    let first = tag(0);
    (0..made).for_each(|number| unregister(&mut registry, &arena, number));
    assert_ne!(tag(0), first);
    let worker = arena.workers.get(0).unwrap();
    worker.visit(|| assert_eq!(numbers(&mut registry, &arena, 1), [1]));
    assert_eq!(numbers(&mut registry, &arena, 2), [0, 2]);
    worker.age(Incarnation::LAST - 1);
    unregister(&mut registry, &arena, 0);
    assert!(worker.is_exhausted());
    unregister(&mut registry, &arena, 1);
    assert_eq!(numbers(&mut registry, &arena, 1), [1]);
}

#[test]
fn shares_are_exact_for_one_and_when_asked_for() {
    let (mut registry, arena) = (WorkerRegistry::default(), Arena::new());
    let table = ServiceTable::empty();
    let mut shares = Vec::new();
    for _ in 0..9 {
        numbers(&mut registry, &arena, 1);
        shares.push(arena.shares());
    }
    assert_eq!(shares, [1, 2, 2, 4, 4, 4, 4, 8, 8]);
    registry.share(&arena, &table, true);
    shares = vec![arena.shares()];
    for number in 0..9 {
        unregister(&mut registry, &arena, number);
        shares.push(arena.shares());
    }
    assert_eq!(shares, [9, 9, 9, 9, 9, 4, 4, 2, 1, 1]);
}
