//! One service compiled for picking: its servers in order, its scheduler, where each server is.

mod elaborate;
mod own;
mod persistent;
mod plan;
mod turns;

use crate::config::{Remembered, Sharing, VirtualService};
use crate::flow::Flow;
use crate::pool::persistent::Persistent;
pub(crate) use crate::pool::plan::{Maps, Plan};
use crate::pool::turns::Turns;
use crate::sched::{Build, Request, Scheduler, State, Visit};
pub(crate) use crate::sched::{Follows, Kind, VisitKind};
use crate::state::Arena;
use crate::state::cursor::{Epoch, Outdated};
use crate::state::own::Own;
use crate::state::pick::Answer;
use crate::state::round::{Drawn, Rounds};
use crate::state::segments::Place;
use crate::state::servers::{Member, Position, Servers};
use crate::state::slots::{ServerId, ServerSlot, ServiceId, ServiceSlot};
use crate::state::tally::Connections;
use crate::state::templates::Templates;
use crate::sync::Arc;

pub(crate) struct Pool {
    pub(crate) id: ServiceId,
    pub(crate) epoch: Epoch,
    slot: Place<ServiceSlot>,
    servers: Servers,
    /// A pick is what the scheduler says and no more: no persistence, no server without a port, no
    /// flow to refuse, no worker that decides by itself.
    is_plain: bool,
    /// Each worker decides by itself.
    per_worker: bool,
    persistence: Option<Persistent>,
    /// The address of an FTP service that does not take its data connections.
    control_only: Option<[u64; 2]>,
    scheduler: State,
    /// What the scheduler follows, at hand: most follow nothing, and every connection asks.
    follows: Follows,
    /// The scheduler's, if the pool is plain.
    turns: Turns,
    /// The service's id as a word if there are such turns, else none: one comparison for both.
    draws_for: u64,
    /// The scheduler's, if the pool is plain but that each worker decides by itself. Apart, so that the
    /// plain way asks no more.
    own_turns: Turns,
    /// As `draws_for`.
    turns_alone_for: u64,
    /// Where the rotation stands that all workers share.
    rounds: Rounds,
}

impl Pool {
    /// Compiles a service whose servers are given in list order, the newest first.
    pub(crate) fn compile(plan: &Plan<'_>, arena: &Arc<Arena>, members: &[Member]) -> Self {
        let servers = Servers::new(Arc::clone(arena), members);
        let build = Build {
            servers: &servers,
            members,
            settings: plan.settings,
            generation: plan.generation,
            seed: service_seed(plan.seed, plan.settings),
            history: plan.history,
            memories: &plan.maps.memories,
        };
        let persistence = Persistent::of(plan, &servers);
        let has_port = |member: &Member| member.server.address.port() != 0;
        let former = plan.former.map(|former| &former.scheduler);
        let scheduler = State::build(plan.settings.scheduler, &build, former);
        let per_worker = plan.settings.sharing == Sharing::PerWorker && scheduler.per_worker();
        // Else a pick is more than what the scheduler says, whoever decides.
        let control_only = if persistence.is_none() {
            elaborate::ftp_address(&plan.settings.service)
        } else {
            None
        };
        let is_said =
            persistence.is_none() && control_only.is_none() && members.iter().all(has_port);
        let is_plain = is_said && !per_worker;
        let turns = |wanted| {
            let cycle = if wanted { scheduler.turns(&servers) } else { None };
            cycle.map_or_else(Turns::default, |cycle| Turns::of(cycle, &servers))
        };
        let (turns, own_turns) = (turns(is_plain), turns(is_said && per_worker));
        let word_if = |so| if so { plan.id.word() } else { u64::MAX };
        let former_rounds = plan.former.map(|former| &former.rounds);
        // One of them is empty.
        let cycle = turns.cycle().max(own_turns.cycle());
        let rounds = Rounds::new(cycle, former_rounds, || scheduler.start());
        Pool {
            id: plan.id,
            epoch: plan.former.map_or(Epoch::default(), |former| former.epoch.next()),
            // Always there: the director has made the slot before the pool.
            slot: arena
                .services
                .place(plan.id.slot)
                .unwrap_or_else(|| Place::alone(ServiceSlot::new(0))),
            servers,
            is_plain,
            per_worker,
            draws_for: word_if(!turns.is_empty()),
            turns_alone_for: word_if(!own_turns.is_empty()),
            turns,
            own_turns,
            rounds,
            follows: scheduler.follows(),
            persistence,
            control_only,
            scheduler,
        }
    }

