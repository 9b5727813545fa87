//! Run-time states of servers: set by name of the holder, obeyed by every later pick.

use std::mem;
use std::net::SocketAddr;

use crate::arena::id::ServerId;
use crate::config::diff::Change;
use crate::config::{RealServer, ServerState, ServiceKey, VirtualService};
use crate::director::Director;
use crate::director::control::{Control, RunningService};
use crate::director::headroom::Headroom;
use crate::director::held::{Hold, Holder, Holds};
use crate::director::roster::Roster;
use crate::error::{ApplyError, StateError};
use crate::sync::{Ordering, fence};

/// Longest reason, in bytes.
const MAX_REASON: usize = 255;

impl Director {
    /// Holds a server in a state, or with [`Up`](ServerState::Up) releases it. Returns the state that
    /// results: the most severe in which any holder holds the server.
    ///
    /// Every pick that begins after this call has returned obeys: all schedulers, retries and
    /// persistence pass over a server that is down, and its clients, and only they, go elsewhere: sh,
    /// dh and mh choose again as with their fallback flag, a persistent client gets a new template,
    /// lblc and lblcr choose again. A server that is draining keeps its persistent clients. Once no holder
    /// holds a server, its weight, thresholds and connections decide again, and the clients that hash
    /// to it come back. If all servers are held, picks find no server.
    ///
    /// The state belongs to service and address: it is never written into the config, survives every
    /// [`apply`](Self::apply) and [`execute`](Self::execute), and is there again if the server is
    /// removed and comes back. If more servers are held than are configured, by more than 4,096, those that
    /// are not configured and were held longest are released.
    ///
    /// Takes the director's lock; workers do not wait for it. O(servers of the service), plus O(services)
    /// if it releases others. A service of rr or wrr is compiled again when its first server is held,
    /// and at the [`tick`](Self::tick) after its last is released; in between its picks look at each
    /// server's counts.
    ///
    /// # Errors
    /// [`Stale`](StateError::Stale) if the id is; [`OutOfMemory`](StateError::OutOfMemory). Nothing
    /// has changed then.
    ///
    /// ```
    /// use vsched::{Config, Director, Flow, Holder, ServerState};
    /// let config: Config =
    ///     "-A -t 10.0.0.1:80 -s wlc\n-a -t 10.0.0.1:80 -r 10.0.1.1\n-a -t 10.0.0.1:80 -r 10.0.1.2"
    ///         .parse()?;
    /// let director = Director::new(&config)?;
    /// let service = director.service("tcp 10.0.0.1:80")?;
    /// let worker = director.worker();
    /// let first = worker.pick_server(service, &Flow::default())?.server();
    /// director.set_state(first, Holder::HealthChecker, ServerState::Down)?;
    /// director.set_state(first, Holder::Administrator, ServerState::Draining)?;
    /// director.apply(&config)?;
    /// let other = worker.pick_server(service, &Flow::default())?.server();
    /// assert_ne!(first, other);
    /// // The administrator still holds it.
    /// let state = director.set_state(first, Holder::HealthChecker, ServerState::Up)?;
    /// assert_eq!(state, ServerState::Draining);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_state(
        &self,
        server: ServerId,
        holder: Holder,
        state: ServerState,
    ) -> Result<ServerState, StateError> {
        self.set_state_because(server, holder, state, "")
    }

    /// As [`set_state`](Self::set_state), with a reason for people, at most 255 bytes. Releasing
    /// forgets it.
    ///
    /// # Errors
    /// As `set_state`; [`Reason`](StateError::Reason) if that is too long.
    pub fn set_state_because(
        &self,
        server: ServerId,
        holder: Holder,
        state: ServerState,
        reason: &str,
    ) -> Result<ServerState, StateError> {
        if reason.len() > MAX_REASON {
            return Err(StateError::Reason { length: reason.len() });
        }
        let mut control = self.inner.changing();
        let headroom = Headroom::to_change(1, 1);
        headroom.check().map_err(no_memory)?;
        let (service, address) = control.name_of(server).ok_or(StateError::Stale)?;
        let hold = control.held.by_server().to_change(&service, 1);
        headroom.and(hold + 2 * Roster::PUBLISHED).check().map_err(no_memory)?;
        if holder == Holder::Ejector {
            return control.end_ejection(server, (service, address), state);
        }
        let holds = control.held.get(&service, address).cloned().unwrap_or_default();
        control.hold(server, (service, address), holds.with(holder, state, reason), (holder, state))
    }

    /// The state in which a server takes part at this moment: that in which it is held, down while it is
    /// ejected, or up while its service panics and takes it nevertheless. `None` if the id is stale. Takes
    /// no lock.
    pub fn state(&self, server: ServerId) -> Option<ServerState> {
        let slot = self.inner.arena.servers.get(server.slot)?;
        let counts = slot.counts_relaxed();
        (slot.is(server.generation) && !counts.vacant()).then(|| counts.state())
    }

    /// Who holds a server draining or down, and why; empty if it is up, `None` if the id is stale.
    ///
    /// Lock-free, allocates; O(servers of the service), or for a server that was removed O(removed
    /// servers). A hold is there before the state that it leads to is, and until a release is over. Of a
    /// server that a worker has just ejected it says no more than that, until the next
    /// [`tick`](Self::tick).
    pub fn holds(&self, server: ServerId) -> Option<Vec<Hold>> {
        self.find_with_roster(|view, roster| {
            let (service, address) = view.name_of(server).or_else(|| roster.name_of(server))?;
            let slot = self.inner.arena.servers.get(server.slot)?;
            let ejected = slot.counts_relaxed().is_ejected();
            // Acquire: if the slot has got another owner, that is seen below.
            fence(Ordering::Acquire);
            slot.is(server.generation).then(|| roster.holds(&service, address, ejected))
        })
    }
}

