//! Virtual services.

use std::net::{Ipv4Addr, SocketAddr};

use super::{address, address_bytes, family, family_number, sent};
use crate::config::{
    Family, Netmask, ObservedService, Persistence, Protocol, SchedulerFlags, ServiceKey,
    VirtualService,
};
use crate::config::{SchedulerKind, ServiceSettings};
use crate::netlink::wire::{
    FLAG_ONE_PACKET, FLAG_PERSISTENT, ServiceAttributes, ServiceFlags, WireError,
};

/// The name that stands for no scheduler.
const NO_SCHEDULER: &str = "none";
/// The first of three scheduler flags; the others follow.
const SCHEDULER_FLAG: u32 = 8;

impl ServiceAttributes {
    /// What names a service in a request.
    pub fn of_key(key: &ServiceKey) -> Self {
        let family = Some(family_number(key.family()));
        match *key {
            ServiceKey::Address { protocol, address } => ServiceAttributes {
                family,
                protocol: Some(protocol.number().into()),
                address: Some(address_bytes(address.ip())),
                port: Some(address.port()),
                ..ServiceAttributes::default()
            },
            ServiceKey::FirewallMark { mark, .. } => {
                ServiceAttributes { family, mark: Some(mark), ..ServiceAttributes::default() }
            }
        }
    }

    /// The whole description of a service, without its servers. It omits what the kernel cannot store: the
    /// size of an mh table and the capacity for addresses.
    pub fn of_settings<S>(service: &VirtualService<S>) -> Self {
        let bits = SchedulerFlags::ALL.into_iter().zip(0..);
        let mut flags = bits
            .filter(|(flag, _)| service.flags.contains(*flag))
            .fold(0, |flags, (_, place)| flags | SCHEDULER_FLAG << place);
        if service.persistence.is_some() {
            flags |= FLAG_PERSISTENT;
        }
        if service.one_packet {
            flags |= FLAG_ONE_PACKET;
        }
        let netmask = service.persistence.and_then(|persistence| persistence.netmask);
        ServiceAttributes {
            scheduler: Some(service.scheduler.map_or(NO_SCHEDULER, SchedulerKind::name).to_owned()),
            flags: Some(ServiceFlags { flags, mask: u32::MAX }),
            timeout: Some(service.persistence.map_or(0, |persistence| persistence.timeout)),
            netmask: Some(netmask_bytes(netmask, service.key.family())),
            engine: service.persistence_engine.clone(),
            ..ServiceAttributes::of_key(&service.key)
        }
    }

    /// What names this service.
    ///
    /// # Errors
    /// A part of the key that is missing or that a config cannot express: an unknown family or protocol.
    pub fn key(&self) -> Result<ServiceKey, WireError> {
        let family = family(sent(self.family, "SERVICE.AF")?, "SERVICE.AF")?;
        if let Some(mark) = self.mark.filter(|mark| *mark != 0) {
            return Ok(ServiceKey::FirewallMark { mark, family });
        }
        let number = sent(self.protocol, "SERVICE.PROTOCOL")?;
        let protocol = u8::try_from(number).ok().and_then(Protocol::from_number);
        let protocol = protocol.ok_or_else(|| {
            let problem = format!("{number} is none of 6 (tcp), 17 (udp), 132 (sctp)");
            WireError::new("SERVICE.PROTOCOL", problem)
        })?;
        let ip = address(family, sent(self.address, "SERVICE.ADDR")?);
        let port = sent(self.port, "SERVICE.PORT")?;
        Ok(ServiceKey::Address { protocol, address: SocketAddr::new(ip, port) })
    }

    /// The service that the attributes describe, without servers.
    ///
    /// # Errors
    /// As for [`key`](Self::key); a scheduler that this crate does not have; a part of the
    /// description that is missing; an invalid netmask.
    pub fn settings(&self) -> Result<ServiceSettings, WireError> {
        let key = self.key()?;
        let name = sent(self.scheduler.as_deref(), "SERVICE.SCHED_NAME")?;
        let scheduler = match name {
            NO_SCHEDULER => None,
            name => Some(
                name.parse::<SchedulerKind>()
                    .map_err(|error| WireError::new("SERVICE.SCHED_NAME", error.to_string()))?,
            ),
        };
        let flags = sent(self.flags, "SERVICE.FLAGS")?.flags;
        let persistence = if flags & FLAG_PERSISTENT != 0 {
            let netmask = sent(self.netmask, "SERVICE.NETMASK")?;
            let netmask = read_netmask(netmask, key.family())?;
            Some(Persistence { timeout: sent(self.timeout, "SERVICE.TIMEOUT")?, netmask })
        } else {
            None
        };
        let bits = SchedulerFlags::ALL.into_iter().zip(0..);
        let set = bits.filter(|(_, place)| flags & SCHEDULER_FLAG << place != 0);
        Ok(ServiceSettings {
            scheduler,
            flags: set.fold(SchedulerFlags::default(), |flags, (flag, _)| flags.union(flag)),
            persistence,
            persistence_engine: self.engine.clone().filter(|name| !name.is_empty()),
            one_packet: flags & FLAG_ONE_PACKET != 0,
            ..VirtualService::new(key).settings()
        })
    }

    /// The service with its statistics, without servers.
    ///
    /// # Errors
    /// As for [`settings`](Self::settings).
    pub fn observed(&self) -> Result<ObservedService, WireError> {
        let figures = self.figures();
        Ok(ObservedService {
            settings: self.settings()?,
            statistics: figures.totals,
            rates: figures.rates,
            remembered: None,
            templates: None,
            panics: false,
            servers: Vec::new(),
        })
    }
}

fn netmask_bytes(netmask: Option<Netmask>, family: Family) -> [u8; 4] {
    match (netmask, family) {
        (Some(Netmask::Inet(mask)), _) => mask.octets(),
        (Some(Netmask::Inet6(prefix)), _) => u32::from(prefix).to_ne_bytes(),
        (None, Family::Inet) => Ipv4Addr::BROADCAST.octets(),
        (None, Family::Inet6) => 128u32.to_ne_bytes(),
    }
}

/// A mask of all ones is the same as no netmask.
fn read_netmask(bytes: [u8; 4], family: Family) -> Result<Option<Netmask>, WireError> {
    match family {
        Family::Inet => {
            let mask = Ipv4Addr::from(bytes);
            Ok((mask != Ipv4Addr::BROADCAST).then_some(Netmask::Inet(mask)))
        }
        Family::Inet6 => match u32::from_ne_bytes(bytes) {
            128 => Ok(None),
            prefix @ 1..128 => Ok(Some(Netmask::Inet6(prefix as u8))),
            other => {
                let problem = format!("{other} is no prefix length, 1 to 128");
                Err(WireError::new("SERVICE.NETMASK", problem))
            }
        },
    }
}
