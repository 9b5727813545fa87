use super::{Activity, ConnectionError, Limits, ServerSlot};
use crate::arena::id::ServiceId;
use crate::arena::service_slot::ServiceSlot;
use crate::config::{KernelRules, ServerState, Thresholds};

const RULE: KernelRules = KernelRules::B;

fn limits(upper: u32) -> Limits {
    Limits::new(Thresholds::new(upper, 0))
}

fn open(slot: &ServerSlot, below_limit: bool) -> Result<bool, ConnectionError> {
    slot.open(slot.generation(), Activity::Active, RULE, below_limit)
}

#[test]
fn events_tell_when_they_change_the_mark() {
    let slot = ServerSlot::new(5);
    slot.occupy(0);
    assert!(!slot.limit(limits(4), RULE), "no connection is open");
    let opened: Vec<_> = (0..5).map(|_| open(&slot, false)).collect();
    assert_eq!(opened, [Ok(false), Ok(false), Ok(false), Ok(true), Ok(false)]);
    assert_eq!(open(&slot, true), Err(ConnectionError::Overloaded));
    assert!(slot.limit(limits(9), RULE) && slot.limit(limits(5), RULE));
    assert!(!slot.limit(limits(5), RULE) && !slot.limit(limits(4), RULE));
    let close = || slot.close(5, Activity::Active, RULE);
    let closed: Vec<_> = (0..6).map(|_| close()).collect();
    let stale = Err(ConnectionError::Stale);
    assert_eq!(closed, [Ok(false), Ok(false), Ok(true), Ok(false), Ok(false), stale]);
}

/// The director has stored lower limits and has not marked the server for them yet.
#[test]
fn a_connection_that_meets_new_limits_first_marks_the_server() {
    for (total, below_limit, admitted) in
        [(3, true, false), (2, true, false), (1, true, true), (3, false, true), (1, false, true)]
    {
        let slot = ServerSlot::new(5);
        slot.occupy(0);
        (0..total).for_each(|_| assert_eq!(open(&slot, true), Ok(false)));
        let old = slot.store_limits(limits(2));
        assert!(!slot.counts_seqcst().overloaded());
        let opened = open(&slot, below_limit);
        let expected = if admitted { Ok(true) } else { Err(ConnectionError::Overloaded) };
        assert_eq!(opened, expected, "{total} {below_limit}");
        assert_eq!(slot.counts_seqcst().total(), total + u32::from(admitted));
        assert!(slot.counts_seqcst().overloaded());
        assert!(!slot.mark_for_limits(old, limits(2), RULE), "marked already");
        assert!(slot.counts_seqcst().overloaded());
    }
}

#[test]
fn a_vacant_slot_is_nobodys_whatever_the_generation() {
    let slot = ServerSlot::new(5);
    for generation in [4, 5, 6] {
        let stale = Err(ConnectionError::Stale);
        assert_eq!(slot.open(generation, Activity::Active, RULE, false), stale);
        assert_eq!(slot.correct(generation, 1, 1, RULE).err(), stale.err());
        assert_eq!(slot.set_state(generation, ServerState::Down).err(), stale.err());
    }
    slot.occupy(0);
    assert_eq!(open(&slot, false), Ok(false));
    assert!(!slot.vacate().has_left(), "a connection is open");
    assert!(slot.evict().has_left() && slot.generation() == 6);
    for generation in [5, 6, 7] {
        let stale = Err(ConnectionError::Stale);
        assert_eq!(slot.open(generation, Activity::Inactive, RULE, false), stale);
        assert_eq!(slot.correct(generation, 1, 1, RULE).err(), stale.err());
        assert_eq!(slot.set_state(generation, ServerState::Down).err(), stale.err());
    }
}

#[test]
fn weights_draws_and_ids_are_kept_as_they_are() {
    let slot = ServerSlot::new(0);
    for weight in [0, 1, 7, u32::MAX] {
        slot.set_weight(weight);
        assert_eq!(slot.weight(), weight);
    }
    let draws = |number| {
        let service = ServiceSlot::new(0);
        service.start_draws(number);
        [service.next_draw(), service.next_draw()]
    };
    assert_eq!([draws(0), draws(3)], [[0, 1], [3 << 40, (3 << 40) + 1]]);
    for (slot, generation) in [(0, 0), (1, 2), (u32::MAX, 5), (5, u32::MAX), (u32::MAX, u32::MAX)] {
        let id = ServiceId { slot, generation };
        assert_eq!(ServiceId::from_word(id.word()), id);
    }
}
