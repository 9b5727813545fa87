//! The published service table: compiled services, found by id, by key or by flow.

use std::collections::HashMap;

use crate::arena::id::ServiceId;
use crate::config::{Config, Family, Name, ServiceKey, Settings};
use crate::director::record::ServiceRecord;
use crate::error::Refused;
use crate::flow::{FTP, Flow};
use crate::service::Service;
use crate::sync::Arc;

/// All compiled services. Immutable: one table is current, older ones live while a worker protects
/// them.
pub(crate) struct ServiceTable {
    /// Number of the publication.
    pub(crate) sequence: u64,
    /// By slot index.
    pub(super) services: Box<[Option<Arc<Service>>]>,
    pub(super) index: Arc<ServiceIndex>,
    /// For those who read the running state: parallel to `services`.
    pub(super) records: Box<[Option<Arc<ServiceRecord>>]>,
    pub(super) settings: Settings,
}

impl ServiceTable {
    /// A table without services.
    pub(crate) fn empty() -> Self {
        ServiceTable {
            sequence: 0,
            services: Box::default(),
            index: Arc::default(),
            records: Box::default(),
            settings: Config::default().settings(),
        }
    }

    pub(crate) fn services(&self) -> &[Option<Arc<Service>>] {
        &self.services
    }

    pub(crate) fn index(&self) -> &ServiceIndex {
        &self.index
    }

    /// Every service as configured and as compiled, in the order in which they were added.
    pub(super) fn listed(&self) -> Vec<(&ServiceRecord, &Service)> {
        let records = self.records.iter().map(Option::as_deref);
        let services = self.services.iter().map(Option::as_deref);
        let pairs = records.zip(services).filter_map(|(record, service)| record.zip(service));
        let mut listed: Vec<_> = pairs.collect();
        listed.sort_unstable_by_key(|(record, _)| record.number);
        listed
    }

    /// The service as configured and as compiled.
    pub(super) fn listed_at(&self, slot: u32) -> Option<(&ServiceRecord, &Service)> {
        Some((self.records.get(slot as usize)?.as_deref()?, self.service_at(slot)?))
    }

    #[inline]
    pub(crate) fn service(&self, service: ServiceId) -> Option<&Service> {
        // The slot index matches by position; only the generation is left to compare.
        self.service_at(service.slot)
            .filter(|compiled| compiled.id.generation == service.generation)
    }

    /// The service, if it schedules this flow.
    #[inline(always)]
    pub(crate) fn scheduling(&self, service: ServiceId, flow: &Flow) -> Result<&Service, Refused> {
        let compiled = self.service(service).ok_or(Refused::NoService)?;
        if compiled.accepts(flow) { Ok(compiled) } else { Err(Refused::NotScheduled) }
    }

    #[inline]
    pub(crate) fn service_at(&self, slot: u32) -> Option<&Service> {
        self.services.get(slot as usize)?.as_deref()
    }

    /// The service with this key.
    pub(crate) fn service_of(&self, key: &ServiceKey) -> Option<&Service> {
        self.service(self.index.by_key(key)?)
    }

    /// The service that takes this flow; see [`ServiceIndex::by_flow`].
    #[inline]
    pub(crate) fn by_flow(&self, flow: &Flow) -> Option<ServiceId> {
        self.index.by_flow(flow, |ftp| self.service(ftp).is_some_and(Service::is_persistent))
    }
}

/// Services by the fields of packets that identify them.
#[derive(Default, Clone)]
pub(crate) struct ServiceIndex {
    services: HashMap<LookupKey, ServiceId, ahash::RandomState>,
    names: HashMap<Name, ServiceId, ahash::RandomState>,
    /// Number of services by firewall mark. While it is 0, a lookup skips this kind; so below.
    marks: u32,
    /// Number of TCP services of port 21.
    ftp: u32,
    /// Number of services of port 0.
    every_port: u32,
}

/// The fields of a packet that identify a service: two words of address, one word of the rest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct LookupKey([u64; 2], u64);

