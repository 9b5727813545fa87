//! A pick's result as plain data.

use std::array;
use std::fmt;
#[cfg(feature = "capi")]
use std::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::arena::id::ServerId;
use crate::config::{Forwarding, RealServer, Tunnel, TunnelChecksum};
use crate::memory::templates::TemplateId;

/// The result of a pick: which server, and how to reach it. Plain data, 56 bytes, shared with C.
///
/// ```
/// use vsched::config::Forwarding;
/// use vsched::{Config, Director, Flow};
/// let config: Config =
///     "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1 -m --vsched-user-data 7".parse()?;
/// let director = Director::new(&config)?;
/// let pick = director.pick_server(director.service("tcp 10.0.0.1:80")?, &Flow::default())?;
/// assert_eq!(pick.address(), "10.0.1.1:80".parse()?);
/// assert_eq!(pick.user_data(), 7, "the host's own number, such as the index of a pool of sockets");
/// assert_eq!(pick.forwarding(), Forwarding::Masq);
/// let counts = director.counts(pick.server()).expect("it runs");
/// assert_eq!(counts.active, 0, "a pick is a decision: `Worker::open_pick` counts the connection");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// The bytes of C's fields, as words: a pick is assembled from words in registers. With smaller fields,
// or one larger field, it went through the stack.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Pick {
    server: u64,
    /// The address in network order; IPv4 in the first four bytes.
    address: u64,
    address_end: u64,
    rest: u64,
    user_data: u64,
    /// The persistence template that the pick used or made.
    pub(crate) template: TemplateId,
}

/// The precomputed part of a server's pick: all but the template. Close together, because neighbors are
/// picked one after the other.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Endpoint {
    server: u64,
    address: u64,
    address_end: u64,
    rest: u64,
    user_data: u64,
}

const _: () = assert!(size_of::<Endpoint>() == 40);

/// The unpacked form of `Pick::rest`.
#[derive(Clone, Copy)]
struct Rest {
    port: u16,
    /// 4 or 6; 0 = no server.
    family: u8,
    forwarding: u8,
    tunnel: u8,
    tunnel_checksum: u8,
    tunnel_port: u16,
}

impl Rest {
    fn of(word: u64) -> Self {
        let [a, b, family, forwarding, tunnel, tunnel_checksum, c, d] = word.to_ne_bytes();
        let (port, tunnel_port) = (u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d]));
        Rest { port, family, forwarding, tunnel, tunnel_checksum, tunnel_port }
    }

    fn word(self) -> u64 {
        let Rest { port, family, forwarding, tunnel, tunnel_checksum, tunnel_port } = self;
        let ([a, b], [c, d]) = (port.to_ne_bytes(), tunnel_port.to_ne_bytes());
        u64::from_ne_bytes([a, b, family, forwarding, tunnel, tunnel_checksum, c, d])
    }
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

impl Endpoint {
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
        let tunnel_checksum = match checksum {
            TunnelChecksum::None => 0,
            TunnelChecksum::Full => 1,
            TunnelChecksum::Remote => 2,
        };
        let port = server.address.port();
        let rest = Rest { port, family, forwarding, tunnel, tunnel_checksum, tunnel_port };
        let word = |from: usize| u64::from_ne_bytes(array::from_fn(|byte| address[from + byte]));
        let (address, address_end, rest) = (word(0), word(8), rest.word());
        let (server, user_data) = (word_of(id), server.user_data);
        Endpoint { server, address, address_end, rest, user_data }
    }

    #[inline]
    pub(crate) fn server(&self) -> ServerId {
        server_of(self.server)
    }

    /// The pick of this server, without a template.
    #[inline(always)]
    pub(crate) fn pick(&self) -> Pick {
        self.with_template(TemplateId::NONE)
    }

    #[inline(always)]
    pub(crate) fn with_template(&self, template: TemplateId) -> Pick {
        let &Endpoint { server, address, address_end, rest, user_data } = self;
        Pick { server, address, address_end, rest, user_data, template }
    }
}

