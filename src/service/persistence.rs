//! Persistence of a service: one client, one server, for a while.
//!
//! Source: Linux IPVS templates, as observed on running kernels (ipvsadm(8), `-p`, `-M`). A template
//! leads to its server whatever that server's weight and overload mark; not if the server is gone,
//! or is quiesced while `expire_quiescent_template` is set, and in a retry only if the server is
//! available and was not tried. Otherwise the scheduler picks, and the template is replaced; if the
//! scheduler finds no server, the template is removed all the same.
//!
//! The kernel has one table of templates for all services: by protocol, address and port, where port
//! 21 counts as 0, or by the mark. So the services of ports 21 and 0 of one address are twins: a
//! client with a template in one has its server in the other. Here each has its own templates and,
//! where these know nothing of a client, looks at its twin's.

use crate::arena::Arena;
use crate::arena::id::ServerId;
use crate::concurrent::zeroed::OutOfMemory;
use crate::config::{
    Family, Netmask, Persistence, ServerState, ServiceKey, ServiceSettings, TEMPLATE_ENTRY,
};
use crate::flow::{FTP, Flow};
use crate::memory::address_map::{AddressKey, AffinityEntry};
use crate::memory::templates::{Template, TemplateId, Templates};
use crate::pool::endpoint::Pick;
use crate::pool::positions::Positions;
use crate::pool::servers::{Candidate, Position, Servers};
use crate::sync::Arc;

pub(super) struct Persistent {
    templates: Arc<Templates>,
    positions: Positions,
    /// Bits of the client address that count, as in a flow: IPv4 in the highest 32.
    mask: u128,
    /// Milliseconds.
    timeout: u64,
    expire_quiescent: bool,
    /// 0 for a service of every port and for a firewall mark.
    service_port: u16,
    is_mark: bool,
    twin: Option<ServiceKey>,
}

const _: () = assert!(size_of::<AffinityEntry<Template>>() == TEMPLATE_ENTRY);

impl Persistent {
    /// The templates of the former pool with the room that the service has now, or new ones; `None`
    /// unless the service is persistent.
    pub(super) fn reserve(
        arena: &Arc<Arena>,
        settings: &ServiceSettings,
        former: Option<&Self>,
    ) -> Result<Option<Arc<Templates>>, OutOfMemory> {
        let capacity = settings.affinity.capacity;
        Ok(match (settings.persistence, former.map(|former| &former.templates)) {
            (None, _) => None,
            (Some(_), None) => Some(Arc::new(Templates::new(Arc::clone(arena), capacity)?)),
            (Some(_), Some(former)) => {
                Some(former.next(capacity)?.map_or_else(|| Arc::clone(former), Arc::new))
            }
        })
    }

    /// `None` unless the service is persistent.
    pub(super) fn new(
        settings: &ServiceSettings,
        templates: Option<&Arc<Templates>>,
        expire_quiescent: bool,
        servers: &Servers,
    ) -> Option<Self> {
        let Persistence { timeout, netmask } = settings.persistence?;
        let templates = Arc::clone(templates?);
        let key = settings.key;
        Some(Persistent {
            templates,
            positions: Positions::of(servers),
            mask: mask_of(netmask, key.family()),
            timeout: u64::from(timeout) * 1000,
            expire_quiescent,
            service_port: key.port().unwrap_or(0),
            is_mark: matches!(key, ServiceKey::FirewallMark { .. }),
            twin: twin_of(key),
        })
    }

    pub(super) fn templates(&self) -> &Templates {
        &self.templates
    }

    /// Only connections to the service's own port go to the server's; all others keep their port:
    /// those to a service of every port or of a mark, and FTP data.
    pub(super) fn set_port(&self, pick: &mut Pick, flow: &Flow) {
        let port = flow.destination_port();
        if port != 0 && port != self.service_port {
            pick.set_port(port);
        }
    }

    pub(super) fn mask(&self) -> u128 {
        self.mask
    }

