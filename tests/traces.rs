//! Decisions equal those recorded from real kernels: see `tests/data/traces/README.md`.

#[path = "../examples/replay/cli.rs"]
mod cli;
#[path = "../examples/replay/engine.rs"]
mod engine;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use engine::trace::{Event, Place, Trace};
use engine::{Mismatch, Outcome, Report};
use serde_json::{Value, json};
use vsched::SchedulerKind;
use vsched::config::KernelRules;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/traces");
/// What the kernels of the recordings schedule by.
const RECORDED: [&str; 13] =
    ["rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf", "sh", "dh", "mh", "lblc", "lblcr"];
/// Schedulers of Linux without recordings: twos draws random numbers, so no single pick of it is right.
const NOT_RECORDED: [&str; 1] = ["twos"];

/// Every line of every file.
fn lines() -> Vec<(Place, String)> {
    let mut files: Vec<_> = std::fs::read_dir(DATA)
        .expect("the traces are part of the repository")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "jsonl"))
        .collect();
    files.sort();
    let mut lines = Vec::new();
    for path in files {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(&path).expect("readable");
        for (index, line) in text.lines().enumerate() {
            let (file, line_number) = (file.clone(), index + 1);
            let place = Place { file, line: line_number };
            lines.push((place, line.to_owned()));
        }
    }
    lines
}

fn read(place: &Place, line: &str) -> Trace {
    Trace::read(place.clone(), line).unwrap_or_else(|error| panic!("{error}"))
}

/// `None` if this build does not know the scheduler.
fn replay(trace: &Trace) -> Option<Report> {
    match engine::replay(trace).unwrap_or_else(|error| panic!("{error}")) {
        Outcome::Replayed(report) => Some(report),
        Outcome::Unsupported(_) => None,
    }
}

fn texts(mismatches: &[Mismatch]) -> String {
    let texts: Vec<String> = mismatches.iter().map(Mismatch::to_string).collect();
    texts.join("\n")
}

#[test]
fn every_recorded_decision_is_ours() {
    let mut decisions: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut unsupported = BTreeSet::new();
    for (place, line) in lines() {
        let trace = read(&place, &line);
        let picks = |step: &&engine::trace::Step| matches!(step.event, Event::Pick { .. });
        match replay(&trace) {
            None => {
                unsupported.insert(trace.scheduler);
            }
            Some(report) => {
                assert_eq!(report.mismatches, 0, "{}", texts(&report.first));
                assert_eq!(report.decisions, trace.steps.iter().filter(picks).count());
                assert!(report.counts > 0, "{}:{}", place.file, place.line);
                let (a, b) = decisions.entry(trace.scheduler).or_default();
                *(if trace.generation == KernelRules::A { a } else { b }) += report.decisions;
            }
        }
    }
    println!("decisions by scheduler, kernel rules A and B: {decisions:?}");
    println!("not in this build: {unsupported:?}");
    // Whatever is registered has been replayed, and whatever was not replayed is not registered.
    for kind in SchedulerKind::ALL {
        let (a, b) = decisions.get(kind.name()).copied().unwrap_or_default();
        let recorded = kind.in_linux() && !NOT_RECORDED.contains(&kind.name());
        assert!(!recorded || a > 300 && b > 300, "{kind:?}: {a} {b}");
    }
    for name in RECORDED {
        let known = name.parse::<SchedulerKind>().is_ok();
        assert_eq!(unsupported.contains(name), !known, "{name}");
        assert_eq!(decisions.contains_key(name), known, "{name}");
    }
    assert!(decisions.len() >= 8);
}

/// The recordings tell the generations apart: replayed by the other's rules they disagree.
#[test]
fn the_other_generation_disagrees() {
    let mut by_scheduler: BTreeMap<String, usize> = BTreeMap::new();
    for (place, line) in lines() {
        let mut trace = read(&place, &line);
        trace.generation = match trace.generation {
            KernelRules::A => KernelRules::B,
            _ => KernelRules::A,
        };
        if let Some(report) = replay(&trace) {
            *by_scheduler.entry(trace.scheduler).or_default() += report.mismatches;
        }
    }
    println!("mismatches under the other generation: {by_scheduler:?}");
    for name in ["lc", "wlc"] {
        assert!(by_scheduler[name] > 0, "{name}");
    }
}

/// The first line of this scheduler, as JSON.
fn recording(scheduler: &str) -> (Place, Value) {
    lines()
        .into_iter()
        .map(|(place, line)| (place, serde_json::from_str::<Value>(&line).expect("JSON")))
        .find(|(_, value)| value["scheduler"] == scheduler)
        .expect("it is recorded")
}

fn report(place: &Place, value: &Value) -> Report {
    replay(&read(place, &value.to_string())).expect("it is registered")
}

