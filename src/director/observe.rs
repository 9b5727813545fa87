//! Read-out: the running config with its counts, states and statistics.

use crate::arena::counts::Counts;
use crate::arena::id::{ServerId, ServiceId};
use crate::config::{
    Config, Observed, ObservedServer, ObservedService, ServerCounts, ServerState, Statistics,
};
use crate::director::Director;
use crate::director::control::{Control, RunningService};
use crate::memory::templates::Templates;

impl Director {
    /// Returns a copy of the running config. Takes the director's lock; O(services + servers).
    pub fn config(&self) -> Config {
        let control = self.inner.control.lock();
        let services = control.services.values().map(|live| live.service.clone()).collect();
        control.settings.clone().with_services(services)
    }

    /// Returns the running config with its counts and statistics. Connections that open or close during
    /// the call may be included or not.
    ///
    /// Takes the director's lock; O((services + servers) · workers + templates), because each worker
    /// keeps its own statistics.
    ///
    /// ```
    /// use vsched::Director;
    /// use vsched::config::listing::Listing;
    /// let director = Director::new(&"-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?)?;
    /// let observed = director.observe();
    /// assert_eq!(observed.services[0].servers[0].effective_weight, 1);
    /// print!("{}", Listing::new(&observed)); // as `ipvsadm -L -n` does
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn observe(&self) -> Observed {
        let control = self.inner.control.lock();
        let observed = |live: &RunningService| self.observed(&control, live);
        let services = control.services.values().map(observed).collect();
        Observed { settings: control.settings.clone(), services }
    }

    /// Returns the running services with their ids, servers, counts and statistics, in the order in
    /// which they were added. The cost is that of [`observe`](Self::observe).
    pub fn services(&self) -> Vec<(ServiceId, ObservedService)> {
        let control = self.inner.control.lock();
        let observed = |live: &RunningService| (live.id, self.observed(&control, live));
        control.services.values().map(observed).collect()
    }

    /// Returns the servers of a service with their ids, in list order: the newest first. `None` if
    /// the id is stale. The cost is that of [`observe`](Self::observe) for this service alone.
    pub fn servers(&self, service: ServiceId) -> Option<Vec<(ServerId, ObservedServer)>> {
        let control = self.inner.control.lock();
        let live = control.find_id(service)?;
        let ids = live.claims.iter().rev().map(|claim| claim.id);
        Some(ids.zip(self.observed(&control, live).servers).collect())
    }

    /// Returns a server with its settings, counts, state, health and statistics; `None` if the id is
    /// stale, or if the server was removed from the config. Takes the director's lock; O(servers of the
    /// service + workers), or O(templates) in a persistent service.
    ///
    /// [`holds`](Self::holds) tells who holds it draining or down, and why.
    pub fn observe_server(&self, server: ServerId) -> Option<ObservedServer> {
        let control = self.inner.control.lock();
        let slot = self.inner.arena.servers.get(server.slot)?;
        let live = control.find_slot(slot.service())?;
        let place = live.claims.iter().position(|claim| claim.id == server)?;
        let templates = live.compiled.templates().map(|it| it.of_server(server.slot));
        let newest_first = live.claims.len() - 1 - place;
        let weight = live.compiled.servers.weights().nth(newest_first)?;
        Some(self.observed_server(&control, live, place, weight, templates))
    }

    pub(super) fn observed(&self, control: &Control, live: &RunningService) -> ObservedService {
        let (connections, refused) = control.service_total(live.id.slot);
        let templates = live.compiled.templates().map(Templates::by_server).unwrap_or_default();
        let newest_first = (0..live.claims.len()).rev();
        let server = |(place, weight): (usize, u32)| {
            let templates = templates.get(&live.claims[place].id.slot).copied();
            self.observed_server(control, live, place, weight, templates)
        };
        ObservedService {
            settings: live.service.settings(),
            statistics: Statistics {
                connections: connections.wrapping_sub(live.base.0),
                refused: refused.wrapping_sub(live.base.1),
                ..Statistics::default()
            },
            rates: Default::default(),
            remembered: live.compiled.remembered(),
            templates: live.compiled.templates().map(Templates::remembered),
            panics: control.panics(&live.service.key),
            servers: newest_first.zip(live.compiled.servers.weights()).map(server).collect(),
        }
    }

    /// The server at this place of the config, with its effective weight and its templates.
    fn observed_server(
        &self,
        control: &Control,
        live: &RunningService,
        place: usize,
        effective_weight: u32,
        templates: Option<u32>,
    ) -> ObservedServer {
        let (server, claim) = (&live.service.servers[place], &live.claims[place]);
        let total = control.server_total(claim.id.slot);
        let slot = self.inner.arena.servers.get(claim.id.slot);
        let counts = slot.map(|slot| counts_of(slot.counts_relaxed(), templates));
        ObservedServer {
            server: server.clone(),
            effective_weight,
            counts: counts.unwrap_or_default(),
            state: slot.map_or(ServerState::Up, |slot| slot.counts_relaxed().state()),
            health: control.health_of(claim.id.slot),
            statistics: Statistics {
                connections: total.wrapping_sub(claim.base),
                ..Statistics::default()
            },
            rates: Default::default(),
        }
    }
}

pub(super) fn counts_of(counts: Counts, templates: Option<u32>) -> ServerCounts {
    ServerCounts {
        active: counts.active(),
        inactive: counts.inactive(),
        persistent: templates.unwrap_or(0),
        overloaded: counts.overloaded(),
    }
}
