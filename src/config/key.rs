//! The identity of a virtual service: protocol, address and port, or a firewall mark.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::error::KeyError;

/// Address family of a virtual service or server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self", rename_all = "lowercase"))]
pub enum Family {
    /// IPv4.
    #[default]
    Inet,
    /// IPv6.
    Inet6,
}

impl Family {
    /// Returns the family of an address.
    pub fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Family::Inet,
            IpAddr::V6(_) => Family::Inet6,
        }
    }
}

/// Transport protocol of a virtual service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self", rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Protocol {
    /// TCP, protocol number 6.
    Tcp,
    /// UDP, protocol number 17.
    Udp,
    /// SCTP, protocol number 132.
    Sctp,
}

impl Protocol {
    /// Returns the IP protocol number.
    pub const fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Sctp => 132,
        }
    }

    /// Returns the protocol with this IP protocol number; `None` if a virtual service cannot have it.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            6 => Some(Protocol::Tcp),
            17 => Some(Protocol::Udp),
            132 => Some(Protocol::Sctp),
            _ => None,
        }
    }

    /// Returns the name used in service keys: `tcp`, `udp` or `sctp`.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        }
    }
}

/// The identity of a virtual service.
///
/// Parses from and prints as `tcp 192.168.4.5:80`, `udp [2001:db8::1]:53`, `sctp 10.0.0.1:2905`,
/// `fwmark 7` or `fwmark 7 inet6`.
///
/// ```
/// use vsched::config::ServiceKey;
/// let key: ServiceKey = "fwmark 7 inet6".parse()?;
/// assert_eq!(key.to_string(), "fwmark 7 inet6");
/// # Ok::<(), vsched::error::KeyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ServiceKey {
    /// Packets of one protocol to one address and port. Port 0 means every port and requires
    /// persistence.
    Address {
        /// Transport protocol.
        protocol: Protocol,
        /// Virtual address and port.
        address: SocketAddr,
    },
    /// Packets of one address family that carry a firewall mark.
    FirewallMark {
        /// The mark, 1 to 4294967295.
        mark: u32,
        /// Address family: an IPv4 and an IPv6 service with the same mark are two services.
        family: Family,
    },
}

impl ServiceKey {
    /// Returns the key of a TCP service.
    pub const fn tcp(address: SocketAddr) -> Self {
        ServiceKey::Address { protocol: Protocol::Tcp, address }
    }

    /// Returns the key of a UDP service.
    pub const fn udp(address: SocketAddr) -> Self {
        ServiceKey::Address { protocol: Protocol::Udp, address }
    }

    /// Returns the key of an SCTP service.
    pub const fn sctp(address: SocketAddr) -> Self {
        ServiceKey::Address { protocol: Protocol::Sctp, address }
    }

    /// Returns the key of a firewall-mark service.
    pub const fn fwmark(mark: u32, family: Family) -> Self {
        ServiceKey::FirewallMark { mark, family }
    }

    /// Returns the address family of the packets that this service accepts.
    pub fn family(&self) -> Family {
        match self {
            ServiceKey::Address { address, .. } => Family::of(address.ip()),
            ServiceKey::FirewallMark { family, .. } => *family,
        }
    }

    /// Returns the service's port; `None` for a firewall mark.
    pub fn port(&self) -> Option<u16> {
        match self {
            ServiceKey::Address { address, .. } => Some(address.port()),
            ServiceKey::FirewallMark { .. } => None,
        }
    }

    /// Returns the service's protocol; `None` for a firewall mark, which accepts all protocols.
    pub fn protocol(&self) -> Option<Protocol> {
        match self {
            ServiceKey::Address { protocol, .. } => Some(*protocol),
            ServiceKey::FirewallMark { .. } => None,
        }
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServiceKey::Address { protocol, address } => {
                write!(f, "{} {}", protocol.name(), address)
            }
            ServiceKey::FirewallMark { mark, family: Family::Inet } => write!(f, "fwmark {mark}"),
            ServiceKey::FirewallMark { mark, family: Family::Inet6 } => {
                write!(f, "fwmark {mark} inet6")
            }
        }
    }
}

impl FromStr for ServiceKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut words = text.split_ascii_whitespace();
        let (Some(kind), Some(what), family, None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(KeyError::new(text, "expected `PROTOCOL ADDRESS:PORT` or `fwmark MARK`"));
        };
        if kind == "fwmark" {
            let family = match family {
                None | Some("inet") => Family::Inet,
                Some("inet6") => Family::Inet6,
                Some(_) => {
                    return Err(KeyError::new(text, "expected `inet` or `inet6` after the mark"));
                }
            };
            return match what.parse() {
                Ok(mark @ 1..) => Ok(ServiceKey::FirewallMark { mark, family }),
                _ => Err(KeyError::new(text, "a firewall mark is a number from 1 to 4294967295")),
            };
        }
        let protocol = match kind {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            _ => {
                return Err(KeyError::new(text, "expected `tcp`, `udp`, `sctp` or `fwmark`"));
            }
        };
        if family.is_some() {
            return Err(KeyError::new(text, "nothing may follow the address and port"));
        }
        let address: SocketAddr = what.parse().map_err(|_| {
            KeyError::new(text, "expected a numeric `ADDRESS:PORT`, IPv6 as `[ADDRESS]:PORT`")
        })?;
        Ok(ServiceKey::Address { protocol, address })
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for ServiceKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for ServiceKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
