//! One virtual service compiled for picking: servers, scheduler, persistence, rotation.

mod explain;
mod general;
mod persistence;
mod spec;
mod standby;
mod worker;

use crate::arena::Arena;
use crate::arena::block::rotations::{Begins, InUse, Version};
use crate::arena::id::{ServerId, ServiceId};
use crate::arena::service_slot::ServiceSlot;
use crate::arena::slots::ServerSlot;
use crate::arena::tally::Connections;
use crate::arena::worker_state::WorkerState;
use crate::concurrent::segments::ArcRef;
use crate::config::{Remembered, ServiceSettings, Sharing};
use crate::flow::Flow;
use crate::memory::pace::{CALL, Pace};
use crate::memory::templates::Templates;
use crate::pool::endpoint::Endpoint;
use crate::pool::servers::{Member, Position, Servers};
use crate::rotation::chunk::Sequence;
use crate::rotation::schedule::Schedule;
use crate::rotation::shared::{SharedRotation, TicketRange};
use crate::rotation::version::PoolVersion;
use crate::sched::{AffinityCaches, AnyScheduler, Build, PickRequest};
pub(crate) use crate::sched::{LoadUpdates, OtherUpdates, WorkerLoads};
use crate::service::persistence::Persistent;
use crate::service::spec::digest;
pub(crate) use crate::service::spec::{Maps, ServiceSpec};
use crate::service::standby::Standby;
use crate::sync::Arc;

/// A virtual service compiled for picking. Immutable; what changes lies in the arena.
pub(crate) struct Service {
    pub(crate) id: ServiceId,
    pub(crate) version: PoolVersion,
    slot: ArcRef<ServiceSlot>,
    pub(crate) servers: Servers,
    /// Each worker decides by itself.
    per_worker: bool,
    /// Every ticket's server is looked at: one may be held.
    looks_at_holds: bool,
    persistence: Option<Persistent>,
    /// The scheduler's.
    caches: AffinityCaches,
    standby: Standby,
    /// The address of an FTP service that does not take its data connections.
    control_only: Option<[u64; 2]>,
    pub(crate) scheduler: AnyScheduler,
    /// The scheduler's answer, at hand: most need no updates, and every connection asks.
    load_updates: LoadUpdates,
    /// What [`Path::Ticket`] and [`Path::Chunk`] take their servers from; empty on every other path.
    pub(crate) schedule: Schedule,
    /// The service's id as a word if `schedule` is not empty and tickets are taken one by one, else no id:
    /// one comparison for all three.
    ticket_service: u64,
    /// The same where they are taken in chunks.
    chunk_service: u64,
    /// Names the servers of `schedule` and their order, for chunks of its tickets.
    pub(crate) sequence: Sequence,
    /// Tickets that a worker takes at once; 0 = no chunks.
    chunk: u8,
    /// What [`Path::WorkerTicket`] takes its servers from. Apart from `schedule`, so that the shared
    /// path needs no second check.
    pub(crate) worker_schedule: Schedule,
    /// As `ticket_service`.
    worker_ticket_service: u64,
    /// The service's id as a word if a pick is what the scheduler says and no more: no persistence, no
    /// server without a port, no flow to refuse, no standby, no chunk. Else no id.
    scheduler_service: u64,
    /// Whose turn it is, for all workers.
    pub(crate) rotation: SharedRotation,
    /// The same for retries, without a schedule.
    retries: SharedRotation,
    /// The version whose rotations these are, if other processes turn them too.
    in_use: Option<Arc<InUse>>,
}

/// The path of a first pick; see `worker::pick`.
pub(crate) enum Path {
    /// The shared rotation is precomputed: a ticket names the server.
    Ticket,
    /// The same for each worker's own rotation.
    WorkerTicket,
    /// The shared rotation is precomputed, and each worker has taken a chunk of its tickets.
    Chunk,
    /// The scheduler decides, and nothing else does.
    Scheduler,
    /// Everything else: persistence, servers without a port, refused flows, tiers that do not serve, and ids
    /// of another service.
    General,
}

/// How many entries of a service's maps a call of tick may still visit to remove some.
pub(crate) struct Allowance {
    caches: usize,
    templates: usize,
}

