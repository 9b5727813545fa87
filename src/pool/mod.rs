//! One service compiled for picking: its servers in order, its scheduler, where each server is.

mod persistent;

use std::net::SocketAddr;

use crate::config::{Forwarding, Generation, Remembered, VirtualService};
use crate::flow::Flow;
use crate::pool::persistent::Persistent;
use crate::sched::{Build, Request, State};
use crate::state::Arena;
use crate::state::cursor::{Epoch, Outdated};
use crate::state::history::History;
use crate::state::segments::Place;
use crate::state::servers::{Listed, Member, Position, Servers};
use crate::state::slots::{ServerId, ServiceId, ServiceSlot};
use crate::state::templates::{TemplateId, Templates};
use crate::sync::Arc;

/// A decision: which server, and how to reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pick {
    /// The server, to open a connection on or to exclude from the next try.
    pub server: ServerId,
    /// Its address and port; the flow's destination port where the server has none of its own.
    pub address: SocketAddr,
    /// How packets reach it.
    pub forwarding: Forwarding,
    /// The persistence template that led here or was made.
    pub(crate) template: TemplateId,
}

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
        let answer = |member: &Member| Pick {
            server: member.id,
            address: member.server.address,
            forwarding: member.server.forwarding,
            template: TemplateId::default(),
        };
        let servers = Servers::new(Arc::clone(arena), members.iter().map(listed).collect());
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
            any_port: answers.iter().any(|answer| answer.address.port() == 0),
            persistence,
            answers,
            scheduler,
        }
    }

    #[inline]
    fn slot(&self) -> Option<&ServiceSlot> {
        self.slot.as_ref()?.get()
    }

    /// Chooses a server; `None` if none is available. `Outdated` if a newer pool has taken over.
    #[inline]
    pub(crate) fn pick(&self, flow: &Flow, tried: &[ServerId]) -> Result<Option<Pick>, Outdated> {
        if let Some(persistence) = &self.persistence {
            return self.pick_persistent(persistence, flow, tried);
        }
        let position = self.schedule(flow, tried)?;
        Ok(position.and_then(|position| self.pick_at(position, flow)))
    }

    #[inline]
    fn schedule(&self, flow: &Flow, tried: &[ServerId]) -> Result<Option<Position>, Outdated> {
        let Some(slot) = self.slot() else { return Ok(None) };
        let epoch = self.epoch;
        self.scheduler.pick(&Request { servers: &self.servers, flow, tried, slot, epoch })
    }

    /// The server of the client's template; else the scheduler's choice, and a template for it.
    #[inline(never)]
    fn pick_persistent(
        &self,
        persistence: &Persistent,
        flow: &Flow,
        tried: &[ServerId],
    ) -> Result<Option<Pick>, Outdated> {
        let client = persistence.client(flow);
        let known = client.and_then(|client| persistence.look(client, &self.servers, tried));
        let (position, known) = match known {
            Some((position, template)) => (Some(position), Some(template)),
            None => (self.schedule(flow, tried)?, None),
        };
        let Some(pick) = position.and_then(|position| self.pick_at(position, flow)) else {
            return Ok(None);
        };
        let make = || client.map(|client| persistence.remember(client, pick.server));
        let template = known.or_else(make).unwrap_or_default();
        Ok(Some(persistence.with_port(Pick { template, ..pick }, flow)))
    }

    /// The server at this place, for this flow.
    #[inline]
    pub(crate) fn pick_at(&self, position: Position, flow: &Flow) -> Option<Pick> {
        let mut pick = *self.answers.get(position as usize)?;
        if self.any_port && pick.address.port() == 0 {
            pick.address.set_port(flow.destination_port());
        }
        Some(pick)
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

/// Random schedulers of different services draw different numbers from one seed.
fn service_seed(seed: u64, settings: &VirtualService) -> u64 {
    // FNV-1a over the key's text: stable across builds, unlike a keyed hash.
    let round = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    settings.service.to_string().bytes().fold(seed, round)
}
