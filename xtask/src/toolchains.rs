//! Builds with the oldest supported Rust and for other platforms, in target/toolchains. What cannot
//! be installed here is skipped, with a line that begins with SKIPPED.

use anyhow::{Context, Result};
use xshell::cmd;

use crate::project::{Project, find_program, skipped, variable};

/// The platforms of README that are only type-checked, and how; a test compares the two lists.
const PLATFORMS: &[(&str, &str)] = &[
    ("aarch64-apple-darwin", "--features capi,netlink"),
    ("x86_64-pc-windows-gnu", "--features capi,netlink"),
    ("x86_64-pc-windows-msvc", "--features capi,netlink"),
    ("wasm32-unknown-unknown", "--no-default-features"),
];

fn has_rustup(what: &str) -> bool {
    let found = find_program("rustup").is_some();
    if !found {
        skipped(&format!("{what}: there is no rustup to install it with"));
    }
    found
}

fn check(project: &Project, toolchain: &str, rustflags: &str, words: &str) -> Result<()> {
    let words = words.split_whitespace();
    let check = "check --quiet --lib --target-dir target/toolchains".split(' ');
    let command = cmd!(project.sh, "rustup run {toolchain} cargo {check...} {words...}");
    command.env("RUSTFLAGS", rustflags).run().map_err(Into::into)
}

pub(crate) fn msrv(project: &Project) -> Result<()> {
    if !has_rustup("msrv") {
        return Ok(());
    }
    let version = project.package()?.rust_version.context("no rust-version in Cargo.toml")?;
    let version = &format!("{}.{}", version.major, version.minor);
    let sh = &project.sh;
    let installed = cmd!(sh, "rustup run {version} rustc --version").quiet().ignore_stderr();
    if installed.read().is_err()
        && cmd!(sh, "rustup toolchain install {version} --profile minimal").run().is_err()
    {
        skipped(&format!("msrv: Rust {version} cannot be installed"));
        return Ok(());
    }
    // Warnings of an old compiler are not relevant.
    let rustflags = &format!("{} -A warnings", variable("RUSTFLAGS", ""));
    for features in ["", "--features capi", "--features netlink"] {
        check(project, version, rustflags, &format!("--no-default-features {features}"))?;
    }
    check(project, version, rustflags, "--features capi,netlink")
}

/// Builds with the Rust in use here, for other platforms.
pub(crate) fn targets(project: &Project) -> Result<()> {
    if !has_rustup("targets") {
        return Ok(());
    }
    let sh = &project.sh;
    let active = cmd!(sh, "rustup show active-toolchain").read()?;
    let active = active.split(' ').next().unwrap_or_default();
    let installed = cmd!(sh, "rustup target list --installed").read()?;
    let rustflags = variable("RUSTFLAGS", "");
    for (triple, words) in PLATFORMS {
        let is_installed = installed.lines().any(|line| line == *triple);
        if !is_installed && cmd!(sh, "rustup target add {triple}").run().is_err() {
            skipped(&format!("{triple}: its standard library cannot be installed"));
            continue;
        }
        check(project, active, &rustflags, &format!("--target {triple} {words}"))?;
        if triple.starts_with("wasm") {
            // With random numbers that the host supplies.
            let custom = "--cfg getrandom_backend=\"custom\"";
            check(project, active, custom, &format!("--target {triple}"))?;
        }
    }
    Ok(())
}
