//! The published table: every service's pool, found by id, by key or by a packet.

use std::collections::HashMap;

use crate::config::{Family, ServiceKey};
use crate::flow::Flow;
use crate::pool::Pool;
use crate::state::slots::ServiceId;
use crate::sync::Arc;

/// Immutable. One is current; older ones live until the last worker has moved on.
pub(crate) struct Table {
    /// Number of the publication.
    pub(crate) sequence: u64,
    /// By index of the service's slot.
    pools: Box<[Option<Arc<Pool>>]>,
    index: Arc<Index>,
}

impl Table {
    pub(crate) fn new(sequence: u64, pools: Box<[Option<Arc<Pool>>]>, index: Arc<Index>) -> Self {
        Table { sequence, pools, index }
    }

    pub(crate) fn pools(&self) -> &[Option<Arc<Pool>>] {
        &self.pools
    }

    pub(crate) fn index(&self) -> &Arc<Index> {
        &self.index
    }

    #[inline]
    pub(crate) fn pool(&self, service: ServiceId) -> Option<&Pool> {
        // The slot's number is the place it was found at.
        self.pool_at(service.slot).filter(|pool| pool.id.generation == service.generation)
    }

    #[inline]
    pub(crate) fn pool_at(&self, slot: u32) -> Option<&Pool> {
        self.pools.get(slot as usize)?.as_deref()
    }
}

/// Services by what packets show.
#[derive(Default)]
pub(crate) struct Index {
    services: HashMap<Shown, ServiceId, ahash::RandomState>,
    /// Whether look-ups of these kinds can find anything.
    any_mark: bool,
    any_ftp: bool,
    any_port: bool,
}

/// What of a packet names a service: two words of address, one of all else.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Shown([u64; 2], u64);

impl Shown {
    fn address(protocol: u8, family: u8, address: [u64; 2], port: u16) -> Self {
        Shown(address, u64::from(protocol) << 48 | u64::from(family) << 40 | u64::from(port))
    }

    fn mark(family: u8, mark: u32) -> Self {
        Shown([u64::from(mark), 0], 1 << 63 | u64::from(family))
    }

    fn of(key: &ServiceKey) -> Self {
        match key {
            ServiceKey::Address { protocol, address } => {
                let shown = Flow::new(protocol.number(), *address, *address);
                let port = address.port();
                Shown::address(shown.protocol(), shown.family(), shown.destination_words(), port)
            }
            ServiceKey::FirewallMark { mark, family: Family::Inet } => Shown::mark(4, *mark),
            ServiceKey::FirewallMark { mark, family: Family::Inet6 } => Shown::mark(6, *mark),
        }
    }
}

const TCP: u8 = 6;
const FTP: u16 = 21;
const FTP_DATA: u16 = 20;
/// First port that needs no privilege, Linux's default: passive FTP data connections go there.
const UNPRIVILEGED: u16 = 1024;

impl Index {
    pub(crate) fn new(services: impl Iterator<Item = (ServiceKey, ServiceId)>) -> Self {
        let mut index = Index::default();
        for (key, id) in services {
            index.services.insert(Shown::of(&key), id);
            match key.port() {
                None => index.any_mark = true,
                Some(FTP) => index.any_ftp |= key.protocol().is_some_and(|p| p.number() == TCP),
                Some(0) => index.any_port = true,
                Some(_) => {}
            }
        }
        index
    }

    pub(crate) fn by_key(&self, key: &ServiceKey) -> Option<ServiceId> {
        self.services.get(&Shown::of(key)).copied()
    }

    /// As the kernel looks up: the firewall mark, the exact address and port, the FTP service for
    /// FTP data, the service of every port.
    pub(crate) fn by_flow(&self, flow: &Flow) -> Option<ServiceId> {
        let (protocol, family, port) = (flow.protocol(), flow.family(), flow.destination_port());
        let find = |shown: Shown| self.services.get(&shown).copied();
        let on = |port| find(Shown::address(protocol, family, flow.destination_words(), port));
        if flow.fwmark() != 0 && self.any_mark {
            let marked = find(Shown::mark(family, flow.fwmark()));
            if marked.is_some() {
                return marked;
            }
        }
        let ftp_data = protocol == TCP && (port == FTP_DATA || port >= UNPRIVILEGED);
        on(port)
            .or_else(|| if self.any_ftp && ftp_data { on(FTP) } else { None })
            .or_else(|| if self.any_port { on(0) } else { None })
    }
}
