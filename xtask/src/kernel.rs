//! Tests against real kernels that run long, or on other kernels than the installed one.

use std::env;

use anyhow::Result;
use xshell::cmd;

use crate::packages;
use crate::project::{Project, seed, variable};

/// Debug assertions stay enabled, unlike in a release build.
pub(crate) fn soak(project: &Project) -> Result<()> {
    packages::install(project)?;
    packages::require_kernel(project);
    let test = "test --features capi,netlink --test kernel -- soak_side";
    project.cargo_command(test).env("VSCHED_SEED", seed()).run()?;
    Ok(())
}

/// Runs the kernel tests on the kernels of newer Debian suites.
pub(crate) fn newer(project: &Project) -> Result<()> {
    packages::install(project)?;
    packages::require_kernel(project);
    project.cargo("test --no-run --features capi,netlink --test kernel")?;
    let words = variable("WORDS", "");
    let path = env::var("PATH").unwrap_or_default();
    for suite in variable("SUITES", "trixie sid").split_whitespace() {
        let folder = project.path("target/kernels").join(suite);
        cmd!(project.sh, "tests/kernel/newer.sh {suite} target/kernels/{suite}").run()?;
        let test = format!("test --features capi,netlink --test kernel -- {words}");
        let command = project.cargo_command(&test);
        let command = command.env("PATH", format!("{}:{path}", folder.display()));
        command.env("UML_MODULES", folder.join("modules")).run()?;
    }
    Ok(())
}
