//! Models of `state/round.rs`: pickers draw turns on old and new pools while the director reloads.
//!
//! Turns are numbered, so that a turn lost or given twice shows. Each reload's `carry` adds
//! [`RELOAD`], so that one left out or done twice shows as well. The publication is one word.

use loom::thread;

use crate::cursor::{RELOAD, pick_by};
use crate::state::round::{Drawn, Former, Round};
use crate::sync::{Arc, AtomicU32, Ordering};

/// Of a cycle that these models never get around.
const ENDLESS: u32 = 1 << 30;
/// No turn of [`ENDLESS`].
const BEFORE: u64 = 1 << 32;

struct Service {
    /// One for each pool.
    rounds: Vec<Round>,
    /// Number of the pool that was published last.
    current: AtomicU32,
}

fn carry(state: u64) -> u64 {
    if state == BEFORE { RELOAD - 1 } else { state + RELOAD }
}

/// The turn after this one, as answer and state.
fn next(state: u64) -> (u64, u64) {
    let turn = if state == BEFORE { 0 } else { state + 1 };
    (turn, turn)
}

impl Service {
    /// `state` is where the first pool stands.
    fn new(state: u64, reloads: u32) -> Arc<Self> {
        let first = Round::started(ENDLESS, state);
        let others = (0..reloads).map(|_| Round::fresh(ENDLESS));
        let rounds = std::iter::once(first).chain(others).collect();
        Arc::new(Service { rounds, current: AtomicU32::new(0) })
    }

    fn former(&self, pool: u32) -> Former<'_> {
        pool.checked_sub(1).map(|former| &self.rounds[former as usize])
    }

    /// One turn, by a picker that reads the publication again while its pool is outdated.
    fn pick(&self) -> u64 {
        pick_by(&self.current, |pool| {
            let round = &self.rounds[pool as usize];
            let drawn = round.draw();
            let turn = || round.turn(self.former(pool), Some(&Drawn::one(drawn)), carry, next);
            round.turn_of(drawn).map_or_else(turn, Ok)
        })
    }

    fn reload(&self, pool: u32) {
        self.current.store(pool, Ordering::SeqCst);
        self.rounds[pool as usize].begin(self.former(pool), carry);
    }

    /// The turns that were taken are the first ones, each once, and the rotation stands behind them.
    fn check(&self, first: u64, mut turns: Vec<u64>) {
        turns.sort_unstable();
        let count = turns.len() as u64;
        let wanted: Vec<u64> = (first..first + count).collect();
        assert_eq!((turns, self.pick()), (wanted, first + count), "lost or given twice");
    }
}

fn picker(service: &Arc<Service>, count: usize) -> thread::JoinHandle<Vec<u64>> {
    let service = Arc::clone(service);
    thread::spawn(move || (0..count).map(|_| service.pick()).collect())
}

/// Two pickers of two turns each while the director reloads once.
pub fn two_pickers_one_reload() {
    let service = Service::new(0, 1);
    let pickers = [picker(&service, 2), picker(&service, 2)];
    service.reload(1);
    let turns = pickers.map(|picker| picker.join().unwrap()).concat();
    service.check(1, turns);
}

/// The same from before the first turn, where a draw gets none.
pub fn two_pickers_one_reload_at_the_head() {
    let service = Service::new(BEFORE, 1);
    let pickers = [picker(&service, 1), picker(&service, 1)];
    service.reload(1);
    let turns = pickers.map(|picker| picker.join().unwrap()).concat();
    service.check(0, turns);
}

/// A picker of two turns while the director reloads twice.
pub fn one_picker_two_reloads() {
    let service = Service::new(0, 2);
    let picking = picker(&service, 2);
    service.reload(1);
    service.reload(2);
    service.check(1, picking.join().unwrap());
}

/// A cycle of two turns, picked from by two: whoever draws behind its end begins it anew.
pub fn a_cycle_begins_anew() {
    let round = Arc::new(Round::started(2, 1));
    let pick = |round: &Round| {
        let drawn = round.draw();
        if drawn >= 2 {
            round.begin_anew(drawn);
        }
        round.turn_of(drawn).unwrap()
    };
    let other = Arc::clone(&round);
    let picking = thread::spawn(move || [pick(&other), pick(&other), pick(&other)]);
    let mut turns = [pick(&round), pick(&round)].to_vec();
    turns.extend(picking.join().unwrap());
    turns.sort_unstable();
    assert_eq!((turns, pick(&round)), (vec![0, 0, 0, 1, 1], 1), "lost or given twice");
}

/// Of a cycle of three turns the second one's server is not available: it is passed over by a second
/// draw or by the scheduler, and the others are picked in turn.
pub fn an_unavailable_server_is_passed_over(by_draw: bool) {
    let round = Arc::new(Round::started(3, 2));
    let step = |state: u64| {
        let turn = (state + 1) % 3;
        let found = if turn == 1 { 2 } else { turn };
        (found, found)
    };
    let pick = move |round: &Round| {
        let mut drawn = Drawn::one(round.draw());
        if by_draw && round.turn_of(drawn.last) == Some(1) {
            drawn = drawn.and(round.draw());
        }
        match round.turn_of(drawn.last) {
            Some(turn) if turn != 1 => {
                if drawn.last >= 3 {
                    round.begin_anew(drawn.last);
                }
                turn
            }
            _ => round.turn(None, Some(&drawn), |state| state, step).expect("the only pool"),
        }
    };
    let other = Arc::clone(&round);
    let picking = thread::spawn(move || [pick(&other), pick(&other)]);
    let mut turns = [pick(&round), pick(&round)].to_vec();
    turns.extend(picking.join().unwrap());
    turns.sort_unstable();
    assert_eq!((turns, pick(&round)), (vec![0, 0, 2, 2], 0), "lost or given twice");
}

/// Nobody is available, and a pick that finds nobody takes no turn.
pub fn a_refusal_takes_no_turn() {
    let round = Round::started(ENDLESS, 5);
    let one = Drawn::one(round.draw());
    for drawn in [one, one.and(round.draw())] {
        let found = round.turn(None, Some(&drawn), |state| state, |state| (None::<u64>, state));
        assert_eq!(found, Ok(None));
    }
    assert_eq!(round.turn_of(round.draw()), Some(6));
}

/// Wrong: the round goes over before the pool is published.
pub fn planted_begun_before_publication() {
    let service = Service::new(0, 1);
    let picking = picker(&service, 1);
    service.rounds[1].begin(service.former(1), carry);
    service.current.store(1, Ordering::SeqCst);
    picking.join().unwrap();
}

/// Wrong: the state is read, and the former round goes on giving turns.
pub fn planted_former_left_open() {
    let service = Service::new(0, 1);
    let picking = picker(&service, 2);
    let state = service.rounds[0].turn(None, None, carry, |state| (state, state)).unwrap();
    let copy = Round::started(ENDLESS, state);
    service.current.store(1, Ordering::SeqCst);
    service.rounds[1].begin(Some(&copy), carry);
    service.check(1, picking.join().unwrap());
}
