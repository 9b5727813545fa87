//! Detects whether this processor is undisturbed, by a loop that keeps a core busy and touches no
//! memory.
//!
//! A virtual machine's processors may be threads of cores that others use too, or both of ours may
//! be threads of one core: then everything takes up to twice as long, including this loop. A sample
//! counts if the loop took about its usual time before and after it. Only the loop decides that,
//! never the sample.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Takes about five microseconds: enough for the clock, little compared with a pass.
const TURNS: u64 = 4_000;
/// Up to this duration, in percent of the shortest so far, the processor counts as undisturbed.
const TOLERANCE: u64 = 108;

/// The shortest duration that this process knows of, in nanoseconds.
static SHORTEST: AtomicU64 = AtomicU64::new(u64::MAX);

/// Keeps the core's arithmetic units busy, about a nanosecond or two per turn.
#[inline(always)]
pub fn keep_busy(turns: u64) {
    let mut chains = black_box([1u64, 2, 3, 4, 5, 6, 7, 8]);
    for turn in 0..turns {
        for chain in &mut chains {
            *chain = chain.wrapping_add(*chain << 2) ^ turn;
        }
    }
    black_box(chains);
}

/// How long the loop takes now, in nanoseconds.
#[inline(never)]
pub fn now() -> u64 {
    let start = Instant::now();
    keep_busy(TURNS);
    let took = start.elapsed().as_nanos() as u64;
    // Relaxed: an independent number.
    SHORTEST.fetch_min(took, Ordering::Relaxed);
    took
}

/// The shortest of many runs.
pub fn shortest() -> u64 {
    for _ in 0..2_000 {
        now();
    }
    // Relaxed: as in `now`.
    SHORTEST.load(Ordering::Relaxed)
}

/// Takes over the duration that another process has measured.
pub fn know(shortest: u64) {
    // Relaxed: as in `now`.
    SHORTEST.fetch_min(shortest, Ordering::Relaxed);
}

pub fn is_undisturbed(took: u64) -> bool {
    // Relaxed: as in `now`.
    took * 100 <= SHORTEST.load(Ordering::Relaxed).saturating_mul(TOLERANCE)
}
