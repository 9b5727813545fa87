//! Models of `rotation/chunk.rs`: workers take tickets in chunks while others take some and the director
//! reloads.
//!
//! The tickets of all together, with those that are left at the end, are the first ones, each exactly once.

use std::num::NonZeroU8;

use loom::thread;

use crate::rotation::chunk::{Sequence, TicketChunk};
use crate::rotation::schedule::Schedule;
use crate::rotation::shared::{Previous, TicketCounter};
use crate::sync::{Arc, AtomicU32, Ordering};

/// Longer than what the models take, unless they say otherwise.
const CYCLE: u32 = 64;
const LENGTH: NonZeroU8 = NonZeroU8::new(2).unwrap();
/// A state that is not a turn.
const BEFORE: u64 = 1 << 32;

struct Service {
    counters: Vec<TicketCounter>,
    schedule: Schedule,
    /// One per pool version.
    sequences: Vec<Sequence>,
    /// One per worker.
    chunks: [TicketChunk; 2],
    /// Number of the pool published last.
    current: AtomicU32,
}

/// The turn after this one, as result and as state.
fn next(state: u64) -> (u32, u64) {
    let advance = if state == BEFORE { 0 } else { (state + 1) % u64::from(CYCLE) };
    (advance as u32, advance)
}

impl Service {
    fn new(state: u64, sequences: &[u32]) -> Arc<Self> {
        let others = sequences.iter().skip(1).map(|_| TicketCounter::uninitialized(CYCLE));
        Arc::new(Service {
            counters: std::iter::once(TicketCounter::new(CYCLE, state)).chain(others).collect(),
            schedule: Schedule::new((0..CYCLE).collect(), |_| true),
            sequences: sequences.iter().map(|serial| Sequence::new(*serial)).collect(),
            chunks: Default::default(),
            current: AtomicU32::new(0),
        })
    }

    fn previous(&self, pool: u32) -> Previous<'_> {
        pool.checked_sub(1).map(|previous| &self.counters[previous as usize])
    }

    /// As a pick does it: a ticket of the chunk, else of another, else the scheduler's.
    fn pick(&self, worker: usize) -> u32 {
        loop {
            let pool = self.current.load(Ordering::Acquire);
            let counter = &self.counters[pool as usize];
            let chunk = (self.sequences[pool as usize], LENGTH);
            if let Some(found) = self.chunks[worker].redeem(chunk, counter, &self.schedule, Some) {
                return found;
            }
            if let Ok(found) = counter.advance(self.previous(pool), None, |state| state, next) {
                return found;
            }
        }
    }

    fn reload(&self, pool: u32) {
        self.current.store(pool, Ordering::SeqCst);
        self.counters[pool as usize].adopt(self.previous(pool), |state| state);
    }

    /// Takes what is left of the chunks; then all are the first tickets from this one.
    fn check(&self, first: u32, mut taken: Vec<u32>) {
        let pool = self.current.load(Ordering::Acquire) as usize;
        for left in &self.chunks {
            while left.next(self.sequences[pool]) <= u64::from(CYCLE) {
                let chunk = (self.sequences[pool], LENGTH);
                taken.extend(left.redeem(chunk, &self.counters[pool], &self.schedule, Some));
            }
        }
        taken.sort_unstable();
        let expected: Vec<u32> = (first..).take(taken.len()).map(|ticket| ticket % CYCLE).collect();
        let mut sorted = expected.clone();
        sorted.sort_unstable();
        let last = expected.last().map_or(0, |last| (last + 1) % CYCLE);
        let after = self.counters[pool].advance(None, None, |state| state, next);
        assert_eq!((taken, after), (sorted, Ok(last)), "lost or given twice");
    }
}

fn picker(service: &Arc<Service>, worker: usize, count: usize) -> thread::JoinHandle<Vec<u32>> {
    let service = Arc::clone(service);
    thread::spawn(move || (0..count).map(|_| service.pick(worker)).collect())
}

fn two_pickers(service: &Arc<Service>, counts: [usize; 2], reloads: u32) -> Vec<u32> {
    let pickers = [picker(service, 0, counts[0]), picker(service, 1, counts[1])];
    (1..=reloads).for_each(|pool| service.reload(pool));
    pickers.map(|picker| picker.join().unwrap()).concat()
}

/// Two workers while the director reloads the same sequence: a chunk that was taken before is used up
/// after it.
pub fn chunks_outlive_a_reload() {
    let service = Service::new(0, &[1, 1]);
    let taken = two_pickers(&service, [3, 1], 1);
    service.check(1, taken);
}

/// The same with a worker and two reloads.
pub fn a_chunk_outlives_two_reloads() {
    let service = Service::new(0, &[1, 1, 1]);
    let picking = picker(&service, 0, 3);
    service.reload(1);
    service.reload(2);
    service.check(1, picking.join().unwrap());
}

/// Before the first turn a chunk is invalid, and the scheduler decides.
pub fn chunks_before_the_first_turn() {
    let service = Service::new(BEFORE, &[1]);
    let taken = two_pickers(&service, [2, 2], 0);
    service.check(0, taken);
}

/// Chunks that cross the end of the schedule.
pub fn chunks_wrap() {
    let service = Service::new(u64::from(CYCLE) - 3, &[1]);
    let taken = two_pickers(&service, [3, 3], 0);
    service.check(CYCLE - 2, taken);
}

/// Wrong: the reload of the same sequence gives it another number, and what is left is discarded.
pub fn planted_another_number() {
    let service = Service::new(0, &[1, 2]);
    let taken = two_pickers(&service, [1, 1], 1);
    service.check(1, taken);
}

/// Wrong: two workers redeem tickets of one place.
pub fn planted_one_place() {
    let service = Service::new(0, &[1]);
    let pickers = [picker(&service, 0, 2), picker(&service, 0, 2)];
    let taken = pickers.map(|picker| picker.join().unwrap()).concat();
    service.check(1, taken);
}