/// An id's bytes in memory order.
fn word_of(id: ServerId) -> u64 {
    let words = [id.slot, id.generation].map(u32::to_ne_bytes);
    u64::from_ne_bytes(array::from_fn(|byte| words[byte / 4][byte % 4]))
}

#[inline]
fn server_of(word: u64) -> ServerId {
    let [a, b, c, d, e, f, g, h] = word.to_ne_bytes();
    let [slot, generation] = [[a, b, c, d], [e, f, g, h]].map(u32::from_ne_bytes);
    ServerId { slot, generation }
}

impl Pick {
    pub(crate) fn port(&self) -> u16 {
        Rest::of(self.rest).port
    }

    pub(crate) fn set_port(&mut self, port: u16) {
        self.rest = Rest { port, ..Rest::of(self.rest) }.word();
    }

    /// Returns the server's id, to open a connection to it or to exclude it from the next attempt.
    #[inline]
    pub fn server(&self) -> ServerId {
        server_of(self.server)
    }

    /// Returns the server's address and port; the flow's destination port if the server has port 0.
    pub fn address(&self) -> SocketAddr {
        let words = [self.address, self.address_end].map(u64::to_ne_bytes);
        let address: [u8; 16] = array::from_fn(|byte| words[byte / 8][byte % 8]);
        let [a, b, c, d, ..] = address;
        let ip = match Rest::of(self.rest).family {
            INET6 => IpAddr::V6(Ipv6Addr::from(address)),
            _ => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        };
        SocketAddr::new(ip, self.port())
    }

    /// Returns the host's own number for the server
    /// ([`RealServer::user_data`](crate::config::RealServer::user_data)), as it was configured when the
    /// pick was made; 0 if none was.
    #[inline]
    pub fn user_data(&self) -> u64 {
        self.user_data
    }

    /// Returns how packets reach the server.
    pub fn forwarding(&self) -> Forwarding {
        let way = Rest::of(self.rest);
        let port = way.tunnel_port;
        let checksum = match way.tunnel_checksum {
            1 => TunnelChecksum::Full,
            2 => TunnelChecksum::Remote,
            _ => TunnelChecksum::None,
        };
        match (way.forwarding, way.tunnel) {
            (LOCAL, _) => Forwarding::Local,
            (TUNNEL, GUE) => Forwarding::Tunnel(Tunnel::Gue { port, checksum }),
            (TUNNEL, GRE) => Forwarding::Tunnel(Tunnel::Gre { checksum }),
            (TUNNEL, _) => Forwarding::Tunnel(Tunnel::Ipip {}),
            (ROUTE, _) => Forwarding::Route,
            (BYPASS, _) => Forwarding::Bypass,
            _ => Forwarding::Masq,
        }
    }
}

impl fmt::Debug for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pick")
            .field("server", &self.server())
            .field("address", &self.address())
            .field("forwarding", &self.forwarding())
            .field("user_data", &self.user_data)
            .field("persistent", &!self.template.is_none())
            .finish()
    }
}

const _: () = assert!(size_of::<Pick>() == 56);

#[cfg(feature = "capi")]
impl Pick {
    /// Offsets of the fields that the C header names, in its order.
    pub(crate) const LAYOUT: [usize; 10] = [
        offset_of!(Pick, server),
        offset_of!(Pick, address),
        offset_of!(Pick, rest),
        offset_of!(Pick, rest) + 2,
        offset_of!(Pick, rest) + 3,
        offset_of!(Pick, rest) + 4,
        offset_of!(Pick, rest) + 5,
        offset_of!(Pick, rest) + 6,
        offset_of!(Pick, user_data),
        offset_of!(Pick, template),
    ];
}

#[cfg(test)]
#[path = "endpoint_tests.rs"]
mod tests;