    /// The pool is this service's, and a first pick is a drawn turn: [`draw`](Self::draw), then
    /// [`drawn`](Self::drawn).
    #[inline(always)]
    pub(crate) fn draws_for(&self, service: ServiceId) -> bool {
        self.draws_for == service.word()
    }

    #[inline(always)]
    pub(crate) fn draw(&self) -> u64 {
        self.rounds.now.draw()
    }

    /// The server of a drawn turn, if that takes a few instructions to say.
    #[inline(always)]
    pub(crate) fn drawn(&self, drawn: u64) -> Option<&Answer> {
        self.turns.sure(drawn, &self.servers)
    }

    /// The server of a drawn turn, if one was drawn and it is available.
    #[inline]
    pub(crate) fn look_at_drawn(&self, drawn: u64) -> Option<&Answer> {
        if !self.turns.is_behind(drawn) {
            return self.turns.free(drawn, &self.servers);
        }
        let answer = self.turns.free(self.rounds.now.turn_of(drawn)?, &self.servers)?;
        self.rounds.now.begin_anew(drawn);
        Some(answer)
    }

    /// Draws another turn, after one whose server was passed over; `None` if no turn was drawn.
    pub(crate) fn draw_again(&self, drawn: Drawn) -> Option<Drawn> {
        self.rounds.now.turn_of(drawn.last)?;
        Some(drawn.and(self.draw()))
    }

    /// As [`draws_for`](Self::draws_for): it is a turn of the worker by itself.
    #[inline(always)]
    pub(crate) fn turns_alone_for(&self, service: ServiceId) -> bool {
        self.turns_alone_for == service.word()
    }

    /// The server of the turn of a worker that decides by itself, if that takes a few instructions.
    #[inline(always)]
    pub(crate) fn choose_alone(&self, first: &[ServiceSlot]) -> Option<&Answer> {
        let alone = &first.get(self.id.slot as usize)?.alone;
        let answer = self.own_turns.sure(alone.next(self.epoch), &self.servers)?;
        alone.take_next();
        Some(answer)
    }

    /// The same for any service, for the first turn, and for a server that has to be looked at.
    pub(crate) fn look_alone(&self, own: Option<&Own>) -> Option<&Answer> {
        let own = own.filter(|_| !self.own_turns.is_empty())?;
        let alone = &own.service(self.id.slot)?.alone;
        let next = alone.next(self.epoch);
        if self.own_turns.ends_at(next) {
            let answer = self.own_turns.free(0, &self.servers)?;
            alone.take_first(self.epoch);
            return Some(answer);
        }
        let answer = self.own_turns.free(next, &self.servers)?;
        alone.take_next();
        Some(answer)
    }

    /// The straight way of this service's scheduler, as `visitor` makes it; that of none if a pick is
    /// more than what the scheduler says, or if the worker has a say.
    #[inline(always)]
    pub(crate) fn way<V: VisitKind>(&self, visitor: V) -> V::Output {
        if self.is_plain { self.scheduler.visit_kind(visitor) } else { visitor.unbound() }
    }

