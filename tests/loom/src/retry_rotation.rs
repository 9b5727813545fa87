//! Models of `rotation/retry.rs`: pickers on old and new pools while the director reloads.
//!
//! Turns are numbered, so that a lost or repeated turn is detected. Each reload's `translate` adds
//! [`RELOAD`], so that an omitted or repeated translation is detected too. The published pool is one
//! word here.

use loom::thread;

use crate::rotation::retry::RetryRotation;
use crate::rotation::version::{PoolVersion, Superseded};
use crate::sync::{Arc, AtomicU32, Ordering};

pub(crate) const RELOAD: u64 = 100;

#[derive(Default)]
struct Service {
    cursor: RetryRotation,
    /// Number of the pool published last.
    current: AtomicU32,
}

pub(crate) fn version(pool: u32) -> PoolVersion {
    (0..pool).fold(PoolVersion::default(), |version, _| version.next())
}

pub(crate) fn translate(advance: u64) -> u64 {
    advance + RELOAD
}

/// Takes one turn in the published pool, and subtracts what the reloads have added; retries with the
/// newer pool while the pool is superseded.
pub(crate) fn pick_by(
    current: &AtomicU32,
    advance: impl Fn(u32) -> Result<u64, Superseded>,
) -> u64 {
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

impl Service {
    fn new() -> Arc<Self> {
        let service = Arc::new(Service::default());
        service.cursor.start(PoolVersion::default(), 0);
        service
    }

    /// Takes one turn, and reads the published pool again while its pool is superseded.
    fn pick(&self) -> u64 {
        pick_by(&self.current, |pool| {
            self.cursor.advance(version(pool), translate, |advance| (advance, advance + 1))
        })
    }

    fn reload(&self, pool: u32) {
        self.current.store(pool, Ordering::SeqCst);
        self.cursor.adopt(version(pool), translate);
    }

    /// The tickets taken are the first ones, each exactly once, and the rotation is at the last of them.
    fn check(&self, mut tickets: Vec<u64>) {
        tickets.sort_unstable();
        let first: Vec<u64> = (0..tickets.len() as u64).collect();
        let next = self.pick();
        assert_eq!((tickets, next), (first.clone(), first.len() as u64), "lost or given twice");
    }
}

fn picker(service: &Arc<Service>, count: usize) -> thread::JoinHandle<Vec<u64>> {
    let service = Arc::clone(service);
    thread::spawn(move || (0..count).map(|_| service.pick()).collect())
}

/// Two pickers of two tickets each while the director reloads once.
pub fn two_pickers_one_reload() {
    let service = Service::new();
    let pickers = [picker(&service, 2), picker(&service, 2)];
    service.reload(1);
    let tickets = pickers.map(|picker| picker.join().unwrap()).concat();
    service.check(tickets);
}

/// A picker of two tickets while the director reloads twice.
pub fn one_picker_two_reloads() {
    let service = Service::new();
    let picking = picker(&service, 2);
    service.reload(1);
    service.reload(2);
    service.check(picking.join().unwrap());
}

/// Wrong: the rotation adopts the pool before the pool is published.
pub fn planted_adopt_before_publication() {
    let service = Service::new();
    let picking = picker(&service, 1);
    service.cursor.adopt(version(1), translate);
    service.current.store(1, Ordering::SeqCst);
    picking.join().unwrap();
}

/// Wrong: the director loads the state and stores it back, instead of one compare-and-swap.
pub fn planted_adopt_in_two_steps() {
    let service = Service::new();
    let picking = picker(&service, 1);
    service.current.store(1, Ordering::SeqCst);
    let state = service.cursor.advance(version(0), translate, |advance| (advance, advance));
    if let Ok(advance) = state {
        service.cursor.start(version(1), translate(advance));
    }
    service.check(picking.join().unwrap());
}
