//! What services remember of clients and destinations: address maps of fixed capacity, whose entries
//! outlive reloads.

pub(crate) mod address_map;
pub(crate) mod address_table;
pub(crate) mod one_server;
pub(crate) mod server_set;
pub(crate) mod templates;

/// Sizes that `tests/loom` models with smaller ones.
pub(crate) mod sizes {
    /// Entries of an address map in which a key may stand.
    pub(crate) const WINDOW: usize = 16;

    /// Entries of an address map that share a mark. Fewer, and the marks take more memory and time;
    /// more, and a sweep reads more entries beside the few that have content.
    pub(crate) const CHUNK: usize = 16;

    /// Most servers of one set. The kernel has no limit; a seventeenth server takes the place of the
    /// one that has been a member longest.
    pub(crate) const MOST: usize = 16;
}
