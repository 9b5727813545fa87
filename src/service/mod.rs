//! One service compiled for picking: its servers in order, its scheduler, where each server is.

mod general;
mod persistence;
mod schedule;
mod spec;
mod worker;

use crate::arena::Arena;
use crate::arena::id::{ServerId, ServiceId};
use crate::arena::slots::{ServerSlot, ServiceSlot};
use crate::arena::tally::Connections;
use crate::arena::worker_state::WorkerState;
use crate::concurrent::segments::ArcRef;
use crate::config::{Remembered, Sharing, VirtualService};
use crate::flow::Flow;
use crate::memory::templates::Templates;
use crate::pool::endpoint::Endpoint;
use crate::pool::servers::{Member, Position, Servers};
use crate::rotation::shared::{SharedRotation, TicketRange};
use crate::rotation::version::{PoolVersion, Superseded};
use crate::sched::{AnyScheduler, Build, PickRequest, Scheduler, Visit};
pub(crate) use crate::sched::{Kind, LoadUpdates, VisitKind};
use crate::service::persistence::Persistent;
use crate::service::schedule::Schedule;
pub(crate) use crate::service::spec::{Maps, ServiceSpec};
use crate::sync::Arc;

pub(crate) struct Service {
    pub(crate) id: ServiceId,
    pub(crate) version: PoolVersion,
    slot: ArcRef<ServiceSlot>,
    servers: Servers,
    /// A pick is what the scheduler says and no more: no persistence, no server without a port, no
    /// flow to refuse, no worker that decides by itself.
    is_plain: bool,
    /// Each worker decides by itself.
    per_worker: bool,
    persistence: Option<Persistent>,
    /// The address of an FTP service that does not take its data connections.
    control_only: Option<[u64; 2]>,
    scheduler: AnyScheduler,
    /// What the scheduler follows, at hand: most follow nothing, and every connection asks.
    load_updates: LoadUpdates,
    /// The scheduler's, if the pool is plain.
    schedule: Schedule,
    /// The service's id as a word if there are such turns, else none: one comparison for both.
    ticket_service: u64,
    /// The scheduler's, if the pool is plain but that each worker decides by itself. Apart, so that the
    /// plain way asks no more.
    worker_schedule: Schedule,
    /// As `draws_for`.
    worker_ticket_service: u64,
    /// Where the rotation stands that all workers share.
    rotation: SharedRotation,
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
        // Else a pick is more than what the scheduler says, whoever decides.
        let control_only =
            if persistence.is_none() { general::ftp_address(&plan.settings.key) } else { None };
        let scheduler_decides =
            persistence.is_none() && control_only.is_none() && members.iter().all(has_port);
        let is_plain = scheduler_decides && !per_worker;
        let turns = |wanted| {
            let cycle = if wanted { scheduler.schedule(&servers) } else { None };
            cycle.map_or_else(Schedule::default, |cycle| Schedule::of(cycle, &servers))
        };
        let (turns, own_turns) = (turns(is_plain), turns(scheduler_decides && per_worker));
        let word_if = |so| if so { plan.id.word() } else { u64::MAX };
        let former_rounds = plan.former.map(|former| &former.rotation);
        // One of them is empty.
        let cycle = turns.cycle().max(own_turns.cycle());
        let rotation = SharedRotation::new(cycle, former_rounds, || scheduler.start());
        Service {
            id: plan.id,
            version: plan.former.map_or(PoolVersion::default(), |former| former.version.next()),
            // Always there: the director has made the slot before the pool.
            slot: arena
                .services
                .arc_ref(plan.id.slot)
                .unwrap_or_else(|| ArcRef::standalone(ServiceSlot::new(0))),
            servers,
            is_plain,
            per_worker,
            ticket_service: word_if(!turns.is_empty()),
            worker_ticket_service: word_if(!own_turns.is_empty()),
            schedule: turns,
            worker_schedule: own_turns,
            rotation,
            load_updates: scheduler.load_updates(),
            persistence,
            control_only,
            scheduler,
        }
    }

    /// The pool is this service's, and a first pick is a drawn turn: [`draw`](Self::draw), then
    /// [`drawn`](Self::drawn).
    #[inline(always)]
    pub(crate) fn takes_ticket_for(&self, service: ServiceId) -> bool {
        self.ticket_service == service.word()
    }

    #[inline(always)]
    pub(crate) fn take_ticket(&self) -> u64 {
        self.rotation.current.take_ticket()
    }

    /// The server of a drawn turn, if that takes a few instructions to say.
    #[inline(always)]
    pub(crate) fn ticket_endpoint(&self, tickets: u64) -> Option<&Endpoint> {
        self.schedule.unconditional(tickets, &self.servers)
    }

    /// The server of a drawn turn, if one was drawn and it is available.
    #[inline]
    pub(crate) fn available_ticket_endpoint(&self, tickets: u64) -> Option<&Endpoint> {
        if !self.schedule.past_end(tickets) {
            return self.schedule.if_available(tickets, &self.servers);
        }
        let answer = self
            .schedule
            .if_available(self.rotation.current.valid_ticket(tickets)?, &self.servers)?;
        self.rotation.current.wrap(tickets);
        Some(answer)
    }

    /// Draws another turn, after one whose server was passed over; `None` if no turn was drawn.
    pub(crate) fn take_another_ticket(&self, tickets: TicketRange) -> Option<TicketRange> {
        self.rotation.current.valid_ticket(tickets.last)?;
        Some(tickets.extended(self.take_ticket()))
    }

    /// As [`draws_for`](Self::draws_for): it is a turn of the worker by itself.
    #[inline(always)]
    pub(crate) fn takes_worker_ticket_for(&self, service: ServiceId) -> bool {
        self.worker_ticket_service == service.word()
    }

    /// The server of the turn of a worker that decides by itself, if that takes a few instructions.
    #[inline(always)]
    pub(crate) fn pick_worker_ticket(&self, first: &[ServiceSlot]) -> Option<&Endpoint> {
        let rotation = &first.get(self.id.slot as usize)?.worker_rotation;
        let answer =
            self.worker_schedule.unconditional(rotation.next(self.version), &self.servers)?;
        rotation.take_next();
        Some(answer)
    }

    /// The same for any service, for the first turn, and for a server that has to be looked at.
    pub(crate) fn pick_worker_ticket_slow(
        &self,
        worker: Option<&WorkerState>,
    ) -> Option<&Endpoint> {
        let worker = worker.filter(|_| !self.worker_schedule.is_empty())?;
        let rotation = &worker.service(self.id.slot)?.worker_rotation;
        let next = rotation.next(self.version);
        if self.worker_schedule.ends_at(next) {
            let answer = self.worker_schedule.if_available(0, &self.servers)?;
            rotation.take_first(self.version);
            return Some(answer);
        }
        let answer = self.worker_schedule.if_available(next, &self.servers)?;
        rotation.take_next();
        Some(answer)
    }

    /// The straight way of this service's scheduler, as `visitor` makes it; that of none if a pick is
    /// more than what the scheduler says, or if the worker has a say.
    #[inline(always)]
    pub(crate) fn pick_fn<V: VisitKind>(&self, visitor: V) -> V::Output {
        if self.is_plain { self.scheduler.visit_kind(visitor) } else { visitor.general() }
    }

    /// Chooses a server in the straight way that [`way`](Self::way) led to.
    #[inline(always)]
    pub(crate) fn pick_scheduler<S: Kind>(&self, flow: &Flow) -> Chosen<'_> {
        match S::of(&self.scheduler) {
            Some(scheduler) => self.pick_with(flow, &[], None, scheduler),
            None => (None, Miss::Elaborate),
        }
    }

    #[inline(always)]
    fn pick_any_scheduler(
        &self,
        flow: &Flow,
        tried: &[ServerId],
        worker: Option<&WorkerState>,
        tickets: Option<&TicketRange>,
    ) -> Chosen<'_> {
        self.scheduler.visit(PickVisitor { compiled: self, flow, tried, worker, tickets })
    }

    #[inline(always)]
    fn pick_with<S: Scheduler>(
        &self,
        flow: &Flow,
        tried: &[ServerId],
        tickets: Option<&TicketRange>,
        scheduler: &S,
    ) -> Chosen<'_> {
        let (servers, slot, version) = (&self.servers, self.slot.get(), self.version);
        self.endpoint_or_miss(scheduler.pick(PickRequest {
            servers,
            flow,
            tried,
            slot,
            version,
            rotation: &self.rotation,
            tickets,
            worker: None,
        }))
    }

    /// The same for a worker that decides by itself.
    #[inline(never)]
    fn pick_for_worker<S: Scheduler>(
        &self,
        worker: &WorkerState,
        flow: &Flow,
        tried: &[ServerId],
        scheduler: &S,
    ) -> Chosen<'_> {
        let Some(slot) = worker.service(self.id.slot) else {
            return self.pick_with(flow, tried, None, scheduler);
        };
        let (servers, version, rotation) = (&self.servers, self.version, &self.rotation);
        let (tickets, worker) = (None, Some(worker));
        let request =
            PickRequest { servers, flow, tried, slot, version, rotation, tickets, worker };
        self.endpoint_or_miss(scheduler.pick(request))
    }

    #[inline(always)]
    fn endpoint_or_miss(&self, found: Result<Option<Position>, Superseded>) -> Chosen<'_> {
        match found {
            Ok(position) => {
                (position.and_then(|position| self.servers.endpoint(position)), Miss::Nobody)
            }
            Err(Superseded) => (None, Miss::Outdated),
        }
    }

    /// True if an overloaded server may be chosen, and is meant.
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

    /// Does what is due at this time.
    pub(crate) fn tick(&self, now: u64) {
        self.scheduler.tick(now);
        if let Some(templates) = self.templates() {
            templates.tick(now);
        }
    }

    /// The pool can be found by all. After the publication, never before.
    pub(crate) fn published(&self) {
        if let LoadUpdates::Counts(index) = &self.load_updates {
            // Counts that changed between its making and now were not told.
            index.published(&self.servers);
        }
    }

    /// This server may be the next to be picked: what a pick of it answers is fetched meanwhile.
    #[inline(always)]
    pub(crate) fn prefetch(&self, position: Position) {
        self.servers.prefetch(position);
    }

    /// Which changes of counts the pool has to be told.
    #[inline(always)]
    pub(crate) fn load_updates(&self) -> &LoadUpdates {
        &self.load_updates
    }

    /// The director has corrected a server's counts, by this much.
    pub(crate) fn counts_corrected(&self, server: ServerId, slot: &ServerSlot, by: Connections) {
        if let Some(templates) = self.templates().filter(|_| slot.counts_seqcst().total() == 0) {
            templates.clear_holds(server.slot);
        }
        match &self.load_updates {
            LoadUpdates::Nothing => {}
            LoadUpdates::Counts(index) => _ = index.load_changed(server.slot, slot),
            LoadUpdates::WorkerCounts => self.common_changed(server, by),
        }
    }

    /// Where the rotations of a new service begin.
    pub(crate) fn start_rotations(&self) {
        self.slot.get().retry_rotation.start(self.version, self.scheduler.start());
    }

    /// Takes the rotations over from the previous pool. After the publication, never before.
    pub(crate) fn adopt_rotations(&self) {
        let translate = |state| self.scheduler.translate(state);
        self.rotation.adopt(translate);
        self.slot.get().retry_rotation.adopt(self.version, translate);
    }
}

