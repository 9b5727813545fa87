//! Picks equal those of real kernels, scenario by scenario: every row of `tests/data/scenarios`.

mod scenario;

use std::collections::{BTreeMap, BTreeSet};

use scenario::table::{self, Line};
use scenario::world;
use vsched::SchedulerKind;
use vsched::config::KernelRules;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/scenarios");

/// Every scenario that was observed. One that is in no table has been forgotten.
const OBSERVED: &str = "
    S1 S2 S3 S3b S3c S4 S5 S6 R1 S7 S7b W1 W1b S8 S9 S9b S10 S11 S12 W3 W4 W5 W6 tutorial S37
    S13 S14 S14b S14c T6 S15 S15b S16 S16b S16c S17 S17b N1 N2 S18 S18b S19 S19b O1
    G1 S25 S25b S25c S25d U1 U2 U3 S26 S26b S30 S31c T7a T13
    S20 S20a/b S20c S20d H1 T1 T1a-d S22 S22a/b S22d S22e S22f/g T5
    T2 T2b T2c T2d T2e L1 T3 T3a T3b T3c
    S27 S27a/b S27c S27d S28 S30b S31 S32 S33 S34 T7 C1";

/// Schedulers of Linux without scenarios: twos draws random numbers.
const NOT_OBSERVED: [&str; 1] = ["twos"];

/// Every line of every table, with its file.
fn tables() -> Vec<(String, Line)> {
    let mut files: Vec<_> = std::fs::read_dir(DATA)
        .expect("the tables are part of the repository")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "txt"))
        .collect();
    files.sort();
    let mut lines = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).expect("readable");
        let file = path.display().to_string();
        let read = table::read(&text).unwrap_or_else(|why| panic!("{file}: {why}"));
        lines.extend(read.into_iter().map(|line| (file.clone(), line)));
    }
    lines
}

#[test]
fn every_scenario_ends_as_in_the_kernel() {
    let mut failures = Vec::new();
    let (mut runs, mut picks) = (0, 0);
    let mut ran: BTreeMap<String, BTreeSet<char>> = BTreeMap::new();
    let mut waiting: BTreeMap<String, usize> = BTreeMap::new();
    let mut later: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, line) in tables() {
        let row = match line {
            Line::Row(row) => row,
            Line::Later { name, reason } => {
                later.entry(reason).or_default().push(name);
                continue;
            }
        };
        if let Some(name) = world::unknown_scheduler(&row) {
            *waiting.entry(name.to_owned()).or_default() += 1;
            continue;
        }
        for generation in &row.generations {
            runs += 1;
            let letter = if *generation == KernelRules::A { 'A' } else { 'B' };
            for service in &row.services {
                let generations = ran.entry(service.scheduler.clone()).or_default();
                generations.insert(letter);
            }
            match world::run(&row, *generation) {
                Ok(compared) => picks += compared,
                Err(why) => failures
                    .push(format!("{file}:{}: {}, generation {letter}: {why}", row.line, row.name)),
            }
        }
    }
    println!("{runs} runs, {picks} picks");
    println!("rows that wait for a scheduler: {waiting:?}");
    println!("later: {later:?}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    for kind in SchedulerKind::ALL {
        let generations = ran.get(kind.name()).map_or(0, BTreeSet::len);
        let observed = kind.in_linux() && !NOT_OBSERVED.contains(&kind.name());
        assert_eq!(generations, if observed { 2 } else { 0 }, "{kind:?}");
    }
    assert!(runs >= 110 && picks >= 900, "{runs} {picks}");
}

#[test]
fn no_scenario_is_forgotten() {
    let observed: BTreeSet<&str> = OBSERVED.split_whitespace().collect();
    let lines = tables();
    let mut seen = BTreeSet::new();
    let mut runs = BTreeSet::new();
    for (file, line) in &lines {
        let name = match line {
            Line::Row(row) => {
                for generation in &row.generations {
                    let new = runs.insert((&row.name, format!("{generation:?}")));
                    assert!(new, "{file}:{}: {} is there twice", row.line, row.name);
                }
                &row.name
            }
            Line::Later { name, .. } => name,
        };
        let variant_of = || name.split('/').next().filter(|base| observed.contains(base));
        let known = observed.get(name.as_str()).copied().or_else(variant_of);
        assert!(known.is_some(), "{file}: {name} is not in the list");
        seen.extend(known);
    }
    let forgotten: Vec<_> = observed.difference(&seen).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}");
}

/// The one row of a table.
fn row(text: &str) -> table::Row {
    match table::read(text).map(|mut lines| lines.pop()) {
        Ok(Some(Line::Row(row))) => row,
        other => panic!("{other:?}"),
    }
}

