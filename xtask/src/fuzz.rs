//! Long-running searches for defects: fuzzing, mutants, soaks.

use anyhow::{Context, Result};
use xshell::cmd;

use crate::project::{Project, seed, skipped, variable};

/// Fuzz targets with the maximum length of their inputs: longer inputs only take longer.
const TARGETS: [(&str, u32); 4] = [("rules", 4096), ("config", 4096), ("wire", 1024), ("abi", 512)];

pub(crate) fn fuzz(project: &Project) -> Result<()> {
    each_for(project, &variable("SECONDS_EACH", "60"), &[])
}

fn each_for(project: &Project, seconds: &str, build: &[&str]) -> Result<()> {
    let sh = &project.sh;
    cmd!(sh, "python3 -B fuzz/seeds.py").run()?;
    for (target, longest) in TARGETS {
        let longest = longest.to_string();
        let options = [format!("-max_len={longest}"), format!("-max_total_time={seconds}")];
        cmd!(sh, "cargo +nightly fuzz run {build...} {target} -- {options...}").run()?;
    }
    Ok(())
}

/// Fuzzes for seconds; skipped without nightly Rust and cargo-fuzz.
pub(crate) fn short(project: &Project) -> Result<()> {
    let sh = &project.sh;
    if cmd!(sh, "rustc +nightly --version").quiet().ignore_stderr().read().is_err() {
        skipped("fuzzing: there is no nightly Rust");
        return Ok(());
    }
    let installed = cmd!(sh, "cargo fuzz --version").quiet().ignore_stderr().read().is_ok();
    if !installed && project.cargo("install --locked cargo-fuzz").is_err() {
        skipped("fuzzing: cargo-fuzz cannot be installed");
        return Ok(());
    }
    // Most of the time goes into the build: a fast profile, in a different folder than long runs.
    let _optimized = sh.push_env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
    let _symbols = sh.push_env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    let build = ["--codegen-units", "16", "--no-trace-compares"];
    each_for(project, "2", &[&build[..], &["--target-dir", "target/fuzz-short"]].concat())
}

/// Runs cargo-mutants, which reads .cargo/mutants.toml. OPTIONS are passed to it, such as `-f
/// src/sched/wrr.rs` or `--list`; SHARD is one of n parts, from 0/n to (n-1)/n.
pub(crate) fn mutants(project: &Project) -> Result<()> {
    let (shard, jobs) = (variable("SHARD", "0/1"), variable("JOBS", "2"));
    let options = variable("OPTIONS", "");
    let options = options.split_whitespace();
    // Separate folders, so that shards can run in parallel.
    let output = format!("target/mutants/{}", shard.replace('/', "-"));
    cmd!(project.sh, "cargo mutants --shard {shard} --jobs {jobs} --output {output} {options...}")
        .env("PROPTEST_CASES", variable("PROPTEST_CASES", "60"))
        .run()
        .context("cargo-mutants: `cargo install cargo-mutants`")
}

pub(crate) fn soak(project: &Project) -> Result<()> {
    let cases = variable("PROPTEST_CASES", "20000");
    project.cargo_command("test -p vsched-property").env("PROPTEST_CASES", cases).run()?;
    let stopped = project.cargo_command("test --test freeze").env("VSCHED_SEED", seed());
    stopped.env("VSCHED_STOPS", variable("VSCHED_STOPS", "1000")).run()?;
    let killed =
        project.cargo_command("test --release --features shared-memory --test blocks_killed");
    let killed = killed.env("VSCHED_SEED", seed());
    killed.env("VSCHED_KILLS", variable("VSCHED_KILLS", "100000")).run()?;
    corruption(project)
}

/// Changes words of a block that is in use, under AddressSanitizer: needs nightly Rust.
fn corruption(project: &Project) -> Result<()> {
    let test = "+nightly test --release --lib --features shared-memory --target x86_64-unknown-linux-gnu \
                --target-dir target/asan -- corruption";
    let changed = project.cargo_command(test).env("RUSTFLAGS", "-Zsanitizer=address");
    let changed = changed.env("VSCHED_SEED", seed());
    changed.env("VSCHED_CORRUPTIONS", variable("VSCHED_CORRUPTIONS", "10000000")).run()?;
    Ok(())
}
