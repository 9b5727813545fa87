use std::num::NonZeroU8;

use super::{MAX_TICKETS, NONE, Sequence, TicketChunk};
use crate::rotation::schedule::{SHORT, Schedule};
use crate::rotation::shared::TicketCounter;

const SEQUENCE: Sequence = Sequence(7 << 32);
const LONGEST: u8 = 64;

fn some(length: u8) -> NonZeroU8 {
    NonZeroU8::new(length).expect("at least one")
}

fn schedule(cycle: u32) -> Schedule {
    Schedule::new((0..cycle).collect(), |_| true)
}

/// As a pick does it.
fn pick(chunk: &TicketChunk, length: u8, counter: &TicketCounter, schedule: &Schedule) -> u32 {
    let ticket = chunk.next(SEQUENCE);
    if let Some(position) = schedule.unconditional(ticket) {
        chunk.take_next();
        return position;
    }
    chunk.redeem((SEQUENCE, some(length)), counter, schedule, Some).expect("a valid ticket")
}

#[test]
fn one_worker_takes_every_turn_in_order() {
    for cycle in [1, 2, 5, SHORT - 1, SHORT, SHORT + 1, 1000] {
        for length in [1, 2, 16, LONGEST - 1, LONGEST] {
            let (chunk, schedule) = (TicketChunk::default(), schedule(cycle));
            let counter = TicketCounter::new(cycle, u64::from(cycle) - 1);
            for number in 0..5 * cycle.max(SHORT) {
                let position = pick(&chunk, length, &counter, &schedule);
                assert_eq!(position, number % cycle, "{cycle}, {length}: {number}");
            }
        }
    }
}

/// What workers have taken together is the sequence so far, without the tickets that each has left.
#[test]
fn workers_leave_no_more_than_their_chunks() {
    let (cycle, length) = (100, 16);
    let schedule = schedule(cycle);
    let counter = TicketCounter::new(cycle, u64::from(cycle) - 1);
    let chunks: [TicketChunk; 3] = Default::default();
    let mut taken = vec![0; cycle as usize];
    for number in 0..2400u32 {
        let chunk = &chunks[(number * number / 7 % 3) as usize];
        taken[pick(chunk, length, &counter, &schedule) as usize] += 1;
    }
    for chunk in &chunks {
        while chunk.next(SEQUENCE) != NONE {
            taken[pick(chunk, length, &counter, &schedule) as usize] += 1;
        }
    }
    let (least, most) = (taken.iter().min(), taken.iter().max());
    assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{taken:?}");
}

#[test]
fn tickets_of_another_sequence_are_none() {
    let (chunk, schedule, counter) =
        (TicketChunk::default(), schedule(5), TicketCounter::new(5, 4));
    assert_eq!((chunk.next(Sequence::NONE), chunk.next(Sequence::new(1))), (NONE, NONE));
    assert_eq!(pick(&chunk, 3, &counter, &schedule), 0);
    assert_eq!((chunk.next(SEQUENCE), chunk.next(Sequence::NONE)), (1, NONE));
    for other in [Sequence::new(6), Sequence::new(8), Sequence::new(u32::MAX)] {
        assert_eq!(chunk.next(other), NONE);
    }
    // Used up, it is none of the next number either.
    (1..3).for_each(|number| assert_eq!(pick(&chunk, 3, &counter, &schedule), number));
    assert_eq!((chunk.next(SEQUENCE), chunk.next(Sequence::new(8))), (NONE, NONE));
}

#[test]
fn unavailable_servers_are_passed_over_up_to_a_limit() {
    let (chunk, schedule, counter) =
        (TicketChunk::default(), schedule(40), TicketCounter::new(40, 39));
    let redeem = |least: u32| {
        chunk.redeem((SEQUENCE, some(16)), &counter, &schedule, |position| {
            (position >= least).then_some(position)
        })
    };
    let few = MAX_TICKETS as u32;
    assert_eq!(redeem(few - 1), Some(few - 1));
    assert_eq!(redeem(2 * few), None);
    // The next chunk.
    assert_eq!(redeem(2 * few), Some(2 * few));
}

#[test]
fn an_invalid_chunk_leaves_the_state() {
    let (chunk, schedule) = (TicketChunk::default(), schedule(5));
    // Before the first server.
    let counter = TicketCounter::new(5, 1 << 32);
    for _ in 0..3 {
        assert_eq!(chunk.redeem((SEQUENCE, some(LONGEST)), &counter, &schedule, Some), None);
    }
    let step = |state: u64| (state, 0);
    assert_eq!(counter.advance(None, None, |state| state, step), Ok(1 << 32));
    assert_eq!(pick(&chunk, LONGEST, &counter, &schedule), 1);
}
