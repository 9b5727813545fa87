//! Affinity and persistence: what services remember of clients and destinations, in address maps of
//! fixed capacity whose entries outlive reloads.

pub(crate) mod address_entry;
pub(crate) mod address_map;
pub(crate) mod address_table;
pub(crate) mod expiry;
pub(crate) mod one_server;
pub(crate) mod pace;
pub(crate) mod server_set;
pub(crate) mod templates;

/// Sizes that `tests/loom` replaces with smaller ones.
pub(crate) mod sizes {
    /// Entries of an address map that a key may occupy.
    pub(crate) const WINDOW: usize = 16;

    /// Entries of an address map that share a mark. With fewer, marks take more memory and time; with
    /// more, a sweep reads more empty entries next to the few that have content.
    pub(crate) const CHUNK: usize = 16;

    /// Most servers per set. The kernel has no limit; here a seventeenth server replaces the one that
    /// has been a member longest.
    pub(crate) const MOST: usize = 16;
}
