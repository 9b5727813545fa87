use super::{MAX_WORKERS, WorkerState, WorkerTag, van_der_corput};
use crate::arena::counts::Activity::{Active, Inactive};
use crate::arena::own_count::{Counted, OwnCount};
use crate::arena::tally::Connections;

#[test]
fn places_are_far_apart() {
    assert_eq!([0, 1, 2, 3].map(|number| van_der_corput(number, 100)), [0, 50, 25, 75]);
    assert_eq!(van_der_corput(7, 0), 0);
    assert!((0..1000).all(|number| van_der_corput(number, 3) < 3));
}

#[test]
fn ends_of_a_former_owners_connections_change_nothing() {
    const GENERATION: u32 = 7;
    let open = |own: &OwnCount| own.open(GENERATION, Active, || true).ok();
    let close = |own: &OwnCount| own.close(GENERATION, Active);
    let counts = |own: &OwnCount| own.get(GENERATION).connections();
    let state = WorkerState::default();
    state.assign(3, 3, 10, 10);
    let own = state.own(5).expect("ten slots");
    let (former, in_both) = (state.tag(), Some(Counted::InSlotToo));
    assert_eq!((former.number(), former.is_none()), (3, false));
    assert_eq!(
        (open(own), open(own), state.change_for(former, 5, close)),
        (in_both, in_both, in_both)
    );
    state.end();
    let mut left = Vec::new();
    state.take_left(|server, own| left.push((server, own.connections())));
    assert_eq!(left, [(5, Connections::one(Active))]);
    assert!(state.is_vacant() && !state.is_exhausted());
    state.assign(3, 3, 0, 0);
    assert!(state.tag() != former);
    assert_eq!((open(own), state.change_for(former, 5, close)), (in_both, None));
    assert_eq!(counts(own), Connections::one(Active));
    let moved = state.change_for(state.tag(), 5, |own| own.update(GENERATION, Inactive));
    assert_eq!((moved, counts(own)), (in_both, Connections::one(Inactive)));
    assert!(state.own(MAX_WORKERS).is_none());
    assert!(WorkerTag::NONE.is_none() && WorkerTag::NONE.number() > MAX_WORKERS);
}
