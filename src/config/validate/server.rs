//! Limits of a real server.

use std::net::IpAddr;

use super::report::{Subject, outside};
use crate::config::MAX_WEIGHT;
use crate::config::{Config, Family, Forwarding, KernelRules, RealServer, Tunnel, TunnelChecksum};

/// Largest upper threshold of kernels that store it as a signed number.
const MAX_UPPER: u32 = i32::MAX as u32;

pub(super) fn check(
    config: &Config,
    service_family: Family,
    server: &RealServer,
    item: &mut Subject<'_>,
) {
    item.check_identity(server.address);
    let ip = server.address.ip();
    if let Some(kind) = refused_kind(ip) {
        item.add("address", format!("{ip} is {kind}, not unicast"));
    }
    if Family::of(ip) != service_family {
        check_mixed(config, service_family, server.forwarding, item);
    }
    if server.weight > MAX_WEIGHT {
        item.add("weight", above(server.weight, MAX_WEIGHT));
    }
    let (upper, lower) = (server.thresholds.upper, server.thresholds.lower);
    if config.kernel_rules == KernelRules::B && upper > MAX_UPPER {
        let message = above(upper, MAX_UPPER);
        item.add("thresholds: upper", format!("{message}, the limit of kernel rules B"));
    }
    if lower > upper {
        let message = above(lower, upper);
        item.add("thresholds: lower", format!("{message}, the upper threshold"));
    }
    if let Forwarding::Tunnel(tunnel) = server.forwarding {
        check_tunnel(tunnel, item);
    }
}

// A tunnel's outer packet may be of the other family, and so may a proxy's own connection (no kernel
// masquerades between families). Synchronization messages cannot express that, so the kernel refuses a
// server of the other family while a daemon runs, and vice versa.
fn check_mixed(
    config: &Config,
    service_family: Family,
    forwarding: Forwarding,
    item: &mut Subject<'_>,
) {
    let (server, service) = match service_family {
        Family::Inet => ("IPv6", "IPv4"),
        Family::Inet6 => ("IPv4", "IPv6"),
    };
    if !matches!(forwarding, Forwarding::Tunnel(_) | Forwarding::Masq) {
        let needs = "needs a tunnel or, in a proxy, masquerading";
        item.add("address", format!("an {server} server of an {service} service {needs}"));
    } else if !config.daemons.is_empty() {
        item.add(
            "address",
            format!("an {server} server of an {service} service cannot be synchronized by daemons"),
        );
    }
}

fn check_tunnel(tunnel: Tunnel, item: &mut Subject<'_>) {
    match tunnel {
        Tunnel::Gue { port: 0, .. } => {
            item.add("forwarding: tunnel: port", outside(0, 1, u16::MAX))
        }
        Tunnel::Gre { checksum: TunnelChecksum::Remote } => item.add(
            "forwarding: tunnel: checksum",
            "remote is possible for gue only, gre takes none or full",
        ),
        Tunnel::Ipip {} | Tunnel::Gue { .. } | Tunnel::Gre { .. } => {}
    }
}

// The kernel decides by its routing table, and so also recognizes broadcast addresses of networks. It
// accepts a link-local address that is its own; a config shared with other hosts cannot.
fn refused_kind(ip: IpAddr) -> Option<&'static str> {
    match ip {
        _ if ip.is_unspecified() => Some("the unspecified address"),
        _ if ip.is_multicast() => Some("a multicast address"),
        IpAddr::V4(ip) if ip.is_broadcast() => Some("the broadcast address"),
        IpAddr::V6(ip) if ip.is_unicast_link_local() => Some("a link-local address"),
        _ => None,
    }
}

fn above(value: u32, limit: u32) -> String {
    format!("{value} is more than {limit}")
}
