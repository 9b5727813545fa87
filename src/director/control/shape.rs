//! Slow start, tiers and panic, under the director's lock.

use std::net::SocketAddr;

use super::Control;
use crate::arena::block::names::ServerName;
use crate::arena::id::ServerId;
use crate::arena::service_slot::ServiceSlot;
use crate::config::{RealServer, ServerState, ServiceKey, VirtualService};
use crate::director::allocator::SlotClaim;
use crate::director::control::RunningService;
use crate::director::held::Holds;
use crate::director::record::ServiceRecord;
use crate::director::runtime::{Runtime, is_shaped};
use crate::director::service_edit::ServiceEdit;
use crate::director::shape::{Condition, Part, Shape, shape, step};
use crate::error::ApplyError;

impl Control {
    /// The time, once ticks have told it: of a block, those of any owner.
    pub(in crate::director) fn now(&self) -> Option<u64> {
        let is_told = self.arena.is_shared() && self.arena.clock() > 0;
        (is_told || self.health_clock.is_running()).then(|| self.arena.clock())
    }

    /// True if the service takes servers that are down, because too many are.
    pub(in crate::director) fn panics(&self, key: &ServiceKey) -> bool {
        if self.arena.attached().is_some() {
            let live = self.find(key);
            let slot = live.and_then(|live| self.arena.services.get(live.id.slot));
            return slot.is_some_and(ServiceSlot::panics);
        }
        self.runtimes.get(key).is_some_and(|runtime| runtime.panics)
    }

    pub(in crate::director) fn is_ejected(&self, claim: &SlotClaim) -> bool {
        let slot =
            self.arena.servers.get(claim.id.slot).filter(|slot| slot.is(claim.id.generation));
        slot.is_some_and(|slot| slot.counts_relaxed().is_ejected())
    }

    /// The state in which the server takes part, apart from an ejection.
    pub(in crate::director) fn state_of(
        &self,
        id: ServerId,
        service: &ServiceKey,
        server: SocketAddr,
        panics: bool,
    ) -> ServerState {
        let holds = self.holds_on(id.slot, service, server);
        holds.map_or(ServerState::Up, |holds| holds.taking_part(panics))
    }

    /// Lets the other owners of the block know who holds a server that is new there.
    pub(in crate::director) fn share_holds(
        &self,
        name: &ServerName,
        service: &ServiceKey,
        server: SocketAddr,
    ) {
        let holds = self.held.get(service, server).into_iter().flat_map(Holds::iter);
        for (holder, state, _) in holds {
            name.set_state(holder as u32, state);
        }
    }

    /// What the state of the servers comes to.
    fn shape_of<'a, S>(
        &self,
        service: &VirtualService<S>,
        servers: impl Iterator<Item = (&'a RealServer, &'a SlotClaim)>,
        runtime: Option<&Runtime>,
    ) -> Shape {
        let part = |(server, claim): (&RealServer, &SlotClaim)| {
            let address = server.address;
            let start = self.slow_start_begin(&service.key, address, claim, runtime);
            let age = start.map(|start| self.arena.clock().saturating_sub(start));
            let share = service.slow_start.and_then(|how| Some(step(age?, &how)));
            let record = runtime.and_then(|runtime| runtime.ejections.records.get(&address));
            let ejected = record.is_some_and(|record| record.since().is_some());
            let holds = self.holds_on(claim.id.slot, &service.key, address);
            let condition = match holds.as_ref().map(Holds::condition) {
                None | Some(Condition::Up) if ejected || self.is_ejected(claim) => Condition::Down,
                condition => condition.unwrap_or(Condition::Up),
            };
            let RealServer { weight, priority, .. } = *server;
            Part { weight, priority, condition, share: share.unwrap_or(1000) }
        };
        let parts: Vec<Part> = servers.map(part).collect();
        shape(&parts, service.spill_over, service.panic_threshold)
    }

    /// Gives the servers of an edit their effective weights.
    pub(super) fn shape_edit(&mut self, edit: &mut ServiceEdit) {
        let key = edit.settings.key;
        let is_single = !self.arena.is_shared();
        if let (Some(now), Some(_)) = (self.now().filter(|_| is_single), edit.settings.slow_start) {
            for server in std::mem::take(&mut edit.begun) {
                self.runtimes.entry(key).or_default().starts.insert(server, now);
            }
        }
        let weights = is_shaped(&edit.settings, &edit.servers).then(|| {
            let servers = edit.remaining().map(|(_, server, claim)| (server, claim));
            self.shape_of(&edit.settings, servers, self.runtimes.get(&key)).weights
        });
        edit.reshape(weights.flatten());
    }

    /// The shape of a running service; `None` if it is never other than configured.
    pub(super) fn running_shape(
        &self,
        live: &RunningService,
        runtime: Option<&Runtime>,
    ) -> Option<Shape> {
        let ServiceRecord { service, claims, .. } = &**live;
        let shaped = is_shaped(service, &service.servers);
        shaped.then(|| self.shape_of(service, service.servers.iter().zip(claims), runtime))
    }

    /// Compiles the service again if its servers' effective weights have changed; O(servers).
    pub(in crate::director) fn reshape(&mut self, key: &ServiceKey) -> Result<(), ApplyError> {
        let Some(live) = self.find(key) else { return Ok(()) };
        let runtime = self.runtimes.get(key);
        let Some(shape) = self.running_shape(live, runtime) else { return Ok(()) };
        let effective = live.compiled.servers.weights();
        let servers = live.service.servers.iter().rev();
        let same = match &shape.weights {
            None => servers.map(|server| server.weight).eq(effective),
            Some(weights) => weights.iter().rev().copied().eq(effective),
        };
        if !same {
            self.compile_again(key)
        } else {
            if shape.panics != self.panics(key) && self.leads(live) {
                self.reconcile(key);
            }
            Ok(())
        }
    }

    /// Ends slow starts that are over, and returns the services whose shapes may have changed since the
    /// last tick, the latest first.
    pub(super) fn shaped(&mut self) -> Vec<ServiceKey> {
        let now = self.arena.clock();
        for (key, runtime) in &mut self.runtimes {
            let live = self.numbers.get(key).and_then(|number| self.services.get(number));
            let how = live.and_then(|live| live.service.slow_start);
            let duration = how.map_or(0, |how| u64::from(how.duration) * 1000);
            runtime.starts.retain(|_, start| now.saturating_sub(*start) < duration);
            if live.is_none() {
                runtime.ejections.began = None;
                runtime.panics = false;
            }
        }
        let shaped = |live: &&RunningService| is_shaped(&live.service, &live.service.servers);
        self.services.values().rev().filter(shaped).map(|live| live.service.key).collect()
    }

    /// Forgets what is recorded of services without anything to record.
    pub(super) fn end_runtimes(&mut self) {
        let ejected = &self.ejected;
        self.runtimes.retain(|key, runtime| !runtime.is_empty() || ejected.of(key).is_some());
    }

    /// A server begins to get connections again.
    pub(in crate::director) fn begin_slow_start(&mut self, key: &ServiceKey, server: SocketAddr) {
        let Some(live) = self.find(key) else { return };
        let (Some(now), Some(_)) = (self.now(), live.service.slow_start) else { return };
        if self.arena.attached().is_none() {
            self.runtimes.entry(*key).or_default().starts.insert(server, now);
            return;
        }
        let place = live.service.servers.iter().position(|known| known.address == server);
        let claim = place.and_then(|place| live.claims.get(place));
        if let Some(name) = claim.and_then(|claim| self.arena.shared_name(claim.id.slot)) {
            name.set_start(now);
        }
    }
}
