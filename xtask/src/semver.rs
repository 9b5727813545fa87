//! Compares the public Rust API with that of a release.

use anyhow::{Result, bail};
use xshell::cmd;

use crate::project::{Project, variable};
use crate::{api, tools};

/// Checks with cargo-semver-checks that the next version's number allows its changes: since the latest
/// release, or since the commit in BASELINE.
pub(crate) fn check(project: &Project) -> Result<()> {
    let commit = variable("BASELINE", "");
    if commit.is_empty() && !is_released(project)? {
        println!("No release of vsched to compare with; BASELINE=COMMIT compares with a commit.");
        return Ok(());
    }
    let since = if commit.is_empty() { Vec::new() } else { vec!["--baseline-rev", &commit] };
    let features = api::features(project)?;
    let program = tools::semver_checks(project)?;
    let options = "--package vsched --only-explicit-features --features".split(' ');
    cmd!(project.sh, "{program} semver-checks {options...} {features} {since...}").run()?;
    Ok(())
}

/// True if the registry has the crate. That the registry cannot be asked is an error.
fn is_released(project: &Project) -> Result<bool> {
    // Offline, cargo says of every crate that it cannot be found.
    let ask = "info --config net.offline=false --color never --registry crates-io vsched";
    let answer = project.cargo_command(ask).ignore_status().quiet().output()?;
    let complaint = String::from_utf8_lossy(&answer.stderr);
    if !answer.status.success() && !complaint.contains("could not find `vsched` in registry") {
        bail!("is there a release? {}", complaint.trim());
    }
    Ok(answer.status.success())
}
