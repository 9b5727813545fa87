//! The search that lc, wlc, sed, nq, lblc and lblcr share: least load per weight, first in the list
//! on a tie.
//!
//! Few servers are scanned. Many have an index of keys (`least_index`). A key is always computed from
//! the server's counts, never counted up itself; so whichever table a connection's end comes through,
//! it corrects the index. The answer is compared with the counts before it is given: what a thread
//! that was stopped has not told yet is found out then, and told for it.

use crate::config::{Generation, Sharing};
pub(crate) use crate::sched::least_index::Rule;
use crate::sched::least_index::{ACTIVE, ATTEMPTS, HEAVIEST, Index};
use crate::sched::least_own::{self, OwnIndexes, View};
use crate::sched::{Build, Follows, Request};
use crate::state::counts::Counts;
use crate::state::own::Own;
use crate::state::servers::{Candidate, Position, Servers};
use crate::state::slots::ServerId;
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
pub(crate) fn overhead(counts: Counts, generation: Generation) -> u64 {
    // What `Rule::overhead` says, in shifts: some ask it of every server.
    let (active, total) = (u64::from(counts.active()), u64::from(counts.total()));
    match generation {
        Generation::A => u64::from(ACTIVE) * active + total.saturating_sub(active),
        Generation::B => u64::from(ACTIVE) * active + total,
    }
}

/// The overhead per weight.
#[derive(Clone, Copy)]
pub(crate) struct Overhead(pub(crate) Generation);

impl Load for Overhead {
    #[inline(always)]
    fn rule(self) -> Rule {
        Rule::overhead(self.0)
    }
}

/// What a scheduler with a [`Least`] in this field has to do for it.
macro_rules! keeps_least {
    ($field:tt) => {
        fn follows(&self) -> crate::sched::Follows {
            self.$field.follows()
        }

        fn own_load_changed(
            &self,
            servers: &crate::state::servers::Servers,
            server: crate::state::slots::ServerId,
            own: Option<&crate::state::own::Own>,
        ) {
            self.$field.own_load_changed(servers, server, own);
        }

        fn welcome(
            &self,
            servers: &crate::state::servers::Servers,
            own: &crate::state::own::Own,
            all: bool,
        ) {
            self.$field.welcome(servers, own, all);
        }
    };
}

/// Finds the server of least load.
pub(crate) struct Least<L> {
    load: L,
    way: Way,
}

enum Way {
    Scan,
    Index(Arc<Index>),
    OwnScan,
    OwnIndexes(Box<OwnIndexes>),
}

impl<L: Load> Least<L> {
    /// Compiles the search among all connections of the service's servers.
    pub(crate) fn of(load: L, servers: &Servers) -> Self {
        let way = if is_indexed::<L>(servers) {
            Way::Index(Arc::new(Index::of(load.rule(), servers)))
        } else {
            Way::Scan
        };
        Least { load, way }
    }

    /// The same, or a search among each worker's own connections if the service says so.
    pub(crate) fn shared(load: L, build: &Build<'_>) -> Self {
        let way = match build.settings.sharing {
            Sharing::Exact => return Self::of(load, build.servers),
            Sharing::PerWorker if is_indexed::<L>(build.servers) => {
                Way::OwnIndexes(Box::new(OwnIndexes::of(build.servers)))
            }
            Sharing::PerWorker => Way::OwnScan,
        };
        Least { load, way }
    }

    /// The available server of least load that was not tried.
    #[inline(always)]
    pub(crate) fn find(&self, request: Request<'_>) -> Option<Position> {
        let Request { servers, tried, own, .. } = request;
        match &self.way {
            Way::Scan => self.scan(servers.iter_available(tried)),
            Way::Index(index) => self.find_indexed(index, servers, tried),
            Way::OwnScan | Way::OwnIndexes(_) => self.find_own(servers, tried, own),
        }
    }

    #[inline(always)]
    fn find_indexed(
        &self,
        index: &Index,
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
        match &self.way {
            Way::Index(index) => self.find_indexed(index, servers, tried),
            _ => self.scan(servers.iter_available(tried)),
        }
    }

    #[inline(never)]
    fn find_own(
        &self,
        servers: &Servers,
        tried: &[ServerId],
        own: Option<&Own>,
    ) -> Option<Position> {
        // Asked without a worker.
        let Some(own) = own else { return self.find_among_all(servers, tried) };
        if let (Way::OwnIndexes(indexes), true) = (&self.way, tried.is_empty()) {
            if let Some(found) = indexes.find(self.load, servers, own, ATTEMPTS) {
                return Some(found);
            }
        }
        let view = View::of(own, servers);
        self.scan((0..servers.len()).filter_map(|place| {
            let position = view.position(place);
            servers.available(position, tried)?;
            least_own::look(own, servers, position)
        }))
    }

    /// Which changes it has to be told.
    pub(crate) fn follows(&self) -> Follows {
        match &self.way {
            Way::Scan => Follows::Nothing,
            Way::Index(index) => Follows::Counts(Arc::clone(index)),
            Way::OwnScan | Way::OwnIndexes(_) => Follows::OwnCounts,
        }
    }

    /// What this worker has open at the server has changed, or if none is named, what is so for all.
    pub(crate) fn own_load_changed(&self, servers: &Servers, server: ServerId, own: Option<&Own>) {
        if let Way::OwnIndexes(indexes) = &self.way {
            indexes.load_changed(self.load, servers, own, server);
        }
    }

    /// A worker will pick here, or goes on after a change: of all that it goes by, or of what it
    /// shares. Director only.
    pub(crate) fn welcome(&self, servers: &Servers, own: &Own, all: bool) {
        if let Way::OwnIndexes(indexes) = &self.way {
            indexes.welcome(self.load, servers, own, all);
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
#[path = "least_tests.rs"]
mod tests;
