//! What of a per-worker search learns of changes, without dispatching on the scheduler.

use crate::arena::worker_state::{Renewal, WorkerState};
use crate::pool::servers::Servers;
use crate::sched::least::worker::WorkerIndexes;
use crate::sched::least::worker_scan::WorkerScan;
use crate::sync::Arc;

pub(crate) enum WorkerLoads {
    /// The search reads the counts.
    Nothing,
    /// Changes that affect all workers.
    Scan(Arc<WorkerScan>),
    /// Those, and all of workers' own connections.
    Indexes(Arc<WorkerIndexes>),
}

impl WorkerLoads {
    /// True if changes of workers' own connections are told.
    pub(crate) fn is_indexed(&self) -> bool {
        matches!(self, WorkerLoads::Indexes(_))
    }

    /// The calling worker has changed its connections to the server in this slot.
    #[inline(always)]
    pub(crate) fn changed(&self, servers: &Servers, worker: &WorkerState, slot: u32) {
        if let (WorkerLoads::Indexes(indexes), Some(own)) = (self, worker.own(slot)) {
            indexes.changed(servers, worker, own, slot);
        }
    }

    /// Another thread has changed this worker's connections to the server in this slot.
    pub(crate) fn changed_by_another(&self, worker: &WorkerState, slot: u32) {
        if let WorkerLoads::Indexes(indexes) = self {
            indexes.changed_by_another(worker, slot);
        }
    }

    /// What is so for all workers has changed: the availability of the server in this slot, or a connection
    /// that no living worker counts as its own. The cost does not depend on how many workers there are.
    #[inline(never)]
    pub(crate) fn changed_for_all(&self, slot: u32) {
        match self {
            WorkerLoads::Nothing => {}
            WorkerLoads::Scan(scan) => scan.changed_for_all(),
            WorkerLoads::Indexes(indexes) => indexes.changed_for_all(slot),
        }
    }

    /// Prepares the search for a worker that will pick here, or has it renewed after a change. Director only.
    pub(crate) fn init_worker(&self, servers: &Servers, worker: &WorkerState, renewal: Renewal) {
        match self {
            WorkerLoads::Nothing => {}
            WorkerLoads::Scan(scan) => scan.init_worker(servers, worker),
            WorkerLoads::Indexes(indexes) => indexes.init_worker(servers, worker, renewal),
        }
    }
}
