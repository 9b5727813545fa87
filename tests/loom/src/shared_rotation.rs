//! Models of `rotation/shared.rs`: pickers take tickets on old and new pools while the director reloads.
//!
//! Turns are numbered, so that a lost or repeated turn is detected. Each reload's `translate` adds
//! [`RELOAD`], so that an omitted or repeated translation is detected too. The published pool is one
//! word here.

use loom::thread;

use crate::rotation::shared::{Previous, TicketCounter, TicketRange};
use crate::rotation::version::Superseded;
use crate::sync::{Arc, AtomicU32, Ordering};

/// What each reload's `translate` adds.
pub(crate) const RELOAD: u64 = 100;
/// Length of a cycle that these models never complete.
const ENDLESS: u32 = 1 << 30;
/// A state that is not a turn of [`ENDLESS`].
const BEFORE: u64 = 1 << 32;

struct Service {
    /// One per pool.
    rounds: Vec<TicketCounter>,
    takes_tickets: bool,
    /// Number of the pool published last.
    current: AtomicU32,
}

/// Takes one turn in the published pool, and subtracts what the reloads have added; retries with the
/// newer pool while the pool is superseded.
fn pick_by(current: &AtomicU32, advance: impl Fn(u32) -> Result<u64, Superseded>) -> u64 {
    let mut pool = current.load(Ordering::Acquire);
    loop {
        match advance(pool) {
            Ok(advance) => {
                let reloads = u64::from(pool) * RELOAD;
                assert_eq!(advance / RELOAD * RELOAD, reloads, "each reload is carried over once");
                return advance - reloads;
            }
            Err(Superseded) => {
                let newer = current.load(Ordering::Acquire);
                assert!(newer > pool, "superseded, but nothing newer is published");
                pool = newer;
            }
        }
    }
}

fn translate(state: u64) -> u64 {
    if state == BEFORE { RELOAD - 1 } else { state + RELOAD }
}

/// The turn after this one, as result and as state.
fn next(state: u64) -> (u64, u64) {
    let advance = if state == BEFORE { 0 } else { state + 1 };
    (advance, advance)
}

impl Service {
    /// `state` is the initial state of the first pool.
    fn new(state: u64, reloads: u32) -> Arc<Self> {
        Service::of_cycle(ENDLESS, state, reloads)
    }

    /// With a cycle of 0 nothing is precomputed, as for retries.
    fn of_cycle(cycle: u32, state: u64, reloads: u32) -> Arc<Self> {
        let first = TicketCounter::new(cycle, state);
        let others = (0..reloads).map(|_| TicketCounter::uninitialized(cycle));
        let rounds = std::iter::once(first).chain(others).collect();
        Arc::new(Service { rounds, takes_tickets: cycle > 0, current: AtomicU32::new(0) })
    }

    fn former(&self, pool: u32) -> Previous<'_> {
        pool.checked_sub(1).map(|former| &self.rounds[former as usize])
    }

    /// Takes one turn, and reads the published pool again while its pool is superseded.
    fn pick(&self) -> u64 {
        pick_by(&self.current, |pool| {
            let round = &self.rounds[pool as usize];
            if !self.takes_tickets {
                return round.advance(self.former(pool), None, translate, next);
            }
            let ticket = round.take_ticket();
            let advance = || {
                round.advance(
                    self.former(pool),
                    Some(&TicketRange::single(ticket)),
                    translate,
                    next,
                )
            };
            round.valid_ticket(ticket).map_or_else(advance, Ok)
        })
    }

    fn reload(&self, pool: u32) {
        self.current.store(pool, Ordering::SeqCst);
        self.rounds[pool as usize].adopt(self.former(pool), translate);
    }

    /// The tickets taken are the first ones, each exactly once, and the rotation is at the last of them.
    fn check(&self, first: u64, mut tickets: Vec<u64>) {
        tickets.sort_unstable();
        let count = tickets.len() as u64;
        let wanted: Vec<u64> = (first..first + count).collect();
        assert_eq!((tickets, self.pick()), (wanted, first + count), "lost or given twice");
    }
}

fn picker(service: &Arc<Service>, count: usize) -> thread::JoinHandle<Vec<u64>> {
    let service = Arc::clone(service);
    thread::spawn(move || (0..count).map(|_| service.pick()).collect())
}

/// Two pickers of two tickets each while the director reloads once.
pub fn two_pickers_one_reload() {
    two_pickers(Service::new(0, 1));
}

/// A phase is set while two pickers take a turn each: each turn is of the old sequence or of the new one,
/// and afterward the rotation goes on with the new.
pub fn a_restart_beside_pickers() {
    const NEW: u64 = 50;
    let service = Service::new(0, 0);
    let pickers = [picker(&service, 1), picker(&service, 1)];
    service.rounds[0].restart(NEW);
    let taken: Vec<u64> = pickers.into_iter().flat_map(|it| it.join().unwrap()).collect();
    let [old, new] = [1..=2, NEW + 1..=NEW + 2]
        .map(|range| taken.iter().filter(|turn| range.contains(turn)).count() as u64);
    assert_eq!(old + new, 2, "a turn of neither: {taken:?}");
    assert!(taken[0] != taken[1], "given twice");
    assert_eq!(service.pick(), NEW + new + 1, "lost or given twice");
}