impl LookupKey {
    fn address(protocol: u8, family: u8, address: [u64; 2], port: u16) -> Self {
        LookupKey(address, u64::from(protocol) << 48 | u64::from(family) << 40 | u64::from(port))
    }

    fn mark(family: u8, mark: u32) -> Self {
        LookupKey([u64::from(mark), 0], 1 << 63 | u64::from(family))
    }

    fn of(key: &ServiceKey) -> Self {
        match key {
            ServiceKey::Address { protocol, address } => {
                let shown = Flow::new(protocol.number(), *address, *address);
                let port = address.port();
                LookupKey::address(
                    shown.protocol(),
                    shown.family(),
                    shown.destination_words(),
                    port,
                )
            }
            ServiceKey::FirewallMark { mark, family: Family::Inet } => LookupKey::mark(4, *mark),
            ServiceKey::FirewallMark { mark, family: Family::Inet6 } => LookupKey::mark(6, *mark),
        }
    }
}

const TCP: u8 = 6;
const FTP_DATA: u16 = 20;
/// First unprivileged port by Linux's default: passive FTP data connections use ports from here on.
const UNPRIVILEGED: u16 = 1024;

impl ServiceIndex {
    /// Returns a copy without the services `gone` and with the services `come`. O(services); copying
    /// costs a fraction of hashing all of them again.
    pub(crate) fn edited<'a>(
        &self,
        gone: impl Iterator<Item = &'a ServiceKey>,
        come: impl Iterator<Item = (&'a ServiceKey, ServiceId)>,
    ) -> Self {
        let mut index = self.clone();
        for key in gone {
            if index.services.remove(&LookupKey::of(key)).is_some() {
                index.count(key, u32::wrapping_sub);
            }
        }
        if index.services.capacity() / 8 > index.services.len() {
            index.services.shrink_to_fit();
        }
        for (key, id) in come {
            if index.services.insert(LookupKey::of(key), id).is_none() {
                index.count(key, u32::wrapping_add);
            }
        }
        index
    }

    fn count(&mut self, key: &ServiceKey, by_one: impl Fn(u32, u32) -> u32) {
        let count = match key.port() {
            None => &mut self.marks,
            Some(FTP) if key.protocol().is_some_and(|p| p.number() == TCP) => &mut self.ftp,
            Some(0) => &mut self.every_port,
            Some(_) => return,
        };
        *count = by_one(*count, 1);
    }

    /// Takes the names away, then adds those that come.
    pub(crate) fn rename(&mut self, gone: &[Name], come: Vec<(Name, ServiceId)>) {
        for name in gone {
            self.names.remove(name);
        }
        self.names.extend(come);
    }

    pub(crate) fn named(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<ServiceId> {
        self.names.get(name).copied()
    }

    pub(crate) fn by_key(&self, key: &ServiceKey) -> Option<ServiceId> {
        self.services.get(&LookupKey::of(key)).copied()
    }

    /// Looks up in the kernel's order: the firewall mark; the exact address and port; for FTP data,
    /// the FTP service; the service of port 0. An FTP service without persistence does not take FTP
    /// data, and then neither does the service of port 0.
    #[inline]
    fn by_flow(
        &self,
        flow: &Flow,
        takes_data: impl FnOnce(ServiceId) -> bool,
    ) -> Option<ServiceId> {
        let (protocol, family, port) = (flow.protocol(), flow.family(), flow.destination_port());
        let find = |shown: LookupKey| self.services.get(&shown).copied();
        let on = |port| find(LookupKey::address(protocol, family, flow.destination_words(), port));
        if flow.fwmark() != 0 && self.marks > 0 {
            let marked = find(LookupKey::mark(family, flow.fwmark()));
            if marked.is_some() {
                return marked;
            }
        }
        let exact = on(port);
        if exact.is_some() {
            return exact;
        }
        let ftp_data = protocol == TCP && (port == FTP_DATA || port >= UNPRIVILEGED);
        if self.ftp > 0 && ftp_data {
            if let Some(ftp) = on(FTP) {
                return takes_data(ftp).then_some(ftp);
            }
        }
        if self.every_port > 0 { on(0) } else { None }
    }
}
