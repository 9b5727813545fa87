//! The scan of a few servers by the connections that a worker goes by: its own words alone.
//!
//! The words also say which servers are available ([`OwnCount::note_availability`]), as of the last change for all
//! workers that the worker has seen. Such a change is counted once, and each worker catches up at its next
//! pick. If some connections are no living worker's own, a pick compares the servers one by one instead.
//!
//! | location  | operation                   | ordering | partner                                       |
//! |-----------|-----------------------------|----------|-----------------------------------------------|
//! | `changes` | addition in `changed_for_all` | SeqCst | load in `find`, before the loads of what has changed |

use std::sync::OnceLock;

use crate::arena::own_count::OwnCount;
use crate::arena::tally::{Connections, Tally};
use crate::arena::worker_state::WorkerState;
use crate::concurrent::segments::{Segments, SlotRefs};
use crate::pool::servers::{Position, Servers};
use crate::sched::least::Rule;
use crate::sched::least::scan::Scan;
use crate::sched::least::view::{View, is_single_worker};
use crate::sync::{AtomicU64, Ordering};

pub(crate) struct WorkerScan {
    scan: Scan,
    /// By worker number.
    workers: Segments<OneWorker>,
    changes: AtomicU64,
}

#[derive(Default)]
struct OneWorker {
    /// As [`Scan::places`].
    own: OnceLock<SlotRefs<OwnCount, ()>>,
    /// Of `changes`, how many the worker has seen; the highest bit says that its words are not enough.
    seen: AtomicU64,
}

const NOT_ENOUGH: u64 = 1 << 63;

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
                // An error: they are known.
                let _ = one.own.set(own);
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
        let own = one.own.get().ok_or(NotEnough)?;
        // SeqCst: pairs with the addition; before the loads in `catch_up`.
        let changes = self.changes.load(Ordering::SeqCst);
        // Relaxed: only this worker uses it.
        if one.seen.load(Ordering::Relaxed) != changes {
            self.catch_up(servers, worker, one, changes)?;
        }
        let start = match is_single_worker(servers) {
            true => None,
            false => Some((View::of(worker, servers).position(0), servers.len())),
        };
        let found = self.scan.find_by(own, start).ok_or(NotEnough)?;
        // Held or full by now, and not told of yet.
        servers.available(found, &[]).map(|_| found).ok_or(NotEnough)
    }

    /// Notes in the worker's words which servers are available. The error is that they are not enough.
    #[cold]
    #[inline(never)]
    fn catch_up(
        &self,
        servers: &Servers,
        worker: &WorkerState,
        one: &OneWorker,
        changes: u64,
    ) -> Result<(), NotEnough> {
        if one.seen.load(Ordering::Relaxed) == changes | NOT_ENOUGH {
            return Err(NotEnough);
        }
        let (common, single) = (&servers.arena().common, is_single_worker(servers));
        let mut enough = true;
        for (position, id) in (0..).zip(servers.ids()) {
            let counts = servers.counts_seqcst(position).map(|server| server.counts);
            let (Some(own), Some(counts)) = (worker.own(id.slot), counts) else { continue };
            own.note_availability(id.generation, counts.available());
            let own = own.get(id.generation);
            enough &= common.get(id.slot).is_none_or(|it: &Tally| it.get() == Connections::NONE);
            // A single worker goes by all connections, whatever is noted of them.
            let in_slot = if own.is_sole() { (0, 0) } else { (own.active(), own.total()) };
            enough &= !single || in_slot == (counts.active(), counts.total());
        }
        // Relaxed: as in `find`.
        one.seen.store(if enough { changes } else { changes | NOT_ENOUGH }, Ordering::Relaxed);
        if enough { Ok(()) } else { Err(NotEnough) }
    }
}
