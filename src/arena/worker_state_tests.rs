use super::{MAX_WORKERS, WorkerState, WorkerTag, van_der_corput};
use crate::arena::counts::Activity::{Active, Inactive};
use crate::arena::tally::Connections;

#[test]
fn places_are_far_apart() {
    assert_eq!([0, 1, 2, 3].map(|number| van_der_corput(number, 100)), [0, 50, 25, 75]);
    assert_eq!(van_der_corput(7, 0), 0);
    assert!((0..1000).all(|number| van_der_corput(number, 3) < 3));
}

#[test]
fn ends_of_a_former_owners_connections_change_nothing() {
    let own = WorkerState::default();
    own.assign(3, 3, 10, 10);
    let former = own.tag();
    assert_eq!((former.number(), former.is_none()), (3, false));
    let (one, less) = (Connections::one(Active), Connections::one(Active).negative());
    assert!(own.add(5, one) && own.add(5, one) && own.add_for(former, 5, less));
    own.end();
    let mut left = Vec::new();
    own.take_left(|server, connections| left.push((server, connections)));
    assert_eq!(left, [(5, one)]);
    assert!(own.is_vacant() && !own.is_exhausted());
    own.assign(3, 3, 0, 0);
    assert!(own.tag() != former && own.add(5, one) && !own.add_for(former, 5, less));
    assert_eq!(own.connections(5), one);
    assert!(own.add_for(own.tag(), 5, Connections::moved(Inactive)));
    assert_eq!((own.connections(5).active(), own.connections(5).total()), (0, 1));
    assert!(!own.add(MAX_WORKERS, one) && own.connections(MAX_WORKERS) == Connections::NONE);
    assert!(WorkerTag::NONE.is_none() && WorkerTag::NONE.number() > MAX_WORKERS);
}
