//! The targets of the Makefile: `cargo xtask NAME`. Variables come from the environment, where
//! `make NAME VARIABLE=value` puts them.

mod api;
mod bench;
mod bench_director;
mod capi;
mod cost;
mod docs;
mod examples;
mod ffi;
mod fuzz;
mod hosts;
mod kernel;
mod links;
mod package;
mod packages;
mod project;
mod semver;
mod suite;
mod toolchains;
mod tools;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::project::Project;

/// A target of the Makefile.
struct Task {
    name: &'static str,
    help: &'static str,
    run: fn(&Project) -> Result<()>,
}

macro_rules! tasks {
    ($($name:literal $run:path: $help:literal,)*) => {
        &[$(Task { name: $name, help: $help, run: $run }),*]
    };
}

const TASKS: &[Task] = tasks! {
    "help" help: "this list",
    "run" suite::run: "a real TCP director on 127.0.0.1, with two real servers",
    "quick" suite::quick: "before each commit: format, clippy, unit tests, traces, texts",
    "test" suite::test: "every test, as CI runs them; installs the Debian packages it lacks",
    "deps" packages::install: "installs the Debian packages that are missing",
    "doc" docs::doc: "the documentation, in target/doc; its links, private ones included",
    "lib" capi::lib: "the C library, shared and static, in target/capi/lib",
    "picture" suite::picture: "docs/images/status.png, the example director's page after minutes of load",
    "spelling" tools::spelling: "spelling, with typos",
    "deny" tools::deny: "licenses, duplicates and sources of dependencies, with cargo-deny",
    "package" package::package: "the crate as it would be published: it builds, and it is small",
    "schema" docs::schema: "docs/vsched.schema.json, from the types of a config",
    "api" api::write: "tests/public-api/vsched.txt, the public Rust API as it is now",
    "api-check" api::check: "compares that file with the sources",
    "semver" semver::check: "with cargo-semver-checks: since the last release, or since BASELINE=COMMIT",
    "header" ffi::header: "include/vsched.h, from the comments in src/ffi",
    "abi" ffi::abi: "records the header's ABI; refuses what needs a new VSCHED_ABI_VERSION",
    "test-ffi" ffi::test: "every C function in every way, from C: checked, sanitized, watched",
    "test-c-examples" examples::test: "the C and C++ examples, by both compilers, with real servers",
    "hosts-nginx" hosts::nginx: "nginx modules with a real nginx; WORD picks tests",
    "hosts-test" hosts::test: "the modules in hosts/, in their hosts",
    "test-packaging" capi::test_packaging: "installs in a temporary folder and builds against it",
    "test-portable" suite::portable: "unit tests and traces, built as for processors without AVX2",
    "tsan" ffi::tsan: "the storm of the C tests under ThreadSanitizer; needs nightly Rust",
    "hot-path" cost::hot_path: "the hot path's object code: no allocator, lock, system call or panic",
    "cost" cost::cost: "instructions of the hot path; fails if 2 % more than the baseline",
    "baseline" cost::baseline: "ffi-tests/instructions.txt, the baseline of `make cost`, anew",
    "msrv" toolchains::msrv: "builds with the Rust that Cargo.toml states, if installable",
    "targets" toolchains::targets: "builds for the platforms that README names, if installable",
    "fuzz" fuzz::fuzz: "a minute (SECONDS_EACH) of rules, JSON, netlink bytes, C calls each",
    "fuzz-short" fuzz::short: "the same for two seconds each, where nightly Rust is installed",
    "mutants" fuzz::mutants: "changes the core (SHARD=k/n): do tests notice? needs cargo-mutants",
    "soak" fuzz::soak: "property tests, stopped threads, killed processes, corrupted blocks, for hours",
    "kernel-soak" kernel::soak: "a million decisions (VSCHED_DECISIONS) beside a real kernel",
    "kernel-newer" kernel::newer: "kernel tests (WORDS) on newer Debians' kernels (SUITES)",
    "bench" bench::bench: "beside other balancers, six to twelve minutes; results in target/bench",
    "bench-quick" bench::quick: "the same in one launch, two minutes: a look, no figures to quote",
    "bench-doc" bench::doc: "puts the latest table of `make bench` into docs/performance.md",
    "bench-check" bench::check: "format, clippy and tests of the harness, with all peers",
    "bench-schedulers" bench::schedulers: "nanoseconds per pick and open + close, by scheduler",
    "bench-rules" bench::rules: "nanoseconds per line of a rules text, by what the lines do",
    "bench-ticks" bench::ticks: "how long a tick takes, and keeps other threads from the director's lock",
    "bench-director" bench_director::run: "the example director beside nginx and HAProxy: requests a second",
    "bench-tower" bench::tower: "vsched-tower beside tower's own balancer: requests a second, p99",
    "bench-pingora" bench::pingora: "vsched-pingora beside pingora's round robin: requests a second, p99",
    "bench-kernel" bench::kernel: "what telling a real kernel costs, beside ipvsadm",
};

/// Targets that the Makefile runs itself, because they must not need cargo.
const WITHOUT_CARGO: &[(&str, &str)] = &[
    ("install", "header, library, vsched.pc, CMake package: DESTDIR, PREFIX, LIBDIR, INCLUDEDIR"),
    ("install-strip", "the same without debug information"),
    ("uninstall", "takes away what `make install` put there, with the same variables"),
];

fn help(_: &Project) -> Result<()> {
    let tasks = TASKS.iter().map(|task| (task.name, task.help));
    for (name, help) in tasks.chain(WITHOUT_CARGO.iter().copied()) {
        println!("make {name:16} {help}");
    }
    Ok(())
}

fn main() -> ExitCode {
    // Without a backtrace, whatever RUST_BACKTRACE says: it would only show this program.
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "help".to_owned());
    if let Some(more) = arguments.next() {
        bail!("{more}: a task takes no arguments, but variables of the environment");
    }
    let task = TASKS.iter().find(|task| task.name == name);
    let task = task.with_context(|| format!("no task {name}; `cargo xtask help` lists them"))?;
    (task.run)(&Project::new()?).with_context(|| format!("make {name} failed"))
}

#[cfg(test)]
mod tests {
    use super::{TASKS, WITHOUT_CARGO};

    /// The Makefile offers exactly the tasks that exist.
    #[test]
    fn the_makefile_has_every_task() {
        let makefile = include_str!("../../Makefile").replace("\\\n", " ");
        let phony = makefile.lines().find_map(|line| line.strip_prefix("TASKS := "));
        let mut found: Vec<&str> = phony.expect("TASKS").split_whitespace().collect();
        let mut wanted: Vec<&str> = TASKS.iter().map(|task| task.name).collect();
        found.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(found, wanted);
        for (name, _) in WITHOUT_CARGO {
            assert!(makefile.lines().any(|line| line.starts_with(&format!("{name}:"))), "{name}");
        }
        assert!(makefile.lines().count() <= 100);
    }

    #[test]
    fn help_fits_a_terminal() {
        let tasks = TASKS.iter().map(|task| task.help);
        for help in tasks.chain(WITHOUT_CARGO.iter().map(|(_, help)| *help)) {
            assert!(help.len() <= 78, "{help}");
        }
    }
}