impl Control {
    /// Service and description of a server that is configured. O(servers of the service).
    pub(super) fn configured(&self, server: ServerId) -> Option<(ServiceKey, RealServer)> {
        let slot = self.arena.servers.get(server.slot).filter(|it| it.is(server.generation))?;
        let live = self.find_slot(slot.service())?;
        let place = live.claims.iter().position(|claim| claim.id == server)?;
        Some((live.service.key, live.service.servers.get(place)?.clone()))
    }

    /// Service and address of a server that is configured, or was removed and still has a slot.
    fn name_of(&self, server: ServerId) -> Option<(ServiceKey, SocketAddr)> {
        let configured = self.configured(server).map(|(service, server)| (service, server.address));
        configured.or_else(|| self.allocator.removed().name_of(server))
    }

    /// Holds a server as `holds` says, and tells the pool that runs.
    fn hold(
        &mut self,
        server: ServerId,
        (service, address): (ServiceKey, SocketAddr),
        holds: Holds,
        (holder, held): (Holder, ServerState),
    ) -> Result<ServerState, StateError> {
        let (before, state) = (self.held.by_server().clone(), holds.state());
        self.held.set(service, address, holds);
        let obeyed = state == ServerState::Up
            || self.find(&service).is_none_or(|live| live.compiled.obeys_holds());
        if !obeyed {
            if let Err(error) = self.compile_again(&service) {
                self.held.restore(before);
                return Err(no_memory(error));
            }
        }
        drop(before);
        if state != ServerState::Up {
            // Before the server's state, so that there is a hold for every state that is read.
            self.publish_roster();
        }
        let panics = self.panics(&service);
        if let Some(name) = self.arena.shared_name(server.slot) {
            name.set_state(holder as u32, held);
        }
        let takes_part = self.state_of(server, &service, address, panics);
        let mut ejected = false;
        if let Some(slot) = self.arena.servers.get(server.slot) {
            let before = self.arena.set_state(server, takes_part).map_err(|_| StateError::Stale)?;
            if let Some(live) = self.find_slot(slot.service()) {
                live.compiled.changed_for_all(server, slot);
                live.compiled.stop_looking();
            }
            ejected = slot.counts_relaxed().is_ejected();
            if before != ServerState::Up && takes_part == ServerState::Up && !ejected {
                self.begin_slow_start(&service, address);
            }
        }
        if self.has_runtime(&service) {
            self.reconcile(&service);
        }
        // Without memory, tiers and weights follow at the next tick.
        let _ = self.reshape(&service);
        let mut held = mem::take(&mut self.held);
        held.release_absent(self.configured, |service| {
            let servers = self.find(service).into_iter().flat_map(|live| &live.service.servers);
            servers.map(|server| server.address).collect()
        });
        self.held = held;
        Ok(if ejected { ServerState::Down } else { state })
    }

    /// Releases what the ejector holds.
    fn end_ejection(
        &mut self,
        server: ServerId,
        (service, address): (ServiceKey, SocketAddr),
        state: ServerState,
    ) -> Result<ServerState, StateError> {
        if state != ServerState::Up {
            return Err(StateError::Ejector);
        }
        let claims = self.find(&service).map(|live| &live.claims);
        let claim =
            claims.and_then(|claims| claims.iter().find(|claim| claim.id == server)).copied();
        if claim.is_some_and(|claim| self.release_ejection(&service, &claim)) {
            // Without memory, tiers and weights follow at the next tick.
            let _ = self.reshape(&service);
        }
        Ok(self.held.state(&service, address))
    }

    /// Compiles a service again as it is configured.
    pub(super) fn compile_again(&mut self, service: &ServiceKey) -> Result<(), ApplyError> {
        let Some(live) = self.find(service) else { return Ok(()) };
        let change = Change::EditService(live.service.settings());
        let settings = self.settings.clone();
        self.advance(&[change], &settings)
    }

    /// True if picks of a service have to look at each server, because one is or may be held. Those of a block
    /// learn from its rotation that one is.
    pub(super) fn looks_at<S>(&self, service: &VirtualService<S>) -> bool {
        service.ejection.is_some() || self.arena.attached().is_none() && self.held.any(&service.key)
    }

    /// Services whose servers are all released go back to picks that do not look at each server.
    pub(super) fn release_looks(&mut self) {
        let released = |live: &&RunningService| {
            live.compiled.looks_at_holds() && !self.looks_at(&live.service)
        };
        self.services.values().for_each(|live| live.compiled.stop_looking());
        let keys: Vec<ServiceKey> =
            self.services.values().filter(released).map(|live| live.service.key).collect();
        for key in keys {
            // Without memory it stays as it is.
            let _ = self.compile_again(&key);
        }
    }
}

fn no_memory(error: ApplyError) -> StateError {
    let bytes = if let ApplyError::OutOfMemory { bytes, .. } = error { bytes } else { 0 };
    StateError::OutOfMemory { bytes }
}
