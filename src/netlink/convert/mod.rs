//! Messages and the types of [`config`](crate::config), both ways and without I/O.
//!
//! Every config can be converted to messages; the kernel refuses what exceeds its limits. The kernel may
//! send what a config cannot express, such as a scheduler of another build: an error that names the
//! attribute.

mod daemon;
mod server;
mod service;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::wire::{INET, INET6, WireError};
use crate::config::Family;

/// An address as sixteen bytes; IPv4 uses the first four.
fn address_bytes(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(ip) => ip.octets(),
    }
}

fn address(family: Family, bytes: [u8; 16]) -> IpAddr {
    let [a, b, c, d, ..] = bytes;
    match family {
        Family::Inet => Ipv4Addr::new(a, b, c, d).into(),
        Family::Inet6 => Ipv6Addr::from(bytes).into(),
    }
}

fn family_number(family: Family) -> u16 {
    match family {
        Family::Inet => INET,
        Family::Inet6 => INET6,
    }
}

fn family(number: u16, attribute: &'static str) -> Result<Family, WireError> {
    match number {
        INET => Ok(Family::Inet),
        INET6 => Ok(Family::Inet6),
        _ => {
            let problem = format!("{number} is neither {INET} (IPv4) nor {INET6} (IPv6)");
            Err(WireError::new(attribute, problem))
        }
    }
}

/// A value that the kernel must send.
fn sent<T>(value: Option<T>, attribute: &'static str) -> Result<T, WireError> {
    value.ok_or_else(|| WireError::missing(attribute))
}
