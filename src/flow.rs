//! The flow: the description of a connection attempt that a pick reads.

use std::fmt;
#[cfg(feature = "capi")]
use std::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One connection attempt, as described by its first packet: plain data, 56 bytes, shared with C.
///
/// Schedulers that do not hash (rr, wrr, lc, …) do not read it: a host whose services use only those,
/// without persistence and without servers of port 0, may pass [`Flow::default`]. Looking up a
/// service by flow reads the protocol, the destination and the firewall mark; opening a connection
/// reads the protocol.
///
/// An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`), which is how a dual-stack socket reports an IPv4
/// peer, counts as the IPv4 address: the flow finds the same service and hashes to the same server.
///
/// ```
/// use vsched::Flow;
/// let flow = Flow::tcp("192.168.4.100:40000".parse()?, "192.168.4.5:80".parse()?).with_fwmark(7);
/// assert_eq!(flow.destination(), Some("192.168.4.5:80".parse()?));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(C)]
pub struct Flow {
    /// Client address in network order; IPv4 in the first four bytes.
    client: [u8; 16],
    /// Destination (virtual) address, in the same form.
    destination: [u8; 16],
    key: u64,
    fwmark: u32,
    client_port: u16,
    destination_port: u16,
    /// 4 or 6; 0 = addresses not given.
    family: u8,
    /// IP protocol number; 0 = not given.
    protocol: u8,
    has_key: u8,
    reserved: [u8; 5],
}

/// Port of FTP control connections, whose data connections belong to the same service.
pub(crate) const FTP: u16 = 21;

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

impl Flow {
    /// Returns a flow with this IP protocol number. Its family is the destination's; a client of the
    /// other family is not rejected, but read as an address of this family. An IPv4-mapped address is
    /// stored and returned as the IPv4 address.
    pub fn new(protocol: u8, client: SocketAddr, destination: SocketAddr) -> Self {
        let (from, to) = (client.ip().to_canonical(), destination.ip().to_canonical());
        Flow {
            client: bytes(from),
            destination: bytes(to),
            client_port: client.port(),
            destination_port: destination.port(),
            family: if to.is_ipv4() { 4 } else { 6 },
            protocol,
            ..Flow::default()
        }
    }

    /// Returns the flow of a TCP connection.
    pub fn tcp(client: SocketAddr, destination: SocketAddr) -> Self {
        Flow::new(TCP, client, destination)
    }

    /// Returns the flow of a UDP datagram or association.
    pub fn udp(client: SocketAddr, destination: SocketAddr) -> Self {
        Flow::new(UDP, client, destination)
    }

    /// Returns the flow of an SCTP association.
    pub fn sctp(client: SocketAddr, destination: SocketAddr) -> Self {
        Flow::new(SCTP, client, destination)
    }

    /// Returns the flow with this firewall mark; 0 = no mark.
    pub fn with_fwmark(mut self, mark: u32) -> Self {
        self.fwmark = mark;
        self
    }

    /// Returns the flow with a caller-defined key, by which hashing schedulers then pick.
    pub fn with_key(mut self, key: u64) -> Self {
        self.key = key;
        self.has_key = 1;
        self
    }

    /// Returns the client's address and port; `None` if not given.
    pub fn client(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(address(self.client, self.family)?, self.client_port))
    }

    /// Returns the destination address and port; `None` if not given.
    pub fn destination(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(address(self.destination, self.family)?, self.destination_port))
    }

    /// Returns the destination port; 0 = not given.
    pub fn destination_port(&self) -> u16 {
        self.destination_port
    }

    /// Returns the IP protocol number; 0 = not given.
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    pub(crate) fn family(&self) -> u8 {
        self.family
    }

    pub(crate) fn client_port(&self) -> u16 {
        self.client_port
    }

    /// The client address as one word: IPv4 as a number, IPv6 as the exclusive or of its four words.
    pub(crate) fn client_fold(&self) -> u32 {
        fold_bytes(self.client)
    }

    /// The destination address as one word, in the same form.
    pub(crate) fn destination_fold(&self) -> u32 {
        fold_bytes(self.destination)
    }

    /// The client address masked with `mask`, as two words.
    pub(crate) fn client_words(&self, mask: u128) -> [u64; 2] {
        words(u128::from_be_bytes(self.client) & mask)
    }

    /// The destination address as two words, for hashing and comparing.
    pub(crate) fn destination_words(&self) -> [u64; 2] {
        words(u128::from_be_bytes(self.destination))
    }

    /// Returns the firewall mark; 0 = none.
    pub fn fwmark(&self) -> u32 {
        self.fwmark
    }

    /// Returns the caller's key; `None` if not given.
    pub fn key(&self) -> Option<u64> {
        (self.has_key != 0).then_some(self.key)
    }
}

impl fmt::Debug for Flow {
    /// Writes what is given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut flow = f.debug_struct("Flow");
        if self.protocol != 0 {
            flow.field("protocol", &self.protocol);
        }
        if let (Some(client), Some(destination)) = (self.client(), self.destination()) {
            flow.field("client", &client).field("destination", &destination);
        }
        if self.fwmark != 0 {
            flow.field("fwmark", &self.fwmark);
        }
        if let Some(key) = self.key() {
            flow.field("key", &key);
        }
        flow.finish()
    }
}

fn bytes(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V6(ip) => ip.octets(),
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
    }
}

/// An address as one word: IPv4 as a number, IPv6 as the exclusive or of its four words.
pub(crate) fn fold(ip: IpAddr) -> u32 {
    fold_bytes(bytes(ip))
}

/// The bytes after an IPv4 address are 0, so the same formula serves both families.
fn fold_bytes(bytes: [u8; 16]) -> u32 {
    let words = u128::from_ne_bytes(bytes);
    let halves = (words >> 64) as u64 ^ words as u64;
    u32::from_be((halves >> 32) as u32 ^ halves as u32)
}

fn words(address: u128) -> [u64; 2] {
    [(address >> 64) as u64, address as u64]
}

fn address(bytes: [u8; 16], family: u8) -> Option<IpAddr> {
    match family {
        4 => {
            let [a, b, c, d, ..] = bytes;
            Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        6 => Some(IpAddr::V6(Ipv6Addr::from(bytes))),
        _ => None,
    }
}

const _: () = assert!(size_of::<Flow>() == 56);

#[cfg(feature = "capi")]
impl Flow {
    /// Offsets of the fields that the C header names, in its order.
    pub(crate) const LAYOUT: [usize; 9] = [
        offset_of!(Flow, client),
        offset_of!(Flow, destination),
        offset_of!(Flow, key),
        offset_of!(Flow, fwmark),
        offset_of!(Flow, client_port),
        offset_of!(Flow, destination_port),
        offset_of!(Flow, family),
        offset_of!(Flow, protocol),
        offset_of!(Flow, has_key),
    ];
}
