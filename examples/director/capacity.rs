//! The capacity for connections, and what the log says when it is exhausted.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use crate::log::Entry;

/// Shared by all workers. At its limit, a worker stops accepting, and clients wait in the listener's
/// queue. That is better than accepting them without a descriptor left for the server's side.
///
/// Every ordering is Relaxed: the values serve limits and the log, and guard no other data.
pub(crate) struct Capacity {
    workers: usize,
    /// Most connections of one worker at once.
    per_worker: AtomicUsize,
    /// Workers at that limit now.
    full: AtomicUsize,
    /// How often the last worker with capacity reached its limit.
    saturations: AtomicU64,
    /// How often the system had no descriptor or memory for a socket.
    shortages: AtomicU64,
}

impl Capacity {
    /// No capacity yet: it is known once the listeners are open.
    pub(crate) fn new(workers: usize) -> Self {
        Capacity {
            workers,
            per_worker: AtomicUsize::new(0),
            full: AtomicUsize::new(0),
            saturations: AtomicU64::new(0),
            shortages: AtomicU64::new(0),
        }
    }

    /// Sets the capacity for connections: at least one per worker.
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

    /// A worker has reached its limit, or has capacity again.
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

/// Detects that the director is saturated, and that it no longer is. Checks once per tick, so however fast
/// connections come and go at the limit, the log gets one line at the start and one at the end.
#[derive(Default)]
pub(crate) struct Watch {
    saturations: u64,
    shortages: u64,
    since: Option<Instant>,
}

impl Watch {
    pub(crate) fn is_saturated(&self) -> bool {
        self.since.is_some()
    }

    /// The message for the log, if any.
    pub(crate) fn look(&mut self, capacity: &Capacity, now: Instant) -> Option<Entry> {
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
                let message = format!("saturated: {why}; new clients wait");
                Some(Entry::warning("saturated", message))
            }
            Some(since) if !full && !short => {
                self.since = None;
                let seconds = now.saturating_duration_since(since).as_secs();
                let message = format!("no longer saturated, after {seconds} s");
                Some(Entry::info("saturated", message))
            }
            _ => None,
        }
    }
}
