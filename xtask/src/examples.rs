//! Compiles and runs the C and C++ examples, with two compilers.

use anyhow::{Result, ensure};
use xshell::cmd;

use crate::project::Project;
use crate::{capi, packages};

const OUT: &str = "target/capi/examples";
const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];
const SANITIZE: [&str; 4] =
    ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
/// Most lines of an example, comments and blank lines included: short enough to read in ten minutes.
const LONGEST_EXAMPLE: usize = 400;

pub(crate) fn test(project: &Project) -> Result<()> {
    packages::install(project)?;
    capi::lib(project)?;
    let sh = &project.sh;
    sh.create_dir(OUT)?;
    let library = capi::folder(project);
    let library = library.display();
    let link = [format!("-L{library}"), format!("-Wl,-rpath,{library}"), "-lvsched".to_owned()];
    let link = &link;

    let director = "examples/c/director.c";
    for compiler in ["gcc", "clang"] {
        let program = format!("{OUT}/director-{compiler}");
        cmd!(
            sh,
            "{compiler} -std=c99 -O2 -g {WARNINGS...} -pthread -Iinclude {director} -o {program} {link...}"
        )
        .run()?;
    }
    let lines = sh.read_file(director)?.lines().count();
    ensure!(lines < LONGEST_EXAMPLE, "{director} has {lines} lines");

    let sources = cpp_tests(project)?;
    let program = &format!("{OUT}/hpp");
    for compiler in ["g++", "clang++"] {
        let plain = ["-O2", "-fno-exceptions", "-fno-rtti"];
        let ways: [(&str, &[&str]); 3] =
            [("c++17", &plain), ("c++20", &plain), ("c++17", &SANITIZE)];
        for (standard, options) in ways {
            let sources = &sources;
            cmd!(sh, "{compiler} -std={standard} {WARNINGS...} {options...} -Iinclude {sources...} -o {program} {link...}")
                .run()?;
            cmd!(sh, "{program}").run()?;
        }
        let source = "examples/cpp/decisions.cpp";
        let decisions = &format!("{OUT}/decisions");
        cmd!(
            sh,
            "{compiler} -std=c++17 {WARNINGS...} -O2 -Iinclude {source} -o {decisions} {link...}"
        )
        .run()?;
        let printed = cmd!(sh, "{decisions}").read()?;
        let wanted = sh.read_file("ffi-tests/examples/decisions.txt")?;
        ensure!(printed.trim_end() == wanted.trim_end(), "{source} prints\n{printed}");
    }

    // The C++ interface must cover the whole C interface.
    let wrapper = sh.read_file("include/vsched.hpp")?;
    for function in capi::exported(project)? {
        ensure!(wrapper.contains(&format!("{function}(")), "vsched.hpp lacks {function}");
    }

    let rust = project.build_program("build --release --example director")?;
    let c = format!("{OUT}/director-gcc");
    cmd!(sh, "python3 -B ffi-tests/examples/test_director.py {c} {rust}").run()?;
    Ok(())
}

fn cpp_tests(project: &Project) -> Result<Vec<std::path::PathBuf>> {
    let mut sources = project.sh.read_dir("ffi-tests/hpp")?;
    sources.retain(|path| path.extension().is_some_and(|end| end == "cc"));
    Ok(sources)
}
