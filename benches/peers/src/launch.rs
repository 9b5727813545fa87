//! Launches: the program starts itself repeatedly and collects each launch's results.
//!
//! On a shared machine, the launch (the placement of pages, the neighbors' load) changes a figure
//! more than its rounds do; the median of five launches is reproducible.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::case::{Key, Plan, Weights};
use crate::figure::Figure;
use crate::measure::{Effort, group};
use crate::pace;
use crate::passes::hurry;
use crate::questions::{affinity, connections, name, regimes, reload, scale, size, table, threads};

/// The argument that makes a process a launch, followed by the pace and the questions (default: all).
pub const ARGUMENT: &str = "--launch";

/// All figures of all launches.
pub type Gathered = BTreeMap<Key, Vec<Figure>>;

/// The load average of the last minute, as Linux prints it.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

/// In a launch: runs the questions, one group of cases after the other.
pub fn one(arguments: &[String]) {
    hurry();
    let (shortest, questions) = arguments.split_first().expect("the pace that was measured");
    pace::know(shortest.parse().expect("nanoseconds"));
    let asked = |name: &str| questions.is_empty() || questions.iter().any(|known| known == name);
    for (name, groups) in groups(1_000_000) {
        let at_once = [name::REGIMES, name::AFFINITY, name::THREADS].contains(&name);
        let effort = if at_once { Effort::AT_ONCE } else { Effort::FULL };
        if asked(name) {
            groups.into_iter().for_each(|plans| group(plans(), effort));
        }
    }
    if asked(name::SCALE) {
        scale::measure(true);
    }
    if asked(name::RELOAD) {
        reload::measure(Duration::from_secs(1));
    }
}

/// Runs every case of moderate size once, without measuring.
pub fn once() {
    for (_, groups) in groups(100) {
        groups.into_iter().for_each(|plans| group(plans(), Effort::ONCE));
    }
    scale::measure(false);
    reload::measure(Duration::from_millis(10));
}

/// All cases of a launch, unbuilt.
#[cfg(test)]
pub fn plans() -> Vec<Plan> {
    let groups = groups(usize::MAX).into_iter().flat_map(|(_, groups)| groups);
    groups.flat_map(|plans| plans()).collect()
}

type Groups = Vec<Box<dyn FnOnce() -> Vec<Plan>>>;

/// Each question's groups of cases that are measured alternately.
fn groups(most: usize) -> Vec<(&'static str, Groups)> {
    fn each(sizes: &[usize], most: usize, plans: fn(usize) -> Vec<Plan>) -> Groups {
        let sizes = sizes.iter().copied().filter(|n| *n <= most);
        sizes.map(|n| Box::new(move || plans(n)) as Box<dyn FnOnce() -> _>).collect()
    }
    let mut sizes = each(&size::SIZES, most, |n| size::plans(n, Weights::Equal));
    sizes.extend(each(&size::SIZES, most, |n| size::plans(n, Weights::Skewed)));
    let mut regimes = each(&regimes::SIZES, most, |n| regimes::plans(n, Weights::Equal));
    regimes.extend(each(&regimes::SIZES, most, |n| regimes::plans(n, Weights::Skewed)));
    vec![
        (name::SIZE, sizes),
        (name::CONNECTIONS, each(&connections::SIZES, most, connections::plans)),
        (name::REGIMES, regimes),
        (name::AFFINITY, each(&affinity::SIZES, most, affinity::plans)),
        (name::THREADS, each(&threads::SIZES, most, threads::plans)),
        (name::TABLE, each(&table::SIZES, most, table::plans)),
    ]
}

/// Starts the launches one after the other.
pub fn all(launches: usize, questions: &[String]) -> Gathered {
    let program = std::env::current_exe().expect("this program's path");
    let mut gathered = Gathered::new();
    for launch in 1..=launches {
        let start = Instant::now();
        eprint!("launch {launch} of {launches}, load {} … ", load());
        let output = Command::new(&program)
            .args([ARGUMENT, &pace::shortest().to_string()])
            .args(questions)
            .stderr(Stdio::inherit())
            .output()
            .expect("a launch of this program");
        assert!(output.status.success(), "launch {launch}: {}", output.status);
        let text = String::from_utf8(output.stdout).expect("lines of JSON");
        for line in text.lines() {
            let figure: Figure = serde_json::from_str(line).expect("a figure");
            gathered.entry(figure.key.clone()).or_default().push(figure);
        }
        eprintln!("{:.0} s", start.elapsed().as_secs_f64());
    }
    gathered
}
