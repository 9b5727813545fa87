//! Benchmarks.

use anyhow::Result;
use xshell::Cmd;

use crate::project::Project;
use crate::{capi, packages};

/// The benchmark harness: a separate package, so that its dependencies stay out of the crate's.
fn harness(project: &Project, command: &str, more: &str) -> Result<()> {
    Ok(harness_command(project, command, more).run()?)
}

fn harness_command<'a>(project: &'a Project, command: &str, more: &str) -> Cmd<'a> {
    project.cargo_command(&format!(
        "{command} --release --manifest-path benches/peers/Cargo.toml --target-dir target/peers {more}"
    ))
}

pub(crate) fn bench(project: &Project) -> Result<()> {
    capi::lib(project)?;
    harness(project, "run", "")
}

pub(crate) fn quick(project: &Project) -> Result<()> {
    capi::lib(project)?;
    harness(project, "run", "-- --launches 1")
}

pub(crate) fn doc(project: &Project) -> Result<()> {
    harness(project, "run", "-- --doc docs/performance.md")
}

pub(crate) fn check(project: &Project) -> Result<()> {
    capi::lib(project)?;
    project.cargo("fmt --manifest-path benches/peers/Cargo.toml --check")?;
    harness(project, "clippy", "--all-targets -- -D warnings")?;
    harness(project, "clippy", "--all-targets --no-default-features -- -D warnings")?;
    harness(project, "test", "")
}

/// The harness's own tests, and each bench once without measuring; without the peers, which take minutes to
/// build.
pub(crate) fn smoke(project: &Project) -> Result<()> {
    project.cargo("bench --bench picks --bench rules --bench ticks -- --test")?;
    capi::lib(project)?;
    harness(project, "test", "--no-default-features")?;
    let once = harness_command(project, "run", "--no-default-features -- --test");
    // A smoke run measures nothing, so its figures are discarded.
    Ok(once.ignore_stdout().run()?)
}

pub(crate) fn tower(project: &Project) -> Result<()> {
    project.cargo("bench -p vsched-tower --bench balance")
}

pub(crate) fn pingora(project: &Project) -> Result<()> {
    packages::install(project)?;
    project.cargo("bench -p vsched-pingora")
}

pub(crate) fn schedulers(project: &Project) -> Result<()> {
    project.cargo("bench --bench picks")
}

pub(crate) fn rules(project: &Project) -> Result<()> {
    project.cargo("bench --bench rules")
}

pub(crate) fn ticks(project: &Project) -> Result<()> {
    project.cargo("bench --bench ticks")
}

pub(crate) fn kernel(project: &Project) -> Result<()> {
    packages::install(project)?;
    packages::require_kernel(project);
    project.cargo("test --release --features netlink --test kernel -- measure_")
}
