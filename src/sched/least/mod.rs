//! The search that lc, wlc, sed, nq, lblc and lblcr share: least load per weight, first in the list
//! on a tie.
//!
//! Few servers are scanned. Many have an index of keys (`least_index`). A key is always computed from
//! the server's counts, never counted up itself; so whichever table a connection's end comes through,
//! it corrects the index. The answer is compared with the counts before it is given: what a thread
//! that was stopped has not told yet is found out then, and told for it.

pub(in crate::sched) mod index;
mod worker;

use crate::arena::counts::Counts;
use crate::arena::id::ServerId;
use crate::arena::worker_state::WorkerState;
use crate::config::{KernelRules, Sharing};
use crate::pool::servers::{Candidate, Position, Servers};
pub(crate) use crate::sched::least::index::Rule;
use crate::sched::least::index::{ACTIVE, ATTEMPTS, HEAVIEST, LoadIndex};
use crate::sched::least::worker::{View, WorkerIndexes, candidate};
use crate::sched::{Build, LoadUpdates, PickRequest};
use crate::sync::Arc;

/// So few servers are scanned as fast as an index finds one, which besides is kept at each
/// connection's begin and end. Measured; see docs/performance.md.
const SCANNED: u32 = 12;

/// What a scheduler calls load, as a type: what the compiler knows of a rule costs a scan nothing.
pub(crate) trait Load: Copy {
    /// It is compared per weight.
    const WEIGHTED: bool = true;

    fn rule(self) -> Rule;
}

/// The kernel's connection overhead.
#[inline]
pub(crate) fn overhead(counts: Counts, generation: KernelRules) -> u64 {
    // What `Rule::overhead` says, in shifts: some ask it of every server.
    let (active, total) = (u64::from(counts.active()), u64::from(counts.total()));
    match generation {
        KernelRules::A => u64::from(ACTIVE) * active + total.saturating_sub(active),
        KernelRules::B => u64::from(ACTIVE) * active + total,
    }
}

/// The overhead per weight.
#[derive(Clone, Copy)]
pub(crate) struct Overhead(pub(crate) KernelRules);

impl Load for Overhead {
    #[inline(always)]
    fn rule(self) -> Rule {
        Rule::overhead(self.0)
    }
}

/// What a scheduler with a [`Least`] in this field has to do for it.
macro_rules! keeps_least {
    ($field:tt) => {
        fn load_updates(&self) -> crate::sched::LoadUpdates {
            self.$field.load_updates()
        }

        fn worker_load_changed(
            &self,
            servers: &crate::pool::servers::Servers,
            server: crate::arena::id::ServerId,
            worker: Option<&crate::arena::worker_state::WorkerState>,
        ) {
            self.$field.worker_load_changed(servers, server, worker);
        }

        fn init_worker(
            &self,
            servers: &crate::pool::servers::Servers,
            worker: &crate::arena::worker_state::WorkerState,
            all: bool,
        ) {
            self.$field.init_worker(servers, worker, all);
        }
    };
}

/// Finds the server of least load.
pub(crate) struct Least<L> {
    load: L,
    strategy: Strategy,
}

enum Strategy {
    Scan,
    Index(Arc<LoadIndex>),
    WorkerScan,
    WorkerIndexes(Box<WorkerIndexes>),
}

impl<L: Load> Least<L> {
    /// Compiles the search among all connections of the service's servers.
    pub(crate) fn of(load: L, servers: &Servers) -> Self {
        let strategy = if is_indexed::<L>(servers) {
            Strategy::Index(Arc::new(LoadIndex::of(load.rule(), servers)))
        } else {
            Strategy::Scan
        };
        Least { load, strategy: strategy }
    }

    /// The same, or a search among each worker's own connections if the service says so.
    pub(crate) fn shared(load: L, build: &Build<'_>) -> Self {
        let strategy = match build.settings.sharing {
            Sharing::Exact => return Self::of(load, build.servers),
            Sharing::PerWorker if is_indexed::<L>(build.servers) => {
                Strategy::WorkerIndexes(Box::new(WorkerIndexes::of(build.servers)))
            }
            Sharing::PerWorker => Strategy::WorkerScan,
        };
        Least { load, strategy: strategy }
    }

