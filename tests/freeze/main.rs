//! A thread that is stopped anywhere on the hot path holds up nobody: shown by stopping one.
//!
//! The program runs itself once more, as a child, and traces one of its threads: steps it a random
//! number of instructions into a pick, an open, an update, a close, and leaves it there. Other
//! threads of the child must then pick, connect, update, close and reload to the end. The stopped
//! thread goes on; maybe it is stopped again in the same call. After thousands of such stops all
//! counts are exact, and nothing of what was retired is left.
//!
//! `cargo test --test freeze -- WORD…` runs the scenarios whose names contain a word. VSCHED_STOPS
//! is the number of stops in each call of each scenario, VSCHED_SEED where the random numbers begin.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "../common/mod.rs"]
mod common;
mod frozen;
mod live;
mod ptrace;
mod scenarios;
mod symbols;
mod tracer;
mod trap;

use std::process::ExitCode;

use scenarios::Scenario;

const AS_CHILD: &str = "--as-child";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    let chosen = |scenario: &Scenario| {
        words.is_empty() || words.iter().any(|word| scenario.name.contains(word))
    };
    let scenarios: Vec<Scenario> = scenarios::all().into_iter().filter(chosen).collect();
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    if has(AS_CHILD) {
        frozen::run(&scenarios);
    } else if has("--list") {
        scenarios.iter().for_each(|scenario| println!("{}: test", scenario.name));
        return ExitCode::SUCCESS;
    } else if let Err(failure) = tracer::run(&scenarios, &words) {
        eprintln!("FAILED: {failure}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
