//! How many connections the file descriptors allow.

use std::fs;

/// For listeners, pollers, files, and what libraries open.
const RESERVED: usize = 64;
/// Linux's usual limit, where /proc does not tell.
const USUAL: usize = 1024;

/// Connections each worker may relay at once, if each costs this many descriptors.
///
/// Above it a worker stops accepting, and clients wait in the listener's queue, which is better
/// than to accept them and then have no descriptor left for the server's side.
pub(crate) fn connections_per_worker(workers: usize, descriptors_each: usize) -> usize {
    let usable = descriptors().saturating_sub(RESERVED + 4 * workers);
    (usable / descriptors_each / workers).max(1)
}

/// The soft limit, which std cannot ask for.
fn descriptors() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    match soft {
        // As good as no limit; a million connections are enough for an example.
        Some("unlimited") => 2_000_000,
        Some(number) => number.parse().unwrap_or(USUAL),
        None => USUAL,
    }
}
