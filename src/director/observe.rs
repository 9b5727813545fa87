//! Read-out: the running config with its counts, states and statistics.

use std::net::SocketAddr;

use crate::arena::Arena;
use crate::arena::counts::Counts;
use crate::arena::id::{ServerId, ServiceId};
use crate::arena::service_slot::ServiceSlot;
use crate::config::{
    Config, Observed, ObservedServer, ObservedService, ServerCounts, ServerState, ServiceKey,
    Statistics,
};
use crate::director::allocator::SlotClaim;
use crate::director::health::health_of;
use crate::director::record::ServiceRecord;
use crate::director::shards::Shards;
use crate::director::table::ServiceTable;
use crate::director::{Director, Inner};
use crate::memory::templates::Templates;
use crate::service::Service;

/// What readers of the running state look at: the current table and what counts beside it. The table
/// keeps the slots that it names as long as the view lives.
pub(super) struct View<'a> {
    pub(super) table: &'a ServiceTable,
    shards: &'a Shards,
    arena: &'a Arena,
}

impl Director {
    /// Looks at what runs. Lock-free.
    pub(super) fn view<R>(&self, look: impl FnOnce(&View<'_>) -> R) -> R {
        let Inner { arena, publication, statistics, .. } = &*self.inner;
        publication.read(|table| statistics.read(|shards| look(&View { table, shards, arena })))
    }

    /// Returns a copy of the running config. Lock-free, allocates; O(services + servers).
    pub fn config(&self) -> Config {
        self.view(|view| {
            let listed = view.table.listed();
            let services = listed.iter().map(|(record, _)| record.service.clone()).collect();
            view.table.settings.clone().with_services(services)
        })
    }

    /// Returns the running config with its counts and statistics. Connections that open or close during
    /// the call may be included or not; a change of the config during the call is not. A service's statistics
    /// never have fewer connections than those of its servers together.
    ///
    /// Lock-free, allocates; O((services + servers) · workers + templates), because each worker keeps its
    /// own statistics.
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
        self.view(|view| Observed {
            settings: view.table.settings.clone(),
            services: view.services().map(|(_, service)| service).collect(),
        })
    }

    /// Returns the running services with their ids, servers, counts and statistics, in the order in
    /// which they were added. Cost and progress are those of [`observe`](Self::observe).
    pub fn services(&self) -> Vec<(ServiceId, ObservedService)> {
        self.view(|view| view.services().collect())
    }

    /// Returns the servers of a service with their ids, in list order: the newest first. `None` if
    /// the id is stale. Cost and progress are those of [`observe`](Self::observe) for this service alone.
    pub fn servers(&self, service: ServiceId) -> Option<Vec<(ServerId, ObservedServer)>> {
        self.view(|view| {
            let (record, compiled) = view.service(service)?;
            let ids = record.claims.iter().rev().map(|claim| claim.id);
            Some(ids.zip(view.observed(record, compiled).servers).collect())
        })
    }

    /// Returns a server with its settings, counts, state, health and statistics; `None` if the id is
    /// stale, or if the server was removed from the config. Lock-free, allocates; O(servers of the
    /// service + workers), or O(templates) in a persistent service.
    ///
    /// [`holds`](Self::holds) tells who holds it draining or down, and why.
    pub fn observe_server(&self, server: ServerId) -> Option<ObservedServer> {
        self.view(|view| {
            let (record, compiled, place) = view.server(server)?;
            let templates = compiled.templates().map(|it| it.of_server(server.slot));
            let newest_first = record.claims.len() - 1 - place;
            let weight = compiled.servers.weights().nth(newest_first)?;
            Some(view.observed_server(record, place, weight, templates))
        })
    }
}

impl View<'_> {
    pub(super) fn service(&self, service: ServiceId) -> Option<(&ServiceRecord, &Service)> {
        let listed = self.table.listed_at(service.slot);
        listed.filter(|(record, _)| record.id == service)
    }

    /// A configured server's service, and the server's place in it. O(servers of the service).
    fn server(&self, server: ServerId) -> Option<(&ServiceRecord, &Service, usize)> {
        let slot = self.arena.servers.get(server.slot)?;
        let (record, compiled) = self.table.listed_at(slot.service())?;
        let place = record.claims.iter().position(|claim| claim.id == server)?;
        Some((record, compiled, place))
    }

    /// Service and address of a configured server. As [`server`](Self::server).
    pub(super) fn name_of(&self, server: ServerId) -> Option<(ServiceKey, SocketAddr)> {
        let (record, _, place) = self.server(server)?;
        Some((record.service.key, record.service.servers.get(place)?.address))
    }

    fn services(&self) -> impl Iterator<Item = (ServiceId, ObservedService)> + '_ {
        let observed = |(record, compiled): (&ServiceRecord, &Service)| {
            (record.id, self.observed(record, compiled))
        };
        self.table.listed().into_iter().map(observed)
    }

    pub(super) fn observed(&self, record: &ServiceRecord, compiled: &Service) -> ObservedService {
        let templates = compiled.templates().map(Templates::by_server).unwrap_or_default();
        let newest_first = (0..record.claims.len()).rev();
        let server = |(place, weight): (usize, u32)| {
            let templates = templates.get(&record.claims[place].id.slot).copied();
            self.observed_server(record, place, weight, templates)
        };
        let servers: Vec<_> = newest_first.zip(compiled.servers.weights()).map(server).collect();
        // After the servers: a worker counts a connection here first.
        let (connections, refused) = self.service_total(record, &servers);
        let slot = self.arena.services.get(record.id.slot);
        ObservedService {
            settings: record.service.settings(),
            statistics: Statistics { connections, refused, ..Statistics::default() },
            rates: Default::default(),
            remembered: compiled.remembered(),
            templates: compiled.templates().map(Templates::remembered),
            panics: slot.is_some_and(ServiceSlot::panics),
            servers,
        }
    }

    /// Connections and refusals of a service, where its servers are these.
    fn service_total(&self, record: &ServiceRecord, servers: &[ObservedServer]) -> (u64, u64) {
        let own = self.shards.service_total(record.id.slot);
        let Some(attached) = self.arena.attached() else {
            return (own.0.wrapping_sub(record.base.0), own.1.wrapping_sub(record.base.1));
        };
        let (all, refused) = attached.totals.of_service(&attached.block, record.id.slot, own);
        // Owners add to each total by itself.
        let of_servers = servers.iter().map(|server| server.statistics.connections);
        (all.max(of_servers.fold(0, u64::saturating_add)), refused)
    }

    /// Connections of a server.
    fn server_total(&self, claim: &SlotClaim) -> u64 {
        let own = self.shards.server_total(claim.id.slot);
        match self.arena.attached() {
            Some(attached) => attached.totals.of_server(&attached.block, claim.id.slot, own),
            None => own.wrapping_sub(claim.base),
        }
    }

    /// The server at this place of the config, with its effective weight and its templates.
    fn observed_server(
        &self,
        record: &ServiceRecord,
        place: usize,
        effective_weight: u32,
        templates: Option<u32>,
    ) -> ObservedServer {
        let (server, claim) = (&record.service.servers[place], &record.claims[place]);
        let counts = self.arena.all_connections(claim.id.slot);
        ObservedServer {
            server: server.clone(),
            effective_weight,
            counts: counts.map(|counts| counts_of(counts, templates)).unwrap_or_default(),
            state: counts.map_or(ServerState::Up, Counts::state),
            health: health_of(self.arena, claim.id.slot),
            statistics: Statistics {
                connections: self.server_total(claim),
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
