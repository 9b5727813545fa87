//! How many connections there is room for, and what the log says when that is not enough.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// Shared by all workers. Above its limit a worker stops accepting, and clients wait in the
/// listener's queue, which is better than to accept them and then have no descriptor left for the
/// server's side.
///
/// Every ordering is Relaxed: the values are for limits and for the log, and guard no other data.
pub(crate) struct Capacity {
    workers: usize,
    /// Most connections of one worker at once.
    per_worker: AtomicUsize,
    /// Workers that have as many now.
    full: AtomicUsize,
    /// How often the last worker with room has filled up.
    saturations: AtomicU64,
    /// How often the system had no descriptor or memory for a socket.
    shortages: AtomicU64,
}

impl Capacity {
    /// No room yet: what the descriptors allow is known when the listeners are open.
    pub(crate) fn new(workers: usize) -> Self {
        Capacity {
            workers,
            per_worker: AtomicUsize::new(0),
            full: AtomicUsize::new(0),
            saturations: AtomicU64::new(0),
            shortages: AtomicU64::new(0),
        }
    }

    /// Room for so many connections, and for one per worker at least.
    pub(crate) fn set(&self, connections: usize) {
        self.per_worker.store((connections / self.workers).max(1), Ordering::Relaxed);
    }

    /// Connections of all workers.
    pub(crate) fn connections(&self) -> usize {
        self.per_worker() * self.workers
    }

    pub(crate) fn per_worker(&self) -> usize {
        self.per_worker.load(Ordering::Relaxed)
    }

    /// A worker has no room left, or has some again.
    pub(crate) fn worker_is_full(&self, full: bool) {
        if !full {
            self.full.fetch_sub(1, Ordering::Relaxed);
        } else if self.full.fetch_add(1, Ordering::Relaxed) + 1 == self.workers {
            self.saturations.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The system had no descriptor or memory for a socket.
    pub(crate) fn shortage(&self) {
        self.shortages.fetch_add(1, Ordering::Relaxed);
    }
}

/// Notices that the director is saturated, and that it no longer is. Looks once per tick, so however
/// fast connections come and go at the limit, there is one line at the beginning and one at the end.
#[derive(Default)]
pub(crate) struct Watch {
    saturations: u64,
    shortages: u64,
    since: Option<Instant>,
}

impl Watch {
    /// What there is to say now, if anything.
    pub(crate) fn look(&mut self, capacity: &Capacity, now: Instant) -> Option<String> {
        let saturations = capacity.saturations.load(Ordering::Relaxed);
        let shortages = capacity.shortages.load(Ordering::Relaxed);
        let full = capacity.full.load(Ordering::Relaxed) == capacity.workers;
        let full = full || saturations != self.saturations;
        let short = shortages != self.shortages;
        (self.saturations, self.shortages) = (saturations, shortages);
        match self.since {
            None if full || short => {
                self.since = Some(now);
                let connections = capacity.connections();
                let why = match short {
                    false => format!("{connections} connections are open, all there is room for"),
                    true => "the system has no file descriptor or memory for another one".into(),
                };
                Some(format!("saturated: {why}; new clients wait"))
            }
            Some(since) if !full && !short => {
                self.since = None;
                let seconds = now.saturating_duration_since(since).as_secs();
                Some(format!("no longer saturated, after {seconds} s"))
            }
            _ => None,
        }
    }
}
