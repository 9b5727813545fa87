//! The scan of a few servers by the connections that a worker goes by: its own words alone.
//!
//! The words also say which servers are available (`OwnCount::note_availability`), as of the last change for all
//! workers that the worker has seen. Such a change is counted once, and each worker catches up at its next
//! pick. It also works out then what the worker goes by at each server beside its own word, and adds that to
//! the word at each pick. Where a sum would not be exact, a pick compares the servers one by one instead.
//!
//! | location  | operation                   | ordering | partner                                       |
//! |-----------|-----------------------------|----------|-----------------------------------------------|
//! | `changes` | addition in `changed_for_all` | SeqCst | load in `find`, before the loads of what has changed |

use std::sync::OnceLock;

use crate::arena::tally::Connections;
use crate::arena::worker_state::WorkerState;
use crate::concurrent::segments::Segments;
use crate::concurrent::simd::quotients::LANES;
use crate::pool::servers::{Position, Servers};
use crate::sched::least::Rule;
use crate::sched::least::scan::{Scan, Words};
use crate::sched::least::view::{View, beside_own, is_single_worker};
use crate::sync::{AtomicU64, Ordering};

pub(crate) struct WorkerScan {
    scan: Scan,
    /// By worker number.
    workers: Segments<OneWorker>,
    changes: AtomicU64,
}

#[derive(Default)]
struct OneWorker {
    words: OnceLock<Words>,
    /// Of `changes`, how many the worker has seen; the highest bits say that its words are not enough.
    seen: AtomicU64,
}

/// In `seen`: not even the sums say all.
const NOT_ENOUGH: u64 = 1 << 63;
/// In `seen`: the sums do.
const SUMS: u64 = 1 << 62;

/// A worker's words do not tell.
pub(in crate::sched) struct NotEnough;

impl WorkerScan {
    /// As [`Scan::of`].
    pub(in crate::sched) fn of(rule: Rule, servers: &Servers) -> Option<Self> {
        let scan = Scan::of(rule, servers)?;
        Some(WorkerScan { scan, workers: Segments::new(), changes: AtomicU64::new(1) })
    }

    /// Finds the worker's words. Allocates. Director only.
    pub(in crate::sched) fn init_worker(&self, servers: &Servers, worker: &WorkerState) {
        self.workers.grow_to(worker.number() + 1);
        if let Some(one) = self.workers.get(worker.number()) {
            let slots = Scan::places(servers).map(|id| id.slot);
            if let Some(own) = worker.own_refs(slots) {
                let beside = (0..own.len() / LANES).map(|_| Default::default()).collect();
                // An error: they are known.
                let _ = one.words.set(Words { own, beside });
            }
        }
        self.changed_for_all();
    }

    /// A server's availability, the number of workers, or a connection that no living worker counts as its
    /// own has changed.
    pub(in crate::sched) fn changed_for_all(&self) {
        // SeqCst: pairs with the load in `find`; after the change.
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// The first available server with the least load, from the worker's place on. The error is that the
    /// worker's words are not enough, or that they know of none: another thread may be about to tell.
    #[inline(always)]
    pub(in crate::sched) fn find(
        &self,
        servers: &Servers,
        worker: &WorkerState,
    ) -> Result<Position, NotEnough> {
        let one = self.workers.get(worker.number()).ok_or(NotEnough)?;
        let words = one.words.get().ok_or(NotEnough)?;
        // SeqCst: pairs with the addition; before the loads in `catch_up`.
        let changes = self.changes.load(Ordering::SeqCst);
        // Relaxed: only this worker uses it.
        if one.seen.load(Ordering::Relaxed) != changes {
            return self.find_closely(servers, worker, one, changes);
        }
        let found = self.scan.find_by(&words.own, start(servers, worker)).ok_or(NotEnough)?;
        // Held or full by now, and not told of yet.
        servers.available(found, &[]).map(|_| found).ok_or(NotEnough)
    }

    /// The rest of [`find`](Self::find) after a change for all workers, or where the worker's own words do not
    /// say all.
    #[inline(never)]
    fn find_closely(
        &self,
        servers: &Servers,
        worker: &WorkerState,
        one: &OneWorker,
        changes: u64,
    ) -> Result<Position, NotEnough> {
        let words = one.words.get().ok_or(NotEnough)?;
        // Relaxed, here and below: as in `find`.
        let mut seen = one.seen.load(Ordering::Relaxed);
        if seen & !(NOT_ENOUGH | SUMS) != changes {
            seen = changes | catch_up(servers, worker, words);
            // Relaxed: as above.
            one.seen.store(seen, Ordering::Relaxed);
        }
        let start = start(servers, worker);
        let found = match seen ^ changes {
            0 => self.scan.find_by(&words.own, start),
            SUMS => self.scan.find_by_sums(words, start),
            _ => None,
        };
        let found = found.ok_or(NotEnough)?;
        servers.available(found, &[]).map(|_| found).ok_or(NotEnough)
    }
}

/// The place where the worker's view begins, and the number of servers.
#[inline(always)]
fn start(servers: &Servers, worker: &WorkerState) -> Option<(u32, u32)> {
    match is_single_worker(servers) {
        true => None,
        false => Some((View::of(worker, servers).position(0), servers.len())),
    }
}

/// Notes in the worker's words which servers are available, and beside them what else it goes by. Returns
/// what of that a pick needs: 0, [`SUMS`] or [`NOT_ENOUGH`].
#[cold]
#[inline(never)]
fn catch_up(servers: &Servers, worker: &WorkerState, words: &Words) -> u64 {
    let last = servers.len().saturating_sub(1);
    let mut needed = 0;
    for (place, beside) in (0..).zip(words.beside.iter().flatten()) {
        let position = Position::min(place, last);
        let (Some(server), Some(endpoint)) =
            (servers.counts_seqcst(position), servers.endpoint(position))
        else {
            continue;
        };
        let id = endpoint.server();
        if let Some(own) = worker.own(id.slot) {
            own.note_availability(id.generation, server.counts.available());
            let found = beside_own(own.get(id.generation), servers.arena(), id.slot, server.counts);
            beside.set(found.unwrap_or(Connections::NONE));
            needed |= match found {
                Some(Connections::NONE) => 0,
                Some(_) => SUMS,
                None => NOT_ENOUGH,
            };
        }
    }
    needed
}

#[cfg(test)]
#[path = "worker_scan_tests.rs"]
mod tests;
