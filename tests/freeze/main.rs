//! A thread that is stopped anywhere on the hot path blocks no other thread.
//!
//! The program starts itself again as a child and traces one of its threads: it steps that thread a
//! random number of instructions into a pick, an open, an update or a close, and leaves it there.
//! The child's other threads must then pick, connect, update, close and reload to the end. The
//! stopped thread resumes, and may be stopped again in the same call. After thousands of such stops
//! all counts are exact, and no old table is left.
//!
//! `cargo test --test freeze -- WORD…` runs the scenarios whose names contain a word. VSCHED_STOPS
//! is the number of stops in each call of each scenario, VSCHED_SEED the seed of the random
//! numbers.

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