#[test]
fn an_altered_pick_is_found() {
    for scheduler in ["rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf"] {
        let (place, mut value) = recording(scheduler);
        let events = value["events"].as_array_mut().expect("events");
        let chosen = |event: &Value| event[0] == "pick" && event[6].is_string();
        let (at, _) =
            events.iter().enumerate().filter(|(_, event)| chosen(event)).nth(20).expect("20 picks");
        let truth = events[at][6].as_str().expect("a server").to_owned();
        // Not chosen by the kernel: nothing was, or so says the altered recording.
        events[at][6] = Value::Null;
        let id = events[at][1].clone();
        events.retain(|event| event[0] == "pick" || event[1] != id);

        let found = report(&place, &value);
        let first = &found.first[0];
        assert!(found.mismatches > 0);
        assert_eq!(
            (first.event, first.place.line, first.place.file.as_str()),
            (at, place.line, place.file.as_str())
        );
        let text = first.to_string();
        let head = format!(
            "{}:{}: event {at}: expected no server, got {truth}\n    event {}: ",
            place.file,
            place.line,
            at - 5
        );
        assert!(text.starts_with(&head), "{text}");
        assert_eq!(text.matches("\n    event ").count(), 6, "{text}");
        assert!(text.contains("\n    servers: 10.9.0."), "{text}");
    }
}

#[test]
fn altered_counts_are_found() {
    let (place, mut value) = recording("wlc");
    let events = value["events"].as_array_mut().expect("events");
    let (at, counts) = events
        .iter_mut()
        .enumerate()
        .find(|(_, event)| event[0] == "counts" && event[1] != json!([]))
        .expect("counts");
    let active = &mut counts[1][0][1];
    *active = json!(active.as_u64().expect("a number") + 1);
    let found = report(&place, &value);
    assert_eq!((found.mismatches, found.first[0].event), (1, at));
    assert_ne!(found.first[0].expected, found.first[0].got);
}

#[test]
fn more_mismatches_are_counted_than_shown() {
    let (place, mut value) = recording("rr");
    for event in value["events"].as_array_mut().expect("events") {
        if event[0] == "pick" {
            event[6] = Value::Null;
        }
    }
    value["events"]
        .as_array_mut()
        .expect("events")
        .retain(|event| !["inactive", "expire", "counts"].contains(&event[0].as_str().expect("")));
    let found = report(&place, &value);
    assert!(found.mismatches > 100);
    assert_eq!(found.first.len(), engine::REPORTED);
}

fn command(words: &[&str]) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    let code = cli::run(words, &mut out, &mut err).expect("memory is writable");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (code, text(out), text(err))
}

#[test]
fn the_command_says_what_differs() {
    let directory = env!("CARGO_TARGET_TMPDIR");
    let file = |name: &str, value: &str| {
        let path = format!("{directory}/{name}.jsonl");
        std::fs::write(&path, value).expect("the target directory is writable");
        path
    };
    let rr = recording("rr").1;
    let mut altered = rr.clone();
    altered["events"] = json!([
        ["add", "10.9.0.1:80", 1, 0, 0],
        ["pick", 1, "172.16.0.1", 4000, "10.1.0.1", 1001, null]
    ]);
    let mut unknown = altered.clone();
    unknown["scheduler"] = json!("nobody");
    let good = file("good", &rr.to_string());
    let bad = file("altered", &format!("{rr}\n{altered}"));
    let unknown = file("unknown", &unknown.to_string());
    let broken = file("malformed", &format!("{rr}\n{{}}\n"));
    let empty = file("empty", "");

    assert_eq!(command(&[&good]).0, cli::AGREED);
    let (code, out, err) = command(&[&good, &bad]);
    assert_eq!(code, cli::DIFFERS);
    let place = format!("{bad}:2: event 1: expected no server, got 10.9.0.1:80\n");
    assert!(err.starts_with(&place), "{err}");
    assert!(out.contains("total: 3 traces, ") && out.contains(" 1 mismatches, 0 uns"), "{out}");

    let (code, out, _) = command(&[&unknown]);
    assert_eq!(code, cli::AGREED);
    assert!(out.contains("unsupported: this build has no `nobody`"), "{out}");
    assert_eq!(command(&["--strict", &unknown]).0, cli::DIFFERS);
    assert_eq!(command(&["--strict", &good]).0, cli::AGREED);

    let (code, _, err) = command(&[&broken]);
    assert_eq!(code, cli::DIFFERS);
    let named = format!("{broken}:2: missing field `events`: expected an array\n");
    assert_eq!(err, named);
    assert_eq!(command(&[&empty]).0, cli::DIFFERS);
    assert_eq!(command(&["--help"]).0, cli::AGREED);
    for usage in [&[][..], &["--fast", &good], &["/nowhere/at-all.jsonl"]] {
        let (code, out, err) = command(usage);
        assert_eq!((code, out.as_str()), (cli::USAGE, ""), "{usage:?}");
        assert!(err.starts_with("replay: "), "{err}");
    }
}
