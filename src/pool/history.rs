//! What happened to a service's list of servers between two pools.

/// What happened to the list since the previous pool, or since the scheduler was bound.
///
/// Servers are numbered in the order of adding: those there at the start from 0, oldest first, then
/// each added one the next number. The list order is the reverse: the highest number left is
/// position 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// The scheduler was bound at the start: it begins anew instead of carrying its state over.
    pub(crate) bound: bool,
    /// Weights at the start.
    pub(crate) start: Vec<u32>,
    /// What happened then, in order.
    pub(crate) events: Vec<Event>,
}

/// One change of the list, as a kernel scheduler's hook is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A server came to the head.
    Added { weight: u32 },
    /// A server was edited, perhaps to what it was.
    Edited { number: usize, weight: u32 },
    /// A server left.
    Deleted { number: usize },
}