impl Service {
    /// Compiles a service whose servers are given in list order, the newest first.
    pub(crate) fn compile(plan: &ServiceSpec<'_>, arena: &Arc<Arena>, members: &[Member]) -> Self {
        let servers = Servers::new(Arc::clone(arena), members);
        let build = Build {
            servers: &servers,
            members,
            settings: plan.settings,
            generation: plan.generation,
            seed: service_seed(plan.seed, plan.settings),
            history: plan.history,
            caches: &plan.maps.caches,
        };
        let persistence = Persistent::new(
            plan.settings,
            plan.maps.templates.as_ref(),
            plan.expire_quiescent,
            &servers,
        );
        let has_port = |member: &Member| member.server.address.port() != 0;
        let former = plan.former.map(|former| &former.scheduler);
        let scheduler = AnyScheduler::build(plan.settings.scheduler, &build, former);
        let per_worker = plan.settings.sharing == Sharing::PerWorker && scheduler.per_worker();
        // With one, a pick is more than what the scheduler says.
        let control_only =
            if persistence.is_none() { general::ftp_address(&plan.settings.key) } else { None };
        // Without a scheduler, every pick is refused.
        let scheduled = plan.settings.scheduler.map_or(&[] as &[Member], |_| members);
        let standby = Standby::new(scheduled);
        let scheduler_decides = persistence.is_none()
            && control_only.is_none()
            && standby.is_empty()
            && members.iter().all(has_port);
        let is_plain = scheduler_decides && !per_worker;
        let holds = plan.holds;
        let precomputed = |wanted| {
            let cycle = if wanted { scheduler.schedule(&servers) } else { None };
            let always = |position| !holds && servers.always_available(position);
            cycle.map_or_else(Schedule::default, |cycle| Schedule::new(cycle, always))
        };
        let (schedule, own_schedule) =
            (precomputed(is_plain), precomputed(scheduler_decides && per_worker));
        let chunk = match plan.settings.sharing {
            Sharing::Chunks(length) if !schedule.is_empty() => length,
            _ => 0,
        };
        let is_same = |former: &&Service| {
            former.chunk != 0
                && former.schedule.is_same(&schedule)
                && former.servers.ids().eq(servers.ids())
        };
        let sequence = match plan.former {
            _ if chunk == 0 => Sequence::NONE,
            Some(former) if is_same(&former) => former.sequence,
            _ => arena.next_sequence(),
        };
        let word_if = |so| if so { plan.id.word() } else { u64::MAX };
        let phase = arena.phase();
        let former_rounds = plan.former.map(|former| &former.rotation);
        // One of them is empty.
        let cycle = schedule.cycle().max(own_schedule.cycle());
        let shared = arena.attached().and_then(|attached| {
            let begins = || {
                let state = |rotation: fn(&Service) -> &SharedRotation| {
                    let former = plan.former.and_then(|former| rotation(former).state());
                    former.map_or_else(
                        || scheduler.start(phase),
                        |state| scheduler.translate(state, phase),
                    )
                };
                let states = [state(|former| &former.rotation), state(|former| &former.retries)];
                Begins { cycle, states }
            };
            let version = (plan.id, digest(plan, members, cycle));
            attached.version(version, begins, || servers.is_any_held())
        });
        let (rotation, retries, in_use) = match shared {
            Some(Version { rotations: [rotation, retries], in_use }) => {
                (rotation, retries, Some(in_use))
            }
            None => {
                let former_retries = plan.former.map(|former| &former.retries);
                let start = || scheduler.start(phase);
                let rotation = SharedRotation::new(cycle, former_rounds, start);
                (rotation, SharedRotation::new(0, former_retries, start), None)
            }
        };
        Service {
            id: plan.id,
            version: plan.former.map_or(PoolVersion::default(), |former| former.version.next()),
            // Always there: the director makes the slot before the service.
            slot: arena
                .services
                .arc_ref(plan.id.slot)
                .unwrap_or_else(|| ArcRef::standalone(ServiceSlot::new(0))),
            servers,
            scheduler_service: word_if(scheduler_decides && chunk == 0),
            per_worker,
            looks_at_holds: holds,
            ticket_service: word_if(!schedule.is_empty() && chunk == 0),
            chunk_service: word_if(chunk != 0),
            sequence,
            chunk,
            worker_ticket_service: word_if(!own_schedule.is_empty()),
            schedule,
            worker_schedule: own_schedule,
            rotation,
            retries,
            load_updates: scheduler.load_updates(),
            persistence,
            caches: plan.maps.caches.clone(),
            standby,
            control_only,
            scheduler,
            in_use,
        }
    }

