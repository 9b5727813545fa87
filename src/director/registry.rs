//! Assigns places, which hold per-worker state, to workers, for services that are shared `per-worker` or
//! in chunks.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use crate::arena::Arena;
use crate::arena::id::ServerId;
use crate::arena::worker_state::{MAX_WORKERS, Renewal, WorkerState};
use crate::concurrent::segments::ArcRef;
use crate::director::table::ServiceTable;
use crate::service::Service;
use crate::sync::Arc;

/// The places of living workers, and free places. A place is named by its number.
#[derive(Default)]
pub(super) struct WorkerRegistry {
    living: BTreeSet<u32>,
    /// Lowest first: the rotations of number 0 start where the shared ones do, unless it has a phase.
    free: BinaryHeap<Reverse<u32>>,
    /// Places from this number on have had no owner.
    next: u32,
}

/// Most free places that a new worker tries. A place is not vacant while a guest is still acting there.
const LOOKED_AT: usize = 4;

impl WorkerRegistry {
    /// Assigns a place to a new worker of this phase, by default the director's plus the place's number;
    /// `None` if all are taken. O(log workers + servers + services),
    /// plus [`share`](Self::share).
    pub(super) fn register(
        &mut self,
        arena: &Arena,
        phase: Option<u32>,
        reach: (u32, u32),
        table: &ServiceTable,
    ) -> Option<ArcRef<WorkerState>> {
        let number = self.free_number(arena)?;
        let place = arena.workers.arc_ref(number)?;
        let worker = place.get();
        // Connections that guests counted after the previous owner had gone.
        leave(arena, worker, table);
        // Without a service that is shared per worker or in chunks, only the first segment is allocated.
        let room = |is_needed: fn(&Service) -> bool, room| {
            if compiled(table).any(is_needed) { room } else { 0 }
        };
        worker.assign(
            number,
            phase.unwrap_or_else(|| arena.phase().wrapping_add(number)),
            room(Service::counts_per_worker, reach.0),
            room(Service::has_worker_slots, reach.1),
        );
        self.living.insert(number);
        self.share(arena, table, false);
        for compiled in compiled(table) {
            compiled.start_worker(worker);
            compiled.adopt_own(worker);
            compiled.make_sole(worker);
            compiled.index_worker(worker, Renewal::All);
        }
        Some(place)
    }

    /// Frees the place of a worker that was dropped. The cost is that of [`register`](Self::register).
    pub(super) fn unregister(&mut self, arena: &Arena, worker: &WorkerState, table: &ServiceTable) {
        // First: what is closed on behalf of a worker that has gone is counted in the slot.
        worker.fold(&arena.servers);
        worker.end();
        self.living.remove(&worker.number());
        if !worker.is_exhausted() {
            self.free.push(Reverse(worker.number()));
        }
        leave(arena, worker, table);
        self.share(arena, table, false);
    }

    /// The lowest vacant place among the first few free ones, else a new place.
    fn free_number(&mut self, arena: &Arena) -> Option<u32> {
        let mut busy = Vec::new();
        let is_vacant = |number: u32| arena.workers.get(number).is_some_and(WorkerState::is_vacant);
        let mut found = None;
        for _ in 0..LOOKED_AT {
            let Some(Reverse(number)) = self.free.pop() else { break };
            if is_vacant(number) {
                found = Some(number);
                break;
            }
            busy.push(Reverse(number));
        }
        self.free.extend(busy);
        found.or_else(|| {
            let number = (self.next < MAX_WORKERS).then_some(self.next)?;
            self.next += 1;
            arena.workers.grow_to(self.next);
            Some(number)
        })
    }

    /// Divides the connections that no living worker counts as its own among the living workers.
    ///
    /// Each division costs O(servers) for every worker. Unless `exactly` is set, it therefore happens
    /// only when the number of workers has doubled or halved, or becomes or stops being 1.
    pub(super) fn share(&self, arena: &Arena, table: &ServiceTable, exactly: bool) {
        let (living, before) = (self.living.len().max(1) as u32, arena.shares());
        let due =
            exactly || living.min(before) == 1 || living >= 2 * before || 2 * living <= before;
        if !due || living == before {
            return;
        }
        arena.set_shares(living);
        // A single worker counts all connections and searches in list order; one of several does
        // neither.
        let all = living.min(before) == 1;
        let renewal = if all { Renewal::All } else { Renewal::Common };
        for compiled in compiled(table).filter(|compiled| all || compiled.has_common()) {
            self.states(arena).for_each(|worker| compiled.index_worker(worker, renewal));
        }
    }

    /// Prepares workers' state for services that will be published. `compiled` yields pairs of the
    /// previous version, if any, and the new one.
    pub(super) fn before_publish<'a>(
        &self,
        arena: &Arena,
        (servers, services): (u32, u32),
        compiled: impl Iterator<Item = (Option<&'a Service>, &'a Service)> + Clone,
    ) {
        if compiled.clone().any(|(_, compiled)| compiled.counts_per_worker()) {
            arena.common.grow_to(servers);
        }
        for worker in self.states(arena) {
            for (former, compiled) in
                compiled.clone().filter(|(_, compiled)| compiled.has_worker_slots())
            {
                worker.grow_to(if compiled.counts_per_worker() { servers } else { 0 }, services);
                if !former.is_some_and(Service::per_worker) {
                    compiled.start_worker(worker);
                }
                compiled.adopt_own(worker);
                compiled.index_worker(worker, Renewal::Untold);
            }
        }
    }

    /// Moves workers' state to services that have been published. `compiled` as in
    /// [`before_publish`](Self::before_publish).
    pub(super) fn after_publish<'a>(
        &self,
        arena: &Arena,
        compiled: impl Iterator<Item = (Option<&'a Service>, &'a Service)> + Clone,
    ) {
        for (former, compiled) in
            compiled.clone().filter(|(_, compiled)| compiled.counts_per_worker())
        {
            compiled.count_common(former, self.states(arena));
        }
        for worker in self.states(arena) {
            for (former, compiled) in compiled.clone() {
                compiled.make_sole(worker);
                if former.is_some_and(Service::per_worker) {
                    compiled.adopt_worker(worker);
                }
                compiled.index_worker(worker, Renewal::Untold);
            }
        }
    }

    fn states<'a>(&'a self, arena: &'a Arena) -> impl Iterator<Item = &'a WorkerState> + Clone {
        self.living.iter().filter_map(|number| arena.workers.get(*number))
    }
}

/// Makes the open connections of a worker that was dropped no worker's own.
fn leave(arena: &Arena, worker: &WorkerState, table: &ServiceTable) {
    worker.take_left(|slot, own| {
        let Some(server) = arena.servers.get(slot).filter(|it| own.is_of(it.generation())) else {
            return;
        };
        // Other services derive these counts when they become shared per worker (`count_common`).
        if let Some(compiled) =
            table.service_at(server.service()).filter(|compiled| compiled.counts_per_worker())
        {
            let id = ServerId { slot, generation: server.generation() };
            compiled.common_changed(id, own.connections());
        }
    });
}

fn compiled(table: &ServiceTable) -> impl Iterator<Item = &Service> {
    table.services().iter().flatten().map(Arc::as_ref)
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
