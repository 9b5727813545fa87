use super::{Schedule, repeats};
use crate::sync::Arc;

/// Every third server is always available.
fn always_available(position: u32) -> bool {
    position.is_multiple_of(3)
}

#[test]
fn a_ticket_says_whether_its_server_needs_a_check() {
    for count in [1, 2, 3, 63, 64, 200] {
        let schedule = Schedule::new((0..count).collect(), always_available);
        let end = u64::from(count * repeats(count));
        assert_eq!((schedule.cycle(), schedule.past_end(end - 1)), (count, false), "{count}");
        assert!(schedule.past_end(end) && schedule.ends_at(end), "{count}");
        assert_eq!((schedule.unconditional(end), schedule.position(end)), (None, None));
        for ticket in 0..end {
            let position = (ticket % u64::from(count)) as u32;
            let found = schedule.unconditional(ticket).filter(|found| *found < count);
            assert_eq!(found, always_available(position).then_some(position), "{count}");
            assert_eq!(schedule.position(ticket), Some(position), "{count}: {ticket}");
        }
    }
}

#[test]
fn a_long_cycle_without_checks_is_not_copied() {
    let cycle: Arc<[u32]> = vec![0; 64].into();
    let schedule = Schedule::new(Arc::clone(&cycle), always_available);
    assert!(Arc::ptr_eq(&cycle, &schedule.words));
    let empty = Schedule::new([].into(), always_available);
    assert!(Schedule::default().is_empty() && empty.is_empty());
}
