//! The kernel's older interface, socket options, where it is faster than netlink.
//!
//! It lists the servers of a service in one call, under the lock that changes take, so the list is
//! consistent. It supports IPv4 only and no tunnel types, and silently skips servers of another family: the
//! list of services says how many there are in total.
//!
//! The layouts are those of `linux/ip_vs.h`, pure; the system call is in `socket`.

use std::ffi::c_int;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use super::socket::OptionSocket;
use crate::config::{
    Family, Forwarding, Protocol, RealServer, ServiceKey, Thresholds, VirtualService,
};

const GET_SERVICES: c_int = 1154;
const GET_DESTS: c_int = 1156;

/// Statistics have the machine's alignment of 64 bits, 4 bytes on 32-bit x86, and so does every struct that
/// contains them.
const ALIGNMENT: usize = align_of::<u64>();
const STATISTICS: usize =
    12_usize.next_multiple_of(ALIGNMENT) + (16 + 20_usize).next_multiple_of(ALIGNMENT);
/// A service: protocol, address, port, mark, name of 16 bytes, flags, timeout, netmask, servers.
const SERVICE: usize = 48 + STATISTICS;
const SERVICES_HEAD: usize = 4_usize.next_multiple_of(ALIGNMENT);
/// A server: address, port, flags, weight, two thresholds, three counts.
const SERVER: usize = 36_usize.next_multiple_of(ALIGNMENT) + STATISTICS;
/// Protocol, address, port, mark, number of servers.
const SERVERS_HEAD: usize = 20_usize.next_multiple_of(ALIGNMENT);

/// Fills the buffer before a call, because the kernel writes no number of entries. No entry that it writes
/// has this byte in the fields that are checked for it.
const UNWRITTEN: u8 = 0xff;

/// The lists of one network namespace.
#[derive(Debug)]
pub(super) struct Lists {
    socket: OptionSocket,
    buffer: Vec<u8>,
}

impl Lists {
    pub(super) fn new(socket: OptionSocket) -> Self {
        Lists { socket, buffer: Vec::new() }
    }

    /// True if these lists can express everything about the service's servers.
    pub(super) fn know(service: &VirtualService) -> bool {
        let known = |server: &RealServer| {
            server.address.is_ipv4() && !matches!(server.forwarding, Forwarding::Tunnel(_))
        };
        head(&service.key).is_some() && service.servers.iter().all(known)
    }

    /// The IPv4 servers of a service, newest first. False if there are more than `most`, or if these lists
    /// cannot express one of them.
    pub(super) fn servers(
        &mut self,
        key: &ServiceKey,
        most: usize,
        servers: &mut Vec<RealServer>,
    ) -> io::Result<bool> {
        servers.clear();
        let head = head(key).ok_or(io::ErrorKind::InvalidInput)?;
        // Space for one more proves that there is none.
        self.clear(SERVERS_HEAD + (most + 1) * SERVER);
        self.write(0, &head);
        self.write(16, &((most + 1) as u32).to_ne_bytes());
        self.socket.option(GET_DESTS, &mut self.buffer)?;
        for entry in self.buffer[SERVERS_HEAD..].chunks_exact(SERVER) {
            match server(entry) {
                ListEntry::None => return Ok(true),
                ListEntry::Unknown => return Ok(false),
                ListEntry::Server(server) => servers.push(server),
            }
        }
        Ok(false)
    }

    /// At most `most` IPv4 services, each with the number of its servers, those of other families
    /// included.
    pub(super) fn numbers(&mut self, most: usize) -> io::Result<Vec<(ServiceKey, usize)>> {
        self.clear(SERVICES_HEAD + most * SERVICE);
        self.write(0, &(most as u32).to_ne_bytes());
        self.socket.option(GET_SERVICES, &mut self.buffer)?;
        let entries = self.buffer[SERVICES_HEAD..].chunks_exact(SERVICE);
        Ok(entries.filter_map(service).collect())
    }

    fn clear(&mut self, length: usize) {
        self.buffer.clear();
        self.buffer.resize(length, UNWRITTEN);
    }

    fn write(&mut self, place: usize, bytes: &[u8]) {
        if let Some(room) = self.buffer.get_mut(place..place + bytes.len()) {
            room.copy_from_slice(bytes);
        }
    }
}

/// The key of an IPv4 service: protocol, address, port, mark.
fn head(key: &ServiceKey) -> Option<[u8; 16]> {
    let mut head = [0; 16];
    match *key {
        ServiceKey::Address { protocol, address: SocketAddr::V4(address) } => {
            head[..2].copy_from_slice(&u16::from(protocol.number()).to_ne_bytes());
            head[4..8].copy_from_slice(&address.ip().octets());
            head[8..10].copy_from_slice(&address.port().to_be_bytes());
        }
        ServiceKey::FirewallMark { mark, family: Family::Inet } => {
            head[12..].copy_from_slice(&mark.to_ne_bytes());
        }
        _ => return None,
    }
    Some(head)
}

#[derive(Debug, PartialEq, Eq)]
enum ListEntry {
    /// Nothing was written here.
    None,
    /// A server that a list cannot express.
    Unknown,
    Server(RealServer),
}

fn server(entry: &[u8]) -> ListEntry {
    let number = |place| u32::from_ne_bytes(bytes(entry, place));
    let flags = number(8);
    // The kernel keeps other things in the higher bits.
    let forwarding = match flags & 7 {
        _ if flags == u32::MAX => return ListEntry::None,
        0 => Forwarding::Masq,
        1 => Forwarding::Local,
        3 => Forwarding::Route,
        4 => Forwarding::Bypass,
        // The tunnel type is missing.
        _ => return ListEntry::Unknown,
    };
    ListEntry::Server(RealServer {
        forwarding,
        weight: number(12),
        thresholds: Thresholds { upper: number(16), lower: number(20) },
        ..RealServer::new(address(entry, 0))
    })
}

/// `None`: nothing was written here, or a service that no key names.
fn service(entry: &[u8]) -> Option<(ServiceKey, usize)> {
    let number = |place| u32::from_ne_bytes(bytes(entry, place));
    let servers = number(44);
    let key = match number(12) {
        _ if servers == u32::MAX => return None,
        0 => {
            let protocol = u16::from_ne_bytes(bytes(entry, 0));
            let protocol = u8::try_from(protocol).ok().and_then(Protocol::from_number)?;
            ServiceKey::Address { protocol, address: address(entry, 4) }
        }
        mark => ServiceKey::FirewallMark { mark, family: Family::Inet },
    };
    Some((key, servers as usize))
}

fn address(entry: &[u8], place: usize) -> SocketAddr {
    let port = u16::from_be_bytes(bytes(entry, place + 4));
    (Ipv4Addr::from(bytes::<4>(entry, place)), port).into()
}

fn bytes<const N: usize>(entry: &[u8], place: usize) -> [u8; N] {
    let found = entry.get(place..place + N).and_then(|bytes| bytes.try_into().ok());
    found.unwrap_or([UNWRITTEN; N])
}

#[cfg(test)]
#[path = "sockopt_tests.rs"]
mod tests;
