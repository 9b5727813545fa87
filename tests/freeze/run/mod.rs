//! The program, in its two roles: parent and child.

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

pub(crate) fn main() -> ExitCode {
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
