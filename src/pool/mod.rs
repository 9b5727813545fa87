//! One service compiled for picking: its servers in order, its scheduler, where each server is.

mod persistent;
mod pick;

use crate::config::{Generation, Remembered, VirtualService};
use crate::flow::Flow;
use crate::pool::persistent::Persistent;
pub use crate::pool::pick::Pick;
pub(crate) use crate::pool::pick::Room;
use crate::sched::{Build, Request, Scheduler, State, Visit};
use crate::state::Arena;
use crate::state::cursor::{Epoch, Outdated};
use crate::state::history::History;
use crate::state::segments::Place;
use crate::state::servers::{Listed, Member, Position, Servers};
use crate::state::slots::{ServerId, ServiceId, ServiceSlot};
use crate::state::templates::Templates;
use crate::sync::Arc;

pub(crate) struct Pool {
    pub(crate) id: ServiceId,
    pub(crate) epoch: Epoch,
    /// Always there: the director has made the slot before the pool.
    slot: Option<Place<ServiceSlot>>,
    servers: Servers,
    /// The answer for each position, whole, so that a pick copies it in one piece.
    answers: Box<[Pick]>,
    /// Some server has no port of its own.
    any_port: bool,
    persistence: Option<Persistent>,
    scheduler: State,
}

/// What a pool is compiled from.
pub(crate) struct Plan<'a> {
    pub(crate) id: ServiceId,
    /// The service's settings; its servers come apart.
    pub(crate) settings: &'a VirtualService,
    pub(crate) generation: Generation,
    /// The config's seed.
    pub(crate) seed: u64,
    /// The config's `expire_quiescent_template`.
    pub(crate) expire_quiescent: bool,
    pub(crate) history: &'a History,
    /// The pool that it takes over from; `None` for a new service.
    pub(crate) former: Option<&'a Pool>,
}

impl Pool {
    /// Compiles a service whose servers are given in list order, the newest first.
    pub(crate) fn compile(plan: &Plan<'_>, arena: &Arc<Arena>, members: &[Member]) -> Self {
        let listed = |member: &Member| Listed { id: member.id, weight: member.server.weight };
        let answer = |member: &Member| Pick::new(member.id, &member.server);
        let servers = Servers::new(Arc::clone(arena), members.iter().map(listed));
        let answers: Box<[Pick]> = members.iter().map(answer).collect();
        let build = Build {
            servers: &servers,
            members,
            settings: plan.settings,
            generation: plan.generation,
            seed: service_seed(plan.seed, plan.settings),
            history: plan.history,
        };
        let persistence = Persistent::of(plan, arena, &servers);
        let former = plan.former.map(|former| &former.scheduler);
        let scheduler = State::build(plan.settings.scheduler, &build, former);
        Pool {
            id: plan.id,
            epoch: plan.former.map_or(Epoch::default(), |former| former.epoch.next()),
            slot: arena.services.place(plan.id.slot),
            servers,
            any_port: answers.iter().any(|answer| answer.port == 0),
            persistence,
            answers,
            scheduler,
        }
    }

    #[inline]
    fn slot(&self) -> Option<&ServiceSlot> {
        self.slot.as_ref().map(Place::get)
    }

    /// Chooses a server and puts it into `room`; false, and nothing put, if none is available.
    /// `Outdated` if a newer pool has taken over.
    ///
    /// The answer goes out through an argument: as a value inside `Result` and `Option` it was
    /// copied four times, a third of a pick's instructions.
    #[inline(always)]
    pub(crate) fn pick<R: Room>(
        &self,
        flow: &Flow,
        tried: &[ServerId],
        room: &mut R,
    ) -> Result<bool, Outdated> {
        if let Some(persistence) = &self.persistence {
            let pick = self.pick_persistent(persistence, flow, tried)?;
            return Ok(pick.map(|pick| room.put(pick)).is_some());
        }
        self.ask_scheduler(flow, tried, room)
    }

    #[inline(always)]
    fn ask_scheduler<R: Room>(
        &self,
        flow: &Flow,
        tried: &[ServerId],
        room: &mut R,
    ) -> Result<bool, Outdated> {
        self.scheduler.visit(Choice { pool: self, flow, tried, room }).unwrap_or(Ok(false))
    }

