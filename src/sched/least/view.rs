//! What a worker goes by in services that are shared `per-worker`: the list as it sees it, and the counts of
//! a server.

use crate::arena::Arena;
use crate::arena::counts::{Counts, layout};
use crate::arena::own_count::{Own, OwnCount};
use crate::arena::tally::{Connections, Tally};
use crate::arena::worker_state::{WorkerState, van_der_corput};
use crate::pool::servers::{Candidate, Position, Servers};

/// The list as one worker sees it: rotated, so that workers do not all prefer the same server on a tie.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::sched) struct View {
    pub(super) first: Position,
    pub(super) length: u32,
}

impl View {
    pub(in crate::sched) fn of(worker: &WorkerState, servers: &Servers) -> Self {
        if is_single_worker(servers) {
            Self::in_list_order(servers)
        } else {
            Self::rotated(worker, servers)
        }
    }

    pub(super) fn rotated(worker: &WorkerState, servers: &Servers) -> Self {
        View { first: van_der_corput(worker.phase(), servers.len()), length: servers.len() }
    }

    pub(super) fn in_list_order(servers: &Servers) -> Self {
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
    is_single(servers.arena())
}

#[inline(always)]
fn is_single(arena: &Arena) -> bool {
    arena.shares() == 1
}

/// The connections that the worker goes by at a server beside those of its own word. `None` if the word and
/// those do not make a sum until something changes for all workers.
pub(super) fn beside_own(
    own: Own,
    arena: &Arena,
    slot: u32,
    in_slot: Counts,
) -> Option<Connections> {
    let in_slot = Connections::new(in_slot.active(), in_slot.total());
    let common = arena.common.get(slot).map_or(Connections::NONE, Tally::get);
    let (single, sole) = (is_single(arena), own.is_sole());
    // A single worker goes by all connections, whatever is noted of them.
    let beside = match (single, sole) {
        (true, true) => in_slot,
        (true, false) => in_slot.plus(own.connections().negative()),
        (false, true) => common.part(arena.shares()),
        (false, false) => common,
    };
    // Where the slot counts both, it changes with the word, and may be the limit (`counts_of`).
    let is_sum = if sole { !beside.is_negative() } else { beside == Connections::NONE };
    is_sum.then_some(beside)
}

/// A server with the connections that the worker goes by; its availability is the same for all workers.
#[inline(always)]
pub(in crate::sched) fn candidate(
    worker: &WorkerState,
    servers: &Servers,
    position: Position,
) -> Option<Candidate> {
    // SeqCst: a change that is not seen here is stamped after this.
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

/// The counts that the worker goes by, of the server at this position, for which this is its word: the
/// connections, and whether the server is available.
#[inline(always)]
pub(super) fn counts(
    own: &OwnCount,
    servers: &Servers,
    worker: &WorkerState,
    position: Position,
) -> Counts {
    match own.any().as_counts() {
        Some(counts) => counts,
        None => counts_closely(servers, worker, position),
    }
}

#[cold]
#[inline(never)]
fn counts_closely(servers: &Servers, worker: &WorkerState, position: Position) -> Counts {
    let server = candidate(worker, servers, position);
    server.map_or(Counts::from_word(layout::UNAVAILABLE), |server| server.counts)
}

/// The worker's word for the server at this position.
#[inline(always)]
pub(super) fn own<'a>(
    servers: &Servers,
    worker: &'a WorkerState,
    position: Position,
) -> Option<&'a OwnCount> {
    worker.own(servers.endpoint(position)?.server().slot)
}

/// True if a worker's word, if it is sole, says all that the worker goes by at the server.
pub(super) fn says_all(servers: &Servers, position: Position) -> bool {
    let Some(server) = servers.counts_seqcst(position) else { return false };
    let arena = servers.arena();
    let slot = servers.endpoint(position).map(|endpoint| endpoint.server().slot);
    let common = slot.and_then(|slot| arena.common.get(slot)).is_some_and(is_counted);
    // One of several workers goes by its own.
    let others = is_single_worker(servers) && server.counts.total() > 0;
    server.counts.available() && !common && !others
}

/// Notes in the worker's word whether it says all.
pub(super) fn note(servers: &Servers, worker: &WorkerState, position: Position, says_all: bool) {
    if let (Some(own), Some(endpoint)) =
        (own(servers, worker, position), servers.endpoint(position))
    {
        own.note_availability(endpoint.server().generation, says_all);
    }
}

pub(super) fn is_counted(tally: &Tally) -> bool {
    tally.get() != Connections::NONE
}
