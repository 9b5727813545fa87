//! Tests the C library from outside.

use std::path::PathBuf;

use anyhow::{Context, Result};
use xshell::cmd;

use crate::project::{Project, variable};
use crate::{capi, packages};

pub(crate) fn header(project: &Project) -> Result<()> {
    project.cargo("run --quiet -p vsched-header")
}

/// Writes ffi-tests/abi/vsched.abi from the header.
pub(crate) fn abi(project: &Project) -> Result<()> {
    cmd!(project.sh, "ffi-tests/abi/abi.sh write include/vsched.h").run()?;
    Ok(())
}

pub(crate) fn test(project: &Project) -> Result<()> {
    packages::install(project)?;
    capi::lib(project)?;
    // A second build, in which every function can be made to panic.
    let panicking = project.cargo_command(
        "rustc --lib --features capi --target-dir target/capi-panic --crate-type cdylib",
    );
    panicking.env("RUSTFLAGS", "--cfg vsched_force_panic").run()?;
    let sh = &project.sh;
    cmd!(sh, "cmake -S ffi-tests -B target/ffi-tests -G Ninja").run()?;
    cmd!(sh, "cmake --build target/ffi-tests").run()?;
    cmd!(sh, "ctest --test-dir target/ffi-tests --output-on-failure --timeout 300 -j 2").run()?;
    Ok(())
}

/// ThreadSanitizer: needs nightly Rust for the instrumentation. The standard library is not
/// instrumented.
pub(crate) fn tsan(project: &Project) -> Result<()> {
    packages::install(project)?;
    const TRIPLE: &str = "x86_64-unknown-linux-gnu";
    const FOLDER: &str = "target/capi-tsan";
    let flags = "-Copt-level=1 -Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer";
    let build = project.cargo_command(
        "+nightly rustc --lib --features capi --target x86_64-unknown-linux-gnu \
         --target-dir target/capi-tsan --crate-type staticlib",
    );
    build.env("RUSTFLAGS", flags).run()?;
    let (sh, cc) = (&project.sh, variable("CC", "cc"));
    let object = format!("{FOLDER}/storm.o");
    let compile = "-std=c11 -O1 -g -fsanitize=thread -Iinclude -c ffi-tests/programs/storm.c";
    let compile = compile.split_whitespace();
    cmd!(sh, "{cc} {compile...} -o {object}").run()?;
    let runtime = thread_sanitizer(project)?;
    let library = format!("{FOLDER}/{TRIPLE}/debug/libvsched.a");
    let whole = ["-Wl,--whole-archive".into(), runtime, "-Wl,--no-whole-archive".into()];
    let system = "-Wl,--export-dynamic -lgcc_s -lpthread -lm -ldl -lrt".split_whitespace();
    let program = format!("{FOLDER}/storm");
    cmd!(sh, "{cc} {object} {library} {whole...} {system...} -o {program}").run()?;
    cmd!(sh, "{program} 1000000").env("TSAN_OPTIONS", "halt_on_error=1").run()?;
    Ok(())
}

/// Rust's own sanitizer runtime: those of C compilers may be older than rustc's instrumentation
/// expects.
fn thread_sanitizer(project: &Project) -> Result<PathBuf> {
    let folder = cmd!(project.sh, "rustc +nightly --print target-libdir").read()?;
    let is_runtime = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("librustc") && name.ends_with("rt.tsan.a")
    };
    let found = project.sh.read_dir(&folder)?.into_iter().find(is_runtime);
    found.with_context(|| format!("no ThreadSanitizer in {folder}"))
}
