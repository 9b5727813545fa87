//! Addresses as the C library, and thus ipvsadm, prints them.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// An address and port as the C library prints them: an IPv6 address that starts with 96 zero bits, and
/// has more than its last 16 bits set, shows its last 32 bits as an IPv4 address.
pub(crate) struct Address(pub(crate) SocketAddr);

impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.ip() {
            IpAddr::V6(ip) if is_compatible(ip) => {
                let [.., a, b, c, d] = ip.octets();
                write!(f, "[::{a}.{b}.{c}.{d}]:{}", self.0.port())
            }
            IpAddr::V6(ip) => write!(f, "[{ip}]:{}", self.0.port()),
            IpAddr::V4(ip) => write!(f, "{ip}:{}", self.0.port()),
        }
    }
}

fn is_compatible(ip: Ipv6Addr) -> bool {
    let bits = ip.to_bits();
    bits >> 32 == 0 && bits >> 16 != 0
}

#[cfg(test)]
#[path = "inet_tests.rs"]
mod tests;
