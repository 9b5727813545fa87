//! Reduces a script that shows a difference to as few steps as it can find within a time limit.

use std::time::{Duration, Instant};

use crate::side::pair::DIFFERS;
use crate::side::{Ended, run};

const WHILE: Duration = Duration::from_secs(60);

/// What it is that differs.
fn kind(report: &str) -> Option<&str> {
    let line = report.lines().find_map(|line| line.strip_prefix(DIFFERS));
    line.and_then(|line| line.split(':').next())
}

/// How many steps are left of those up to the last, and the report of these.
pub(super) fn shrink(seed: u64, number: u64, last: usize, report: String) -> (usize, String) {
    let begun = Instant::now();
    let mut steps: Vec<usize> = (0..=last).collect();
    let mut report = report;
    let mut size = steps.len().div_ceil(2);
    loop {
        let mut at = 0;
        let before = steps.len();
        while at < steps.len() {
            if begun.elapsed() > WHILE {
                return (steps.len(), report);
            }
            let mut fewer = steps.clone();
            fewer.drain(at..(at + size).min(steps.len()));
            match run(seed, number, &fewer) {
                Ended::Differs(step, told) if !fewer.is_empty() && kind(&told) == kind(&report) => {
                    fewer.retain(|kept| *kept <= step);
                    (steps, report) = (fewer, told);
                }
                _ => at += size,
            }
        }
        if size == 1 && steps.len() == before {
            return (steps.len(), report);
        }
        size = size.div_ceil(2);
    }
}
