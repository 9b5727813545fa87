//! Models of `rotation/worker.rs`: a worker advances its rotation while the director reloads.
//!
//! Turns are numbered, and each reload's `translate` adds [`RELOAD`], as in `shared_rotation`.

use loom::thread;

use crate::rotation::version::PoolVersion;
use crate::rotation::worker::WorkerRotation;
use crate::shared_rotation::RELOAD;
use crate::sync::{Arc, AtomicU32, Ordering};

/// Length of a cycle that these models never complete.
const ENDLESS: u64 = 1 << 32;

fn version(pool: u32) -> PoolVersion {
    (0..pool).fold(PoolVersion::default(), |version, _| version.next())
}

fn translate(advance: u64) -> u64 {
    advance + RELOAD
}

#[derive(Default)]
struct Service {
    rotation: WorkerRotation,
    /// Number of the pool published last.
    current: AtomicU32,
}

impl Service {
    fn new() -> Arc<Self> {
        let service = Arc::new(Service::default());
        service.rotation.start(PoolVersion::default(), 0);
        service
    }

    /// Takes one turn of the worker, from 1.
    fn pick(&self) -> u64 {
        let pool = self.current.load(Ordering::Acquire);
        let next = self.rotation.next(version(pool));
        let advance = if next < ENDLESS {
            self.rotation.take_next();
            next
        } else {
            self.rotation.advance(version(pool), translate, |advance| (advance + 1, advance + 1))
        };
        let reloads = u64::from(pool) * RELOAD;
        assert_eq!(advance / RELOAD * RELOAD, reloads, "each reload is carried over once");
        advance - reloads
    }

    fn reload(&self, pool: u32) {
        self.current.store(pool, Ordering::SeqCst);
        self.rotation.migrate(version(pool), translate);
    }
}

fn worker(service: &Arc<Service>, count: usize) -> thread::JoinHandle<Vec<u64>> {
    let service = Arc::clone(service);
    thread::spawn(move || (0..count).map(|_| service.pick()).collect())
}

/// Three tickets while the director reloads once, and one afterward: none is lost or repeated.
pub fn one_reload() {
    let service = Service::new();
    let picking = worker(&service, 3);
    service.reload(1);
    let mut tickets = picking.join().unwrap();
    tickets.push(service.pick());
    assert_eq!(tickets, [1, 2, 3, 4], "lost or given twice");
}

/// Two tickets while the director reloads twice, and one afterward: none is lost. A turn that the director
/// has not seen is repeated.
pub fn two_reloads() {
    let service = Service::new();
    let picking = worker(&service, 2);
    service.reload(1);
    service.reload(2);
    let mut tickets = picking.join().unwrap();
    tickets.push(service.pick());
    let none_lost = tickets.windows(2).all(|pair| pair[1] <= pair[0] + 1);
    assert!(tickets[0] == 1 && none_lost && !tickets.contains(&0), "{tickets:?}");
}

/// Wrong: the director migrates nothing for an idle worker.
pub fn planted_no_note() {
    let service = Service::new();
    let picking = worker(&service, 1);
    service.current.store(1, Ordering::SeqCst);
    service.current.store(2, Ordering::SeqCst);
    picking.join().unwrap();
    service.pick();
}