/// A server, or why there is none. A pair, because a `Result` of the two does not fit registers.
pub(crate) type Chosen<'a> = (Option<&'a Endpoint>, Miss);

/// Why the straight way led to no server.
#[derive(Clone, Copy)]
pub(crate) enum Miss {
    /// None is available.
    Nobody,
    /// A newer pool has taken over.
    Outdated,
    /// [`Service::choose_elaborately`] is the way.
    Elaborate,
}

/// What the scheduler is asked.
struct PickVisitor<'a, 'f> {
    compiled: &'a Service,
    flow: &'f Flow,
    tried: &'f [ServerId],
    worker: Option<&'f WorkerState>,
    tickets: Option<&'f TicketRange>,
}

impl<'a> Visit for PickVisitor<'a, '_> {
    type Output = Chosen<'a>;

    #[inline(always)]
    fn visit<S: Scheduler>(self, scheduler: &S) -> Chosen<'a> {
        match self.worker {
            None => self.compiled.pick_with(self.flow, self.tried, self.tickets, scheduler),
            Some(worker) => self.compiled.pick_for_worker(worker, self.flow, self.tried, scheduler),
        }
    }

    #[inline(always)]
    fn general(self) -> Chosen<'a> {
        (None, Miss::Nobody)
    }
}

/// Random schedulers of different services draw different numbers from one seed.
fn service_seed(seed: u64, settings: &VirtualService) -> u64 {
    // FNV-1a over the key's text: stable across builds, unlike a keyed hash.
    let round = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    settings.key.to_string().bytes().fold(seed, round)
}
