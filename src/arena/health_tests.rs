use std::time::Duration;

use super::{CONSECUTIVE, Health, HealthSlot, MOST_CONSECUTIVE, Outcome, tag};
use crate::error::ConnectionError::Stale;
use crate::sync::Ordering;

use Outcome::{Abandoned, Done, Failed};

const OWNER: u32 = 7;

fn slot() -> HealthSlot {
    let slot = HealthSlot::new(OWNER);
    slot.assign(OWNER);
    slot
}

fn report(slot: &HealthSlot, outcomes: &[Outcome]) -> Vec<u32> {
    let report = |outcome: &Outcome| slot.report(OWNER, *outcome, None).expect("the owner");
    outcomes.iter().map(report).collect()
}

#[test]
fn a_success_ends_a_series_of_failures_and_a_departure_does_not() {
    for (outcomes, numbers, left) in [
        (&[Failed, Failed, Failed][..], &[1, 2, 3][..], 3),
        (&[Failed, Abandoned, Failed], &[1, 0, 2], 2),
        (&[Failed, Done, Failed], &[1, 0, 1], 1),
        (&[Failed, Failed, Done], &[1, 2, 0], 0),
        (&[Done, Abandoned], &[0, 0], 0),
    ] {
        let slot = slot();
        assert_eq!(report(&slot, outcomes), numbers, "{outcomes:?}");
        let count = |what| outcomes.iter().filter(|it| **it == what).count() as u64;
        let expected = Health {
            done: count(Done),
            failed: count(Failed),
            abandoned: count(Abandoned),
            consecutive_failures: left,
            recent_done: count(Done),
            recent_failed: count(Failed),
            latency: None,
        };
        assert_eq!(slot.read(), expected, "{outcomes:?}");
    }
}

#[test]
fn the_window_is_this_interval_and_the_one_before() {
    let slot = slot();
    let recent = || {
        let health = slot.read();
        (health.recent_done, health.recent_failed)
    };
    report(&slot, &[Done, Done, Failed]);
    assert_eq!(recent(), (2, 1));
    slot.begin_interval();
    report(&slot, &[Done, Failed, Failed]);
    assert_eq!(recent(), (3, 3));
    slot.begin_interval();
    assert_eq!(recent(), (1, 2), "the first interval has left");
    slot.begin_interval();
    assert_eq!(recent(), (0, 0));
    let health = slot.read();
    assert_eq!((health.done, health.failed, health.consecutive_failures), (3, 3, 2));
}

#[test]
fn only_the_owner_counts() {
    let slot = HealthSlot::new(OWNER);
    let all = |slot: &HealthSlot, generation| {
        [Outcome::Done, Outcome::Failed, Outcome::Abandoned]
            .map(|outcome| slot.report(generation, outcome, Some(Duration::MAX)))
    };
    assert_eq!(all(&slot, OWNER), [Err(Stale); 3], "no server has been assigned");
    slot.assign(OWNER);
    assert_eq!(all(&slot, OWNER), [Ok(0), Ok(1), Ok(0)]);
    assert_eq!(all(&slot, OWNER + 1), [Err(Stale); 3]);
    let before = slot.read();
    assert_eq!((before.done, before.failed, before.abandoned), (1, 1, 1));
    slot.begin_interval();
    slot.assign(OWNER + 1);
    assert_eq!(slot.read(), Health::default());
    assert_eq!(all(&slot, OWNER), [Err(Stale); 3]);
    assert_eq!(slot.read(), Health::default());
    assert_eq!(all(&slot, OWNER + 1), [Ok(0), Ok(1), Ok(0)]);
}

/// Nothing overflows into what is next to it in a word.
#[test]
fn counts_end_where_their_bits_end() {
    let slot = slot();
    let failures = (MOST_CONSECUTIVE - 1) << CONSECUTIVE | u64::from(u32::MAX - 1);
    slot.failures.store(tag(OWNER) | failures, Ordering::Relaxed);
    slot.begin_interval();
    let most = MOST_CONSECUTIVE as u32;
    assert_eq!(report(&slot, &[Failed, Failed, Failed]), [most; 3]);
    let health = slot.read();
    assert_eq!(health.failed, u64::from(u32::MAX) + 2, "continued beyond 32 bits");
    assert_eq!((health.recent_failed, health.done), (u64::from(u32::MAX) + 2, 0));
    slot.begin_interval();
    slot.begin_interval();
    assert_eq!((slot.read().failed, slot.read().recent_failed), (u64::from(u32::MAX) + 2, 0));
    slot.done.store(tag(OWNER) | ((1 << 48) - 1), Ordering::Relaxed);
    report(&slot, &[Done]);
    assert_eq!((slot.read().done, slot.report(OWNER, Done, None)), (0, Ok(0)));
}

#[test]
fn only_what_was_done_has_a_latency() {
    let slot = slot();
    let ten = Some(Duration::from_millis(10));
    for outcome in [Failed, Abandoned] {
        slot.report(OWNER, outcome, ten).expect("the owner");
        assert_eq!(slot.read().latency, None);
    }
    slot.report(OWNER, Done, ten).expect("the owner");
    slot.report(OWNER, Done, None).expect("the owner");
    assert_eq!(slot.read().latency, ten);
    slot.decay(1);
    assert_eq!(slot.read().latency, ten, "a sample arrived in this second");
    slot.decay(10);
    assert_eq!(slot.read().latency, Some(Duration::from_millis(5)));
    slot.decay(u64::MAX);
    assert_eq!(slot.read().latency, None);
    slot.report(OWNER, Done, ten).expect("the owner still");
}
