//! The list of the public Rust API, which `make test` compares.

use anyhow::{Context, Result, bail};
use xshell::cmd;

use crate::project::Project;

/// The committed list.
const LIST: &str = "tests/public-api/vsched.txt";
/// The folder of the build, and of the list as the sources have it.
const TARGET: &str = "target/api";

/// Every feature but `capi`, whose functions are the header's.
pub(crate) fn features(project: &Project) -> Result<String> {
    let features = project.package()?.features.into_keys();
    let rust: Vec<String> =
        features.filter(|name| !matches!(name.as_str(), "capi" | "default")).collect();
    Ok(rust.join(","))
}

/// Rewrites the list.
pub(crate) fn write(project: &Project) -> Result<()> {
    let text = current(project)?;
    project.sh.write_file(LIST, text)?;
    Ok(())
}

/// Compares the list with the sources.
pub(crate) fn check(project: &Project) -> Result<()> {
    let text = current(project)?;
    if project.sh.read_file(LIST)? == text {
        return Ok(());
    }
    let found = format!("{TARGET}/vsched.txt");
    project.sh.write_file(&found, text)?;
    let names = ["--label", LIST, "--label", "the sources"];
    cmd!(project.sh, "diff -U 0 {names...} {LIST} {found}").quiet().ignore_status().run()?;
    bail!("the public API is not what {LIST} says: `make api` writes what it is now")
}

/// The public API as the sources have it.
fn current(project: &Project) -> Result<String> {
    if !cfg!(target_os = "linux") {
        bail!("{LIST} has the modules for Linux: write and compare it there");
    }
    let features = features(project)?;
    let rustdoc = project.cargo_command(&format!(
        "rustdoc --quiet --lib --no-default-features --features {features} --target-dir {TARGET} \
         -- -Z unstable-options --output-format json --cap-lints allow"
    ));
    // Stable Rust, which every step uses, writes the JSON if told that it may.
    rustdoc.env("RUSTC_BOOTSTRAP", "1").quiet().run()?;
    let json = format!("{TARGET}/doc/vsched.json");
    let list = project.cargo_command("run --quiet --package vsched-public-api --").arg(json);
    let items = list.quiet().read().context(
        "if rustdoc's JSON cannot be read: public-api knows that of the Rust of CI, 1.95",
    )?;
    Ok(format!(
        "# The public API with the features {features}: `make api` writes it. Left out: blanket\n\
         # implementations, auto traits but Send and Sync, functions of trait implementations.\n\
         {items}\n"
    ))
}
