use super::{SharedRotation, TicketCounter};
use crate::rotation::schedule::{SHORT, Schedule, repeats};
use crate::rotation::version::Superseded;

const CYCLES: [u32; 6] = [1, 2, 5, SHORT, SHORT + 1, 1000];

#[test]
fn short_cycles_are_written_out_to_a_length() {
    for cycle in CYCLES {
        let length = cycle * repeats(cycle);
        assert!(length >= SHORT && (repeats(cycle) == 1 || length - cycle < SHORT), "{cycle}");
    }
}

/// The picker that draws past the end brings the word back, so that later draws are of the cycle again.
#[test]
fn a_round_begins_anew_at_its_first_turn() {
    for cycle in CYCLES {
        let end = u64::from(cycle);
        let round = TicketCounter::new(cycle, end - 1);
        assert_eq!(round.take_ticket(), 0, "the number after the last");
        (1..end).for_each(|number| assert_eq!(round.take_ticket(), number));
        for past in 0..3 {
            let ticket = round.take_ticket();
            assert_eq!((ticket, round.valid_ticket(ticket)), (end, Some(0)));
            if past == 1 {
                // Another has ticket since: it is up to that one.
                let next = round.take_ticket();
                round.wrap(ticket);
                assert_eq!(round.take_ticket(), next + 1);
                round.wrap(next + 1);
                let number = (next + 1) % end;
                assert_eq!(round.take_ticket(), (number + 1) % end);
            } else {
                round.wrap(ticket);
                assert_eq!(round.take_ticket(), 1 % end);
            }
            let _ = round.advance(None, None, |state| state, |_| ((), end - 1));
            (0..end).for_each(|number| assert_eq!(round.take_ticket(), number, "{cycle}"));
        }
    }
}

#[test]
fn a_state_that_counts_on_is_one_of_the_cycle() {
    for cycle in CYCLES {
        let first = SharedRotation::new(cycle, None, || 0);
        let next = SharedRotation::new(3, Some(&first), || 0);
        let (end, length) = (u64::from(cycle), u64::from(cycle * repeats(cycle)));
        for state in [0, 1, end - 1, end, end + 1, length - 1] {
            let expected = if state < length { state % end } else { state };
            assert_eq!(
                (first.normalize(state), next.normalize_previous(state)),
                (expected, expected)
            );
        }
        // Beyond, it is apart from the cycle.
        for state in [length, length + 1, 1 << 32 | 5] {
            assert_eq!((first.normalize(state), next.normalize_previous(state)), (state, state));
        }
        assert_eq!((first.normalize_previous(7), first.normalize_previous(1 << 33)), (7, 1 << 33));
    }
}

/// A picker that still has the previous version gets no turn from it once the next one has its state.
#[test]
fn a_superseded_version_gives_no_turn() {
    for cycle in [0].into_iter().chain(CYCLES) {
        let previous = SharedRotation::new(cycle, None, || 0);
        let next = SharedRotation::new(cycle, Some(&previous), || 0);
        next.adopt(|state| state);
        let ticket = previous.current.take_ticket();
        assert_eq!(previous.current.valid_ticket(ticket), None, "{cycle}");
        let schedule = Schedule::new((0..cycle).collect(), |_| true);
        let redeemed = previous.redeem(ticket, &schedule, Some);
        assert!(redeemed.is_err_and(|tickets| tickets.last == ticket), "{cycle}");
        let step = |state| (state, (state + 1) % u64::from(cycle.max(1)));
        assert_eq!(previous.advance(None, |state| state, step), Err(Superseded), "{cycle}");
        assert_eq!(next.advance(None, |state| state, step), Ok(0), "{cycle}: the state goes on");
    }
}
