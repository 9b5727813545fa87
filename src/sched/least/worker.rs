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
use crate::arena::tally::{Connections, Tally};
use crate::arena::worker_state::{WorkerState, van_der_corput};
use crate::concurrent::min_tree::{Contended, MinTree};
use crate::concurrent::segments::Segments;
use crate::concurrent::simd::{Simd, UNAVAILABLE};
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
        View { first: van_der_corput(worker.number(), servers.len()), length: servers.len() }
    }

    fn in_list_order(servers: &Servers) -> Self {
        View { first: 0, length: servers.len() }
    }

    /// The position of the server at this place of the view.
    #[inline]
    pub(in crate::sched) fn position(self, place: u32) -> Position {
        let position = u64::from(self.first) + u64::from(place);
        let length = u64::from(self.length);
        (if position < length { position } else { position - length }) as Position
    }

    #[inline]
    fn place(self, position: Position) -> u32 {
        if position >= self.first {
            position - self.first
        } else {
            position + (self.length - self.first)
        }
    }
}

/// True if there is a single worker, which then counts all connections, like the exact search.
#[inline(always)]
fn is_single_worker(servers: &Servers) -> bool {
    servers.arena().shares() == 1
}

/// A server with the connections that the worker counts; its availability is the same for all workers.
#[inline(always)]
pub(in crate::sched) fn candidate(
    worker: &WorkerState,
    servers: &Servers,
    position: Position,
) -> Option<Candidate> {
    // SeqCst: like the shared index, a worker's index reloads the counts after it has stored a key.
    let server = servers.counts_seqcst(position)?;
    if is_single_worker(servers) {
        return Some(server);
    }
    let slot = servers.endpoint(position)?.server().slot;
    Some(Candidate { counts: counts_of(worker, servers.arena(), slot, server.counts), ..server })
}

#[inline]
fn counts_of(worker: &WorkerState, arena: &Arena, slot: u32, all: Counts) -> Counts {
    let mut connections = worker.connections(slot);
    let common = arena.common.get(slot).map_or(Connections::NONE, Tally::get);
    if common != Connections::NONE {
        connections = connections.plus(common.part(arena.shares()));
    }
    // At most the server's total: the host may have corrected that after it lost leases.
    let (active, total) = (connections.active(), connections.total());
    all.with_connections(active.min(all.active()), total.min(all.total()))
}

#[inline]
fn key_of<L: Load>(load: L, server: Option<Candidate>) -> u64 {
    server.map_or(UNAVAILABLE, |server| load.rule().key(server.weight, server.counts))
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

    /// The least loaded server. `None` if the index has no available server, or is too contended.
    pub(in crate::sched) fn find<L: Load>(
        &self,
        load: L,
        servers: &Servers,
        worker: &WorkerState,
        attempts: usize,
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
            let found = match tree.least() {
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
mod tests {
    use super::{RENEWED, View};
    use crate::arena::counts::Activity::Active;
    use crate::config::Sharing;
    use crate::worker::Worker;
    use crate::{Config, Director, Flow};

    fn renewed(act: impl FnOnce()) -> u32 {
        RENEWED.set(0);
        act();
        RENEWED.get()
    }

    /// Servers that take one connection each, after `gone` workers have left, with `living` workers.
    fn director(servers: u32, gone: usize, living: usize) -> (Director, Vec<Worker>) {
        let mut rules = "-A -t 10.0.0.1:80 -s lc\n".to_owned();
        for number in 0..servers {
            let (high, low) = (number >> 8, number & 255);
            rules += &format!("-a -t 10.0.0.1:80 -r 10.0.{high}.{low}:80 -m -x 1 -y 1\n");
        }
        let mut config: Config = rules.parse().unwrap();
        config.services[0].sharing = Sharing::PerWorker;
        let director = Director::new(&config).unwrap();
        drop((0..gone).map(|_| director.worker()).collect::<Vec<_>>());
        let workers = (0..living).map(|_| director.worker()).collect();
        (director, workers)
    }

    #[test]
    fn a_place_leads_to_its_position_and_back() {
        for length in [1, 2, 7, 100] {
            for first in 0..length {
                let view = View { first, length };
                let places: Vec<u32> =
                    (0..length).map(|at| view.place(view.position(at))).collect();
                assert_eq!(places, (0..length).collect::<Vec<_>>(), "{first} of {length}");
                assert_eq!((view.position(0), view.place(first)), (first, 0));
            }
        }
    }

    #[test]
    fn a_connection_costs_the_same_however_many_workers_there_were() {
        const SERVERS: u32 = 100;
        for (gone, living) in [(0, 2), (100, 2), (0, 100)] {
            let (director, workers) = director(SERVERS, gone, living);
            let service = director.service("tcp 10.0.0.1:80").unwrap();
            let flow = Flow::default();
            let most = 2 * crate::concurrent::sizes::GROUP as u32;
            for _ in 0..3 {
                // Sets and clears the server's overload mark.
                let renewed_by = renewed(|| {
                    let lease = workers[0].connect(service, &flow).unwrap().into_lease();
                    workers[0].close(lease).unwrap();
                });
                assert!((1..=most).contains(&renewed_by), "{gone}, {living}: {renewed_by}");
            }
            // A worker that picks later catches up with the changes, once.
            let renewed_by = renewed(|| assert!(workers[1].pick_server(service, &flow).is_some()));
            assert!((1..=most).contains(&renewed_by), "{gone}, {living}: {renewed_by}");
            assert_eq!(renewed(|| assert!(workers[1].pick_server(service, &flow).is_some())), 0);
        }
    }

    #[test]
    fn a_worker_costs_the_same_however_many_there_are() {
        let costs = [(0, 3), (100, 3), (0, 100)].map(|(gone, living)| {
            let (director, _workers) = director(100, gone, living);
            renewed(|| drop(director.worker()))
        });
        assert!(costs[0] > 0 && costs.iter().all(|cost| *cost == costs[0]), "{costs:?}");
    }

    #[test]
    fn who_rests_finds_a_server_that_became_available() {
        for servers in [40, 1000] {
            let (director, workers) = director(servers, 0, 3);
            let service = director.service("tcp 10.0.0.1:80").unwrap();
            let flow = Flow::default();
            let mut leases: Vec<_> = (0..servers)
                .map(|_| workers[0].connect(service, &flow).unwrap().into_lease())
                .collect();
            assert!(workers.iter().all(|worker| worker.pick_server(service, &flow).is_none()));
            let at = leases.len() / 3;
            let lease = leases.swap_remove(at);
            let freed = lease.server();
            workers[1].close(lease).unwrap();
            for worker in &workers {
                // Found by the index: a scan would refresh all of them.
                let renewed_by = renewed(|| {
                    assert_eq!(worker.pick_server(service, &flow).unwrap().server(), freed);
                });
                assert!((1..=16).contains(&renewed_by), "{renewed_by}");
            }
            let other = workers[2].open(freed, Active).unwrap();
            workers[0].close(other).unwrap();
            leases.into_iter().for_each(|lease| workers[2].close(lease).unwrap());
        }
    }
}
