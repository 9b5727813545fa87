//! Messages to and from a kernel are written and parsed correctly, without a kernel: checked
//! against what ipvsadm and a kernel sent each other, and against mutated bytes.
// The transcript is that of a little-endian machine.
#![cfg(all(target_os = "linux", target_endian = "little"))]

mod answers;
mod errors;
mod mutations;
mod plan;
mod plan_details;
mod recorded;
mod requests;
mod tree;