    /// One function a scheduler: all in one, the registers that the longest needs are saved and
    /// restored for each.
    #[inline(never)]
    fn choose<S: Scheduler, R: Room>(
        &self,
        scheduler: &S,
        flow: &Flow,
        tried: &[ServerId],
        room: &mut R,
    ) -> Result<bool, Outdated> {
        if !S::IS_QUICK {
            let position = self.schedule(scheduler, flow, tried)?;
            return Ok(position.is_some_and(|position| self.pick_at(position, flow, room)));
        }
        let quick = || scheduler.quick(&self.servers, self.slot()?, self.epoch);
        match if tried.is_empty() { quick() } else { None } {
            Some(position) => Ok(self.pick_at(position, flow, room)),
            None => self.choose_slowly(scheduler, flow, tried, room),
        }
    }

    /// Apart and in the last place, so that the quick way saves no registers for it.
    #[cold]
    #[inline(never)]
    fn choose_slowly<S: Scheduler, R: Room>(
        &self,
        scheduler: &S,
        flow: &Flow,
        tried: &[ServerId],
        room: &mut R,
    ) -> Result<bool, Outdated> {
        let position = self.schedule(scheduler, flow, tried)?;
        Ok(position.is_some_and(|position| self.pick_at(position, flow, room)))
    }

    /// Apart, so that it is the same code whatever the room.
    #[inline(never)]
    fn schedule<S: Scheduler>(
        &self,
        scheduler: &S,
        flow: &Flow,
        tried: &[ServerId],
    ) -> Result<Option<Position>, Outdated> {
        let Some(slot) = self.slot() else { return Ok(None) };
        let (servers, epoch) = (&self.servers, self.epoch);
        scheduler.pick(&Request { servers, flow, tried, slot, epoch })
    }

    /// The server of the client's template; else the scheduler's choice, and a template for it.
    #[inline(never)]
    fn pick_persistent(
        &self,
        persistence: &Persistent,
        flow: &Flow,
        tried: &[ServerId],
    ) -> Result<Option<Pick>, Outdated> {
        let mut pick = Pick::default();
        let client = persistence.client(flow);
        let known = client.and_then(|client| persistence.look(client, &self.servers, tried));
        let found = match known {
            Some((position, template)) => {
                let found = self.pick_at(position, flow, &mut pick);
                pick.template = template;
                found
            }
            None => {
                let found = self.ask_scheduler(flow, tried, &mut pick)?;
                if let (true, Some(client)) = (found, client) {
                    pick.template = persistence.remember(client, pick.server);
                }
                found
            }
        };
        if found {
            persistence.set_port(&mut pick, flow);
        }
        Ok(found.then_some(pick))
    }

    /// The server at this place, for this flow.
    #[inline]
    fn pick_at<R: Room>(&self, position: Position, flow: &Flow, room: &mut R) -> bool {
        let Some(answer) = self.answers.get(position as usize) else { return false };
        let pick = room.put(*answer);
        if self.any_port {
            set_port(pick, flow);
        }
        true
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

    /// Tells the scheduler that a count of this server has changed.
    #[inline]
    pub(crate) fn load_changed(&self, server: ServerId) {
        self.scheduler.load_changed(&self.servers, server);
    }

    /// Where the rotations of a new service begin.
    pub(crate) fn start_cursors(&self) {
        if let Some(slot) = self.slot() {
            for cursor in [&slot.cursor, &slot.retries] {
                cursor.start(self.epoch, self.scheduler.start());
            }
        }
    }

    /// Takes the rotations over from the previous pool. After the publication, never before.
    pub(crate) fn adopt_cursors(&self) {
        if let Some(slot) = self.slot() {
            for cursor in [&slot.cursor, &slot.retries] {
                cursor.adopt(self.epoch, |state| self.scheduler.carry(state));
            }
        }
    }
}

/// The scheduler's part of a pick.
struct Choice<'a, R> {
    pool: &'a Pool,
    flow: &'a Flow,
    tried: &'a [ServerId],
    room: &'a mut R,
}

impl<R: Room> Visit for Choice<'_, R> {
    type Output = Result<bool, Outdated>;

    #[inline(always)]
    fn visit<S: Scheduler>(self, scheduler: &S) -> Self::Output {
        self.pool.choose(scheduler, self.flow, self.tried, self.room)
    }
}

#[cold]
fn set_port(pick: &mut Pick, flow: &Flow) {
    if pick.port == 0 {
        pick.port = flow.destination_port();
    }
}

/// Random schedulers of different services draw different numbers from one seed.
fn service_seed(seed: u64, settings: &VirtualService) -> u64 {
    // FNV-1a over the key's text: stable across builds, unlike a keyed hash.
    let round = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    settings.service.to_string().bytes().fold(seed, round)
}
