//! A fixed-size set of servers, for retries.

use std::ops::Deref;

use crate::arena::id::ServerId;

/// Servers already tried for one request: at most `N`, kept in place, read as a slice.
///
/// ```
/// let mut tried = vsched::Tried::<4>::new();
/// assert!(tried.is_empty());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Tried<const N: usize> {
    servers: [ServerId; N],
    count: usize,
}

impl<const N: usize> Tried<N> {
    /// Nothing tried yet.
    pub const fn new() -> Self {
        const NONE: ServerId = ServerId { slot: u32::MAX, generation: u32::MAX };
        Tried { servers: [NONE; N], count: 0 }
    }

    /// Adds a server; false if `N` are in already, and it is not added.
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
