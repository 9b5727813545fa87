//! A fixed-size set of servers, for retries.

use std::ops::Deref;

use crate::arena::id::ServerId;

/// Servers already tried for one request: at most `N`, stored inline, read as a slice. Never allocates.
///
/// ```
/// use vsched::{ServerId, Tried};
/// let [first, second, third] = [1, 2, 3].map(|slot| ServerId::from_raw([slot, 0]));
/// let mut tried = Tried::<2>::new();
/// assert!(tried.insert(first) && tried.insert(second));
/// assert!(!tried.insert(third), "the set is full");
/// assert_eq!(*tried, [first, second]);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Tried<const N: usize> {
    servers: [ServerId; N],
    count: usize,
}

impl<const N: usize> Tried<N> {
    /// Returns an empty set.
    pub const fn new() -> Self {
        const NONE: ServerId = ServerId { slot: u32::MAX, generation: u32::MAX };
        Tried { servers: [NONE; N], count: 0 }
    }

    /// Adds a server; returns false, and does not add it, if the set already has `N`. Does not look for
    /// duplicates.
    pub fn insert(&mut self, server: ServerId) -> bool {
        match self.servers.get_mut(self.count) {
            Some(free) => {
                *free = server;
                self.count += 1;
                true
            }
            None => false,
        }
    }
}

impl<const N: usize> Deref for Tried<N> {
    type Target = [ServerId];

    fn deref(&self) -> &[ServerId] {
        self.servers.get(..self.count).unwrap_or(&[])
    }
}

impl<const N: usize> Default for Tried<N> {
    fn default() -> Self {
        Self::new()
    }
}
