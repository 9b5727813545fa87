//! The changes to a service's list of servers between two pools.

/// The changes to the list since the previous pool, or since the scheduler was bound.
///
/// Servers are numbered in the order in which they were added: those present at the start from 0,
/// oldest first, then each added server gets the next number. List order is the reverse: the highest
/// remaining number is position 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// True if the scheduler was bound at the start: it starts over instead of carrying its state over.
    pub(crate) bound: bool,
    /// Weights at the start.
    pub(crate) start: Vec<u32>,
    /// The changes since, in order.
    pub(crate) events: Vec<Event>,
}

/// One change of the list, as a kernel scheduler's hooks receive it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A server was added at the head.
    Added { weight: u32 },
    /// A server was edited, possibly without a change.
    Edited { number: usize, weight: u32 },
    /// A server was deleted.
    Deleted { number: usize },
}
