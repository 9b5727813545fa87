//! The services, servers and clients that a row names by kind and number.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use vsched::SchedulerKind;
use vsched::config::{
    Family, Forwarding, RealServer, SchedulerFlags, ServiceKey, ServiceSettings, VirtualService,
};

use super::table::{Kind, PORT, Server, Service};

/// The mark that belongs to `fwmark` services.
pub(super) const MARK: u32 = 7;

/// A service of a row, with its servers as last described.
pub(super) struct Running {
    pub(super) kind: Kind,
    pub(super) settings: ServiceSettings,
    pub(super) servers: HashMap<u8, RealServer>,
}

impl Running {
    pub(super) fn new(service: &Service) -> Result<Self, String> {
        let address = virtual_address(service.kind);
        let key = match service.kind {
            Kind::Tcp | Kind::Tcp6 => ServiceKey::tcp(address),
            Kind::Udp => ServiceKey::udp(address),
            Kind::Sctp => ServiceKey::sctp(address),
            Kind::Fwmark => ServiceKey::fwmark(MARK, Family::Inet),
        };
        let mut settings = VirtualService::new(key).settings();
        settings.scheduler = scheduler(&service.scheduler)?;
        for name in &service.flags {
            let flag = SchedulerFlags::named(name, settings.scheduler);
            let flag = flag.ok_or_else(|| format!("{} has no flag `{name}`", service.scheduler))?;
            settings.flags = settings.flags.union(flag);
        }
        Ok(Running { kind: service.kind, settings, servers: HashMap::new() })
    }

    pub(super) fn known(&self, number: u8) -> Result<&RealServer, String> {
        let known = self.servers.get(&number);
        known.ok_or_else(|| format!("there is no server {number}"))
    }

    /// A server as described; what is not said is as it was, or as it is by default.
    pub(super) fn describe(&mut self, server: &Server) -> Result<RealServer, String> {
        let port = server.port.unwrap_or(PORT);
        let fresh = RealServer::new(SocketAddr::new(real_address(self.kind, server.number), port));
        let fresh = fresh.with_forwarding(Forwarding::Masq);
        let was = self.servers.get(&server.number).cloned().unwrap_or(fresh);
        if server.port.is_some_and(|port| port != was.address.port()) {
            return Err(format!("server {} has another port", server.number));
        }
        let described =
            was.clone().with_weight(server.weight.unwrap_or(was.weight)).with_thresholds(
                server.upper.unwrap_or(was.thresholds.upper),
                server.lower.unwrap_or(was.thresholds.lower),
            );
        self.servers.insert(server.number, described.clone());
        Ok(described)
    }
}

pub(super) fn scheduler(name: &str) -> Result<Option<SchedulerKind>, String> {
    match name {
        "none" => Ok(None),
        name => name.parse().map(Some).map_err(text),
    }
}

pub(super) fn virtual_address(kind: Kind) -> SocketAddr {
    match kind {
        Kind::Tcp6 => SocketAddr::new(Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, 1).into(), PORT),
        _ => SocketAddr::new(Ipv4Addr::new(10, 1, 0, 1).into(), PORT),
    }
}

fn real_address(kind: Kind, number: u8) -> IpAddr {
    match kind {
        Kind::Tcp6 => Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, number.into()).into(),
        _ => IpAddr::from([10, 9, 0, number]),
    }
}

/// A client that has not been seen before.
pub(super) fn client(kind: Kind, number: usize) -> SocketAddr {
    let [.., high, low] = number.to_be_bytes();
    let ip = match kind {
        Kind::Tcp6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, high.into(), low.into()).into(),
        _ => IpAddr::from([172, 16, high, low]),
    };
    SocketAddr::new(ip, 40000)
}

/// A server's number is the end of its address.
pub(super) fn number(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(ip) => ip.octets()[3],
        IpAddr::V6(ip) => ip.octets()[15],
    }
}

pub(super) fn text(error: impl Display) -> String {
    error.to_string()
}
