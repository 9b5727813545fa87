//! Packets as bytes: what clients and real servers send, and what the director turns it into.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use vsched::protocol::{SctpChunks, TcpFlags};

use crate::side::step::Signal;

const IPIP: u8 = 4;
const IPV6_IN_IP: u8 = 41;
const ICMP: u8 = 1;
const ICMP6: u8 = 58;
const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

/// A TCP, UDP or SCTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) signal: Signal,
}

/// What came out of the director.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// A packet to this address and port.
    To(SocketAddr),
    /// A packet inside another one to this address.
    Tunnelled(IpAddr),
    /// ICMP: unreachable, about a packet from this port.
    Unreachable(u16),
    /// A TCP reset, to this port.
    Reset(u16),
}

fn sum(bytes: &[u8]) -> u32 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    bytes.chunks(2).map(word).sum()
}

fn checksum(mut sum: u32) -> [u8; 2] {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

impl Packet {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut transport = Vec::new();
        transport.extend(self.from.port().to_be_bytes());
        transport.extend(self.to.port().to_be_bytes());
        let at = match self.signal {
            Signal::Tcp(flags) => {
                transport.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags.0, 0x20, 0, 0, 0, 0, 0]);
                Some(16)
            }
            Signal::Udp => {
                transport.extend([0, 12, 0, 0, b'p', b'i', b'n', b'g']);
                Some(6)
            }
            Signal::Sctp(SctpChunks { first, second, .. }) => {
                // The tag, and the checksum, which no router looks at.
                transport.extend([0, 0, 0, 1, 0, 0, 0, 0]);
                [Some(first), second].into_iter().flatten().for_each(|kind| {
                    // As long as an INIT, for all of them.
                    transport.extend([kind, 0, 0, 20]);
                    transport.extend([0; 16]);
                });
                None
            }
        };
        let addresses = [octets(self.from.ip()), octets(self.to.ip())].concat();
        let number = self.signal.protocol().number();
        if let Some(at) = at {
            let pseudo = sum(&addresses) + u32::from(number) + transport.len() as u32;
            let check = checksum(pseudo + sum(&transport));
            transport[at..at + 2].copy_from_slice(&check);
        }
        let length = transport.len() as u16;
        let mut bytes = match self.to.ip() {
            IpAddr::V4(_) => {
                let [high, low] = (20 + length).to_be_bytes();
                let mut header = vec![0x45, 0, high, low, 0, 0, 0x40, 0, 64, number, 0, 0];
                header.extend(&addresses);
                let check = checksum(sum(&header));
                header[10..12].copy_from_slice(&check);
                header
            }
            IpAddr::V6(_) => {
                let [high, low] = length.to_be_bytes();
                let mut header = vec![0x60, 0, 0, 0, high, low, number, 64];
                header.extend(&addresses);
                header
            }
        };
        bytes.extend(transport);
        bytes
    }
}

/// `None` for what no packet here brings about, such as router solicitations.
pub(super) fn read(bytes: &[u8]) -> Option<Seen> {
    let (protocol, to, rest): (u8, IpAddr, &[u8]) = match bytes.first()? >> 4 {
        4 => {
            let to: [u8; 4] = bytes.get(16..20)?.try_into().ok()?;
            let length = usize::from(bytes[0] & 15) * 4;
            (bytes[9], Ipv4Addr::from(to).into(), bytes.get(length..)?)
        }
        _ => {
            let to: [u8; 16] = bytes.get(24..40)?.try_into().ok()?;
            (bytes[6], Ipv6Addr::from(to).into(), bytes.get(40..)?)
        }
    };
    match (protocol, rest.first()?) {
        (IPIP | IPV6_IN_IP, _) => Some(Seen::Tunnelled(to)),
        (ICMP, 3) | (ICMP6, 1) => {
            // Eight bytes, then that packet: none here has options.
            let at = if to.is_ipv4() { 28 } else { 48 };
            Some(Seen::Unreachable(u16::from_be_bytes([*rest.get(at)?, *rest.get(at + 1)?])))
        }
        (TCP, _) if rest.get(13)? & TcpFlags::RST.0 != 0 => {
            let port = u16::from_be_bytes([rest[2], rest[3]]);
            Some(if is_client(to) {
                Seen::Reset(port)
            } else {
                Seen::To(SocketAddr::new(to, port))
            })
        }
        (TCP | UDP | SCTP, _) => {
            let port = u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]);
            Some(Seen::To(SocketAddr::new(to, port)))
        }
        _ => None,
    }
}

/// Where scripts have their clients: a reset to one of them comes from the director itself, or is a
/// real server's on its way back.
fn is_client(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets()[0] == 172,
        IpAddr::V6(ip) => ip.segments()[0] == 0x2001,
    }
}
