//! The general path of a pick: which flows a service refuses, the server of a client's template (of this
//! service or of its twin), and what is remembered of the scheduler's choice.

use crate::arena::counts::MAX_CONNECTIONS;
use crate::arena::id::ServerId;
use crate::arena::worker_state::WorkerState;
use crate::config::{Protocol, ServerState, ServiceKey};
use crate::error::Refused;
use crate::flow::{FTP, Flow};
use crate::memory::address_map::AddressKey;
use crate::memory::templates::TemplateId;
use crate::pool::endpoint::Pick;
use crate::pool::servers::Candidate;
use crate::rotation::shared::TicketRange;
use crate::rotation::version::Superseded;
use crate::sched::AnyScheduler;
use crate::service::Service;
use crate::service::persistence::Persistent;

impl Service {
    /// Picks the server of the client's template, else the scheduler's choice, for which it makes a
    /// template. A server without a port gets the flow's. `tickets` are tickets of this service that the
    /// pick has taken, and whose servers it passed over. `find` finds a service in this service's table,
    /// for [`Persistent::twin`].
    #[inline(never)]
    pub(crate) fn pick_general<'t>(
        &self,
        flow: &Flow,
        tried: &[ServerId],
        worker: Option<&WorkerState>,
        tickets: Option<&TicketRange>,
        find: impl FnOnce(&ServiceKey) -> Option<&'t Service>,
    ) -> Result<Option<Pick>, Superseded> {
        let worker = worker.filter(|_| self.per_worker);
        let persistence = self.persistence.as_ref();
        let client = persistence.and_then(|persistence| {
            Some((persistence, persistence.client(flow, persistence.mask())?))
        });
        let known = client
            .and_then(|(persistence, client)| self.pick_by_template(persistence, client, tried));
        let mut pick = match known {
            Some(pick) => pick,
            None => {
                let twin = persistence.and_then(Persistent::twin).and_then(find);
                let mask = persistence.map_or(0, Persistent::mask);
                if let Some(led) =
                    twin.and_then(|twin| twin.pick_by_twin_template(flow, mask, tried))
                {
                    led
                } else {
                    let request = self.request(flow, tried, worker, tickets);
                    let scheduled = self.scheduler.pick(request)?;
                    let position = scheduled.or_else(|| self.standby.pick(&self.servers, tried));
                    match position.and_then(|position| self.servers.endpoint(position)) {
                        Some(endpoint) => {
                            let remember = |(persistence, client): (&Persistent, AddressKey)| {
                                if let Some(twin) = twin {
                                    twin.forget_from_twin(flow, mask);
                                }
                                persistence.remember(client, endpoint.server())
                            };
                            endpoint.with_template(client.map_or(TemplateId::NONE, remember))
                        }
                        None => return Ok(None),
                    }
                }
            }
        };
        self.set_port(&mut pick, flow);
        Ok(Some(pick))
    }

    /// A server without a port gets the flow's, and so does one that keeps every port.
    #[inline(always)]
    pub(super) fn set_port(&self, pick: &mut Pick, flow: &Flow) {
        if pick.port() == 0 {
            pick.set_port(flow.destination_port());
        }
        if let Some(persistence) = &self.persistence {
            persistence.set_port(pick, flow);
        }
    }

    /// The server of the client's template, if it may be picked.
    #[inline]
    fn pick_by_template(
        &self,
        persistence: &Persistent,
        client: AddressKey,
        tried: &[ServerId],
    ) -> Option<Pick> {
        let (position, template) = persistence.template_server(client, &self.servers, tried)?;
        Some(self.servers.endpoint(position)?.with_template(template))
    }

    /// The same for a client of the twin, whose mask this is.
    #[cold]
    #[inline(never)]
    fn pick_by_twin_template(&self, flow: &Flow, mask: u128, tried: &[ServerId]) -> Option<Pick> {
        let persistence = self.persistence.as_ref()?;
        self.pick_by_template(persistence, persistence.client(flow, mask)?, tried)
    }

    /// The twin has a new template for this client, which has one at a time. Only a retry still finds
    /// one here: that of a server that was tried.
    #[cold]
    #[inline(never)]
    fn forget_from_twin(&self, flow: &Flow, mask: u128) {
        let Some(persistence) = &self.persistence else { return };
        if let Some(client) = persistence.client(flow, mask) {
            persistence.forget(client);
        }
    }

    /// False for FTP data, if the service takes none.
    #[inline]
    pub(crate) fn accepts(&self, flow: &Flow) -> bool {
        let is_data = |address: [u64; 2]| {
            // A flow without a destination, or to the proxy's own address, says nothing.
            flow.destination_words() == address && ![0, FTP].contains(&flow.destination_port())
        };
        !self.control_only.is_some_and(is_data)
    }

    /// Why a pick that may not use these servers found none; `None` if a server is available now, so that
    /// a repeated pick would find it. O(servers).
    #[cold]
    #[inline(never)]
    pub(crate) fn why_none(&self, tried: &[ServerId]) -> Option<Refused> {
        if matches!(self.scheduler, AnyScheduler::None(_)) {
            return Some(Refused::NoScheduler);
        }
        let quiesced =
            |server: Candidate| server.weight == 0 && !self.servers.is_standby(server.position);
        let reason = |(server, id): (Candidate, ServerId)| match server.counts.state() {
            _ if quiesced(server) => Refused::AllQuiesced,
            ServerState::Draining | ServerState::Down => Refused::AllDown,
            ServerState::Up if server.counts.overloaded() => Refused::AllOverloaded,
            ServerState::Up if server.counts.total() >= MAX_CONNECTIONS => Refused::AllOverloaded,
            ServerState::Up if tried.contains(&id) => Refused::AllTried,
            ServerState::Up => Refused::NotThisFlow,
        };
        let reasons = self.servers.iter().zip(self.servers.ids()).map(reason);
        let reason = reasons.max().unwrap_or(Refused::NoServer);
        Some(reason).filter(|it| *it != Refused::NotThisFlow || self.scheduler.refuses_flows())
    }

    /// The same for a caller that does not repeat the pick.
    pub(crate) fn why_refused(&self, tried: &[ServerId]) -> Refused {
        self.why_none(tried).unwrap_or(Refused::NotThisFlow)
    }

    #[inline]
    pub(crate) fn is_persistent(&self) -> bool {
        self.persistence.is_some()
    }
}

/// The address of an FTP service, as in a flow.
pub(super) fn ftp_address(key: &ServiceKey) -> Option<[u64; 2]> {
    match key {
        ServiceKey::Address { protocol: Protocol::Tcp, address } if address.port() == FTP => {
            Some(Flow::tcp(*address, *address).destination_words())
        }
        _ => None,
    }
}
