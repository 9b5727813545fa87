//! The instruction counts of the hot path, and checks of its object code.

use std::path::PathBuf;

use anyhow::Result;
use xshell::cmd;

use crate::project::{Project, variable};
use crate::{capi, packages};

/// The counterpart of benches/calls that calls the C library.
const C_CALLS: &str = "target/ffi/calls";
/// A pick's path for one scheduler: reached through a table of functions, one per scheduler.
const PICK_PATH: &str = "pick::pick_scheduler";
/// The hot path of a program in Rust: benches/calls/hot.rs.
const RUST_HOT: &str = "hot::*";
/// The hot path of the C library.
const C_HOT: [&str; 10] = [
    "vsched_worker_service_for",
    "vsched_worker_pick_server",
    "vsched_worker_pick_server_excluding",
    "vsched_worker_connect",
    "vsched_worker_open",
    "vsched_worker_open_pick",
    "vsched_worker_update",
    "vsched_worker_close",
    "vsched_worker_close_with",
    "vsched_worker_report",
];

/// Builds both programs; returns the path of the Rust program.
fn calls(project: &Project) -> Result<PathBuf> {
    packages::install(project)?;
    capi::lib(project)?;
    let program = project.build_program("build --release --bench calls")?;
    let (sh, cc) = (&project.sh, variable("CC", "cc"));
    sh.create_dir("target/ffi")?;
    let library = capi::folder(project);
    let library = library.display();
    let options = "-O2 -Wall -Wextra -Wpedantic -Werror -Iinclude ffi-tests/calls.c";
    let options = options.split_whitespace();
    let link = [format!("-L{library}"), format!("-Wl,-rpath,{library}"), "-lvsched".to_owned()];
    cmd!(sh, "{cc} {options...} -o {C_CALLS} {link...}").run()?;
    Ok(program)
}

pub(crate) fn cost(project: &Project) -> Result<()> {
    let program = calls(project)?;
    cmd!(project.sh, "python3 -B ffi-tests/cost.py {program} {C_CALLS}").run()?;
    Ok(())
}

pub(crate) fn baseline(project: &Project) -> Result<()> {
    let program = calls(project)?;
    cmd!(project.sh, "python3 -B ffi-tests/cost.py {program} {C_CALLS} --write").run()?;
    Ok(())
}

pub(crate) fn hot_path(project: &Project) -> Result<()> {
    let program = calls(project)?;
    let sh = &project.sh;
    let schedulers = cmd!(sh, "{program} --schedulers").read()?;
    let paths = &format!("{PICK_PATH}:{schedulers}");
    let library = capi::folder(project).join("libvsched.so");
    // First shows that the walk finds planted defects.
    cmd!(sh, "python3 -B ffi-tests/hot_path_test.py").run()?;
    let walk = "ffi-tests/hot_path.py";
    cmd!(sh, "python3 -B {walk} {program} {RUST_HOT} {paths} -- {library} {C_HOT...} {paths}")
        .run()?;
    Ok(())
}
