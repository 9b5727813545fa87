//! One pass of a case: on this thread, or on several threads at once.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::allocations;
use crate::case::{Regime, Run};
use crate::{pace, work};

/// Number of stack depths at which samples are taken; they spread over more than a page.
pub const DEPTHS: usize = 32;
const FRAME: usize = 208;
/// A pass starts its threads together up to this many times: for work alone, and for the loops.
const STAGES: usize = 2;

/// What a pass measured.
pub struct Pass {
    /// Nanoseconds per operation; the mean of the threads.
    pub nanos: f64,
    /// How long it took, with what is subtracted.
    pub took: Duration,
    /// Nothing disturbed it, and threads overlapped almost from start to end.
    pub good: bool,
    pub allocations: u64,
}

/// A loop's time on one thread.
struct Time {
    start: Instant,
    took: Duration,
    undisturbed: bool,
}

fn timed(run: &mut dyn FnMut()) -> Time {
    let before = pace::now();
    let start = Instant::now();
    run();
    let took = start.elapsed();
    let undisturbed = pace::is_undisturbed(before) && pace::is_undisturbed(pace::now());
    Time { start, took, undisturbed }
}

/// Calls `call` this many frames further down the stack. A value that happens to cross a page boundary
/// takes several times as long to write; this must not affect all samples of a launch.
#[inline(never)]
fn deeper<R>(frames: usize, call: &mut dyn FnMut() -> R) -> R {
    let frame = black_box([0u8; FRAME]);
    let answer = if frames == 0 { call() } else { deeper(frames - 1, call) };
    black_box(&frame);
    answer
}

fn nanos(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e9 / count as f64
}

/// Runs the loop on this thread.
pub fn single(run: &mut Run, count: u64, depth: usize) -> Pass {
    let before = allocations::calls();
    let time = deeper(depth, &mut || timed(&mut || run(count)));
    let allocations = allocations::calls() - before;
    let Time { took, undisturbed, .. } = time;
    Pass { nanos: nanos(took, count), took, good: undisturbed, allocations }
}

/// Lets all threads go on once all have arrived.
struct Gate {
    threads: usize,
    arrived: [AtomicUsize; STAGES],
}

impl Gate {
    fn wait(&self, stage: usize) {
        // SeqCst: only the count matters here, and only once per stage.
        self.arrived[stage].fetch_add(1, Ordering::SeqCst);
        while self.arrived[stage].load(Ordering::SeqCst) < self.threads {
            std::hint::spin_loop();
        }
    }
}

/// Runs all loops at once, each on its own processor, after an untimed run of `warming` operations. If
/// there is work between operations, it is timed first, in the same way, and subtracted.
pub fn at_once(runs: &mut [Run], regime: Regime, warming: u64, count: u64, depth: usize) -> Pass {
    let gate = Gate { threads: runs.len(), arrived: Default::default() };
    let times: Vec<(Time, Option<Time>, u64)> = thread::scope(|scope| {
        let handles: Vec<_> = (runs.iter_mut().enumerate())
            .map(|(at, run)| {
                let gate = &gate;
                scope.spawn(move || {
                    pin(at);
                    run(warming);
                    let mut stages = 0..STAGES;
                    let mut stage = |run: &mut dyn FnMut()| {
                        gate.wait(stages.next().expect("a stage"));
                        deeper(depth, &mut || timed(run))
                    };
                    let rest = match regime {
                        Regime::Hot => None,
                        Regime::Work => Some(stage(&mut || work::only(count))),
                    };
                    let before = allocations::calls();
                    let time = stage(&mut || match regime {
                        Regime::Hot => run(count),
                        Regime::Work => work::between(run, count),
                    });
                    (time, rest, allocations::calls() - before)
                })
            })
            .collect();
        handles.into_iter().map(|handle| handle.join().expect("a pass")).collect()
    });
    let (whole, good) = overlap(times.iter().map(|(time, ..)| time));
    let (rest, rest_good) = overlap(times.iter().filter_map(|(_, rest, _)| rest.as_ref()));
    Pass {
        nanos: nanos(whole, count) - nanos(rest, count),
        took: whole + rest,
        good: good && rest_good,
        allocations: times.iter().map(|(.., allocations)| allocations).sum(),
    }
}

/// The mean of the threads, and whether they overlapped and were undisturbed.
fn overlap<'t>(times: impl Iterator<Item = &'t Time> + Clone) -> (Duration, bool) {
    let took = || times.clone().map(|time| time.took);
    let Some((longest, shortest)) = took().max().zip(took().min()) else {
        return (Duration::ZERO, true);
    };
    let starts = || times.clone().map(|time| time.start);
    let late = starts().max().zip(starts().min()).map_or(Duration::ZERO, |(max, min)| max - min);
    let mean = took().sum::<Duration>() / times.clone().count() as u32;
    let undisturbed = times.clone().all(|time| time.undisturbed);
    (mean, undisturbed && late < longest / 20 && longest < shortest * 5 / 4)
}

/// Binds this thread to one processor. Has no effect outside Linux, or if not permitted.
pub fn pin(at: usize) {
    let at = at % thread::available_parallelism().map_or(1, usize::from);
    #[cfg(target_os = "linux")]
    // SAFETY: the set is plain bits, and lives as long as the call.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(at, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
    let _ = at;
}

/// Raises this process's priority, as far as permitted.
pub fn hurry() {
    #[cfg(unix)]
    // SAFETY: no memory is involved.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, -20);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::at_once;
    use crate::case::{Regime, Run, repeat};

    /// Work between operations adds none.
    #[test]
    fn every_thread_does_its_operations() {
        for regime in [Regime::Hot, Regime::Work] {
            let done: [Arc<AtomicU64>; 2] = Default::default();
            let run = |done: &Arc<AtomicU64>| {
                let done = Arc::clone(done);
                repeat(move || {
                    done.fetch_add(1, Ordering::SeqCst);
                })
            };
            let mut runs: Vec<Run> = done.iter().map(run).collect();
            at_once(&mut runs, regime, 3, 5, 0);
            let done = done.map(|done| done.load(Ordering::SeqCst));
            assert_eq!(done, [8, 8], "{regime:?}");
        }
    }
}
