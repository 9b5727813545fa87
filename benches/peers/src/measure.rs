//! Time: cases of a group in turns, round by round, untimed passes before each timed one.
//!
//! The untimed passes bring back the cache lines that the other cases have evicted; without them every
//! case that lives in the second-level cache would be measured as if it lived in memory. A figure is
//! the median of the rounds; the launches' median is taken by the process that started this one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::allocations;
use crate::case::{Case, Plan, Run};
use crate::figure::{Figure, median};

/// A timed pass takes about as long.
const PASS: Duration = Duration::from_micros(150);
/// With several threads so many times as long, so that they begin and end together.
const TOGETHER: u64 = 3;
/// Untimed passes before each timed one, where an operation is not slow.
const WARMING: u64 = 3;
/// An operation that takes longer than this is measured in fewer rounds.
const SLOW: Duration = Duration::from_millis(1);

/// How thoroughly.
#[derive(Clone, Copy)]
pub struct Effort {
    pub rounds: usize,
    pub slow_rounds: usize,
}

impl Effort {
    pub const FULL: Effort = Effort { rounds: 25, slow_rounds: 5 };
    /// Once through, unmeasured.
    pub const ONCE: Effort = Effort { rounds: 1, slow_rounds: 1 };
}

struct Timed {
    case: Case,
    count: u64,
    slow: bool,
    rounds: usize,
    samples: Vec<f64>,
    /// Of passes that did not overlap well, used only if there is no other.
    poor: Vec<f64>,
    allocations: u64,
    operations: u64,
}

/// Measures a group of cases, and sends a figure for each.
pub fn group(plans: Vec<Plan>, effort: Effort) {
    let mut cases: Vec<Timed> = plans.into_iter().map(|plan| prepare(plan, effort)).collect();
    for round in 0..effort.rounds {
        for timed in cases.iter_mut().filter(|timed| round < timed.rounds) {
            timed.round();
        }
    }
    for timed in cases {
        timed.send();
    }
}

fn prepare(plan: Plan, effort: Effort) -> Timed {
    let mut case = plan.build();
    let mut count = 1;
    let time = |run: &mut Run, count| {
        let start = Instant::now();
        run(count);
        start.elapsed()
    };
    let mut took = time(&mut case.runs[0], count);
    while took < PASS / 2 {
        count *= 2;
        took = time(&mut case.runs[0], count);
    }
    let slow = count == 1 && took > SLOW;
    let rounds = if slow { effort.slow_rounds } else { effort.rounds };
    Timed {
        case,
        count,
        slow,
        rounds,
        samples: Vec::new(),
        poor: Vec::new(),
        allocations: 0,
        operations: 0,
    }
}

impl Timed {
    fn round(&mut self) {
        if self.case.key.question == "threads" {
            let (nanos, good) = together(&mut self.case.runs, TOGETHER * self.count);
            if good { &mut self.samples } else { &mut self.poor }.push(nanos);
            return;
        }
        let run = &mut self.case.runs[0];
        run(if self.slow { 1 } else { WARMING * self.count });
        let before = allocations::calls();
        let start = Instant::now();
        run(self.count);
        let took = start.elapsed();
        self.allocations += allocations::calls() - before;
        self.operations += self.count;
        self.samples.push(nanos(took, self.count));
    }

    fn send(mut self) {
        let detail = (self.samples.len() + self.poor.len(), self.poor.len());
        let samples = if self.samples.is_empty() { &mut self.poor } else { &mut self.samples };
        let median = median(samples).expect("a round");
        let mut figure = Figure::nanoseconds(self.case.key, median);
        // The shared library allocates by itself, where this counter does not see it.
        if self.operations > 0 && !figure.key.subject.ends_with("from C") {
            figure.allocations = Some(self.allocations as f64 / self.operations as f64);
        }
        if figure.key.question == "threads" {
            figure.detail.insert("samples".into(), detail.0 as f64);
            figure.detail.insert("samples that overlapped poorly".into(), detail.1 as f64);
        }
        figure.send();
    }
}

fn nanos(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e9 / count as f64
}

/// All loops at once, each on a processor of its own. Nanoseconds an operation, the mean of the
/// threads; and whether they overlapped, nearly from the start nearly to the end.
fn together(runs: &mut [Run], count: u64) -> (f64, bool) {
    let (waiting, threads) = (AtomicUsize::new(0), runs.len());
    let passes: Vec<(Instant, Duration)> = thread::scope(|scope| {
        let handles: Vec<_> = runs
            .iter_mut()
            .enumerate()
            .map(|(at, run)| {
                let waiting = &waiting;
                scope.spawn(move || {
                    pin(at);
                    run(count);
                    // SeqCst: only the count matters here, and only once a pass.
                    waiting.fetch_add(1, Ordering::SeqCst);
                    while waiting.load(Ordering::SeqCst) < threads {
                        std::hint::spin_loop();
                    }
                    let start = Instant::now();
                    run(count);
                    (start, start.elapsed())
                })
            })
            .collect();
        handles.into_iter().map(|handle| handle.join().expect("a pass")).collect()
    });
    let longest = passes.iter().map(|(_, took)| *took).max().unwrap_or_default();
    let shortest = passes.iter().map(|(_, took)| *took).min().unwrap_or_default();
    let first = passes.iter().map(|(start, _)| *start).min();
    let last = passes.iter().map(|(start, _)| *start).max();
    let late = first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first);
    let mean = passes.iter().map(|(_, took)| nanos(*took, count)).sum::<f64>() / threads as f64;
    (mean, late < longest / 20 && longest < shortest * 5 / 4)
}

/// Puts this thread on one processor. Elsewhere than on Linux, and where it is forbidden, it stays
/// where it is.
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

/// Ahead of others on this machine, as far as that is allowed.
pub fn hurry() {
    #[cfg(unix)]
    // SAFETY: no memory is involved.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, -20);
    }
}
