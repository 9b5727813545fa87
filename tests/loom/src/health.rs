//! Models of `arena/health.rs`: reports of several threads concurrent with one another, with ticks of
//! the director, and with a new owner of the slot.

use std::time::Duration;

use loom::thread;

use crate::arena::health::Outcome::{self, Done, Failed};
use crate::arena::health::{Health, HealthSlot};
use crate::error::ConnectionError::Stale;
use crate::sync::{Arc, AtomicU64, Ordering};

const MILLIS: fn(u64) -> Option<Duration> = |millis| Some(Duration::from_millis(millis));

fn slot() -> Arc<HealthSlot> {
    let slot = Arc::new(HealthSlot::new(0));
    slot.assign(0);
    slot
}

fn spawn<R: 'static>(
    slot: &Arc<HealthSlot>,
    act: impl FnOnce(&HealthSlot) -> R + 'static,
) -> thread::JoinHandle<R> {
    let slot = Arc::clone(slot);
    thread::spawn(move || act(&slot))
}

/// The number of a failure in its series; 0 for other outcomes.
fn report(slot: &HealthSlot, outcome: Outcome) -> u32 {
    slot.report(0, outcome, None).unwrap()
}

/// Two failures and a success: the numbers of the failures, and what is left, are those of some order
/// of the three.
pub fn failures_beside_a_success_have_an_order() {
    let slot = slot();
    let first = spawn(&slot, |slot| report(slot, Failed));
    let success = spawn(&slot, |slot| report(slot, Done));
    let second = report(&slot, Failed);
    let first = first.join().unwrap();
    assert_eq!(success.join().unwrap(), 0);
    let health = slot.read();
    assert_eq!((health.done, health.failed), (1, 2));
    let mut numbers = [first, second];
    numbers.sort_unstable();
    let found = (numbers, health.consecutive_failures);
    // The success comes first, between the two, or last.
    let orders = [([1, 2], 2), ([1, 1], 1), ([1, 2], 0)];
    assert!(orders.contains(&found), "{found:?}");
}

/// Of the failures that come together, exactly one is the second in a row.
pub fn failures_are_numbered_once() {
    let slot = slot();
    let others = [0; 2].map(|_| spawn(&slot, |slot| report(slot, Failed)));
    let mut numbers = vec![report(&slot, Failed)];
    numbers.extend(others.map(|other| other.join().unwrap()));
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3]);
}

/// Wrong: whether the limit is reached is decided by what is found after the report.
pub fn planted_a_number_by_a_look() {
    let slot = slot();
    let limit = |slot: &HealthSlot| {
        report(slot, Failed);
        slot.read().consecutive_failures == 2
    };
    let other = spawn(&slot, limit);
    let here = limit(&slot);
    assert!(here != other.join().unwrap(), "the limit is reached by one");
}

/// One interval begins beside reports: the window has all of them, and after one more only those that
/// came later than the first.
pub fn an_interval_beside_reports_loses_nothing() {
    let slot = slot();
    let other = spawn(&slot, |slot| {
        report(slot, Done);
        report(slot, Failed);
    });
    slot.begin_interval();
    let between = slot.read();
    assert_eq!((between.recent_done, between.recent_failed), (between.done, between.failed));
    other.join().unwrap();
    let Health { done, failed, recent_done, recent_failed, .. } = slot.read();
    assert_eq!((done, failed, recent_done, recent_failed), (1, 1, 1, 1));
    slot.begin_interval();
    slot.begin_interval();
    let Health { done, failed, recent_done, recent_failed, .. } = slot.read();
    assert_eq!((done, failed, recent_done, recent_failed), (1, 1, 0, 0));
}

/// Wrong: an interval's numbers are loaded and then set to zero.
pub fn planted_an_interval_that_takes_what_is_counted() {
    let current = Arc::new(AtomicU64::new(0));
    let other = {
        let current = Arc::clone(&current);
        thread::spawn(move || current.fetch_add(1, Ordering::SeqCst))
    };
    let previous = current.load(Ordering::SeqCst);
    current.store(0, Ordering::SeqCst);
    other.join().unwrap();
    assert_eq!(previous + current.load(Ordering::SeqCst), 1, "lost");
}

/// Two samples and a second that passes: the average is that of some order of the three.
pub fn a_sample_beside_a_decay_has_an_order() {
    let slot = slot();
    let done = |slot: &HealthSlot, millis| slot.report(0, Done, MILLIS(millis)).unwrap();
    done(&slot, 20);
    slot.decay(1);
    let sample = spawn(&slot, move |slot| done(slot, 40));
    slot.decay(10);
    sample.join().unwrap();
    // 20 and 40, or the half of 20 and 40; both count for one sample each.
    let average = slot.read().latency.unwrap();
    assert!([MILLIS(30), MILLIS(25)].contains(&Some(average)), "{average:?}");
}

/// The slot gets another owner beside a report for the first one: it counts for that one or not at all,
/// and the next one starts at zero.
pub fn a_late_report_counts_for_no_other() {
    let slot = slot();
    let late = [Done, Failed]
        .map(|outcome| spawn(&slot, move |slot| slot.report(0, outcome, MILLIS(5)).map(|_| ())));
    slot.assign(1);
    assert_eq!(slot.report(1, Failed, None), Ok(1));
    for late in late {
        assert!([Ok(()), Err(Stale)].contains(&late.join().unwrap()));
    }
    let expected =
        Health { failed: 1, recent_failed: 1, consecutive_failures: 1, ..Health::default() };
    assert_eq!(slot.read(), expected);
}

/// Wrong: the report looks whose the slot is, and then counts for the present owner.
pub fn planted_the_present_owner_counts() {
    let slot = slot();
    let generation = Arc::new(AtomicU64::new(0));
    let late = {
        let generation = Arc::clone(&generation);
        spawn(&slot, move |slot| {
            if generation.load(Ordering::SeqCst) == 0 {
                let now = generation.load(Ordering::SeqCst);
                let _ = slot.report(now as u32, Failed, None);
            }
        })
    };
    slot.assign(1);
    generation.store(1, Ordering::SeqCst);
    late.join().unwrap();
    assert_eq!(slot.read().failed, 0, "a late report counts for the next server");
}
