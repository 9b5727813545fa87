//! Parses addresses as ipvsadm does: `ADDRESS[:PORT]`, IPv6 bare or as `[ADDRESS]:PORT`.
//!
//! Names are never looked up. The C library's short and octal forms (`10.1`, `010.0.0.1`) have the
//! same meaning as there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::rules::number;
use crate::config::rules::words::Word;
use crate::error::{Quoted, RulesError};

/// An address, with its port if one was given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Endpoint {
    pub(super) ip: IpAddr,
    pub(super) port: Option<u16>,
}

/// Parses an `ADDRESS[:PORT]`.
pub(super) fn endpoint(word: Word<'_>) -> Result<Endpoint, RulesError> {
    if let Some(rest) = word.text.strip_prefix('[') {
        return bracketed(word, rest);
    }
    if let Ok(ip) = word.text.parse::<Ipv6Addr>() {
        return Ok(Endpoint { ip: ip.into(), port: None });
    }
    let (host, port) = match word.text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (word.text, None),
    };
    // A number alone is more likely a forgotten address than the old notation of one as a number.
    if port.is_none() && !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(illegal(word, host));
    }
    let ip = ipv4(host).ok_or_else(|| illegal(word, host))?;
    let port = port.map(|text| self::port(word, text)).transpose()?;
    Ok(Endpoint { ip: ip.into(), port })
}

fn bracketed(word: Word<'_>, rest: &str) -> Result<Endpoint, RulesError> {
    let Some((host, rest)) = rest.split_once(']') else {
        return Err(word.error("illegal address: `]` is missing"));
    };
    let Some(text) = rest.strip_prefix(':') else {
        return Err(word.error("illegal address: a port must follow, as in `[::1]:80`"));
    };
    let Ok(ip) = host.parse::<Ipv6Addr>() else {
        // ipvsadm's quirk: the port after an IPv4 address in brackets is ignored.
        return match ipv4(host) {
            Some(ip) => Ok(Endpoint { ip: ip.into(), port: None }),
            None => Err(illegal(word, host)),
        };
    };
    Ok(Endpoint { ip: ip.into(), port: Some(port(word, text)?) })
}

fn port(word: Word<'_>, text: &str) -> Result<u16, RulesError> {
    number::read(text).and_then(|port| u16::try_from(port).ok()).ok_or_else(|| {
        let (is_name, text) = (is_name(text), Quoted(text));
        word.error(if is_name {
            format!("service names are not looked up: `{text}` must be a port from 0 to 65535")
        } else {
            format!("illegal port `{text}`: expected a number from 0 to 65535")
        })
    })
}

fn illegal(word: Word<'_>, host: &str) -> RulesError {
    word.error(if is_name(host) {
        format!("host names are not looked up: `{}` must be a numeric address", Quoted(host))
    } else {
        "illegal address: expected ADDRESS, ADDRESS:PORT or [IPV6-ADDRESS]:PORT".to_owned()
    })
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// False if no kernel accepts this address for a new real server, regardless of its routes.
pub(super) fn may_be_server(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_broadcast() && !ip.is_multicast(),
        IpAddr::V6(ip) => {
            !ip.is_unspecified() && !ip.is_multicast() && ip.to_ipv4_mapped().is_none()
        }
    }
}

/// An IPv4 address in any form that `inet_aton` accepts: one to four numbers, each decimal, octal
/// (`010`) or hexadecimal (`0x0a`), the last of which fills all remaining bytes.
pub(super) fn ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut address: u32 = 0;
    let mut parts = text.split('.');
    for shift in [24, 16, 8, 0] {
        let part = c_number(parts.next()?)?;
        let Some(rest) = parts.clone().next() else {
            let room = u64::from(u32::MAX) >> (24 - shift);
            return (u64::from(part) <= room).then(|| Ipv4Addr::from(address | part));
        };
        if part > 255 || rest.is_empty() {
            return None;
        }
        address |= part << shift;
    }
    None
}

fn c_number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix('0') {
        None => (text, 10),
        Some("") => (text, 10),
        Some(rest) => match rest.strip_prefix(['x', 'X']) {
            Some(hex) => (hex, 16),
            None => (rest, 8),
        },
    };
    // `from_str_radix` would accept a sign.
    if !digits.starts_with(|first: char| first.is_digit(radix)) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
