//! The kernel's messages, without a kernel: what ipvsadm and a kernel said to each other, and what
//! becomes of it when bytes are changed.
#![cfg(target_os = "linux")]

mod answers;
mod mutations;
mod plan;
mod recorded;
mod requests;
mod tree;
