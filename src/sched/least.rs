//! The search that lc, wlc, sed, nq, lblc and lblcr share: least load per weight, first in the list
//! on a tie.
//!
//! Few servers are scanned. Many have an index, a tree of keys (`state::min_tree`) in which a load
//! per weight is one number that orders exactly as the fractions do. A key is always computed from
//! the server's counts, never counted up itself; so whichever table a connection's end comes through,
//! it corrects the index. The answer is compared with the counts before it is given: what a thread
//! that was stopped has not told yet is found out then, and told for it.

use crate::config::{Generation, Sharing};
use crate::sched::least_own::{self, OwnIndexes, View};
use crate::sched::{Build, Follows, Request};
use crate::state::counts::Counts;
use crate::state::lanes::{Lanes, NEVER};
use crate::state::min_tree::{self, MinTree, Restless};
use crate::state::own::Own;
use crate::state::positions::Positions;
use crate::state::servers::{Candidate, Position, Servers};
use crate::state::slots::ServerId;

/// What one active connection weighs against an inactive one.
const ACTIVE: u64 = 256;

/// So few servers are scanned as fast as an index finds one, which besides is kept at each
/// connection's begin and end. Measured; see docs/performance.md.
const SCANNED: u32 = 12;

/// Up to here 64-bit floating point keeps any two loads per weight apart: a load has up to 35 bits,
/// so fractions differ by 2^-51 at least, where rounding moves one by 2^-53 at most.
const HEAVIEST: u32 = 1 << 16;

/// How often a pick compares the index' answer with the counts before it scans.
const ATTEMPTS: usize = 8;

/// What a scheduler calls load.
pub(crate) trait Load: Copy {
    /// It is compared per weight.
    const WEIGHTED: bool = true;

    /// At most 257 times the most connections a server can have.
    fn of(self, counts: Counts) -> u64;

    /// The first such server is taken, whatever the load of others.
    #[inline(always)]
    fn at_once(self, _counts: Counts) -> bool {
        false
    }
}

/// The kernel's connection overhead. In 64 bits: the kernel's 32 wrap at 8.3 million active
/// connections, after which a loaded server would attract all others. That is left out on purpose.
#[inline]
pub(crate) fn overhead(counts: Counts, generation: Generation) -> u64 {
    let (active, total) = (u64::from(counts.active()), u64::from(counts.total()));
    match generation {
        Generation::A => ACTIVE * active + total.saturating_sub(active),
        Generation::B => ACTIVE * active + total,
    }
}

/// The overhead per weight.
#[derive(Clone, Copy)]
pub(crate) struct Overhead(pub(crate) Generation);

impl Load for Overhead {
    #[inline(always)]
    fn of(self, counts: Counts) -> u64 {
        overhead(counts, self.0)
    }
}

