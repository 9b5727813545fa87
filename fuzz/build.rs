//! The C of target `abi`.

fn main() {
    println!("cargo:rerun-if-changed=../ffi-tests/hostile");
    println!("cargo:rerun-if-changed=../include/vsched.h");
    cc::Build::new().file("abi.c").include("../include").include("../ffi-tests").compile("abi");
}
