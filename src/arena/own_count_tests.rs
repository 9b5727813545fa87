use super::{Counted, OwnCount};
use crate::arena::counts::Activity::{self, Active, Inactive};
use crate::arena::counts::{Counts, MAX_CONNECTIONS};
use crate::arena::slots::ServerSlot;
use crate::concurrent::test_random::Random;
use crate::config::KernelRules;
use crate::error::ConnectionError;

const RULE: KernelRules = KernelRules::B;
const HERE: Option<Counted> = Some(Counted::Here);
const IN_SLOT_TOO: Option<Counted> = Some(Counted::InSlotToo);

fn open(own: &OwnCount, generation: u32, activity: Activity) -> Option<Counted> {
    own.open(generation, activity, || true).ok()
}

fn counts(own: &OwnCount, generation: u32) -> (u32, u32) {
    let own = own.get(generation);
    (own.active(), own.total())
}

#[test]
fn a_word_counts_for_one_generation() {
    let own = OwnCount::default();
    assert_eq!(open(&own, 3, Active), IN_SLOT_TOO);
    assert_eq!((counts(&own, 3), counts(&own, 4)), ((1, 1), (0, 0)));
    assert_eq!((own.close(4, Active), own.update(4, Inactive)), (None, None));
    assert_eq!(own.open(3, Active, || false), Err(ConnectionError::Stale));
    assert!(!own.make_sole(3), "it counts a connection");
    assert!(own.make_sole(4), "not one of the next server");
    assert_eq!((open(&own, 4, Active), own.close(3, Active)), (HERE, None));
    own.adopt(4);
    assert_eq!(counts(&own, 4), (1, 1));
    own.adopt(5);
    assert_eq!((counts(&own, 4), counts(&own, 5)), ((0, 0), (0, 0)));
}

#[test]
fn no_count_goes_below_zero_or_past_the_most() {
    let own = OwnCount::default();
    assert_eq!((own.close(0, Active), own.close(0, Inactive)), (None, None));
    open(&own, 0, Inactive);
    assert_eq!((own.close(0, Active), own.update(0, Inactive)), (None, None));
    assert_eq!((own.update(0, Active), own.close(0, Inactive)), (IN_SLOT_TOO, None));
    for _ in 1..MAX_CONNECTIONS {
        open(&own, 0, Active);
    }
    assert_eq!(own.open(0, Inactive, || true), Err(ConnectionError::Full));
    assert_eq!(counts(&own, 0), (MAX_CONNECTIONS, MAX_CONNECTIONS));
}

#[test]
fn a_slot_without_room_leaves_a_word_sole() {
    let (slot, own) = (ServerSlot::new(0), OwnCount::default());
    slot.occupy(0);
    assert!(own.make_sole(0));
    assert_eq!((open(&own, 0, Active), open(&own, 0, Inactive)), (HERE, HERE));
    slot.correct(0, 0, MAX_CONNECTIONS - 1, RULE).expect("it has an owner");
    assert!(!own.fold(&slot));
    assert_eq!((counts(&own, 0), own.get(0).is_sole()), ((1, 2), true));
    assert_eq!(slot.counts_seqcst().total(), MAX_CONNECTIONS - 1);
    slot.correct(0, 0, MAX_CONNECTIONS - 2, RULE).expect("it has an owner");
    assert!(own.fold(&slot) && !own.get(0).is_sole());
    assert_eq!(slot.counts_seqcst().total(), MAX_CONNECTIONS);
    assert_eq!(own.close(0, Active), IN_SLOT_TOO);
}

/// Whatever the director does meanwhile, slot and sole words together count each connection once.
#[test]
fn slot_and_sole_words_count_each_connection_once() {
    let mut random = Random(3);
    for _ in 0..200 {
        let (slot, owns) = (ServerSlot::new(0), [OwnCount::default(), OwnCount::default()]);
        slot.occupy(0);
        let mut opened: Vec<(usize, Activity)> = Vec::new();
        for _ in 0..100 {
            let which = random.below(2) as usize;
            let own = &owns[which];
            let activity = [Active, Inactive][random.below(2) as usize];
            match random.below(6) {
                0 | 1 => {
                    if open(own, 0, activity) == IN_SLOT_TOO {
                        slot.open(0, activity, RULE, false).expect("it has an owner");
                    }
                    opened.push((which, activity));
                }
                2 if !opened.is_empty() => {
                    let at = random.below(opened.len() as u64) as usize;
                    let (which, activity) = opened.swap_remove(at);
                    match owns[which].close(0, activity) {
                        Some(Counted::Here) => {}
                        Some(Counted::InSlotToo) => {
                            slot.close(0, activity, RULE).expect("it is counted");
                        }
                        None => panic!("the worker counts it"),
                    }
                }
                3 => _ = own.make_sole(0),
                4 => assert!(own.fold(&slot)),
                _ => {}
            }
            let active = opened.iter().filter(|(_, activity)| *activity == Active).count();
            let all = owns.iter().map(|own| own.get(0));
            let all = all.fold(slot.counts_seqcst(), Counts::with_sole);
            let expected = (active as u32, opened.len() as u32);
            assert_eq!((all.active(), all.total()), expected);
        }
    }
}
