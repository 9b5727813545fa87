//! The files of `concurrent` under test, and stand-ins: blocks of two keys, and initialized memory.

#![allow(dead_code, unreachable_pub, reason = "these files serve the crate, not the models")]

#[path = "../../../src/concurrent/flag_set.rs"]
pub(crate) mod flag_set;
#[path = "../../../src/concurrent/hazard.rs"]
pub(crate) mod hazard;
#[path = "../../../src/concurrent/min_tree.rs"]
pub(crate) mod min_tree;
#[path = "../../../src/concurrent/per_thread.rs"]
pub(crate) mod per_thread;
pub(crate) mod segments;
pub(crate) mod simd;
#[path = "../../../src/concurrent/stamps.rs"]
pub(crate) mod stamps;
#[cfg(test)]
#[path = "../../../src/concurrent/test_random.rs"]
pub(crate) mod test_random;
#[path = "../../../src/concurrent/waiters.rs"]
pub(crate) mod waiters;
pub(crate) mod zeroed;

pub(crate) mod sizes {
    pub(crate) const GROUP: usize = 2;
}
