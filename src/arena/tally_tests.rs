use super::{Connections, Incarnation, Tally};
use crate::arena::counts::Activity::{Active, Inactive};

#[test]
fn what_is_taken_away_first_is_missing_until_it_comes() {
    let tally = Tally::default();
    let read = || (tally.get().active(), tally.get().total());
    tally.add(Connections::one(Active).negative());
    assert_eq!(read(), (0, 0));
    tally.add(Connections::one(Active));
    tally.add(Connections::moved(Inactive));
    // A connection that is not counted has become inactive.
    assert_eq!(read(), (0, 0));
    tally.add(Connections::one(Inactive));
    assert_eq!(read(), (0, 1));
    tally.add(Connections::moved(Active));
    assert_eq!(read(), (0, 1));
    tally.add(Connections::moved(Active));
    assert_eq!(read(), (1, 1));
    let most = crate::arena::counts::MAX_CONNECTIONS;
    tally.add(Connections::new(most - 1, most - 1));
    assert_eq!(read(), (most, most));
    assert_eq!(tally.get().part(4), Connections::new(most / 4, most / 4));
    assert_eq!(Connections::NONE.part(0), Connections::NONE);
    for (active, total) in [(7, 9), (0, 9), (3, 3)] {
        let part = Connections::new(active / 2, total / 2);
        assert_eq!(Connections::new(active, total).part(2), part);
        assert_eq!(Connections::new(active, total).negative().part(2), part.negative());
    }
}

#[test]
fn an_owner_that_is_gone_has_no_guests() {
    let tenure = Incarnation::default();
    assert_eq!(tenure.as_guest(0, || tenure.is_vacant()), Some(false));
    tenure.end();
    assert_eq!((tenure.as_guest(0, || ()), tenure.is_vacant()), (None, true));
    assert_eq!((tenure.as_guest(1, || ()), tenure.is_exhausted()), (Some(()), false));
    tenure.age(Incarnation::LAST - 1);
    assert!(!tenure.is_exhausted());
    tenure.end();
    assert!(tenure.is_exhausted());
}
