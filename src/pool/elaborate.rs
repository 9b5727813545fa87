//! The elaborate way of a pick: which flows a service refuses, whom a template leads, of this service
//! or of its twin, and what is remembered of the scheduler's choice.

use crate::config::{Protocol, ServiceKey};
use crate::flow::{FTP, Flow};
use crate::pool::persistent::Persistent;
use crate::pool::{Miss, Pool};
use crate::state::cursor::Outdated;
use crate::state::own::Own;
use crate::state::pick::Pick;
use crate::state::round::Drawn;
use crate::state::slots::ServerId;
use crate::state::templates::TemplateId;

impl Pool {
    /// Chooses a server where the answer depends on the flow: the server of the client's template,
    /// else the scheduler's choice and a template for it; the flow's port where a server has none.
    /// `drawn` are turns of this pool that this pick has drawn, and passed over. `twin` finds a
    /// service in this pool's table: see [`Persistent::twin`].
    #[inline(never)]
    pub(crate) fn choose_elaborately<'t>(
        &self,
        flow: &Flow,
        tried: &[ServerId],
        own: Option<&Own>,
        drawn: Option<&Drawn>,
        twin: impl FnOnce(&ServiceKey) -> Option<&'t Pool>,
    ) -> Result<Option<Pick>, Outdated> {
        let own = own.filter(|_| self.per_worker);
        let persistence = self.persistence.as_ref();
        let known = persistence.and_then(|persistence| self.led(flow, persistence.mask(), tried));
        let mut pick = match known {
            Some(pick) => pick,
            None => {
                let twin = persistence.and_then(Persistent::twin).and_then(twin);
                match self.choose_new(flow, tried, own, drawn, twin)? {
                    Some(pick) => pick,
                    None => return Ok(None),
                }
            }
        };
        if pick.port() == 0 {
            pick.set_port(flow.destination_port());
        }
        if let Some(persistence) = persistence {
            persistence.set_port(&mut pick, flow);
        }
        Ok(Some(pick))
    }

    /// Where a template leads a client: of this service or, by its mask, of the twin.
    #[inline]
    fn led(&self, flow: &Flow, mask: u128, tried: &[ServerId]) -> Option<Pick> {
        let persistence = self.persistence.as_ref()?;
        let client = persistence.client(flow, mask)?;
        let (position, template) = persistence.look(client, &self.servers, tried)?;
        Some(self.servers.answer(position)?.with_template(template))
    }

    /// For a client without a template here: the twin's, or a new one.
    #[inline]
    fn choose_new(
        &self,
        flow: &Flow,
        tried: &[ServerId],
        own: Option<&Own>,
        drawn: Option<&Drawn>,
        twin: Option<&Pool>,
    ) -> Result<Option<Pick>, Outdated> {
        let persistence = self.persistence.as_ref();
        let mask = persistence.map_or(0, Persistent::mask);
        let led = twin.and_then(|twin| twin.led(flow, mask, tried));
        if led.is_some() {
            return Ok(led);
        }
        match self.ask_scheduler(flow, tried, own, drawn) {
            (Some(answer), _) => {
                let remember = |persistence: &Persistent| {
                    let client = persistence.client(flow, mask)?;
                    Some(persistence.remember(client, answer.server()))
                };
                let template = persistence.and_then(remember).unwrap_or(TemplateId::NONE);
                if let Some(twin) = twin.and_then(|twin| twin.persistence.as_ref()) {
                    // A retry has left its server: the client has one template.
                    twin.forget(flow, mask);
                }
                Ok(Some(answer.with_template(template)))
            }
            (None, Miss::Outdated) => Err(Outdated),
            (None, Miss::Nobody | Miss::Elaborate) => Ok(None),
        }
    }

    /// False for FTP data, if the service takes none.
    #[inline]
    pub(crate) fn takes(&self, flow: &Flow) -> bool {
        let is_data = |address: [u64; 2]| {
            // Of a flow without destination, or to where a proxy listens, nothing is known.
            flow.destination_words() == address && ![0, FTP].contains(&flow.destination_port())
        };
        !self.control_only.is_some_and(is_data)
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
