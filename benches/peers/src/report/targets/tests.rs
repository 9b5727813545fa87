//! Targets are met only by what was measured.

use std::collections::BTreeMap;

use crate::case::Key;
use crate::figure::Figure;
use crate::launch;
use crate::report::Summary;
use crate::report::targets::sheet::Sheet;
use crate::report::targets::{goals, markdown};
use crate::subjects::name::{PINGORA, RUST, TOWER};

/// A run in which every case of every question took 10 ns and 100 instructions, except some.
fn summary(leave_out: impl Fn(&Key) -> bool) -> Summary {
    let keys = || launch::plans().into_iter().map(|plan| plan.key).filter(|key| !leave_out(key));
    let figure = |key: Key| {
        let mut figure = Figure::nanoseconds(key.clone(), 10.0);
        figure.allocations = Some(0.0);
        (key, vec![figure])
    };
    let gathered: BTreeMap<_, _> = keys().map(figure).collect();
    Summary::new(gathered, keys().map(|key| (key, 100.0)).collect())
}

/// The goals of the targets for which something was missing.
fn not_measured(summary: &Summary) -> Vec<&'static str> {
    let targets = goals::targets(&Sheet(summary)).into_iter();
    targets.filter(|target| target.measured.is_err()).map(|target| target.goal).collect()
}

#[test]
fn nothing_measured_meets_no_target() {
    let text = markdown(&Summary::new(BTreeMap::new(), Vec::new()));
    let rows: Vec<&str> = text.lines().skip(5).collect();
    assert!(rows.len() > 20, "{text}");
    assert!(rows.iter().all(|row| row.ends_with("| not measured |")), "{text}");
}

/// Each target names cases that a run measures: nothing is missing but what other crates measure.
#[test]
fn a_whole_run_measures_every_target() {
    let missing = not_measured(&summary(|_| false));
    let of_peers = |goal: &&str| {
        goal.contains("pingora") || goal.contains("tower") || goal.contains("likewise")
    };
    if cfg!(feature = "peers") {
        assert!(missing.is_empty(), "{missing:?}");
    } else {
        assert!(missing.iter().all(of_peers), "{missing:?}");
        assert!(missing.len() >= 5, "{missing:?}");
    }
}

/// One missing case is enough, whatever the others say.
#[test]
fn a_single_missing_case_is_said() {
    let all = not_measured(&summary(|_| false)).len();
    for (scheduler, n, goal) in [
        ("wlc, per-worker", 1_000, "the same: 2 threads within 10 % of 1"),
        ("p2c", 10_000, "twos, p2c, n=10k: at most 45 ns per pick"),
        ("open + close", 10, "open + close: at most 220 instructions, beyond the loop"),
    ] {
        let left_out = |key: &Key| key.subject == RUST && key.scheduler == scheduler && key.n == n;
        let summary = summary(left_out);
        let missing = not_measured(&summary);
        assert!(missing.len() > all && missing.contains(&goal), "{scheduler}: {missing:?}");
        let row = markdown(&summary);
        let row = row.lines().find(|line| line.contains(goal)).expect("its row");
        assert!(row.contains(scheduler) && row.ends_with("not measured |"), "{row}");
    }
}

#[test]
fn limits_decide() {
    let text = markdown(&summary(|key| [PINGORA, TOWER].contains(&key.subject.as_str())));
    let row = |goal: &str| text.lines().find(|line| line.contains(goal)).expect("its row");
    assert!(row("at most 90 ns").ends_with("| met |"), "{text}");
    assert!(row("25 times a walk of a scattered list").ends_with("| **NOT met** |"), "{text}");
    assert!(row("(a bucket queue, 1 thread)").ends_with("|  |"), "{text}");
}
