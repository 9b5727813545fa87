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

#[path = "../common/mod.rs"]
mod common;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod run;

/// Breakpoints, registers and single steps are those of one processor.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod run {
    pub(crate) fn main() -> std::process::ExitCode {
        println!("SKIPPED: threads are stopped on Linux and x86_64 only");
        std::process::ExitCode::SUCCESS
    }
}

fn main() -> std::process::ExitCode {
    run::main()
}
