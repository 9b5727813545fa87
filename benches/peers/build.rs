//! Compiles the loops in C and links them with the shared library that `make lib` has built.

use std::path::Path;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().expect("the crate's folder");
    let folder = root.join("target/capi/lib");
    assert!(folder.join("libvsched.so").exists(), "no {}: make lib", folder.display());
    println!("cargo:rerun-if-changed=src/subjects/loop.c");
    println!("cargo:rerun-if-changed={}", root.join("include/vsched.h").display());
    cc::Build::new().file("src/subjects/loop.c").include(root.join("include")).compile("loop");
    println!("cargo:rustc-link-search=native={}", folder.display());
    println!("cargo:rustc-link-lib=dylib=vsched");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.display());
}