/// A table that says something else than the kernel did is found out.
#[test]
fn wrong_expectations_fail() {
    let rows = [
        (
            "tcp rr | add 1 2 3; pick 3 2; pick 1 3 1",
            "step 3 `pick 1 3 1`: pick 3: expected 1, got 2",
        ),
        ("tcp rr | add 1:w0; pick 1", "step 2 `pick 1`: pick 1: expected 1, got X"),
        ("tcp rr | add 1; pick X", "step 2 `pick X`: pick 1: expected X, got 1"),
        ("tcp rr | add 1:p81; pick 1", "step 2 `pick 1`: pick 1: expected 1, got 1:81"),
        (
            "tcp lc | add 1; pick 1; fin 1; counts 1=1+0",
            "step 4 `counts 1=1+0`: counts: expected [(1, 1, 0)], got [(1, 0, 1)]",
        ),
        ("tcp rr | add 1 2; tally 1=3 2=1", "step 2 `tally 1=3 2=1`: tally: expected "),
        ("tcp rr | add 1; pick 1; fin 1 1", "step 3 `fin 1 1`: server 1 has no such connection"),
        ("tcp rr | add 1; pick 1; expire 2", "step 3 `expire 2`: server 2 has no such connection"),
        ("tcp rr | add 1; pick 1; delete 2", "step 3 `delete 2`: there is no server 2"),
        ("tcp rr | add 1; pick 1; on udp", "step 3 `on udp`: the row has no such service"),
        (
            "tcp rr | add 1 1; pick 1",
            "step 1 `add 1 1`: service tcp 10.1.0.1:80: server 10.9.0.1:80: exists",
        ),
        ("fwmark rr | add 1; mark 8; pick 1", "step 3 `pick 1`: no service takes the packet"),
        ("tcp rr sh-port | add 1; pick 1", "rr has no flag `sh-port`"),
    ];
    for (text, expected) in rows {
        let failure = world::run(&row(&format!("x | B | {text}")), KernelRules::B);
        let why = failure.expect_err(text);
        assert!(why.starts_with(expected), "{text}: {why}");
    }
}

#[test]
fn malformed_tables_are_refused() {
    let rows = [
        ("x | A | tcp rr", "expected name | generations | services | steps"),
        ("x y | A | tcp rr | pick X", "expected a name without blanks, found `x y`"),
        ("x | B A | tcp rr | pick X", "expected `A`, `B` or `A B`, found `B A`"),
        ("x | A | http rr | pick X", "expected tcp, tcp6, udp, sctp or fwmark, found `http`"),
        ("x | A | tcp rrr | pick X", "expected a scheduler of the kernel, found `rrr`"),
        ("x | A | tcp | pick X", "expected a scheduler of the kernel, found ``"),
        ("x | A | tcp rr | add 1", "expected a pick or a tally in the row"),
        ("x | A | tcp rr | add 1; pick 1;", "step 3: expected a step, found ``"),
        ("x | A | tcp rr | add 1; choose 1", "step 2: expected a step, found `choose 1`"),
        ("x | A | tcp rr | add; pick 1", "step 1: expected a step, found `add`"),
        ("x | A | tcp rr | add 300; pick X", "step 1: expected a server, found `300`"),
        (
            "x | A | tcp rr | add 1:x2; pick X",
            "step 1: expected w, u, l or p and a number, found `x2`",
        ),
        ("x | A | tcp rr | add 1:w; pick X", "step 1: expected a weight, found ``"),
        ("x | A | tcp rr | add 1:w-1; pick X", "step 1: expected a weight, found `-1`"),
        (
            "x | A | tcp rr | add 1:w1:w2; pick X",
            "step 1: expected each letter once, found `1:w1:w2`",
        ),
        ("x | A | tcp rr | add 1; apply 2; pick X", "step 2: only the first can apply"),
        ("x | A | tcp rr | pick x", "step 1: expected a server or X, found `x`"),
        ("x | A | tcp rr | tally 1", "step 1: expected server=count, found `1`"),
        (
            "x | A | tcp rr | counts 1=2; pick X",
            "step 1: expected server=active+inactive, found `1=2`",
        ),
        (
            "x | A | tcp rr | open 1 busy 2; pick X",
            "step 1: expected active or inactive, found `busy`",
        ),
        (
            "x | A | tcp rr | scheduler rrr; pick X",
            "step 1: expected a scheduler of the kernel, found `rrr`",
        ),
        (
            "x | A | tcp rr | from 10.0.0.9-8; pick X",
            "step 1: expected a rising range, found `10.0.0.9-8`",
        ),
        (
            "x | A | tcp rr | to 10.0.0.250-260; pick X",
            "step 1: expected an address, perhaps with a port or a range, found `10.0.0.250-260`",
        ),
        ("later | x | why | what", "expected later | name | why | scenario | observed"),
        ("later | x || what | seen", "expected something in each column"),
    ];
    for (text, expected) in rows {
        let why = table::read(&format!("# a comment\n\n{text}")).expect_err(text);
        assert_eq!(why, format!("line 3: {expected}"), "{text}");
    }
}
