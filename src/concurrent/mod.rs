//! Lock-free structures without a word of load balancing in them.

pub(crate) mod hazard;
pub(crate) mod min_tree;
pub(crate) mod segments;
pub(crate) mod simd;
pub(crate) mod stamps;
pub(crate) mod zeroed;

/// Sizes that `tests/loom` models with smaller ones; that of a tree's blocks is in [`simd`].
pub(crate) mod sizes {
    /// Elements whose changes are stamped together: their keys in an index share a cache line.
    pub(crate) const GROUP: usize = 8;
}