    /// Chooses a server in the straight way that [`way`](Self::way) led to.
    #[inline(always)]
    pub(crate) fn choose<S: Kind>(&self, flow: &Flow) -> Chosen<'_> {
        match S::of(&self.scheduler) {
            Some(scheduler) => self.ask(flow, &[], None, scheduler),
            None => (None, Miss::Elaborate),
        }
    }

    #[inline(always)]
    fn ask_scheduler(
        &self,
        flow: &Flow,
        tried: &[ServerId],
        own: Option<&Own>,
        drawn: Option<&Drawn>,
    ) -> Chosen<'_> {
        self.scheduler.visit(Asked { pool: self, flow, tried, own, drawn })
    }

    #[inline(always)]
    fn ask<S: Scheduler>(
        &self,
        flow: &Flow,
        tried: &[ServerId],
        drawn: Option<&Drawn>,
        scheduler: &S,
    ) -> Chosen<'_> {
        let (servers, slot, epoch) = (&self.servers, self.slot.get(), self.epoch);
        self.answer(scheduler.pick(Request {
            servers,
            flow,
            tried,
            slot,
            epoch,
            rounds: &self.rounds,
            drawn,
            own: None,
        }))
    }

    /// The same for a worker that decides by itself.
    #[inline(never)]
    fn ask_for<S: Scheduler>(
        &self,
        own: &Own,
        flow: &Flow,
        tried: &[ServerId],
        scheduler: &S,
    ) -> Chosen<'_> {
        let Some(slot) = own.service(self.id.slot) else {
            return self.ask(flow, tried, None, scheduler);
        };
        let (servers, epoch, rounds) = (&self.servers, self.epoch, &self.rounds);
        let (drawn, own) = (None, Some(own));
        let request = Request { servers, flow, tried, slot, epoch, rounds, drawn, own };
        self.answer(scheduler.pick(request))
    }

    #[inline(always)]
    fn answer(&self, found: Result<Option<Position>, Outdated>) -> Chosen<'_> {
        match found {
            Ok(position) => {
                (position.and_then(|position| self.servers.answer(position)), Miss::Nobody)
            }
            Err(Outdated) => (None, Miss::Outdated),
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
        if let Follows::Counts(index) = &self.follows {
            // Counts that changed between its making and now were not told.
            index.published(&self.servers);
        }
    }

    /// This server may be the next to be picked: what a pick of it answers is fetched meanwhile.
    #[inline(always)]
    pub(crate) fn expect(&self, position: Position) {
        self.servers.prefetch(position);
    }

    /// Which changes of counts the pool has to be told.
    #[inline(always)]
    pub(crate) fn follows(&self) -> &Follows {
        &self.follows
    }

    /// The director has corrected a server's counts, by this much.
    pub(crate) fn counts_corrected(&self, server: ServerId, slot: &ServerSlot, by: Connections) {
        if let Some(templates) = self.templates().filter(|_| slot.look().total() == 0) {
            templates.release(server.slot);
        }
        match &self.follows {
            Follows::Nothing => {}
            Follows::Counts(index) => _ = index.load_changed(server.slot, slot),
            Follows::OwnCounts => self.common_changed(server, by),
        }
    }

    /// Where the rotations of a new service begin.
    pub(crate) fn start_cursors(&self) {
        self.slot.get().retries.start(self.epoch, self.scheduler.start());
    }

    /// Takes the rotations over from the previous pool. After the publication, never before.
    pub(crate) fn adopt_cursors(&self) {
        let carry = |state| self.scheduler.carry(state);
        self.rounds.begin(carry);
        self.slot.get().retries.adopt(self.epoch, carry);
    }
}

/// A server, or why there is none. A pair, because a `Result` of the two does not fit registers.
pub(crate) type Chosen<'a> = (Option<&'a Answer>, Miss);

/// Why the straight way led to no server.
#[derive(Clone, Copy)]
pub(crate) enum Miss {
    /// None is available.
    Nobody,
    /// A newer pool has taken over.
    Outdated,
    /// [`Pool::choose_elaborately`] is the way.
    Elaborate,
}

/// What the scheduler is asked.
struct Asked<'a, 'f> {
    pool: &'a Pool,
    flow: &'f Flow,
    tried: &'f [ServerId],
    own: Option<&'f Own>,
    drawn: Option<&'f Drawn>,
}

impl<'a> Visit for Asked<'a, '_> {
    type Output = Chosen<'a>;

    #[inline(always)]
    fn visit<S: Scheduler>(self, scheduler: &S) -> Chosen<'a> {
        match self.own {
            None => self.pool.ask(self.flow, self.tried, self.drawn, scheduler),
            Some(own) => self.pool.ask_for(own, self.flow, self.tried, scheduler),
        }
    }

    #[inline(always)]
    fn unbound(self) -> Chosen<'a> {
        (None, Miss::Nobody)
    }
}

/// Random schedulers of different services draw different numbers from one seed.
fn service_seed(seed: u64, settings: &VirtualService) -> u64 {
    // FNV-1a over the key's text: stable across builds, unlike a keyed hash.
    let round = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    settings.service.to_string().bytes().fold(seed, round)
}
