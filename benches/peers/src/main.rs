//! vsched next to its peers: every subject in one process and one harness, with whole picks as
//! users call them. `make bench` runs it; docs/performance.md explains the method and the figures.

mod allocations;
mod case;
mod figure;
mod instructions;
mod launch;
mod measure;
mod pace;
mod passes;
mod questions;
mod report;
mod servers;
mod subjects;
mod work;

use std::path::{Path, PathBuf};

const USAGE: &str = "usage: vsched-peers [--test | --doc FILE | [--launches N] [QUESTION…]]

  --test        every case once through, unmeasured
  --doc FILE    puts the latest table into FILE, between its markers
  --launches N  5 if not given
  QUESTION      size, connections, regimes, affinity, threads, table, scale, reload; all if none is given";

/// Where results go.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench")
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [launch::ARGUMENT, ..] => launch::one(&arguments[1..]),
        [instructions::ARGUMENT] => instructions::counted(),
        ["--test"] => launch::once(),
        ["--doc", file] => report::into_doc(&folder(), Path::new(file)),
        ["--launches", count, ..] if count.parse::<usize>().is_ok() => {
            measure(count.parse().unwrap_or(1), &arguments[2..]);
        }
        questions if !questions.iter().any(|word| word.starts_with('-')) => measure(5, &arguments),
        _ => {
            eprintln!("{USAGE}");
            std::process::exit(2);
        }
    }
}

fn measure(launches: usize, questions: &[String]) {
    let folder = folder();
    std::fs::create_dir_all(&folder).expect("a folder for results");
    let load_before = launch::load();
    let gathered = launch::all(launches, questions);
    eprintln!("instructions, by callgrind …");
    let counts = instructions::count(&folder);
    if counts.is_none() {
        eprintln!("no valgrind here: no instructions");
    }
    let loads = (load_before, launch::load());
    report::write(&folder, gathered, counts.unwrap_or_default(), launches, &loads);
}
