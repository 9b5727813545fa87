//! What lblc and lblcr ask of all servers of a service: whether one has weight to spare, and which is the
//! least loaded.
//!
//! Most picks find a remembered server and ask at most the first question. So what such a connection
//! updates is O(1), and rarely written:
//!
//! - A set of the servers with weight to spare (`concurrent::flag_set`): written when a server's
//!   connections cross half of its weight, or its state changes.
//! - A tree of keys as in `least::index`, of which each is only a lower bound of its server's load. A load
//!   that rises leaves its key as it is; one that falls below its key lowers the key.
//!
//! A search for the least loaded takes the least key and compares it with the server's counts. If they
//! match, no server is less loaded, and no equally loaded server is before it in the list: the keys of
//! those would be found first. If they do not match, the search sets the key to the load, and starts over.
//! Each such correction is O(log n), and there is at most one per connection that was opened since the
//! key was set: a pick of a server that is not remembered pays for connections that did not. After many
//! corrections in one pick, a scan decides.
//!
//! Keys and flags are always derived from the counts, never incremented, so a change of the counts reaches
//! the index of a new pool no matter through which pool it arrives; see [`LocalityIndex::published`].

use crate::arena::Arena;
use crate::arena::counts::Counts;
use crate::arena::id::ServerId;
use crate::arena::slots::ServerSlot;
use crate::concurrent::flag_set::FlagSet;
use crate::concurrent::min_tree::MinTree;
use crate::concurrent::simd::Simd;
use crate::config::KernelRules;
use crate::pool::positions::Positions;
use crate::pool::servers::{Candidate, Position, Servers};
use crate::sched::least::index::{ATTEMPTS, untried};
use crate::sched::least::{Least, Load, Overhead, has_exact_keys};
use crate::sched::{LoadUpdates, OtherUpdates, PickRequest};
use crate::sync::Arc;

/// Up to this number of servers, a pick that asks about all of them scans them: that costs less than what
/// each connection would pay for an index. Measured.
const FEW: u32 = 32;

/// A correction costs what a scan costs per so many servers. In long lists, corrections may take as long
/// as the scan that they avoid. Measured.
const SERVERS_PER_CORRECTION: usize = 16;

/// An index of one pool's servers.
pub(crate) struct LocalityIndex {
    /// With the weights: an update needs no other immutable data.
    positions: Positions<u32>,
    load: Overhead,
    least: Least<Overhead>,
    /// `None` for few servers, of which a scan is as fast.
    many: Option<Many>,
}

struct Many {
    spare: FlagSet,
    /// `None` if keys could not distinguish the loads.
    keys: Option<MinTree>,
}

impl LocalityIndex {
    pub(super) fn new(servers: &Servers, rules: KernelRules) -> Arc<Self> {
        let load = Overhead(rules);
        let many = (servers.len() > FEW).then(|| {
            let keys = || servers.iter().map(|it| load.rule().key(it.weight, it.counts));
            let spare = servers.iter().map(|server| has_spare(server.weight, server.counts));
            Many {
                spare: FlagSet::new(spare),
                keys: has_exact_keys(load.rule(), servers)
                    .then(|| MinTree::new(keys(), Simd::detect())),
            }
        });
        let positions = Positions::with_weights(servers);
        Arc::new(LocalityIndex { positions, load, least: Least::scanning(load), many })
    }

    /// The position of the server in this slot; `None` if it is not in the list. O(1).
    #[inline]
    pub(super) fn position(&self, slot: u32) -> Option<Position> {
        self.positions.get(slot)
    }

    /// True if the server has more active connections than its weight, and another server of the service
    /// that is up has fewer than half of its weight. O(1).
    #[inline]
    pub(super) fn is_busy(&self, server: Candidate, servers: &Servers) -> bool {
        server.counts.active() > server.weight
            && match &self.many {
                Some(many) => !many.spare.is_empty(),
                None => is_any_spare(servers),
            }
    }

    /// The available server with the least load that was not tried; `None` if there is none. O(log n),
    /// and a correction for some of the connections opened since the previous search; at most O(n).
    #[inline]
    pub(super) fn find(&self, request: PickRequest<'_>) -> Option<Position> {
        let keys = self.many.as_ref().and_then(|many| many.keys.as_ref());
        let found = keys.and_then(|keys| self.search(keys, request.servers, request.tried));
        found.or_else(|| self.scan(request))
    }

    #[inline(never)]
    fn scan(&self, request: PickRequest<'_>) -> Option<Position> {
        self.least.find(request)
    }

