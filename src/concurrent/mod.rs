//! Lock-free data structures that know nothing of load balancing.

pub(crate) mod flag_set;
pub(crate) mod hazard;
pub(crate) mod min_tree;
pub(crate) mod per_thread;
pub(crate) mod segments;
pub(crate) mod simd;
pub(crate) mod stamps;
#[cfg(test)]
pub(crate) mod test_random;
pub(crate) mod waiters;
pub(crate) mod zeroed;

/// Sizes that `tests/loom` replaces with smaller ones; the size of a tree's blocks is in [`simd`].
pub(crate) mod sizes {
    /// Elements per stamp: the keys of a group share a cache line in an index.
    pub(crate) const GROUP: usize = 8;
}
