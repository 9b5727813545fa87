//! How many file descriptors there are, and how many are taken.

use std::fs;

use rustix::process::{Resource, getrlimit, setrlimit};

/// For files that are read, and for what libraries open for a moment.
const SPARE: usize = 16;
/// As good as no limit; a million connections are enough for an example.
const UNLIMITED: usize = 2_000_000;

/// Raises the soft limit to the hard one, which needs no privilege. Answers the soft limit then.
///
/// Nothing here uses `select`, which is why the soft limit is usually low.
pub(crate) fn raise_descriptors() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Some systems refuse what they call the hard limit. Then the soft one stays.
    let _ = setrlimit(Resource::Nofile, limit);
    match getrlimit(Resource::Nofile).current {
        Some(soft) => usize::try_from(soft).unwrap_or(UNLIMITED).min(UNLIMITED),
        None => UNLIMITED,
    }
}

/// Descriptors that are open now.
pub(crate) fn open_descriptors() -> usize {
    let entries = fs::read_dir("/proc/self/fd").or_else(|_| fs::read_dir("/dev/fd"));
    // Where neither tells, what this program has without listeners on a machine with many cores.
    entries.map_or(64, Iterator::count)
}

/// Connections for which there are descriptors, if each costs `each` and so many are `taken`.
pub(crate) fn connections(limit: usize, taken: usize, each: usize) -> usize {
    limit.saturating_sub(taken + SPARE) / each
}
