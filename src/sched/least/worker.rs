//! The search for the least loaded server in services that are shared `per-worker`.
//!
//! Each worker counts the connections it opened itself, and its share of those that no living worker
//! opened. Workers break ties in favor of different servers. A single worker counts all connections and
//! starts at the head of the list, like the exact search.
//!
//! - Changes of a worker's own connections update its index immediately.
//! - Changes that affect all workers (a server's availability, a connection that belongs to none of
//!   them) are stamped once for all, and each worker catches up at its next pick. The cost does not
//!   depend on the number of workers.

use std::sync::OnceLock;

use crate::arena::Arena;
use crate::arena::counts::Counts;
use crate::arena::id::ServerId;
use crate::arena::own_count::Own;
use crate::arena::tally::{Connections, Tally};
use crate::arena::worker_state::{WorkerState, van_der_corput};
use crate::concurrent::min_tree::{Contended, Least, MinTree};
use crate::concurrent::segments::Segments;
use crate::concurrent::simd::Simd;
use crate::concurrent::simd::key::Key;
use crate::concurrent::stamps::{Seen, Stamps};
use crate::pool::positions::Positions;
use crate::pool::servers::{Candidate, Position, Servers};
use crate::sched::least::Load;

/// The indexes of all workers, by worker number.
pub(in crate::sched) struct WorkerIndexes {
    positions: Positions,
    indexes: Segments<WorkerIndex>,
    /// By position: changes that affect all workers.
    stamps: Stamps,
}

/// The index of one worker.
#[derive(Default)]
struct WorkerIndex {
    /// By places in the worker's view.
    tree: OnceLock<MinTree>,
    /// By positions. Made when there is a single worker, unless its view is the list itself.
    in_list_order: OnceLock<MinTree>,
    seen: OnceLock<Seen>,
}

/// The list as one worker sees it: rotated, so that workers do not all prefer the same server on a tie.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::sched) struct View {
    first: Position,
    length: u32,
}

impl View {
    pub(in crate::sched) fn of(worker: &WorkerState, servers: &Servers) -> Self {
        if is_single_worker(servers) {
            Self::in_list_order(servers)
        } else {
            Self::rotated(worker, servers)
        }
    }

    fn rotated(worker: &WorkerState, servers: &Servers) -> Self {
        View { first: van_der_corput(worker.phase(), servers.len()), length: servers.len() }
    }

    fn in_list_order(servers: &Servers) -> Self {
        Self::starting_at(0, servers)
    }

    pub(in crate::sched) fn starting_at(first: Position, servers: &Servers) -> Self {
        View { first, length: servers.len() }
    }

    /// The position of the server at this place of the view.
    #[inline]
    pub(in crate::sched) fn position(self, place: u32) -> Position {
        let position = u64::from(self.first) + u64::from(place);
        let length = u64::from(self.length);
        (if position < length { position } else { position - length }) as Position
    }

    #[inline]
    pub(in crate::sched) fn place(self, position: Position) -> u32 {
        if position >= self.first {
            position - self.first
        } else {
            position + (self.length - self.first)
        }
    }
}

/// True if there is a single worker, which then counts all connections, like the exact search.
#[inline(always)]
pub(super) fn is_single_worker(servers: &Servers) -> bool {
    servers.arena().shares() == 1
}

/// A server with the connections that the worker goes by; its availability is the same for all workers.
#[inline(always)]
pub(in crate::sched) fn candidate(
    worker: &WorkerState,
    servers: &Servers,
    position: Position,
) -> Option<Candidate> {
    // SeqCst: like the shared index, a worker's index reloads the counts after it has stored a key.
    let server = servers.counts_seqcst(position)?;
    let id = servers.endpoint(position)?.server();
    let own = worker.own(id.slot).map(|own| own.get(id.generation));
    let counts = if is_single_worker(servers) {
        own.map_or(server.counts, |own| server.counts.with_sole(own))
    } else {
        counts_of(own, servers.arena(), id.slot, server.counts)
    };
    Some(Candidate { counts, ..server })
}

/// The worker's connections, and its part of those that no living worker opened.
#[inline]
fn counts_of(own: Option<Own>, arena: &Arena, slot: u32, in_slot: Counts) -> Counts {
    let mut connections = own.map_or(Connections::NONE, Own::connections);
    let common = arena.common.get(slot).map_or(Connections::NONE, Tally::get);
    if common != Connections::NONE {
        connections = connections.plus(common.part(arena.shares()));
    }
    let (active, total) = (connections.active(), connections.total());
    if own.is_some_and(Own::is_sole) {
        return in_slot.with_connections(active, total);
    }
    // At most the slot's total: the host may have corrected that after it lost leases.
    in_slot.with_connections(active.min(in_slot.active()), total.min(in_slot.total()))
}

