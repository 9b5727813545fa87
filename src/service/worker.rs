//! What a service does for each worker, if it is shared `per-worker` or in chunks.

use std::num::NonZeroU8;

use crate::arena::id::ServerId;
use crate::arena::service_slot::ServiceSlot;
use crate::arena::tally::{Connections, Tally};
use crate::arena::worker_state::{MAX_WORKERS, Renewal, WorkerState};
use crate::config::{MAX_CHUNK, MAX_SERVERS};
use crate::pool::endpoint::Endpoint;
use crate::rotation::chunk::NEXT;
use crate::rotation::ticket_word::{TICKET_BITS, TURN};
use crate::sched::MOST_TURNS;
use crate::service::{LoadUpdates, OtherUpdates, Service, WorkerLoads};

/// All workers' invalid chunks fit into the bits that invalid tickets may change.
const _: () = assert!(MAX_CHUNK as u64 * MAX_WORKERS as u64 <= 1 << TICKET_BITS);
/// A word off its schedule has room for every turn.
const _: () = assert!(MOST_TURNS < TURN && (MAX_SERVERS as u64) < TURN);
/// A chunk has room for every ticket of a schedule, and for the one past the end.
const _: () = assert!(MOST_TURNS <= NEXT && MAX_SERVERS as u64 <= NEXT);

impl Service {
    /// The server of the next turn of the worker's own rotation, if it is available.
    #[inline(always)]
    pub(crate) fn take_worker_ticket(&self, slot: &ServiceSlot) -> Option<&Endpoint> {
        let available = |position| self.servers.available_endpoint(position);
        slot.worker_rotation.take_available(self.version, &self.worker_schedule, available)
    }

    /// The server of the next ticket of the worker's chunk, if it is always available.
    #[inline(always)]
    pub(crate) fn take_of_chunk(&self, slot: &ServiceSlot) -> Option<&Endpoint> {
        let endpoint = self.ticket_endpoint(slot.chunk.next(self.sequence))?;
        slot.chunk.take_next();
        Some(endpoint)
    }

    /// The first available server of the next tickets of the worker's chunk, and then of another chunk.
    /// `None` if the worker takes no chunks, or leaves this pick to the scheduler.
    #[inline]
    pub(crate) fn redeem_chunk(&self, worker: Option<&WorkerState>) -> Option<&Endpoint> {
        let length = NonZeroU8::new(self.chunk)?;
        let slot = worker?.service(self.id.slot)?;
        let available = |position| self.servers.available_endpoint(position);
        slot.chunk.redeem(
            (self.sequence, length),
            &self.rotation.current,
            &self.schedule,
            available,
        )
    }

    /// Workers have state of their own for the service.
    pub(crate) fn has_worker_slots(&self) -> bool {
        self.per_worker || self.chunk != 0
    }

    /// Each worker decides by itself.
    pub(crate) fn per_worker(&self) -> bool {
        self.per_worker
    }

    /// Each worker goes by the connections that it has opened itself.
    pub(crate) fn counts_per_worker(&self) -> bool {
        self.worker_loads().is_some()
    }

    fn worker_loads(&self) -> Option<&WorkerLoads> {
        match &self.load_updates {
            LoadUpdates::Other(OtherUpdates::WorkerCounts(loads)) => Some(loads),
            _ => None,
        }
    }

    /// Starts a worker's rotations. Nothing else refers to them: the worker is new, or the service is
    /// not yet published.
    pub(crate) fn start_worker(&self, worker: &WorkerState) {
        if let (true, Some(slot)) = (self.per_worker, worker.service(self.id.slot)) {
            slot.start_draws(worker.phase());
            let start = self.scheduler.start(worker.phase());
            slot.worker_rotation.start(self.version, start);
            slot.worker_retries.start(self.version, start);
        }
    }

    /// Moves a worker's rotations to this version. After the publication.
    pub(crate) fn adopt_worker(&self, worker: &WorkerState) {
        if let (true, Some(slot)) = (self.per_worker, worker.service(self.id.slot)) {
            let translate = |state| self.scheduler.translate(state, worker.phase());
            slot.worker_rotation
                .migrate(self.version, |state| translate(self.rotation.normalize_previous(state)));
            slot.worker_retries.migrate(self.version, translate);
        }
    }

