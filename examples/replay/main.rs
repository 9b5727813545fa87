//! Replays decisions recorded from Linux kernels and reports where this library decides otherwise.
//!
//! `cargo run --release --example replay -- tests/data/traces/*.jsonl`

#[path = "cli.rs"]
mod cli;
#[path = "engine.rs"]
mod engine;

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    let code = cli::run(std::env::args_os().skip(1), &mut out, &mut err);
    match code.and_then(|code| out.flush().map(|()| code)) {
        Ok(code) => ExitCode::from(code),
        // The report cannot be written: whether all agree stays unknown.
        Err(_) => ExitCode::FAILURE,
    }
}
