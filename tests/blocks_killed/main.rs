//! Processes that share a block are killed at any instruction, beside others that go on; whoever reclaims what
//! they held finds every count exact.
//!
//! In each round a process is killed in the middle of connections, picks, edits, ticks or reclaiming: by a
//! timer, or after a random number of single steps. Another one goes on beside it. In the end both have been
//! reclaimed, and the servers have exactly the connections that this program itself has open, its own rotation
//! goes on, and every slot that only they used is free again.
//!
//! VSCHED_KILLS is the number of rounds, VSCHED_SEED the seed of the random numbers.

#[path = "../common/mod.rs"]
mod common;

#[cfg(target_os = "linux")]
mod run;

fn main() {
    #[cfg(target_os = "linux")]
    run::main();
    #[cfg(not(target_os = "linux"))]
    println!("SKIPPED: processes are stepped and killed on Linux only");
}
