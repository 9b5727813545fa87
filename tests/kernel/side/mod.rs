//! A kernel and a director decide equally: random scripts drive both at the same time, and after
//! each step both must have picked the same server and count the same connections.
//!
//! Every script runs in its own process and network namespace, so that a seed and a number
//! reproduce it: `VSCHED_SEED=… VSCHED_SCRIPT=…`. A script that shows a difference is reduced to
//! fewer steps, and the rest is printed.

mod packet;
mod pair;
mod plane;
mod script;
mod shrink;
mod slots;
mod step;
mod traffic;
mod wire;

use std::env;
use std::process::Output;
use std::str::FromStr;
use std::time::Instant;

use crate::guest::{note, now, part};
use crate::side::pair::{Pair, Tally};
use crate::side::script::{Script, schedulers};

/// Decisions in CI.
const USUAL: u64 = 20_000;
const SOAK: u64 = 1_000_000;
/// Scripts between two lines of progress.
const PROGRESS: u64 = 100;

/// What there must have been some of.
const KINDS: [&str; 15] = [
    "refused",
    "not ours",
    "IPv6",
    "by mark",
    "IPv6 by mark",
    "UDP",
    "SCTP",
    "to port 0",
    "FTP data",
    "to a server of another service",
    "among weights above 2^30",
    "one packet",
    "again on a used tuple",
    "persistent",
    "expired",
];

/// How a script has come out.
enum Ended {
    Alike(Tally),
    /// The step that shows it, and what there is to say.
    Differs(usize, String),
    Broken(String),
}

/// A number from the kernel's command line, which has it from the environment outside.
pub(crate) fn setting<T: FromStr>(name: &str) -> Option<T> {
    env::var(format!("vsched_{name}")).ok()?.parse().ok()
}

pub(crate) fn usual() {
    compare(USUAL, |_| ());
}

pub(crate) fn soak() {
    compare(SOAK, now);
}

/// Runs scripts until so many decisions were alike.
fn compare(decisions: u64, progress: impl Fn(String)) {
    let seed = setting("seed").unwrap_or(1);
    let wanted = setting("decisions").unwrap_or(decisions);
    wire::prepare();
    let begun = Instant::now();
    let mut sum = Tally::new();
    let only: Option<u64> = setting("script");
    for number in only.unwrap_or(0).. {
        match run(seed, number, &[]) {
            Ended::Alike(tally) => {
                tally.into_iter().for_each(|(name, count)| *sum.entry(name).or_default() += count);
            }
            Ended::Differs(step, report) => {
                let (steps, report) = shrink::shrink(seed, number, step, report);
                println!(
                    "seed {seed}, script {number} differs at step {step}, and in {steps} steps:\n\
                     {report}"
                );
                panic!("again with VSCHED_SEED={seed} VSCHED_SCRIPT={number}");
            }
            Ended::Broken(text) => panic!("seed {seed}, script {number}: {text}"),
        }
        let reached = sum.get("decisions").copied().unwrap_or(0);
        if number % PROGRESS == PROGRESS - 1 {
            progress(format!("{reached} of {wanted} decisions alike, {:.0?}", begun.elapsed()));
        }
        if reached >= wanted || only.is_some() {
            break;
        }
    }
    let told: Vec<String> = sum.iter().map(|(name, count)| format!("{name} {count}")).collect();
    note(format!("side by side, seed {seed}, {:.0?}: {}", begun.elapsed(), told.join(", ")));
    // Of a few scripts nothing can be said.
    if only.is_none() && wanted >= USUAL {
        let least = wanted / 100;
        for scheduler in schedulers() {
            let count = sum.get(scheduler.name()).copied().unwrap_or(0);
            assert!(count >= least, "{}: only {count} decisions", scheduler.name());
        }
        for kind in KINDS {
            assert!(sum.get(kind).is_some_and(|count| *count > 0), "nothing was {kind}");
        }
    }
}

/// Runs one script in a process of its own: these steps of it, or all.
fn run(seed: u64, number: u64, steps: &[usize]) -> Ended {
    let steps: Vec<String> = steps.iter().map(usize::to_string).collect();
    let Output { status, stdout, stderr } = part(&["unshare", "-n"], "side_script")
        .env("vsched_seed", seed.to_string())
        .env("vsched_script", number.to_string())
        .env("side_steps", steps.join(","))
        .output()
        .expect("unshare");
    let text = String::from_utf8_lossy(&stdout);
    if let Some(report) = text.strip_prefix("differs ") {
        let (step, report) = report.split_once('\n').expect("a report");
        return Ended::Differs(step.parse().expect("a step"), report.to_owned());
    }
    let count = |line: &str| {
        let (count, name) = line.split_once(' ')?;
        Some((name.to_owned(), count.parse().ok()?))
    };
    match text.lines().map(count).collect() {
        Some(tally) if status.success() => Ended::Alike(tally),
        _ => Ended::Broken(format!("{text}{}", String::from_utf8_lossy(&stderr))),
    }
}

/// The process of one script.
pub(crate) fn one_script() {
    let seed: u64 = setting("seed").expect("a seed");
    let number: u64 = setting("script").expect("a number");
    let steps = env::var("side_steps").unwrap_or_default();
    let steps: Vec<usize> = steps.split(',').filter_map(|step| step.parse().ok()).collect();
    let all = schedulers();
    let focus = all[number as usize % all.len()];
    let script = Script::new(seed.wrapping_mul(0x1_0000_0001).wrapping_add(number << 20), focus);
    let wanted = |place: usize| steps.is_empty() || steps.binary_search(&place).is_ok();
    match Pair::new(&script).run(&script, wanted) {
        Ok(tally) => tally.iter().for_each(|(name, count)| println!("{count} {name}")),
        Err(mismatch) => print!("differs {}\n{}", mismatch.step, mismatch.report),
    }
}