    /// The service whose templates lead this one's clients, too.
    pub(super) fn twin(&self) -> Option<&ServiceKey> {
        self.twin.as_ref()
    }

    /// The client, by this service's mask or its twin's; `None` if the flow does not say.
    #[inline]
    pub(super) fn client(&self, flow: &Flow, mask: u128) -> Option<AddressKey> {
        let family = flow.family();
        if family == 0 {
            return None;
        }
        let client = self.templates.key(flow.client_words(mask), family);
        let to_port_0 = self.is_mark && flow.destination_port() == 0;
        Some(if to_port_0 { self.client_of_port_0(client, flow) } else { client })
    }

    /// The kernel compares a packet's port with the service's, which is 0 for a mark. Where they are
    /// the same, the template is one of protocol and address.
    #[cold]
    fn client_of_port_0(&self, client: AddressKey, flow: &Flow) -> AddressKey {
        let to = self.templates.key(flow.destination_words(), flow.family());
        let to = to.word() ^ u64::from(flow.protocol()) << 40;
        // Two words are hashed as one IPv6 address is.
        self.templates.key([client.word(), to], 6)
    }

    /// The server of the client's template, if it may be picked.
    #[inline]
    pub(super) fn template_server(
        &self,
        client: AddressKey,
        servers: &Servers,
        tried: &[ServerId],
    ) -> Option<(Position, TemplateId)> {
        let (template, slot) = self.templates.find(client)?;
        let Some((id, server)) = self.leads_to(slot, servers) else {
            if tried.is_empty() {
                // For good, even if the scheduler finds no server and this one comes back.
                self.templates.invalidate(client, template, slot);
            }
            return None;
        };
        // A retry is not bound to the client's server: it goes to any available one.
        let barred = server.weight == 0 || !server.counts.available() || tried.contains(&id);
        let usable = tried.is_empty() || !barred;
        usable.then(|| (server.position, self.templates.renew(client, template)))
    }

    /// The server in this slot, if a template may lead there.
    #[inline(always)]
    fn leads_to(&self, slot: u32, servers: &Servers) -> Option<(ServerId, Candidate)> {
        let (id, server) = servers.counts_relaxed(self.positions.get(slot)?)?;
        let down = server.counts.state() == ServerState::Down;
        let barred = down || server.weight == 0 && self.expire_quiescent;
        (!barred).then_some((id, server))
    }

    /// The server that the client's template names, if it is of this service, and whether a pick that is
    /// no retry would go there. Changes nothing.
    pub(super) fn named_server(
        &self,
        client: AddressKey,
        servers: &Servers,
    ) -> Option<(Position, bool)> {
        let (_, slot) = self.templates.find(client)?;
        Some((self.positions.get(slot)?, self.leads_to(slot, servers).is_some()))
    }

    /// Removes the client's template.
    pub(super) fn forget(&self, client: AddressKey) {
        if let Some((template, slot)) = self.templates.find(client) {
            self.templates.invalidate(client, template, slot);
        }
    }

    /// Makes a template: the client goes to this server from now on.
    pub(super) fn remember(&self, client: AddressKey, server: ServerId) -> TemplateId {
        self.templates.make(client, server.slot, self.timeout)
    }
}

fn twin_of(key: ServiceKey) -> Option<ServiceKey> {
    let ServiceKey::Address { protocol, mut address } = key else { return None };
    address.set_port(match address.port() {
        0 => FTP,
        FTP => 0,
        _ => return None,
    });
    Some(ServiceKey::Address { protocol, address })
}

fn mask_of(netmask: Option<Netmask>, family: Family) -> u128 {
    match (netmask, family) {
        (Some(Netmask::Inet(mask)), Family::Inet) => u128::from(mask.to_bits()) << 96,
        (Some(Netmask::Inet6(prefix @ 1..128)), Family::Inet6) => u128::MAX << (128 - prefix),
        _ => u128::MAX,
    }
}