    /// The available server of least load that was not tried.
    #[inline(always)]
    pub(crate) fn find(&self, request: PickRequest<'_>) -> Option<Position> {
        let PickRequest { servers, tried, worker, .. } = request;
        match &self.strategy {
            Strategy::Scan => self.scan(servers.iter_available(tried)),
            Strategy::Index(index) => self.find_indexed(index, servers, tried),
            Strategy::WorkerScan | Strategy::WorkerIndexes(_) => {
                self.find_own(servers, tried, worker)
            }
        }
    }

    #[inline(always)]
    fn find_indexed(
        &self,
        index: &LoadIndex,
        servers: &Servers,
        tried: &[ServerId],
    ) -> Option<Position> {
        let found =
            if tried.is_empty() { index.find(servers) } else { index.find_untried(servers, tried) };
        found.or_else(|| self.scan_late(servers, tried))
    }

    #[cold]
    #[inline(never)]
    fn scan_late(&self, servers: &Servers, tried: &[ServerId]) -> Option<Position> {
        self.scan(servers.iter_available(tried))
    }

    fn find_among_all(&self, servers: &Servers, tried: &[ServerId]) -> Option<Position> {
        match &self.strategy {
            Strategy::Index(index) => self.find_indexed(index, servers, tried),
            _ => self.scan(servers.iter_available(tried)),
        }
    }

    #[inline(never)]
    fn find_own(
        &self,
        servers: &Servers,
        tried: &[ServerId],
        worker: Option<&WorkerState>,
    ) -> Option<Position> {
        // Asked without a worker.
        let Some(worker) = worker else { return self.find_among_all(servers, tried) };
        if let (Strategy::WorkerIndexes(indexes), true) = (&self.strategy, tried.is_empty()) {
            if let Some(found) = indexes.find(self.load, servers, worker, ATTEMPTS) {
                return Some(found);
            }
        }
        let view = View::of(worker, servers);
        self.scan((0..servers.len()).filter_map(|place| {
            let position = view.position(place);
            servers.available(position, tried)?;
            candidate(worker, servers, position)
        }))
    }

    /// Which changes it has to be told.
    pub(crate) fn load_updates(&self) -> LoadUpdates {
        match &self.strategy {
            Strategy::Scan => LoadUpdates::Nothing,
            Strategy::Index(index) => LoadUpdates::Counts(Arc::clone(index)),
            Strategy::WorkerScan | Strategy::WorkerIndexes(_) => LoadUpdates::WorkerCounts,
        }
    }

    /// What this worker has open at the server has changed, or if none is named, what is so for all.
    pub(crate) fn worker_load_changed(
        &self,
        servers: &Servers,
        server: ServerId,
        worker: Option<&WorkerState>,
    ) {
        if let Strategy::WorkerIndexes(indexes) = &self.strategy {
            indexes.load_changed(self.load, servers, worker, server);
        }
    }

    /// A worker will pick here, or goes on after a change: of all that it goes by, or of what it
    /// shares. Director only.
    pub(crate) fn init_worker(&self, servers: &Servers, worker: &WorkerState, all: bool) {
        if let Strategy::WorkerIndexes(indexes) = &self.strategy {
            indexes.init_worker(self.load, servers, worker, all);
        }
    }

    fn scan(&self, servers: impl Iterator<Item = Candidate>) -> Option<Position> {
        let rule = self.load.rule();
        let mut best: Option<(Candidate, u64)> = None;
        for server in servers {
            if rule.at_once(server.counts) {
                return Some(server.position);
            }
            let load = rule.load(server.counts);
            let lighter = |(held, least): &(Candidate, u64)| {
                if !L::WEIGHTED {
                    return *least > load;
                }
                match (
                    least.checked_mul(server.weight.into()),
                    load.checked_mul(held.weight.into()),
                ) {
                    (Some(held), Some(this)) => held > this,
                    // A load has up to 35 bits, a weight 31.
                    _ => {
                        u128::from(*least) * u128::from(server.weight)
                            > u128::from(load) * u128::from(held.weight)
                    }
                }
            };
            if best.as_ref().is_none_or(lighter) {
                best = Some((server, load));
            }
        }
        best.map(|(server, _)| server.position)
    }
}

/// There are enough servers for an index, and keys keep their loads apart.
fn is_indexed<L: Load>(servers: &Servers) -> bool {
    let exact = !L::WEIGHTED || servers.weights().all(|weight| weight <= HEAVIEST);
    exact && servers.len() > SCANNED
}

#[cfg(test)]
mod tests;
