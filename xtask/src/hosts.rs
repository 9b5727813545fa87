//! Modules for other programs in hosts/: builds them and tests them in their hosts.

use anyhow::Result;
use xshell::cmd;

use crate::project::Project;
use crate::{capi, packages};

/// All hosts.
pub(crate) fn test(project: &Project) -> Result<()> {
    nginx(project)
}

/// The nginx modules: builds them against the headers of the nginx that is installed, and runs
/// hosts/nginx/tests, or those with WORD in their names.
pub(crate) fn nginx(project: &Project) -> Result<()> {
    packages::install(project)?;
    packages::install_nginx_headers(project)?;
    capi::lib(project)?;
    let modules = project.path("target/nginx");
    cmd!(project.sh, "make -C hosts/nginx OUT={modules}").run()?;
    let program = project.build_program("build --release -p vsched-hosts-nginx")?;
    let word = crate::project::variable("WORD", "");
    cmd!(project.sh, "{program} {modules} {word}").run()?;
    Ok(())
}
