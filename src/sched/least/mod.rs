//! The search shared by lc, wlc, sed, nq, lblc and lblcr: the least load per weight, the first in the
//! list on a tie, or from a given position on (see `in_turn`).
//!
//! Few servers are scanned; many have an index of keys (`least::index`, `least::keys`). A key is always
//! recomputed from the server's counts, never incremented, so the close of a connection corrects the
//! index no matter through which pool it arrives. A pick compares the key it found with the counts: if a
//! stopped thread has not propagated a change yet, the pick detects that and propagates it.

pub(in crate::sched) mod index;
pub(in crate::sched) mod keys;
mod rule;
mod scan;
mod view;
mod worker;
mod worker_loads;
mod worker_scan;

use crate::arena::counts::Counts;
use crate::arena::id::ServerId;
use crate::arena::worker_state::WorkerState;
use crate::config::{KernelRules, Sharing};
use crate::pool::servers::{Candidate, Position, Servers};
use crate::sched::least::index::LoadIndex;
use crate::sched::least::keys::HEAVIEST;
use crate::sched::least::rule::ACTIVE;
pub(crate) use crate::sched::least::rule::Rule;
use crate::sched::least::scan::Scan;
use crate::sched::least::view::{View, candidate};
use crate::sched::least::worker::WorkerIndexes;
pub(crate) use crate::sched::least::worker_loads::WorkerLoads;
use crate::sched::least::worker_scan::WorkerScan;
use crate::sched::{Build, LoadUpdates, PickRequest};
use crate::sync::Arc;

/// A scheduler's definition of load, as a type, so that the compiler folds the rule into a scan.
pub(crate) trait Load: Copy {
    /// The load is divided by the weight.
    const WEIGHTED: bool = true;

    fn rule(self) -> Rule;
}

