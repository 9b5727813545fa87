//! The number of file descriptors available, and in use.

use std::{fs, io};

use rustix::process::{Resource, getrlimit, setrlimit};

/// Reserved for files that are read, and for what libraries open temporarily.
const SPARE: usize = 16;
/// Effectively no limit; a million connections are enough for an example.
const UNLIMITED: usize = 2_000_000;

/// Raises the soft limit to the hard one, which needs no privilege. Returns the resulting soft limit.
///
/// Nothing here uses `select`, which is why the soft limit is usually low.
pub(crate) fn raise_descriptors() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Some systems refuse the value that they report as the hard limit. Then the soft limit stays.
    let _ = setrlimit(Resource::Nofile, limit);
    match getrlimit(Resource::Nofile).current {
        Some(soft) => usize::try_from(soft).unwrap_or(UNLIMITED).min(UNLIMITED),
        None => UNLIMITED,
    }
}

/// Descriptors that are open now.
pub(crate) fn open_descriptors() -> usize {
    let entries = fs::read_dir("/proc/self/fd").or_else(|_| fs::read_dir("/dev/fd"));
    // Fallback: what this program has open without listeners on a machine with many cores.
    entries.map_or(64, Iterator::count)
}

/// How many connections the descriptors allow, if each needs `each` and `taken` are in use.
pub(crate) fn connections(limit: usize, taken: usize, each: usize) -> usize {
    limit.saturating_sub(taken + SPARE) / each
}

/// The system has no descriptor or memory for another socket.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    const ENOMEM: i32 = 12;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOBUFS: i32 = 105;
    matches!(error.raw_os_error(), Some(ENOMEM | ENFILE | EMFILE | ENOBUFS))
}