    /// Indexes the loads that the worker goes by: before it can pick here, again after the publication,
    /// and when the number of workers has changed, which often concerns only what they share.
    pub(crate) fn index_worker(&self, worker: &WorkerState, renewal: Renewal) {
        if let Some(loads) = self.worker_loads() {
            loads.init_worker(&self.servers, worker, renewal);
        }
    }

    /// The worker's words for these servers are theirs from now on: before it can pick here.
    pub(crate) fn adopt_own(&self, worker: &WorkerState) {
        for id in self.own_servers() {
            if let Some(own) = worker.own(id.slot) {
                own.adopt(id.generation);
            }
        }
    }

    /// From now on the worker counts its connections to these servers alone, where it has none yet and the
    /// server has no limits. After the publication.
    pub(crate) fn make_sole(&self, worker: &WorkerState) {
        for id in self.own_servers() {
            let slot = self.servers.arena().servers.get(id.slot);
            let own = worker.own(id.slot).filter(|_| slot.is_some_and(|slot| !slot.is_limited()));
            if let Some(own) = own {
                own.make_sole(id.generation);
            }
        }
    }

    /// From now on the servers' slots count all connections.
    pub(crate) fn fold(&self) {
        self.own_servers().for_each(|id| self.servers.arena().fold(id.slot));
    }

    /// The servers for which workers count the connections that they opened.
    fn own_servers(&self) -> impl Iterator<Item = ServerId> + '_ {
        let servers = self.counts_per_worker().then(|| self.servers.ids());
        servers.into_iter().flatten()
    }

    /// Works out which connections no worker counts as its own, for servers whose service has just
    /// begun to go by what each worker has open. After the publication.
    ///
    /// Exact if nothing opens or closes meanwhile; each connection that does may be counted, or left
    /// out, for good. That moves nothing but later picks of several workers: one alone goes by all.
    pub(crate) fn count_common<'a>(
        &self,
        former: Option<&Service>,
        workers: impl Iterator<Item = &'a WorkerState> + Clone,
    ) {
        let known = former.filter(|former| former.counts_per_worker());
        let mut known: Vec<ServerId> =
            known.iter().flat_map(|compiled| compiled.servers.ids()).collect();
        known.sort_unstable_by_key(|id| id.slot);
        for (position, id) in (0..).zip(self.servers.ids()) {
            if known.binary_search_by_key(&id.slot, |id| id.slot).is_ok_and(|at| known[at] == id) {
                continue;
            }
            let (Some(common), Some((slot, _))) =
                (self.common(id), self.servers.slot_and_weight(position))
            else {
                continue;
            };
            // Before the counts: what ends from here on is missing in both, or in none.
            let before = common.get();
            let counts = slot.counts_seqcst();
            // Of those in the slot.
            let worker = |worker: &WorkerState| {
                let own = worker.own(id.slot)?.get(id.generation);
                (!own.is_sole()).then(|| own.connections())
            };
            let owned = match counts.total() {
                0 => Connections::NONE,
                _ => workers.clone().filter_map(worker).fold(Connections::NONE, Connections::plus),
            };
            let all = Connections::new(counts.active(), counts.total());
            common.add(all.plus(owned.negative()).plus(before.negative()));
        }
    }

    /// There are such connections. O(servers).
    pub(crate) fn has_common(&self) -> bool {
        let none = |common: &Tally| common.get() == Connections::NONE;
        let is_none = |id| self.common(id).is_none_or(none);
        self.counts_per_worker() && !self.servers.ids().all(is_none)
    }

    /// A connection that no living worker counts as its own has begun, ended or changed.
    pub(crate) fn common_changed(&self, server: ServerId, change: Connections) {
        if let Some(common) = self.common(server) {
            common.add(change);
        }
        if let Some(loads) = self.worker_loads() {
            loads.changed_for_all(server.slot);
        }
    }

    fn common(&self, server: ServerId) -> Option<&Tally> {
        self.servers.arena().common.get(server.slot)
    }
}
