//! The C library that `make install` installs.

use std::env;
use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use xshell::cmd;

use crate::packages;
use crate::project::{LibraryNames, Project, library_names};

/// Where the C library is built, for this machine or for CARGO_BUILD_TARGET.
fn built(project: &Project) -> PathBuf {
    let folder = project.path("target/capi");
    match env::var("CARGO_BUILD_TARGET") {
        Ok(target) if !target.is_empty() => folder.join(target),
        _ => folder,
    }
}

/// Where `make install` and the tests find it.
pub(crate) fn folder(project: &Project) -> PathBuf {
    built(project).join("lib")
}

pub(crate) fn lib(project: &Project) -> Result<()> {
    let package = project.package()?;
    let LibraryNames { soname, file } = library_names(&package)?;
    let folder = folder(project);
    project.sh.create_dir(&folder)?;
    let native = built(project).join("release/native-static-libs");
    let soname_argument = format!("link-arg=-Wl,-soname,{soname}");
    let native_argument = format!("native-static-libs={}", native.display());
    let command = project.cargo_command(
        "rustc --release --lib --features capi --target-dir target/capi \
         --crate-type cdylib,staticlib",
    );
    let rustc = ["--", "-C", &soname_argument, "--print", &native_argument];
    let artifacts = project.build(command, &rustc)?;
    let files = artifacts.iter().flat_map(|artifact| &artifact.filenames);
    let named = |name: &str| {
        let found = files.clone().find(|path| path.file_name() == Some(name));
        found.with_context(|| format!("cargo built no {name}"))
    };
    project.sh.copy_file(named("libvsched.so")?, folder.join(&soname))?;
    project.sh.copy_file(named("libvsched.a")?, folder.join("libvsched.a"))?;
    cmd!(project.sh, "ln -sf {soname}").arg(folder.join("libvsched.so")).quiet().run()?;

    // For `make install`, which must not need cargo.
    let libraries = project.sh.read_file(&native)?;
    let description = package.description.as_deref().context("a description")?;
    let version = package.version.to_string();
    let template = project.sh.read_file("packaging/vsched.pc.in")?;
    let filled = template
        .replace("@VERSION@", &version)
        .replace("@DESCRIPTION@", description)
        .replace("@LIBS_PRIVATE@", libraries.trim());
    project.sh.write_file(folder.join("vsched.pc.in"), filled)?;
    let mut names = String::new();
    writeln!(names, "SONAME := {soname}\nLIBRARY := {file}")?;
    project.sh.write_file(folder.join("names.mk"), names)?;
    Ok(())
}

pub(crate) fn test_packaging(project: &Project) -> Result<()> {
    packages::install(project)?;
    lib(project)?;
    cmd!(project.sh, "python3 -B ffi-tests/packaging/run.py").run()?;
    Ok(())
}

/// The functions that the shared library exports.
pub(crate) fn exported(project: &Project) -> Result<Vec<String>> {
    let library = folder(project).join("libvsched.so");
    let text = cmd!(project.sh, "nm -D --defined-only {library}").quiet().read()?;
    let names: Vec<String> =
        text.lines().filter_map(|line| line.split(' ').nth(2)).map(str::to_owned).collect();
    ensure!(!names.is_empty(), "the library exports nothing");
    Ok(names)
}
