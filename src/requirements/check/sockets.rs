//! Sockets that accept connections or receive datagrams.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::host::Host;
use super::{Answer, holds_if};
use crate::config::Protocol;

pub(super) fn listening(
    host: &Host<'_>,
    protocol: Protocol,
    address: SocketAddr,
) -> Result<Answer, String> {
    // The state of a listening TCP socket, and of an unconnected UDP one.
    let (name, state) = match protocol {
        Protocol::Tcp => ("tcp", "0A"),
        Protocol::Udp => ("udp", "07"),
        Protocol::Sctp => return Err("sockets of SCTP are not read".to_owned()),
    };
    let ip = address.ip();
    // Without IPv6 there is no such file.
    let text6 = host.find(&format!("proc/net/{name}6"))?.unwrap_or_default();
    let sockets6 = || sockets(&text6, state).filter(|(_, port)| *port == address.port());
    let takes = if ip.is_ipv4() {
        let text = host.read(&format!("proc/net/{name}"))?;
        let takes = |(at, port): (IpAddr, u16)| {
            port == address.port() && (at == ip || at == Ipv4Addr::UNSPECIFIED)
        };
        let takes = sockets(&text, state).any(takes);
        let any6 = |(at, _): (IpAddr, u16)| at == Ipv6Addr::UNSPECIFIED;
        if !takes && sockets6().any(|(at, _)| at.to_canonical() == ip) {
            return Ok(Answer::Holds);
        }
        if !takes && sockets6().any(any6) {
            let port = address.port();
            return Err(format!("a socket listens on [::]:{port}, perhaps for IPv6 only"));
        }
        takes
    } else {
        sockets6().any(|(at, _)| at == ip || at == Ipv6Addr::UNSPECIFIED)
    };
    let found = || format!("nothing listens on {name} {address}");
    Ok(holds_if(takes, found, || format!("a socket on {name} {address} or on every address")))
}

/// Local addresses and ports of the sockets in this state.
fn sockets<'t>(text: &'t str, state: &'t str) -> impl Iterator<Item = (IpAddr, u16)> + 't {
    text.lines().filter_map(move |line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (local, _remote, found) = (words.next()?, words.next()?, words.next()?);
        let (ip, port) = local.split_once(':')?;
        (found == state).then_some((ip_of(ip)?, u16::from_str_radix(port, 16).ok()?))
    })
}

/// Addresses are printed as one or four 32-bit numbers in native byte order.
fn ip_of(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = text.get(8 * at..8 * at + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut octets = [0; 16];
            for (at, part) in octets.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at)?);
            }
            Some(Ipv6Addr::from(octets).into())
        }
        _ => None,
    }
}