    #[inline(never)]
    fn search(&self, keys: &MinTree, servers: &Servers, tried: &[ServerId]) -> Option<Position> {
        for _ in 0..ATTEMPTS + servers.len() as usize / SERVERS_PER_CORRECTION {
            let found = if tried.is_empty() {
                keys.least().ok()??
            } else {
                untried(&self.positions, tried, |excluded| keys.least_except(excluded))?
            };
            let (slot, weight) = servers.slot_and_weight(found.index)?;
            if self.load.rule().key(weight, slot.counts_relaxed()) == found.key {
                return Some(found.index);
            }
            self.correct(keys, found.index, weight, slot);
        }
        None
    }

    /// Sets a key to its server's load.
    fn correct(&self, keys: &MinTree, position: Position, weight: u32, slot: &ServerSlot) {
        // SeqCst, in one total order with the tree's stores; see `LoadIndex`.
        let key = |counts| self.load.rule().key(weight, counts);
        keys.set(position, || slot.counts_seqcst(), key);
    }

    /// Updates the index after a connection was opened on the server in this slot, which only raises its
    /// load. O(1), lock-free.
    #[inline]
    pub(crate) fn load_risen(&self, number: u32, slot: &ServerSlot) {
        if let (Some(many), Some((position, weight))) = (&self.many, self.positions.find(number)) {
            many.set_spare(position, weight, slot);
        }
    }

    /// Updates the index after any change of the counts in this slot. O(1) while the server stays on one
    /// side of half its weight, and its load does not fall below its key, else O(log n); lock-free.
    #[inline]
    pub(crate) fn load_changed(&self, number: u32, slot: &ServerSlot) {
        let (Some(many), Some((position, weight))) = (&self.many, self.positions.find(number))
        else {
            return;
        };
        many.set_spare(position, weight, slot);
        let Some(keys) = &many.keys else { return };
        // SeqCst: the counts, then the key. A search that stores a greater key loads the counts afterward.
        let key = self.load.rule().key(weight, slot.counts_seqcst());
        if keys.key(position).is_some_and(|known| known > key) {
            self.correct(keys, position, weight, slot);
        }
    }

    /// Updates the index after a connection was opened on the server in this slot of the arena; `marked` if
    /// that changed its overload mark. Not inlined, so that workers of other services save no registers for
    /// it.
    #[inline(never)]
    pub(crate) fn opened(&self, number: u32, arena: &Arena, marked: bool) {
        match arena.servers.get(number) {
            Some(slot) if marked => self.load_changed(number, slot),
            Some(slot) => self.load_risen(number, slot),
            None => {}
        }
    }

    /// The same after one was closed, or has changed its activity.
    #[inline(never)]
    pub(crate) fn closed(&self, number: u32, arena: &Arena) {
        if let Some(slot) = arena.servers.get(number) {
            self.load_changed(number, slot);
        }
    }

    /// Updates all servers once the pool is published: counts may have changed while this index was not
    /// yet reachable through it.
    pub(crate) fn published(&self, servers: &Servers) {
        if self.many.is_some() {
            servers.ids().for_each(|id| self.closed(id.slot, servers.arena()));
        }
    }

    /// As [`Scheduler::load_updates`](crate::sched::Scheduler::load_updates).
    pub(super) fn load_updates(self: &Arc<Self>) -> LoadUpdates {
        if self.many.is_some() {
            LoadUpdates::Other(OtherUpdates::Locality(Arc::clone(self)))
        } else {
            LoadUpdates::Nothing
        }
    }

    /// As [`Scheduler::load`](crate::sched::Scheduler::load).
    pub(super) fn load_of(&self, server: Candidate) -> (u64, u32) {
        self.least.load_of(server)
    }
}

impl Many {
    #[inline(always)]
    fn set_spare(&self, position: Position, weight: u32, slot: &ServerSlot) {
        self.spare.set(position, || slot.counts_seqcst(), |counts| has_spare(weight, counts));
    }
}

/// True if the server is up and has fewer active connections than half of its weight.
#[inline(always)]
fn has_spare(weight: u32, counts: Counts) -> bool {
    !counts.is_held() && 2 * u64::from(counts.active()) < u64::from(weight)
}

/// Not inlined, so that a pick saves no registers for it.
#[inline(never)]
fn is_any_spare(servers: &Servers) -> bool {
    servers.iter().any(|server| has_spare(server.weight, server.counts))
}

#[cfg(test)]
#[path = "locality_index_tests.rs"]
mod tests;
