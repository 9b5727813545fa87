//! The whole test suite, in order.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::project::Project;
use crate::{
    api, bench, capi, cost, docs, examples, ffi, fuzz, hosts, package, packages, toolchains, tools,
};

/// The tests that `make quick` runs.
const TEXTS: &str = "--lib --test netlink --test traces --test kernel_scenarios --test layering --test readme --test words";

/// All features that need no other system.
const FEATURES: &str = "capi,netlink,schema,vsched-tower/metrics,vsched-tower/tracing";

pub(crate) fn run(project: &Project) -> Result<()> {
    project.cargo("run --release --example director")
}

fn lints(project: &Project) -> Result<()> {
    project.cargo("fmt --all --check")?;
    project.cargo(&format!("clippy --workspace --all-targets --features {FEATURES} -- -D warnings"))
}

/// The status page of the example director after minutes of load, for the README.
pub(crate) fn picture(project: &Project) -> Result<()> {
    packages::install(project)?;
    project.cargo("build --example director")?;
    project.cargo("test --test director_example -- --ignored --nocapture picture")
}

pub(crate) fn quick(project: &Project) -> Result<()> {
    tools::spelling(project)?;
    lints(project)?;
    project.cargo(&format!("test --features netlink {TEXTS}"))?;
    project.cargo("test -p vsched-header -p xtask")
}

/// Not part of `make test`, because the crate and its dev-dependencies are built again.
pub(crate) fn portable(project: &Project) -> Result<()> {
    let command = project
        .cargo_command("test --target-dir target/portable --lib --test traces --test least_bound");
    command.env("RUSTFLAGS", "--cfg vsched_portable").run()?;
    Ok(())
}

/// Behavior, storms, threads that are stopped, property tests, loom models, examples as processes,
/// adapters between real servers, and a real kernel's IPVS in a kernel that runs as a process.
fn everything(project: &Project) -> Result<()> {
    project.cargo(&format!("test --workspace --features {FEATURES}"))
}

/// Without serde, netlink and random numbers, the rest must still build and pass.
fn minimal(project: &Project) -> Result<()> {
    project.cargo("test --no-default-features --lib --test alloc --test storm")
}

/// The two commands of the README, as a user types them.
fn readme_commands(project: &Project) -> Result<()> {
    project.cargo("run --release --example director -- --requests 30")?;
    let mut traces = project.sh.read_dir("tests/data/traces")?;
    traces.retain(|path| path.extension().is_some_and(|end| end == "jsonl"));
    ensure!(!traces.is_empty(), "no traces");
    project.cargo_command("run --release --example replay --").args(traces).run()?;
    Ok(())
}

type Step = (&'static str, fn(&Project) -> Result<()>);
const STEPS: &[Step] = &[
    ("packages", packages::install),
    ("spelling", tools::spelling),
    ("deny", tools::deny),
    ("format and clippy", lints),
    ("tests of the workspace", everything),
    ("tests without features", minimal),
    ("msrv", toolchains::msrv),
    ("targets", toolchains::targets),
    ("test-ffi", ffi::test),
    ("hot-path", cost::hot_path),
    ("cost", cost::cost),
    ("doc", docs::doc),
    ("api-check", api::check),
    ("package", package::package),
    ("test-packaging", capi::test_packaging),
    ("benches once through", bench::smoke),
    ("commands of the README", readme_commands),
    ("test-c-examples", examples::test),
    ("hosts-test", hosts::test),
    ("fuzz-short", fuzz::short),
];

pub(crate) fn test(project: &Project) -> Result<()> {
    packages::require_kernel(project);
    packages::require_programs(project);
    let mut times = Vec::new();
    for (name, step) in STEPS {
        eprintln!("== {name}");
        let start = Instant::now();
        step(project).with_context(|| format!("step: {name}"))?;
        times.push((name, start.elapsed().as_secs()));
    }
    let all: u64 = times.iter().map(|(_, seconds)| seconds).sum();
    for (name, seconds) in times {
        println!("{seconds:>6} s  {name}");
    }
    println!("{all:>6} s  in all");
    Ok(())
}
