//! The services, client ports, weights and limits that scripts use.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use vsched::config::{Family, Protocol, ServiceKey};

/// Weights of one script. Beyond these the kernel's wrr walks for minutes, since it goes down from
/// the highest weight by the greatest common divisor of all.
pub(super) const PALETTES: [[u32; 6]; 9] = [
    [1, 0, 2, 3, 4, 6],
    [7, 0, 7, 7, 7, 7],
    // Close to what an active connection weighs against an inactive one.
    [256, 0, 257, 1, 255, 258],
    [1, 0, 256, 257, 1, 512],
    [1, 0, 65535, 2, 65534, 32768],
    [1 << 28, 0, 1 << 30, 3 << 28, 5 << 28, 7 << 28],
    [1, 1, 1, 2, 1, 3],
    [MOST, 0, MOST, MOST, MOST, MOST],
    // Six, three, two, four and five times a sixth.
    [MOST - 1, 0, MOST / 2, MOST / 3, 2 * (MOST / 3), 5 * (MOST / 6)],
];
/// For all but wrr.
pub(super) const UNEVEN: [[u32; 6]; 2] =
    [[MOST, 0, MOST - 1, 1, 2, 1 << 30], [MOST, 0, MOST - 256, MOST / 2, MOST / 2 + 1, 65535]];
/// The highest weight.
const MOST: u32 = i32::MAX as u32;
pub(super) const LIMITS: [(u32, u32); 8] =
    [(1, 0), (2, 0), (2, 1), (3, 0), (3, 3), (4, 1), (5, 2), (8, 0)];
const FTP: u16 = 21;

/// One of the services that a script is about.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub(super) key: ServiceKey,
    pub(super) protocol: Option<Protocol>,
    /// Connections keep the port they ask for.
    pub(super) any_port: bool,
    pub(super) persistent: bool,
}

impl Slot {
    fn new(key: ServiceKey) -> Slot {
        let every_port = key.port() == Some(0);
        let any_port = every_port || key.port().is_none();
        Slot { key, protocol: key.protocol(), any_port, persistent: every_port }
    }

    pub(super) fn is_ftp(&self) -> bool {
        self.key.port() == Some(FTP)
    }

    /// A service of port 21 or of port 0.
    pub(super) fn has_twin(&self) -> bool {
        self.is_ftp() || self.key.port() == Some(0)
    }

    /// Port 21 and port 0 of one address: these share their clients' templates.
    pub(super) fn is_twin_of(&self, other: &Slot) -> bool {
        let of = |slot: &Slot| match slot.key {
            ServiceKey::Address { protocol, address } => Some((protocol, address.ip())),
            _ => None,
        };
        self.has_twin() && other.has_twin() && self.key != other.key && of(self) == of(other)
    }

    /// The ports its clients ask for.
    pub(super) fn ports(&self) -> &'static [u16] {
        match self.key.port() {
            None | Some(0) => &[22, 443, 80, 22, 443, 80, 22, 443, 80, 0, 20, 21, 5000],
            Some(FTP) => &[21, 21, 21, 21, 20, 1024, 5000, 65535, 1023, 80],
            Some(80) => &[80; 1],
            Some(_) => &[53; 1],
        }
    }
}

pub(super) fn slots() -> Vec<Slot> {
    let v4 = |port| SocketAddr::from((Ipv4Addr::new(10, 1, 0, 1), port));
    let v6 = |port| SocketAddr::from((Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, 1), port));
    let sctp = |address| ServiceKey::Address { protocol: Protocol::Sctp, address };
    let keys = [
        ServiceKey::tcp(v4(80)),
        ServiceKey::fwmark(7, Family::Inet),
        ServiceKey::tcp(v6(80)),
        ServiceKey::fwmark(7, Family::Inet6),
        ServiceKey::udp(v4(53)),
        ServiceKey::udp(v6(53)),
        ServiceKey::tcp(v4(0)),
        ServiceKey::tcp(v4(FTP)),
        ServiceKey::tcp(v6(0)),
        ServiceKey::tcp(v6(FTP)),
        ServiceKey::udp(v4(0)),
        ServiceKey::udp(v4(FTP)),
        sctp(v4(80)),
        sctp(v6(80)),
        sctp(v4(0)),
    ];
    keys.into_iter().map(Slot::new).collect()
}
