//! Generates the C header from the sources.

use std::path::{Path, PathBuf};

/// The root of the project.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where the header is committed.
pub fn path() -> PathBuf {
    root().join("include/vsched.h")
}

/// The header as the sources say it.
///
/// # Panics
/// The sources or `cbindgen.toml` cannot be read.
pub fn generate() -> String {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).expect("cbindgen.toml");
    let mut builder = cbindgen::Builder::new().with_config(config);
    // The files, not the crate: whatever is public elsewhere is Rust's affair.
    for name in FILES {
        builder = builder.with_src(root().join("src/ffi").join(name));
    }
    let mut header = Vec::new();
    builder.generate().expect("readable sources").write(&mut header);
    String::from_utf8(header).expect("UTF-8")
}

/// In the order in which a reader wants them.
const FILES: &[&str] = &[
    "status.rs",
    "version.rs",
    "text.rs",
    "data.rs",
    "structs.rs",
    "config.rs",
    "config_edit.rs",
    "requirements.rs",
    "director.rs",
    "policy.rs",
    "director_edit.rs",
    "read_out.rs",
    "describe.rs",
    "removed.rs",
    "repair.rs",
    "listing.rs",
    "worker.rs",
    "sockaddr.rs",
];