/// The kernel's connection overhead.
#[inline]
pub(crate) fn overhead(counts: Counts, generation: KernelRules) -> u64 {
    // The same as `Rule::overhead`, in shifts, because some schedulers compute it for every server.
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

/// A rule that is known only at run time.
impl Load for Rule {
    #[inline(always)]
    fn rule(self) -> Rule {
        self
    }
}

/// The [`Scheduler`](crate::sched::Scheduler) methods that a scheduler forwards to the [`Least`] in this
/// field.
macro_rules! keeps_least {
    ($field:tt) => {
        fn load_updates(&self) -> crate::sched::LoadUpdates {
            self.$field.load_updates()
        }

        fn load(&self, server: crate::pool::servers::Candidate) -> Option<(u64, u32)> {
            Some(self.$field.load_of(server))
        }
    };
}

/// Finds the server with the least load.
pub(crate) struct Least<L> {
    load: L,
    strategy: Strategy,
}

enum Strategy {
    Scan,
    Few(Box<Scan>),
    Index(Arc<LoadIndex>),
    WorkerFew(Arc<WorkerScan>),
    WorkerScan,
    WorkerIndexes(Arc<WorkerIndexes>),
}

impl<L: Load> Least<L> {
    /// Compiles a search by all connections of the service's servers.
    pub(crate) fn of(load: L, servers: &Servers) -> Self {
        let strategy = match Scan::of(load.rule(), servers) {
            Some(scan) => Strategy::Few(Box::new(scan)),
            // Of what other processes change, no index would learn.
            None if has_exact_keys(load.rule(), servers)
                && servers.arena().attached().is_none() =>
            {
                Strategy::Index(Arc::new(LoadIndex::of(load.rule(), servers)))
            }
            None => Strategy::Scan,
        };
        Least { load, strategy }
    }

    /// Compiles a search that reads the counts of all servers.
    pub(in crate::sched) fn scanning(load: L) -> Self {
        Least { load, strategy: Strategy::Scan }
    }

    /// Like [`of`](Self::of), or a search by each worker's own connections if the service is shared
    /// `per-worker`.
    pub(crate) fn shared(load: L, build: &Build<'_>) -> Self {
        let (rule, servers) = (load.rule(), build.servers);
        let strategy = match build.settings.sharing {
            Sharing::Exact | Sharing::Chunks(_) => return Self::of(load, servers),
            Sharing::PerWorker => match WorkerScan::of(rule, servers) {
                Some(scan) => Strategy::WorkerFew(Arc::new(scan)),
                None if has_exact_keys(rule, servers) => {
                    Strategy::WorkerIndexes(Arc::new(WorkerIndexes::of(rule, servers)))
                }
                None => Strategy::WorkerScan,
            },
        };
        Least { load, strategy }
    }

    /// The available server with the least load that was not tried; `None` if there is none.
    #[inline(always)]
    pub(crate) fn find(&self, request: PickRequest<'_>) -> Option<Position> {
        let PickRequest { servers, tried, worker, .. } = request;
        self.find_in(servers, tried, worker)
    }

    #[inline(always)]
    fn find_in(
        &self,
        servers: &Servers,
        tried: &[ServerId],
        worker: Option<&WorkerState>,
    ) -> Option<Position> {
        let found = match (&self.strategy, worker) {
            _ if !tried.is_empty() => None,
            // All that there is to find.
            (Strategy::Few(scan), _) => return scan.find(),
            (Strategy::Index(index), _) => index.find(servers),
            (Strategy::WorkerFew(scan), Some(worker)) => scan.find(servers, worker).ok(),
            (Strategy::WorkerIndexes(indexes), Some(worker)) => indexes.find(servers, worker),
            _ => None,
        };
        found.or_else(|| self.find_otherwise(servers, tried, worker))
    }

    /// The rest of [`find_in`](Self::find_in). Not inlined, so that a pick saves no registers for it.
    #[inline(never)]
    fn find_otherwise(
        &self,
        servers: &Servers,
        tried: &[ServerId],
        worker: Option<&WorkerState>,
    ) -> Option<Position> {
        match &self.strategy {
            Strategy::WorkerFew(_) | Strategy::WorkerScan | Strategy::WorkerIndexes(_) => {
                self.find_own(servers, tried, worker)
            }
            _ => self.find_among_all(servers, tried),
        }
    }

    fn find_among_all(&self, servers: &Servers, tried: &[ServerId]) -> Option<Position> {
        let found = match &self.strategy {
            Strategy::Index(index) => index.find_untried(servers, tried),
            _ => None,
        };
        found.or_else(|| self.scan(servers.iter_available(tried)))
    }

    fn find_own(
        &self,
        servers: &Servers,
        tried: &[ServerId],
        worker: Option<&WorkerState>,
    ) -> Option<Position> {
        let Some(worker) = worker else {
            return self.scan_view(View::starting_at(0, servers), servers, tried, None);
        };
        if let (Strategy::WorkerIndexes(indexes), []) = (&self.strategy, tried) {
            if let Some(found) = indexes.find_again(servers, worker, None) {
                return Some(found);
            }
        }
        self.scan_view(View::of(worker, servers), servers, tried, Some(worker))
    }

    /// Like [`find`](Self::find), on a tie the first from this position on, cyclically.
    pub(crate) fn find_from(&self, request: PickRequest<'_>, first: Position) -> Option<Position> {
        let PickRequest { servers, tried, worker, .. } = request;
        let found = match (&self.strategy, worker) {
            (Strategy::Index(index), _) => index.find_from(servers, tried, first),
            (Strategy::WorkerIndexes(indexes), Some(worker)) if tried.is_empty() => {
                indexes.find_again(servers, worker, Some(first))
            }
            _ => None,
        };
        let view = View::starting_at(first, servers);
        found.or_else(|| self.scan_view(view, servers, tried, worker))
    }

    /// Scans the servers in this order. Counts are those that the worker goes by; without a worker those of
    /// all connections.
    fn scan_view(
        &self,
        view: View,
        servers: &Servers,
        tried: &[ServerId],
        worker: Option<&WorkerState>,
    ) -> Option<Position> {
        self.scan((0..servers.len()).filter_map(|place| {
            let position = view.position(place);
            servers.available(position, tried)?;
            match worker {
                Some(worker) => candidate(worker, servers, position),
                None => servers.all_connections(position),
            }
        }))
    }

    /// As [`Scheduler::load`](crate::sched::Scheduler::load).
    pub(crate) fn load_of(&self, server: Candidate) -> (u64, u32) {
        let rule = self.load.rule();
        if rule.at_once(server.counts) {
            return (0, 1);
        }
        (rule.load(server.counts), if rule.is_weighted() { server.weight } else { 1 })
    }

    /// Which changes the search needs.
    pub(crate) fn load_updates(&self) -> LoadUpdates {
        match &self.strategy {
            Strategy::Scan | Strategy::Few(_) => LoadUpdates::Nothing,
            Strategy::Index(index) => LoadUpdates::Counts(Arc::clone(index)),
            Strategy::WorkerFew(scan) => {
                LoadUpdates::worker_counts(WorkerLoads::Scan(Arc::clone(scan)))
            }
            Strategy::WorkerScan => LoadUpdates::worker_counts(WorkerLoads::Nothing),
            Strategy::WorkerIndexes(indexes) => {
                LoadUpdates::worker_counts(WorkerLoads::Indexes(Arc::clone(indexes)))
            }
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
                if !L::WEIGHTED || !rule.is_weighted() {
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

/// True if keys can distinguish the loads of these servers.
pub(in crate::sched) fn has_exact_keys(rule: Rule, servers: &Servers) -> bool {
    !rule.is_weighted() || servers.weights().all(|weight| weight <= HEAVIEST)
}

#[cfg(test)]
mod tests;
