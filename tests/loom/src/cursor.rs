//! Models of `state/cursor.rs`: pickers on old and new pools while the director reloads.
//!
//! Turns are numbered, so that a turn lost or given twice shows. Each reload's `carry` adds
//! [`RELOAD`], so that one left out or done twice shows as well. The publication is one word.

use loom::thread;

use crate::state::cursor::{Cursor, Epoch, Outdated};
use crate::sync::{Arc, AtomicU32, Ordering};

pub(crate) const RELOAD: u64 = 100;

#[derive(Default)]
struct Service {
    cursor: Cursor,
    /// Number of the pool that was published last.
    current: AtomicU32,
}

pub(crate) fn epoch(pool: u32) -> Epoch {
    (0..pool).fold(Epoch::default(), |epoch, _| epoch.next())
}

pub(crate) fn carry(turn: u64) -> u64 {
    turn + RELOAD
}

/// One turn in the pool published last, less what the reloads have added: again with the newer pool
/// as long as it is outdated.
pub(crate) fn pick_by(current: &AtomicU32, turn: impl Fn(u32) -> Result<u64, Outdated>) -> u64 {
    let mut pool = current.load(Ordering::Acquire);
    loop {
        match turn(pool) {
            Ok(turn) => {
                let reloads = u64::from(pool) * RELOAD;
                assert_eq!(turn / RELOAD * RELOAD, reloads, "each reload is carried over once");
                return turn - reloads;
            }
            Err(Outdated) => {
                let newer = current.load(Ordering::Acquire);
                assert!(newer > pool, "outdated, but nothing newer is published");
                pool = newer;
            }
        }
    }
}

impl Service {
    fn new() -> Arc<Self> {
        let service = Arc::new(Service::default());
        service.cursor.start(Epoch::default(), 0);
        service
    }

    /// One turn, by a picker that reads the publication again while its pool is outdated.
    fn pick(&self) -> u64 {
        pick_by(&self.current, |pool| self.cursor.turn(epoch(pool), carry, |turn| (turn, turn + 1)))
    }

    fn reload(&self, pool: u32) {
        self.current.store(pool, Ordering::SeqCst);
        self.cursor.adopt(epoch(pool), carry);
    }

    /// The turns that were taken are the first ones, each once, and the rotation stands behind them.
    fn check(&self, mut turns: Vec<u64>) {
        turns.sort_unstable();
        let first: Vec<u64> = (0..turns.len() as u64).collect();
        let next = self.pick();
        assert_eq!((turns, next), (first.clone(), first.len() as u64), "lost or given twice");
    }
}

fn picker(service: &Arc<Service>, count: usize) -> thread::JoinHandle<Vec<u64>> {
    let service = Arc::clone(service);
    thread::spawn(move || (0..count).map(|_| service.pick()).collect())
}

/// Two pickers of two turns each while the director reloads once.
pub fn two_pickers_one_reload() {
    let service = Service::new();
    let pickers = [picker(&service, 2), picker(&service, 2)];
    service.reload(1);
    let turns = pickers.map(|picker| picker.join().unwrap()).concat();
    service.check(turns);
}

/// A picker of two turns while the director reloads twice.
pub fn one_picker_two_reloads() {
    let service = Service::new();
    let picking = picker(&service, 2);
    service.reload(1);
    service.reload(2);
    service.check(picking.join().unwrap());
}

/// Wrong: the cursor moves on before the pool is published.
pub fn planted_adopt_before_publication() {
    let service = Service::new();
    let picking = picker(&service, 1);
    service.cursor.adopt(epoch(1), carry);
    service.current.store(1, Ordering::SeqCst);
    picking.join().unwrap();
}

/// Wrong: the director reads the state and writes it back, instead of one swap.
pub fn planted_adopt_in_two_steps() {
    let service = Service::new();
    let picking = picker(&service, 1);
    service.current.store(1, Ordering::SeqCst);
    let state = service.cursor.turn(epoch(0), carry, |turn| (turn, turn));
    if let Ok(turn) = state {
        service.cursor.start(epoch(1), carry(turn));
    }
    service.check(picking.join().unwrap());
}
