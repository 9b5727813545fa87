//! How far a tick walks through address maps at a time, counted in entries: 10 to 30 ns each.

/// Entries that a tick visits before it lets other threads have the director's lock.
pub(crate) const SLICE: usize = 1 << 15;
/// Entries of one map that a call of tick visits to remove what is over. A map for up to 65,536 addresses
/// has no more; the largest is walked in 256 calls.
pub(crate) const CALL: usize = 1 << 17;

/// What may still be visited.
pub(crate) struct Pace<'a> {
    /// Until the lock is released.
    pub(crate) slice: &'a mut usize,
    /// Of this map, in this call.
    pub(crate) call: &'a mut usize,
}

impl Pace<'_> {
    pub(crate) fn left(&self) -> usize {
        (*self.slice).min(*self.call)
    }

    pub(crate) fn take(&mut self, visited: usize) {
        *self.slice = self.slice.saturating_sub(visited);
        *self.call = self.call.saturating_sub(visited);
    }
}
