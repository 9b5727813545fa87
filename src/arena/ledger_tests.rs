use super::{Ledger, MOST_CHANGING, MOST_OWNED};
use crate::arena::counts::Activity::{self, Active, Inactive};
use crate::error::ConnectionError;

fn open(ledger: &Ledger, activity: Activity) -> Result<(), ConnectionError> {
    ledger.open(activity, || Ok(()))
}

fn close(ledger: &Ledger, activity: Activity) -> Result<(), ConnectionError> {
    ledger.close(activity, || Ok(()))
}

fn counts(ledger: &Ledger) -> (u32, u32) {
    let entry = ledger.get();
    assert!(entry.is_settled());
    (entry.active(), entry.total())
}

/// However many changes there have been, no field reaches into another.
#[test]
fn entries_say_what_is_open() {
    let ledger = Ledger::default();
    for _ in 0..1_000 {
        open(&ledger, Active).unwrap();
        open(&ledger, Inactive).unwrap();
        assert_eq!(counts(&ledger), (1, 2));
        ledger.update(Inactive, || Ok(())).unwrap();
        assert_eq!(counts(&ledger), (0, 2));
        assert_eq!(close(&ledger, Active), Err(ConnectionError::Stale));
        ledger.update(Active, || Ok(())).unwrap();
        close(&ledger, Active).unwrap();
        close(&ledger, Inactive).unwrap();
        assert_eq!(counts(&ledger), (0, 0));
        assert_eq!(close(&ledger, Inactive), Err(ConnectionError::Stale));
        assert_eq!(ledger.update(Active, || Ok(())), Err(ConnectionError::Stale));
    }
}

#[test]
fn what_fails_changes_nothing() {
    let ledger = Ledger::default();
    open(&ledger, Active).unwrap();
    let refused = || Err::<(), _>(ConnectionError::Overloaded);
    for activity in [Active, Inactive] {
        assert!(ledger.open(activity, refused).is_err());
        assert!(ledger.close(activity, refused).is_err());
        assert!(ledger.update(activity, refused).is_err());
        assert_eq!(counts(&ledger), (1, 1));
    }
}

#[test]
fn entries_have_limits() {
    let ledger = Ledger::default();
    while open(&ledger, Active).is_ok() {}
    let (active, total) = counts(&ledger);
    assert!(active == total && total <= MOST_OWNED && total > MOST_OWNED - 5_000, "{total}");
    assert_eq!(open(&ledger, Inactive), Err(ConnectionError::Full));
    close(&ledger, Active).unwrap();
    open(&ledger, Active).unwrap();
    // Threads that are in the middle of a change.
    let busy = Ledger::default();
    fn within(ledger: &Ledger, depth: u64) -> u64 {
        let mut deepest = depth;
        let _ = ledger.open(Active, || {
            deepest = within(ledger, depth + 1);
            Ok(())
        });
        deepest
    }
    assert_eq!(within(&busy, 0), MOST_CHANGING);
    assert_eq!(u64::from(counts(&busy).1), MOST_CHANGING);
}
