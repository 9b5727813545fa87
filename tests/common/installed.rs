//! Programs of others that tests run. Where one is missing a test prints SKIPPED; with
//! `VSCHED_PROGRAMS=required` in the environment, as `make test` sets it, that is a failure.

#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program by its name.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let places = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"];
    let found = places.iter().map(|place| Path::new(place).join(name)).find(|path| path.exists());
    if found.is_none() {
        missing(name);
    }
    found
}

/// The Python that can import this, which is in this package of Debian. Debian's packages are for Debian's
/// Python, which need not be the first in the path.
pub(crate) fn python(import: &str, package: &str) -> Option<&'static str> {
    let debian = "/usr/bin/python3";
    let python = if Path::new(debian).exists() { debian } else { "python3" };
    let mut command = Command::new(python);
    let status = command.args(["-c", import]).stderr(Stdio::null()).status();
    if status.is_ok_and(|status| status.success()) {
        return Some(python);
    }
    missing(package);
    None
}

fn missing(what: &str) {
    let required = std::env::var("VSCHED_PROGRAMS").is_ok_and(|word| word == "required");
    assert!(!required, "{what} is not installed");
    eprintln!("SKIPPED: {what} is not installed");
}
