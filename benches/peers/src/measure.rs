//! Times the cases of a group alternately, round by round, with untimed passes before each timed
//! one.
//!
//! A sample counts if the processor was undisturbed (`pace`) and the threads overlapped; a case
//! runs for more rounds if few samples count. Samples that do not count are used only if there are
//! no others.
//!
//! The untimed passes bring back the cache lines that other cases evicted; without them, every case
//! that fits the second-level cache would be measured as if it lived in memory. A figure is the
//! median of the rounds; the process that started this one takes the median of the launches.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::allocations;
use crate::case::{Case, Plan, Run};
use crate::figure::{Figure, median};
use crate::pace;

/// Approximate duration of a timed pass.
const PASS: Duration = Duration::from_micros(150);
/// With several threads, a pass takes this many times as long, so that the threads overlap.
const TOGETHER: u64 = 3;
/// Untimed passes before each timed one, where an operation is not slow.
const WARMING: u64 = 3;
/// Number of stack depths at which samples are taken; they spread over more than a page.
const DEPTHS: usize = 32;
const FRAME: usize = 208;
/// If an operation works on a random part of its data, untimed passes continue until they have touched
/// almost all of it, up to this many passes.
const MOST_WARMING: u64 = 130;
/// An operation that takes longer than this is measured in fewer rounds.
const SLOW: Duration = Duration::from_millis(1);

/// The effort: the number of samples, and the maximum number of rounds per sample to get them.
#[derive(Clone, Copy)]
pub struct Effort {
    pub samples: usize,
    pub slow_samples: usize,
    pub patience: usize,
}

impl Effort {
    pub const FULL: Effort = Effort { samples: 25, slow_samples: 5, patience: 3 };
    /// Every case once, without measuring.
    pub const ONCE: Effort = Effort { samples: 1, slow_samples: 1, patience: 1 };
}

struct Timed {
    case: Case,
    count: u64,
    slow: bool,
    wanted: usize,
    samples: Vec<f64>,
    /// Used only if there are no others.
    poor: Vec<f64>,
    allocations: u64,
    operations: u64,
}

/// Measures a group of cases, and sends a figure for each.
pub fn group(plans: Vec<Plan>, effort: Effort) {
    let mut cases: Vec<Timed> = plans.into_iter().map(|plan| prepare(plan, effort)).collect();
    loop {
        let mut going = cases.iter_mut().filter(|timed| timed.goes_on(effort.patience)).peekable();
        if going.peek().is_none() {
            break;
        }
        going.for_each(Timed::round);
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
    let wanted = if slow { effort.slow_samples } else { effort.samples };
    Timed {
        case,
        count,
        slow,
        wanted,
        samples: Vec::new(),
        poor: Vec::new(),
        allocations: 0,
        operations: 0,
    }
}

impl Timed {
    fn goes_on(&self, patience: usize) -> bool {
        let rounds = self.samples.len() + self.poor.len();
        self.samples.len() < self.wanted && rounds < patience * self.wanted
    }

    fn round(&mut self) {
        let depth = (self.samples.len() + self.poor.len()) % DEPTHS;
        if self.case.key.question == "threads" {
            let (nanos, good) = together(&mut self.case.runs, TOGETHER * self.count, depth);
            if good { &mut self.samples } else { &mut self.poor }.push(nanos);
            return;
        }
        let warming = self.case.parts.clamp(WARMING * self.count, MOST_WARMING * self.count);
        let run = &mut self.case.runs[0];
        run(if self.slow { 1 } else { warming });
        let before = allocations::calls();
        let (took, undisturbed) = deeper(depth, &mut || timed(run, self.count));
        self.allocations += allocations::calls() - before;
        self.operations += self.count;
        let samples = if undisturbed { &mut self.samples } else { &mut self.poor };
        samples.push(nanos(took, self.count));
    }

    fn send(mut self) {
        let rounds = (self.samples.len() + self.poor.len()) as f64;
        let undisturbed = self.samples.len() as f64 / rounds;
        let samples = if self.samples.is_empty() { &mut self.poor } else { &mut self.samples };
        let median = median(samples).expect("a round");
        let mut figure = Figure::nanoseconds(self.case.key, median);
        // The shared library has its own allocator, which this counter does not see.
        if self.operations > 0 && !figure.key.subject.ends_with("from C") {
            figure.allocations = Some(self.allocations as f64 / self.operations as f64);
        }
        figure.undisturbed = Some(undisturbed);
        figure.send();
    }
}

/// How long this many operations take, and whether they were undisturbed.
fn timed(run: &mut Run, count: u64) -> (Duration, bool) {
    let before = pace::now();
    let start = Instant::now();
    run(count);
    let took = start.elapsed();
    (took, pace::is_undisturbed(before) && pace::is_undisturbed(pace::now()))
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

/// Runs all loops at once, each on its own processor. Returns nanoseconds per operation (the mean of
/// the threads), and whether the threads overlapped almost from start to end and were undisturbed.
fn together(runs: &mut [Run], count: u64, depth: usize) -> (f64, bool) {
    let (waiting, threads) = (AtomicUsize::new(0), runs.len());
    let passes: Vec<(Instant, Duration, bool)> = thread::scope(|scope| {
        let handles: Vec<_> = runs
            .iter_mut()
            .enumerate()
            .map(|(at, run)| {
                let waiting = &waiting;
                scope.spawn(move || {
                    pin(at);
                    run(count);
                    // SeqCst: only the count matters here, and only once per pass.
                    waiting.fetch_add(1, Ordering::SeqCst);
                    while waiting.load(Ordering::SeqCst) < threads {
                        std::hint::spin_loop();
                    }
                    let start = Instant::now();
                    let (took, undisturbed) = deeper(depth, &mut || timed(run, count));
                    (start, took, undisturbed)
                })
            })
            .collect();
        handles.into_iter().map(|handle| handle.join().expect("a pass")).collect()
    });
    let longest = passes.iter().map(|(_, took, _)| *took).max().unwrap_or_default();
    let shortest = passes.iter().map(|(_, took, _)| *took).min().unwrap_or_default();
    let first = passes.iter().map(|(start, ..)| *start).min();
    let last = passes.iter().map(|(start, ..)| *start).max();
    let late = first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first);
    let mean = passes.iter().map(|(_, took, _)| nanos(*took, count)).sum::<f64>() / threads as f64;
    let undisturbed = passes.iter().all(|(.., undisturbed)| *undisturbed);
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
