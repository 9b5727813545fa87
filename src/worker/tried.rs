//! A fixed-size set of servers, for retries.

use std::fmt;

use crate::arena::id::ServerId;
use crate::error::TriedFull;

/// Servers already tried for one request: a set of at most `N`, stored inline, in the order in which they
/// were pushed. Never allocates.
///
/// ```
/// use vsched::{ServerId, Tried};
/// let [first, second, third] = [1, 2, 3].map(|slot| ServerId::from_raw([slot, 0]));
/// let mut tried = Tried::<2>::new();
/// tried.try_push(first)?;
/// tried.try_push(second)?;
/// tried.try_push(first)?;
/// assert_eq!(tried.as_slice(), [first, second], "a server is in the set once");
/// assert!(tried.try_push(third).is_err(), "the set is full");
/// tried.clear();
/// assert!(tried.is_empty());
/// # Ok::<(), vsched::error::TriedFull>(())
/// ```
#[derive(Clone, Copy)]
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

    /// Adds a server. A server that is in the set stays in it once. O(N).
    ///
    /// # Errors
    /// The set has `N` other servers; it is unchanged.
    pub fn try_push(&mut self, server: ServerId) -> Result<(), TriedFull> {
        if self.contains(server) {
            return Ok(());
        }
        let free = self.servers.get_mut(self.count).ok_or(TriedFull::new(N))?;
        *free = server;
        self.count += 1;
        Ok(())
    }

    /// Returns true if the server is in the set. O(N).
    pub fn contains(&self, server: ServerId) -> bool {
        self.as_slice().contains(&server)
    }

    /// Returns the servers, as the picks that exclude some take them.
    pub fn as_slice(&self) -> &[ServerId] {
        self.servers.get(..self.count).unwrap_or(&[])
    }

    /// Returns the number of servers.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Returns true if there is no server in the set.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Removes all servers, for the next request.
    pub const fn clear(&mut self) {
        self.count = 0;
    }
}

impl<const N: usize> AsRef<[ServerId]> for Tried<N> {
    fn as_ref(&self) -> &[ServerId] {
        self.as_slice()
    }
}

impl<const N: usize> fmt::Debug for Tried<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.as_slice()).finish()
    }
}

impl<const N: usize> PartialEq for Tried<N> {
    /// Compares the servers and their order.
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<const N: usize> Eq for Tried<N> {}

impl<const N: usize> Default for Tried<N> {
    fn default() -> Self {
        Self::new()
    }
}
