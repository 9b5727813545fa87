//! Sequences of random command lines, each on a kernel without any configuration. A seed and a
//! number reproduce a sequence: `VSCHED_SEED=… VSCHED_SCRIPT=…`. A sequence that shows a difference
//! is reduced to fewer lines and words, and the rest is printed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::differences::What;
use super::draw::Draw;
use super::grammar;
use super::pair::{Compared, Pair};
use crate::guest::{note, now};
use crate::side::setting;

/// Sequences in CI.
const USUAL: u64 = 150;
const SOAK: u64 = 5_000;
/// Sequences between two lines of progress.
const PROGRESS: u64 = 100;
/// Differences after which it is enough.
const ENOUGH: usize = 12;
const WHILE: Duration = Duration::from_secs(30);

/// What there must have been some of: of a hundred sequences so many lines.
const LEAST: &[(&str, u64)] = &[
    ("status 0", 100),
    ("status 1", 2),
    ("status 2", 200),
    ("status 255", 100),
    ("in own words", 60),
    ("restores", 20),
];

pub(crate) fn usual() {
    compare(USUAL, |_| ());
}

pub(crate) fn soak() {
    compare(SOAK, now);
}

fn compare(sequences: u64, progress: impl Fn(String)) {
    let seed = setting("seed").unwrap_or(1);
    let wanted = setting("sequences").unwrap_or(sequences);
    let only: Option<u64> = setting("script");
    let numbers = only.map_or(0..wanted, |only| only..only + 1);
    let begun = Instant::now();
    let mut pair = Pair::start();
    let mut tally: BTreeMap<String, u64> = BTreeMap::new();
    let mut problems = Vec::new();
    for number in numbers {
        let lines = grammar::sequence(&mut Draw::new(seed, number));
        let differs = run(&mut pair, &lines, |line, compared| {
            let restores = line.contains(" < ");
            for (counts, name) in [
                (true, format!("status {}", compared.real.status)),
                (compared.worded, "in own words".to_owned()),
                (compared.crashed, "crashed".to_owned()),
                (restores, "restores".to_owned()),
                (true, "lines".to_owned()),
            ] {
                *tally.entry(name).or_default() += u64::from(counts);
            }
        });
        if let Some(kinds) = differs {
            let lines = shrink(&mut pair, lines, &kinds);
            problems.push(format!("sequence {number} {}", report(&mut pair, &lines)));
            progress(problems.last().cloned().unwrap_or_default());
        }
        if problems.len() >= ENOUGH {
            break;
        }
        if number % PROGRESS == PROGRESS - 1 {
            progress(format!("{} of {wanted} sequences, {:.0?}", number + 1, begun.elapsed()));
        }
    }
    pair.end();
    let told: Vec<String> = tally.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let told = told.join(", ");
    note(format!("random command lines, seed {seed}, {:.0?}: {told}", begun.elapsed()));
    assert!(
        problems.is_empty(),
        "{} differences; again with VSCHED_SEED={seed} VSCHED_SCRIPT and the number\n{}",
        problems.len(),
        problems.join("\n")
    );
    for (name, least) in LEAST {
        let count = tally.get(*name).copied().unwrap_or(0);
        assert!(only.is_some() || count * 100 >= least * wanted, "{name}: only {count}; {told}");
    }
}

/// In what the first line that differs does so.
fn run(
    pair: &mut Pair,
    lines: &[String],
    mut tell: impl FnMut(&str, &Compared),
) -> Option<Vec<What>> {
    pair.reset();
    for line in lines {
        let compared = pair.compare(line);
        tell(line, &compared);
        if !compared.differs.is_empty() {
            return Some(compared.differs);
        }
    }
    None
}

/// With as few lines and words as can be found in a while.
fn shrink(pair: &mut Pair, mut lines: Vec<String>, kinds: &[What]) -> Vec<String> {
    let begun = Instant::now();
    let mut still = |lines: &[String]| {
        begun.elapsed() < WHILE && run(pair, lines, |_, _| ()).is_some_and(|found| found == kinds)
    };
    loop {
        let before = lines.clone();
        for at in (0..lines.len()).rev() {
            let mut fewer = lines.clone();
            fewer.remove(at);
            if still(&fewer) {
                lines = fewer;
            }
        }
        for at in 0..lines.len() {
            for word in (0..lines[at].split(' ').count()).rev() {
                let mut words: Vec<&str> = lines[at].split(' ').collect();
                words.remove(word);
                let mut fewer = lines.clone();
                fewer[at] = words.join(" ");
                if !fewer[at].is_empty() && still(&fewer) {
                    lines = fewer;
                }
            }
        }
        if lines == before {
            return lines;
        }
    }
}

fn report(pair: &mut Pair, lines: &[String]) -> String {
    let mut last = None;
    run(pair, lines, |_, compared| last = Some(compared.report()));
    format!("in {} lines:\n{}\n{}", lines.len(), lines.join("\n"), last.unwrap_or_default())
}