    /// Which path a first pick with this id takes.
    #[inline(always)]
    pub(crate) fn path(&self, id: ServiceId) -> Path {
        if self.ticket_service == id.word() {
            Path::Ticket
        } else if self.worker_ticket_service == id.word() {
            Path::WorkerTicket
        } else if self.scheduler_service == id.word() {
            Path::Scheduler
        } else if self.chunk_service == id.word() {
            Path::Chunk
        } else {
            Path::General
        }
    }

    /// The server of a ticket, if it is always available.
    #[inline(always)]
    pub(crate) fn ticket_endpoint(&self, ticket: u64) -> Option<&Endpoint> {
        self.servers.endpoint(self.schedule.unconditional(ticket)?)
    }

    /// The same for a worker's own rotation.
    #[inline(always)]
    pub(crate) fn worker_ticket_endpoint(&self, ticket: u64) -> Option<&Endpoint> {
        self.servers.endpoint(self.worker_schedule.unconditional(ticket)?)
    }

    /// What the scheduler may use for this pick: the worker's rotations if it decides by itself, else the
    /// shared ones.
    #[inline(always)]
    pub(crate) fn request<'a>(
        &'a self,
        flow: &'a Flow,
        tried: &'a [ServerId],
        worker: Option<&'a WorkerState>,
        tickets: Option<&'a TicketRange>,
    ) -> PickRequest<'a> {
        let by_itself = worker.and_then(|worker| Some((worker, worker.service(self.id.slot)?)));
        let (worker, slot) = match by_itself {
            Some((worker, slot)) => (Some(worker), slot),
            None => (None, self.slot.get()),
        };
        let (servers, version) = (&self.servers, self.version);
        let (rotation, retries) = (&self.rotation, &self.retries);
        PickRequest { servers, flow, tried, slot, version, rotation, retries, tickets, worker }
    }

    /// True if a pick may deliberately return an overloaded server.
    #[inline]
    pub(crate) fn takes_overloaded(&self) -> bool {
        self.persistence.is_some() || self.scheduler.takes_overloaded()
    }

    /// What the scheduler remembers of addresses.
    pub(crate) fn remembered(&self) -> Option<Remembered> {
        self.scheduler.remembered()
    }

    /// The templates of a persistent service.
    #[inline]
    pub(crate) fn templates(&self) -> Option<&Templates> {
        self.persistence.as_ref().map(Persistent::templates)
    }

    /// Notes what is due at this time; [`go_on`](Self::go_on) does it.
    pub(crate) fn begin_tick(&self, now: u64) -> Allowance {
        self.scheduler.tick(now);
        // One owner of a block sweeps for all.
        let attached = self.servers.arena().attached();
        let sweeps = attached.is_none_or(|attached| attached.leads(self.id.slot, now));
        if let Some(templates) = self.templates().filter(|_| sweeps) {
            templates.begin_sweep();
        }
        // What is over makes room for others at once.
        let call = |is_full: bool| if is_full { usize::MAX } else { CALL };
        let is_full = self.templates().is_some_and(Templates::is_full);
        Allowance { caches: call(self.caches.is_full()), templates: call(is_full) }
    }

    /// Does what is due, until `slice` or the call's allowance is used up. True if that is all for this
    /// call.
    pub(crate) fn go_on(&self, slice: &mut usize, allowance: &mut Allowance) -> bool {
        let Allowance { caches, templates } = allowance;
        self.caches.go_on(&mut Pace { slice, call: caches })
            && self.templates().is_none_or(|it| it.sweep(&mut Pace { slice, call: templates }))
    }

    /// True if every change of counts is told; see [`ServerSlot::set_told`].
    fn is_told(&self) -> bool {
        match &self.load_updates {
            LoadUpdates::Nothing => false,
            LoadUpdates::Other(OtherUpdates::WorkerCounts(loads)) => loads.is_indexed(),
            LoadUpdates::Counts(_) | LoadUpdates::Other(OtherUpdates::Locality(_)) => true,
        }
    }

    /// Workers will find the service soon. Before the publication, never after.
    pub(crate) fn publishing(&self) {
        if self.is_told() {
            self.servers.set_told(true);
        }
        if self.counts_per_worker() {
            self.servers.set_counted_by_worker(true);
        }
    }

    /// All workers can find the service. After the publication, never before.
    pub(crate) fn published(&self) {
        if self.servers.arena().attached().is_some() {
            // Nothing is told here, and every connection is in a ledger.
            return;
        }
        if !self.counts_per_worker() {
            // The version before may have been; then all words are folded.
            self.servers.set_counted_by_worker(false);
        }
        if !self.is_told() {
            // The version before may have been.
            self.servers.set_told(false);
        }
        match &self.load_updates {
            LoadUpdates::Nothing => {}
            // Counts that changed since the index was made have not reached it.
            LoadUpdates::Counts(index) => index.published(&self.servers),
            LoadUpdates::Other(OtherUpdates::Locality(index)) => index.published(&self.servers),
            LoadUpdates::Other(OtherUpdates::WorkerCounts(_)) => {}
        }
    }

    /// Prefetches what a pick of this server reads: it may be the next. Not inlined, so that a call that
    /// ends without it saves no registers for it.
    #[inline(never)]
    pub(crate) fn prefetch(&self, position: Position) {
        self.servers.prefetch(position);
    }

    /// Which changes of counts the scheduler needs to know.
    #[inline(always)]
    pub(crate) fn load_updates(&self) -> &LoadUpdates {
        &self.load_updates
    }

    /// True if picks obey the states in which servers are held. Without a schedule they always do, and with a
    /// rotation of a block.
    pub(crate) fn obeys_holds(&self) -> bool {
        self.looks_at_holds
            || self.in_use.is_some()
            || self.schedule.is_empty() && self.worker_schedule.is_empty()
    }

    /// Other processes' picks, and this one's, no longer look at servers because one was held, if none is.
    pub(crate) fn stop_looking(&self) {
        self.rotation.lower(|| self.servers.is_any_held());
    }

    /// True if picks look at servers because one may be held.
    pub(crate) fn looks_at_holds(&self) -> bool {
        self.looks_at_holds
    }

    /// Tells the scheduler that a server's counts or run-time state have changed for all workers.
    pub(crate) fn changed_for_all(&self, server: ServerId, slot: &ServerSlot) {
        match &self.load_updates {
            LoadUpdates::Nothing => {}
            LoadUpdates::Counts(index) => _ = index.load_changed(server.slot, slot),
            LoadUpdates::Other(OtherUpdates::Locality(index)) => {
                index.load_changed(server.slot, slot)
            }
            LoadUpdates::Other(OtherUpdates::WorkerCounts(loads)) => {
                loads.changed_for_all(server.slot)
            }
        }
    }

    /// The director has corrected a server's counts by this much.
    pub(crate) fn counts_corrected(&self, server: ServerId, slot: &ServerSlot, by: Connections) {
        if let Some(templates) = self.templates().filter(|_| slot.counts_seqcst().total() == 0) {
            templates.clear_holds(server.slot);
        }
        if self.counts_per_worker() {
            self.common_changed(server, by);
        } else {
            self.changed_for_all(server, slot);
        }
    }

    /// Takes over the rotations of the previous version. After the publication, never before.
    pub(crate) fn adopt_rotations(&self) {
        let phase = self.servers.arena().phase();
        let translate = |state| self.scheduler.translate(state, phase);
        self.rotation.adopt(translate);
        self.retries.adopt(translate);
    }

    /// Starts the sequence of draws that all workers share. Before a new service is published, or after
    /// the phase has changed.
    pub(crate) fn start_draws(&self) {
        self.slot.get().start_draws(self.servers.arena().phase());
    }

    /// Starts the rotations that all workers share again, and the draws, at the phase that has just
    /// been set.
    pub(crate) fn restart(&self) {
        let start = self.scheduler.start(self.servers.arena().phase());
        self.rotation.restart(start);
        self.retries.restart(start);
        self.start_draws();
    }
}

/// Random schedulers of different services draw different numbers from one seed.
fn service_seed(seed: u64, settings: &ServiceSettings) -> u64 {
    // FNV-1a over the key's text: stable across builds, unlike a keyed hash.
    let round = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    settings.key.to_string().bytes().fold(seed, round)
}