/// What a scheduler with a [`Least`] in this field has to do for it.
macro_rules! keeps_least {
    ($field:tt) => {
        #[inline]
        fn load_changed(
            &self,
            servers: &crate::state::servers::Servers,
            server: crate::state::slots::ServerId,
        ) {
            self.$field.load_changed(servers, server);
        }

        fn published(&self, servers: &crate::state::servers::Servers) {
            self.$field.published(servers);
        }

        fn follows(&self) -> crate::sched::Follows {
            self.$field.follows()
        }

        fn own_load_changed(
            &self,
            servers: &crate::state::servers::Servers,
            server: crate::state::slots::ServerId,
            own: &crate::state::own::Own,
        ) {
            self.$field.own_load_changed(servers, server, own);
        }

        fn welcome(&self, servers: &crate::state::servers::Servers, own: &crate::state::own::Own) {
            self.$field.welcome(servers, own);
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
    Index(Index),
    OwnScan,
    OwnIndexes(Box<OwnIndexes>),
}

struct Index {
    positions: Positions,
    keys: MinTree,
}

impl<L: Load> Least<L> {
    /// Compiles the search among all connections of the service's servers.
    pub(crate) fn of(load: L, servers: &Servers) -> Self {
        let way = if is_indexed::<L>(servers) {
            Way::Index(Index {
                positions: Positions::of(servers),
                keys: MinTree::new(servers.iter().map(|server| key(load, server)), Lanes::detect()),
            })
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
    #[inline]
    pub(crate) fn find(&self, request: Request<'_>) -> Option<Position> {
        match &self.way {
            Way::Scan | Way::Index(_) => self.find_among_all(request.servers, request.tried),
            Way::OwnScan | Way::OwnIndexes(_) => self.find_own(request),
        }
    }

    #[inline]
    fn find_among_all(&self, servers: &Servers, tried: &[ServerId]) -> Option<Position> {
        if let Way::Index(index) = &self.way {
            if let Some(found) = index.find(self.load, servers, tried) {
                return Some(found);
            }
        }
        self.scan(servers.iter_available(tried))
    }

    #[inline(never)]
    fn find_own(&self, request: Request<'_>) -> Option<Position> {
        let Request { servers, tried, own, .. } = request;
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

    /// A count of this server has changed.
    #[inline]
    pub(crate) fn load_changed(&self, servers: &Servers, server: ServerId) {
        if let Way::Index(index) = &self.way {
            if let Some(position) = index.positions.get(server.slot) {
                index.renew(self.load, servers, position);
            }
        }
    }

    /// Which changes it has to be told.
    pub(crate) fn follows(&self) -> Follows {
        match self.way {
            Way::Scan => Follows::Nothing,
            Way::Index(_) => Follows::Counts,
            Way::OwnScan | Way::OwnIndexes(_) => Follows::OwnCounts,
        }
    }

    /// As [`load_changed`](Self::load_changed), for this worker alone.
    pub(crate) fn own_load_changed(&self, servers: &Servers, server: ServerId, own: &Own) {
        if let Way::OwnIndexes(indexes) = &self.way {
            indexes.load_changed(self.load, servers, own, server);
        }
    }

    /// A worker will pick here. Director only.
    pub(crate) fn welcome(&self, servers: &Servers, own: &Own) {
        if let Way::OwnIndexes(indexes) = &self.way {
            indexes.welcome(self.load, servers, own);
        }
    }

    /// Counts may have changed before this search was reached through the published table.
    pub(crate) fn published(&self, servers: &Servers) {
        if let Way::Index(index) = &self.way {
            for position in 0..servers.len() {
                index.renew(self.load, servers, position);
            }
        }
    }

    fn scan(&self, servers: impl Iterator<Item = Candidate>) -> Option<Position> {
        let mut best: Option<(Candidate, u64)> = None;
        for server in servers {
            if self.load.at_once(server.counts) {
                return Some(server.position);
            }
            let load = self.load.of(server.counts);
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

impl Index {
    /// `None` if nobody is available as far as the index knows, or others are too busy in it.
    #[inline]
    fn find<L: Load>(&self, load: L, servers: &Servers, tried: &[ServerId]) -> Option<Position> {
        for _ in 0..ATTEMPTS {
            let found = if tried.is_empty() { self.keys.least() } else { Ok(self.untried(tried)) };
            let found = match found {
                Ok(found) => found?,
                Err(Restless) => return None,
            };
            let (_, server) = servers.look(found.index)?;
            if key(load, server) == found.key {
                return Some(found.index);
            }
            self.renew(load, servers, found.index);
        }
        None
    }

    #[cold]
    fn untried(&self, tried: &[ServerId]) -> Option<min_tree::Least> {
        const MANY: usize = 64;
        let mut excluded = [0; MANY];
        // More than the stack array holds: the scan's turn.
        let excluded = excluded.get_mut(..tried.len())?;
        let mut length = 0;
        let known = tried.iter().filter_map(|id| self.positions.get(id.slot));
        for (place, position) in excluded.iter_mut().zip(known) {
            *place = position;
            length += 1;
        }
        self.keys.least_except(excluded.get(..length)?)
    }

    #[inline]
    fn renew<L: Load>(&self, load: L, servers: &Servers, position: Position) {
        // In one order with the tree's stores: a glance could come before the leaf's store, and miss
        // the change of one who found the leaf as it was before.
        let current = || servers.look_again(position);
        self.keys.set(position, current, |server| server.map_or(NEVER, |server| key(load, server)));
    }
}

/// A number that orders as the load per weight does; [`NEVER`] if the server is not available.
#[inline]
pub(super) fn key<L: Load>(load: L, server: Candidate) -> u64 {
    if server.weight == 0 || server.counts.overloaded() {
        NEVER
    } else if load.at_once(server.counts) {
        0
    } else if L::WEIGHTED {
        (load.of(server.counts) as f64 / f64::from(server.weight)).to_bits()
    } else {
        (load.of(server.counts) as f64).to_bits()
    }
}

#[cfg(test)]
#[path = "least_tests.rs"]
mod tests;
