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

use std::time::Duration;

use crate::case::{Case, Plan};
use crate::figure::{Figure, median};
use crate::passes::{self, DEPTHS, Pass};

/// Approximate duration of a timed pass.
const PASS: Duration = Duration::from_micros(150);
/// The same for threads that must overlap, with what is subtracted.
const PASS_AT_ONCE: Duration = Duration::from_micros(450);
/// Untimed passes before each timed one, where an operation is not slow.
const WARMING: u64 = 3;
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
    pub const FULL: Effort = Effort { samples: 25, slow_samples: 3, patience: 3 };
    /// For threads that run at once: a sample takes several times as long, and there are many cases.
    pub const AT_ONCE: Effort = Effort { samples: 15, slow_samples: 3, patience: 3 };
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
    let case = plan.build();
    let mut timed = Timed {
        case,
        count: 1,
        slow: false,
        wanted: effort.samples,
        samples: Vec::new(),
        poor: Vec::new(),
        allocations: 0,
        operations: 0,
    };
    let enough = if timed.case.at_once { PASS_AT_ONCE / 2 } else { PASS / 2 };
    let mut took = timed.pass(0, 0).took;
    while took < enough {
        timed.count *= 2;
        took = timed.pass(0, 0).took;
    }
    if timed.count == 1 && took > SLOW {
        (timed.slow, timed.wanted) = (true, effort.slow_samples);
    }
    timed
}

impl Timed {
    fn goes_on(&self, patience: usize) -> bool {
        let rounds = self.samples.len() + self.poor.len();
        self.samples.len() < self.wanted && rounds < patience * self.wanted
    }

    fn pass(&mut self, warming: u64, depth: usize) -> Pass {
        let Case { key, runs, at_once, .. } = &mut self.case;
        if *at_once {
            return passes::at_once(runs, key.regime, warming, self.count, depth);
        }
        runs[0](warming);
        passes::single(&mut runs[0], self.count, depth)
    }

    fn round(&mut self) {
        let depth = (self.samples.len() + self.poor.len()) % DEPTHS;
        // A pass at once is as long as three others.
        let long = if self.case.at_once { WARMING } else { 1 };
        let (least, most) = (WARMING / long * self.count, MOST_WARMING / long * self.count);
        let warming = self.case.parts.clamp(least, most);
        let pass = self.pass(if self.slow { 1 } else { warming }, depth);
        self.allocations += pass.allocations;
        self.operations += self.count * self.case.runs.len() as u64;
        if pass.good { &mut self.samples } else { &mut self.poor }.push(pass.nanos);
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
