//! The kernel's messages, without a kernel: what ipvsadm and a kernel said to each other, and what
//! becomes of it when bytes are changed.
// The transcript is that of a little-endian machine.
#![cfg(all(target_os = "linux", target_endian = "little"))]

mod answers;
mod mutations;
mod plan;
mod plan_details;
mod recorded;
mod requests;
mod tree;