/// The same where nothing is precomputed.
pub fn two_retries_one_reload() {
    two_pickers(Service::of_cycle(0, 0, 1));
}

fn two_pickers(service: Arc<Service>) {
    let pickers = [picker(&service, 2), picker(&service, 2)];
    service.reload(1);
    let tickets = pickers.map(|picker| picker.join().unwrap()).concat();
    service.check(1, tickets);
}

/// Like [`two_pickers_one_reload`], starting before the first turn, where a ticket is invalid.
pub fn two_pickers_one_reload_at_the_head() {
    let service = Service::new(BEFORE, 1);
    let pickers = [picker(&service, 1), picker(&service, 1)];
    service.reload(1);
    let tickets = pickers.map(|picker| picker.join().unwrap()).concat();
    service.check(0, tickets);
}

/// A picker of two tickets while the director reloads twice.
pub fn one_picker_two_reloads() {
    one_picker(Service::new(0, 2));
}

/// The same where nothing is precomputed.
pub fn one_retry_two_reloads() {
    one_picker(Service::of_cycle(0, 0, 2));
}

fn one_picker(service: Arc<Service>) {
    let picking = picker(&service, 2);
    service.reload(1);
    service.reload(2);
    service.check(1, picking.join().unwrap());
}

/// A cycle of two tickets and two pickers: a picker whose ticket is past the end wraps the word.
pub fn a_cycle_begins_anew() {
    let round = Arc::new(TicketCounter::new(2, 1));
    let pick = |round: &TicketCounter| {
        let ticket = round.take_ticket();
        if ticket >= 2 {
            round.wrap(ticket);
        }
        round.valid_ticket(ticket).unwrap()
    };
    let other = Arc::clone(&round);
    let picking = thread::spawn(move || [pick(&other), pick(&other), pick(&other)]);
    let mut tickets = [pick(&round), pick(&round)].to_vec();
    tickets.extend(picking.join().unwrap());
    tickets.sort_unstable();
    assert_eq!((tickets, pick(&round)), (vec![0, 0, 0, 1, 1], 1), "lost or given twice");
}

/// In a cycle of three tickets the server of the second is unavailable: a second ticket or the scheduler
/// skips it, and the others are picked in turn.
pub fn an_unavailable_server_is_passed_over(by_draw: bool) {
    let round = Arc::new(TicketCounter::new(3, 2));
    let step = |state: u64| {
        let advance = (state + 1) % 3;
        let found = if advance == 1 { 2 } else { advance };
        (found, found)
    };
    let pick = move |round: &TicketCounter| {
        let mut ticket = TicketRange::single(round.take_ticket());
        if by_draw && round.valid_ticket(ticket.last) == Some(1) {
            ticket = ticket.extended(round.take_ticket());
        }
        match round.valid_ticket(ticket.last) {
            Some(advance) if advance != 1 => {
                if ticket.last >= 3 {
                    round.wrap(ticket.last);
                }
                advance
            }
            _ => round.advance(None, Some(&ticket), |state| state, step).expect("the only pool"),
        }
    };
    let other = Arc::clone(&round);
    let picking = thread::spawn(move || [pick(&other), pick(&other)]);
    let mut tickets = [pick(&round), pick(&round)].to_vec();
    tickets.extend(picking.join().unwrap());
    tickets.sort_unstable();
    assert_eq!((tickets, pick(&round)), (vec![0, 0, 2, 2], 0), "lost or given twice");
}

/// No server is available, and a pick that finds none takes no turn.
pub fn a_refusal_takes_no_turn() {
    let round = TicketCounter::new(ENDLESS, 5);
    let one = TicketRange::single(round.take_ticket());
    for ticket in [one, one.extended(round.take_ticket())] {
        let found = round.advance(None, Some(&ticket), |state| state, |state| (None::<u64>, state));
        assert_eq!(found, Ok(None));
    }
    assert_eq!(round.valid_ticket(round.take_ticket()), Some(6));
}

/// Wrong: the new counter adopts the state before the pool is published.
pub fn planted_begun_before_publication() {
    let service = Service::new(0, 1);
    let picking = picker(&service, 1);
    service.rounds[1].adopt(service.former(1), translate);
    service.current.store(1, Ordering::SeqCst);
    picking.join().unwrap();
}

/// Wrong: the state is read, but the previous counter is not superseded and keeps handing out tickets.
pub fn planted_former_left_open() {
    let service = Service::new(0, 1);
    let picking = picker(&service, 2);
    let state = service.rounds[0].advance(None, None, translate, |state| (state, state)).unwrap();
    let copy = TicketCounter::new(ENDLESS, state);
    service.current.store(1, Ordering::SeqCst);
    service.rounds[1].adopt(Some(&copy), translate);
    service.check(1, picking.join().unwrap());
}