#[inline]
fn key_of<L: Load>(load: L, server: Option<Candidate>) -> u64 {
    server.map_or(u64::UNAVAILABLE, |server| load.rule().key(server.weight, server.counts))
}

impl WorkerIndexes {
    pub(in crate::sched) fn of(servers: &Servers) -> Self {
        let (positions, stamps) = (Positions::of(servers), Stamps::new(servers.len()));
        WorkerIndexes { positions, indexes: Segments::new(), stamps }
    }

    /// Makes the worker's index if it has none, then refreshes all servers, or without `all` only those
    /// with connections that belong to no worker. Director only.
    pub(in crate::sched) fn init_worker<L: Load>(
        &self,
        load: L,
        servers: &Servers,
        worker: &WorkerState,
        all: bool,
    ) {
        self.indexes.grow_to(worker.number() + 1);
        let Some(index) = self.indexes.get(worker.number()) else { return };
        // Before the counts are read, so that a later change is newer than this copy.
        index.seen.get_or_init(|| self.stamps.seen());
        let rotated = View::rotated(worker, servers);
        let tree = |view: View| {
            let key_at = |place| key_of(load, candidate(worker, servers, view.position(place)));
            MinTree::new((0..servers.len()).map(key_at), Simd::detect())
        };
        index.tree.get_or_init(|| tree(rotated));
        if is_single_worker(servers) && rotated != View::in_list_order(servers) {
            index.in_list_order.get_or_init(|| tree(View::in_list_order(servers)));
        }
        let common = &servers.arena().common;
        for (position, id) in (0..).zip(servers.ids()) {
            let shared = |tally: &Tally| tally.get() != Connections::NONE;
            if all || common.get(id.slot).is_some_and(shared) {
                refresh(load, servers, worker, index, position);
            }
        }
    }

    /// The least loaded server, which `least` finds in a tree that is in the order of a view. `None` if
    /// the index has no available server, or is too contended.
    pub(in crate::sched) fn find<L: Load>(
        &self,
        load: L,
        servers: &Servers,
        worker: &WorkerState,
        attempts: usize,
        least: impl Fn(&MinTree, View) -> Result<Option<Least>, Contended>,
    ) -> Option<Position> {
        let index = self.indexes.get(worker.number())?;
        if self.stamps.are_newer(index.seen.get()?) {
            self.catch_up(load, servers, worker, index);
        }
        let in_list_order = index.in_list_order.get().filter(|_| is_single_worker(servers));
        let (tree, view) = match in_list_order {
            Some(tree) => (tree, View::in_list_order(servers)),
            None => (index.tree.get()?, View::rotated(worker, servers)),
        };
        for _ in 0..attempts {
            let found = match least(tree, view) {
                Ok(found) => found?,
                Err(Contended) => return None,
            };
            let position = view.position(found.index);
            if key_of(load, candidate(worker, servers, position)) == found.key {
                return Some(position);
            }
            refresh(load, servers, worker, index, position);
        }
        None
    }

    #[cold]
    #[inline(never)]
    fn catch_up<L: Load>(
        &self,
        load: L,
        servers: &Servers,
        worker: &WorkerState,
        index: &WorkerIndex,
    ) {
        if let Some(seen) = index.seen.get() {
            self.stamps.catch_up(seen, |position| refresh(load, servers, worker, index, position));
        }
    }

    /// Updates the worker's index after a change at this server; without a worker, stamps a change that
    /// affects all workers.
    pub(in crate::sched) fn load_changed<L: Load>(
        &self,
        load: L,
        servers: &Servers,
        worker: Option<&WorkerState>,
        server: ServerId,
    ) {
        let Some(position) = self.positions.get(server.slot) else { return };
        let Some(worker) = worker else { return self.stamps.changed(position) };
        if let Some(index) = self.indexes.get(worker.number()) {
            refresh(load, servers, worker, index, position);
        }
    }
}

fn refresh<L: Load>(
    load: L,
    servers: &Servers,
    worker: &WorkerState,
    index: &WorkerIndex,
    position: Position,
) {
    #[cfg(test)]
    RENEWED.with(|renewed| renewed.set(renewed.get() + 1));
    let current = || candidate(worker, servers, position);
    let key = |server| key_of(load, server);
    if let Some(tree) = index.tree.get() {
        tree.set(View::rotated(worker, servers).place(position), current, key);
    }
    if let Some(tree) = index.in_list_order.get() {
        tree.set(position, current, key);
    }
}

#[cfg(test)]
thread_local! {
    /// How often this thread has refreshed a server in some worker's index.
    static RENEWED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
