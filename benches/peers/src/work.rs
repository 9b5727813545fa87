//! Private work between operations: what a host does with its own data before it needs the next server.
//!
//! The work keeps the core busy and touches no shared memory, so that another thread gets its turn with
//! what is shared. It takes about as long as a proxy's work for a packet. A figure is net of it: the same
//! loop without the operation is timed on the same threads in the same round, and subtracted.

use std::hint::black_box;
use std::sync::OnceLock;
use std::time::Instant;

use crate::case::Run;
use crate::pace;

/// How long the work takes on an undisturbed core.
pub const NANOSECONDS: f64 = 300.0;
/// As many calls are timed together, because the clock is too coarse for one.
const CALLS: u64 = 200;
const SAMPLES: usize = 200;
const TRIAL_TURNS: u64 = 200;

#[inline(never)]
fn work(turns: u64) {
    pace::keep_busy(turns);
}

/// How many turns take that long, by the shortest of many trials.
fn turns() -> u64 {
    static TURNS: OnceLock<u64> = OnceLock::new();
    let trial = || {
        let start = Instant::now();
        for _ in 0..CALLS {
            work(black_box(TRIAL_TURNS));
        }
        start.elapsed().as_secs_f64() * 1e9 / (CALLS * TRIAL_TURNS) as f64
    };
    let shortest = || (0..SAMPLES).map(|_| trial()).fold(f64::INFINITY, f64::min);
    *TURNS.get_or_init(|| (NANOSECONDS / shortest()).round().max(1.0) as u64)
}

/// The operation and the work in turn. The operation's call is part of what is subtracted, so nothing is
/// inlined here.
#[inline(never)]
pub fn between(operation: &mut Run, count: u64) {
    let turns = turns();
    for _ in 0..count {
        operation(1);
        work(black_box(turns));
    }
}

/// The same without the operation.
pub fn only(count: u64) {
    let mut nothing: Run = Box::new(|_| ());
    between(black_box(&mut nothing), count);
}
