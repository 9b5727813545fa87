//! Addresses and routes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::host::Host;
use super::{Answer, holds_if, missing};
use crate::config::Family;

const ROUTE: &str = "proc/net/route";
const ROUTE6: &str = "proc/net/ipv6_route";
const IS_UP: u32 = 0x1;
const HAS_GATEWAY: u32 = 0x2;
const REJECTS: u32 = 0x200;
/// Flag: duplicate address detection has failed, because another host has the address.
const DAD_FAILED: u32 = 0x8;

pub(super) fn address(
    host: &Host<'_>,
    ip: IpAddr,
    interface: Option<&str>,
) -> Result<Answer, String> {
    match ip {
        IpAddr::V4(ip) => {
            let text = host.read("proc/net/fib_trie")?;
            let found = || format!("no interface has {ip}");
            Ok(holds_if(is_local(&text, ip), found, || format!("{ip} on an interface")))
        }
        IpAddr::V6(ip) => address6(host, ip, interface),
    }
}

/// The trie lists an address, then its kind.
fn is_local(trie: &str, ip: Ipv4Addr) -> bool {
    let wanted = ip.to_string();
    let mut here = false;
    for line in trie.lines().map(str::trim) {
        if let Some(leaf) = line.strip_prefix("|-- ") {
            here = leaf == wanted;
        } else if here && line.starts_with("/32 ") && line.ends_with(" LOCAL") {
            return true;
        }
    }
    false
}

fn address6(host: &Host<'_>, ip: Ipv6Addr, interface: Option<&str>) -> Result<Answer, String> {
    let text = host.read("proc/net/if_inet6")?;
    let expected = match interface {
        Some(name) => format!("{ip} on {name}"),
        None => format!("{ip} on an interface"),
    };
    let mut found = format!("no interface has {ip}");
    for line in text.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [address, _, _, _, flags, name] = words[..] else {
            continue;
        };
        if hex6(address) != Some(ip) {
            continue;
        }
        if hex(flags).unwrap_or_default() & DAD_FAILED != 0 {
            found = format!("another host has {ip}, so {name} does not use it");
        } else if interface.is_none_or(|wanted| wanted == name) {
            return Ok(Answer::Holds);
        } else {
            found = format!("{ip} on {name}");
        }
    }
    Ok(missing(found, expected))
}

pub(super) fn default_route(
    host: &Host<'_>,
    via: Option<IpAddr>,
    family: Family,
) -> Result<Answer, String> {
    let gateway = default_gateway(host, family)?;
    let expected = || match via {
        Some(via) => format!("default route via {via}"),
        None => "default route via the director".to_owned(),
    };
    match (gateway, via) {
        (None, _) => Ok(missing("no default route", expected())),
        (Some(Some(found)), None) => {
            Err(format!("the default route is via {found}; the director's address is not told"))
        }
        (Some(found), _) => Ok(holds_if(found == via, || route_text(found), expected)),
    }
}

pub(super) fn no_default_route(
    host: &Host<'_>,
    via: Option<IpAddr>,
    family: Family,
) -> Result<Answer, String> {
    match (default_gateway(host, family)?, via) {
        (Some(Some(found)), None) => {
            Err(format!("the default route is via {found}; the director's address is not told"))
        }
        (Some(found @ Some(_)), via) if found == via => {
            Ok(missing(route_text(found), "a default route past the director, or none"))
        }
        _ => Ok(Answer::Holds),
    }
}

fn route_text(gateway: Option<IpAddr>) -> String {
    match gateway {
        Some(ip) => format!("default route via {ip}"),
        None => "default route without a gateway".to_owned(),
    }
}

pub(super) fn on_link(host: &Host<'_>, ip: IpAddr) -> Result<Answer, String> {
    let expected = || format!("{ip} on a wire of this host");
    Ok(match best(&routes(host, Family::of(ip))?, ip) {
        None => missing(format!("no route to {ip}"), expected()),
        Some(Route { gateway: Some(gateway), .. }) => {
            missing(format!("{ip} via {gateway}"), expected())
        }
        Some(_) => Answer::Holds,
    })
}

/// The gateway of the default route: `None` if there is no route, `Some(None)` if it has no gateway.
fn default_gateway(host: &Host<'_>, family: Family) -> Result<Option<Option<IpAddr>>, String> {
    let routes = routes(host, family)?;
    let default = routes.iter().filter(|route| route.length == 0);
    Ok(default.min_by_key(|route| route.metric).map(|route| route.gateway))
}

/// A route, whose addresses are the leftmost of 128 bits.
struct Route {
    network: u128,
    length: u32,
    gateway: Option<IpAddr>,
    metric: u32,
}

/// The best route to an address: the longest prefix, then the least metric.
fn best(routes: &[Route], ip: IpAddr) -> Option<&Route> {
    let bits = left_bits(ip);
    let matches = |route: &&Route| {
        let shift = 128 - route.length.min(128);
        route.length == 0 || (bits ^ route.network) >> shift == 0
    };
    routes
        .iter()
        .filter(matches)
        .max_by_key(|route| (route.length, std::cmp::Reverse(route.metric)))
}

fn left_bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()) << 96,
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

fn routes(host: &Host<'_>, family: Family) -> Result<Vec<Route>, String> {
    Ok(match family {
        Family::Inet => host.read(ROUTE)?.lines().filter_map(route).collect(),
        Family::Inet6 => host.read(ROUTE6)?.lines().filter_map(route6).collect(),
    })
}

fn route(line: &str) -> Option<Route> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [_, network, gateway, flags, _, _, metric, mask, ..] = words[..] else {
        return None;
    };
    let flags = hex(flags)?;
    // Addresses are printed as 32-bit numbers in native byte order.
    let address = |text| Some(Ipv4Addr::from(hex(text)?.to_ne_bytes()));
    let gateway = address(gateway)?;
    (flags & IS_UP != 0 && flags & REJECTS == 0).then_some(Route {
        network: left_bits(address(network)?.into()),
        length: address(mask)?.to_bits().leading_ones(),
        gateway: (flags & HAS_GATEWAY != 0).then_some(gateway.into()),
        metric: metric.parse().ok()?,
    })
}

fn route6(line: &str) -> Option<Route> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [network, length, _, _, gateway, metric, _, _, flags, _] = words[..] else {
        return None;
    };
    let flags = hex(flags)?;
    let gateway = hex6(gateway)?;
    (flags & IS_UP != 0 && flags & REJECTS == 0).then_some(Route {
        network: hex6(network)?.to_bits(),
        length: hex(length)?,
        gateway: (flags & HAS_GATEWAY != 0).then_some(gateway.into()),
        metric: hex(metric)?,
    })
}

fn hex(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 16).ok()
}

fn hex6(text: &str) -> Option<Ipv6Addr> {
    u128::from_str_radix(text, 16).ok().map(Ipv6Addr::from_bits)
}
