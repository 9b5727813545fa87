//! A decision, as plain data.

use std::fmt;
#[cfg(feature = "capi")]
use std::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::{Forwarding, RealServer, Tunnel, TunnelChecksum};
use crate::state::slots::ServerId;
use crate::state::templates::TemplateId;

/// A decision: which server, and how to reach it. Plain data, 48 bytes, shared with C.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Pick {
    pub(crate) server: ServerId,
    /// The persistence template that led here or was made.
    pub(crate) template: TemplateId,
    /// In network order; IPv4 in the first four bytes.
    address: [u8; 16],
    pub(crate) port: u16,
    /// 4 or 6; 0 = no decision.
    family: u8,
    forwarding: u8,
    tunnel: u8,
    tunnel_checksum: u8,
    tunnel_port: u16,
}

const INET: u8 = 4;
const INET6: u8 = 6;

const MASQ: u8 = 0;
const LOCAL: u8 = 1;
const TUNNEL: u8 = 2;
const ROUTE: u8 = 3;
const BYPASS: u8 = 4;

const IPIP: u8 = 0;
const GUE: u8 = 1;
const GRE: u8 = 2;

impl Pick {
    pub(crate) fn new(id: ServerId, server: &RealServer) -> Self {
        let mut address = [0; 16];
        let family = match server.address.ip() {
            IpAddr::V4(ip) => {
                address[..4].copy_from_slice(&ip.octets());
                INET
            }
            IpAddr::V6(ip) => {
                address = ip.octets();
                INET6
            }
        };
        let (forwarding, tunnel) = match server.forwarding {
            Forwarding::Masq => (MASQ, None),
            Forwarding::Local => (LOCAL, None),
            Forwarding::Tunnel(tunnel) => (TUNNEL, Some(tunnel)),
            Forwarding::Route => (ROUTE, None),
            Forwarding::Bypass => (BYPASS, None),
        };
        let (tunnel, tunnel_port, checksum) = match tunnel {
            None | Some(Tunnel::Ipip {}) => (IPIP, 0, TunnelChecksum::None),
            Some(Tunnel::Gue { port, checksum }) => (GUE, port, checksum),
            Some(Tunnel::Gre { checksum }) => (GRE, 0, checksum),
        };
        Pick {
            server: id,
            template: TemplateId::default(),
            address,
            port: server.address.port(),
            family,
            forwarding,
            tunnel,
            tunnel_checksum: match checksum {
                TunnelChecksum::None => 0,
                TunnelChecksum::Full => 1,
                TunnelChecksum::Remote => 2,
            },
            tunnel_port,
        }
    }

    pub(crate) fn with_template(self, template: TemplateId) -> Self {
        Pick { template, ..self }
    }

    /// The server, to open a connection on or to exclude from the next try.
    #[inline]
    pub fn server(&self) -> ServerId {
        self.server
    }

    /// Its address and port; the flow's destination port where the server has none of its own.
    pub fn address(&self) -> SocketAddr {
        let [a, b, c, d, ..] = self.address;
        let ip = match self.family {
            INET6 => IpAddr::V6(Ipv6Addr::from(self.address)),
            _ => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        };
        SocketAddr::new(ip, self.port)
    }

    /// How packets reach it.
    pub fn forwarding(&self) -> Forwarding {
        let checksum = match self.tunnel_checksum {
            1 => TunnelChecksum::Full,
            2 => TunnelChecksum::Remote,
            _ => TunnelChecksum::None,
        };
        match (self.forwarding, self.tunnel) {
            (LOCAL, _) => Forwarding::Local,
            (TUNNEL, GUE) => Forwarding::Tunnel(Tunnel::Gue { port: self.tunnel_port, checksum }),
            (TUNNEL, GRE) => Forwarding::Tunnel(Tunnel::Gre { checksum }),
            (TUNNEL, _) => Forwarding::Tunnel(Tunnel::Ipip {}),
            (ROUTE, _) => Forwarding::Route,
            (BYPASS, _) => Forwarding::Bypass,
            _ => Forwarding::Masq,
        }
    }
}

impl Default for Pick {
    /// No decision.
    #[inline]
    fn default() -> Self {
        Pick {
            server: ServerId { slot: 0, generation: 0 },
            template: TemplateId::NONE,
            address: [0; 16],
            port: 0,
            family: 0,
            forwarding: 0,
            tunnel: 0,
            tunnel_checksum: 0,
            tunnel_port: 0,
        }
    }
}

impl fmt::Debug for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pick")
            .field("server", &self.server)
            .field("address", &self.address())
            .field("forwarding", &self.forwarding())
            .finish_non_exhaustive()
    }
}

const _: () = assert!(size_of::<Pick>() == 48);

#[cfg(feature = "capi")]
impl Pick {
    /// Offsets of the fields that the C header names, in its order.
    pub(crate) const LAYOUT: [usize; 9] = [
        offset_of!(Pick, server),
        offset_of!(Pick, template),
        offset_of!(Pick, address),
        offset_of!(Pick, port),
        offset_of!(Pick, family),
        offset_of!(Pick, forwarding),
        offset_of!(Pick, tunnel),
        offset_of!(Pick, tunnel_checksum),
        offset_of!(Pick, tunnel_port),
    ];
}

#[cfg(test)]
mod tests {
    use super::Pick;
    use crate::config::{Forwarding, RealServer, Tunnel, TunnelChecksum};
    use crate::state::slots::ServerId;

    #[test]
    fn what_goes_in_comes_out() {
        let checksums = [TunnelChecksum::None, TunnelChecksum::Full, TunnelChecksum::Remote];
        let tunnels = checksums.into_iter().flat_map(|checksum| {
            [Tunnel::Ipip {}, Tunnel::Gue { port: 5555, checksum }, Tunnel::Gre { checksum }]
        });
        let others = [Forwarding::Masq, Forwarding::Route, Forwarding::Local, Forwarding::Bypass];
        let id = ServerId { slot: 7, generation: 8 };
        for forwarding in tunnels.map(Forwarding::Tunnel).chain(others) {
            for address in ["192.168.5.11:80", "[2001:db8::1]:0", "10.0.0.1:65535"] {
                let address = address.parse().expect("an address");
                let server = RealServer::new(address).with_forwarding(forwarding);
                let pick = Pick::new(id, &server);
                let found = (pick.server(), pick.address(), pick.forwarding());
                assert_eq!(found, (id, address, forwarding));
            }
        }
    }
}
