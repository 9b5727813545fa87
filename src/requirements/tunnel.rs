//! What a real server needs to decapsulate tunneled packets, and by how much they grow.

use std::net::IpAddr;

use crate::config::{Family, Tunnel, TunnelChecksum};

/// The end of a tunnel on a real server. The director needs none: IPVS encapsulates by itself.
pub(super) struct Endpoint {
    /// Modules to load.
    pub(super) modules: &'static [&'static str],
    /// The device on which decapsulated packets arrive.
    pub(super) device: &'static str,
    /// The command that creates or changes the device; `None` if its module provides it as needed.
    pub(super) create: Option<String>,
    /// UDP port on which GUE is decapsulated.
    pub(super) port: Option<u16>,
}

/// The end of this tunnel on the server with this address, for inner packets of family `inner`.
pub(super) fn endpoint(tunnel: Tunnel, inner: Family, server: IpAddr) -> Endpoint {
    let outer = Family::of(server);
    let (modules, device): (&'static [_], _) = match (tunnel, outer, inner) {
        (Tunnel::Gre { checksum: TunnelChecksum::None }, Family::Inet, _) => (&["ip_gre"], "gre0"),
        (Tunnel::Gre { .. }, Family::Inet, _) => (&["ip_gre"], "ipvsgre"),
        (Tunnel::Gre { checksum: TunnelChecksum::None }, Family::Inet6, _) => {
            (&["ip6_gre"], "ip6gre0")
        }
        (Tunnel::Gre { .. }, Family::Inet6, _) => (&["ip6_gre"], "ipvsgre6"),
        (Tunnel::Ipip {}, Family::Inet, Family::Inet) => (&["ipip"], "tunl0"),
        (Tunnel::Ipip {}, Family::Inet, Family::Inet6) => (&["sit"], "sit0"),
        (Tunnel::Ipip {}, Family::Inet6, _) => (&["ip6_tunnel"], "ip6tnl0"),
        (Tunnel::Gue { .. }, Family::Inet, Family::Inet) => (&["fou", "ipip"], "tunl0"),
        (Tunnel::Gue { .. }, Family::Inet, Family::Inet6) => (&["fou", "sit"], "sit0"),
        (Tunnel::Gue { .. }, Family::Inet6, _) => (&["fou6", "ip6_tunnel"], "ip6tnl0"),
    };
    let create = match device {
        // The device that the module provides refuses packets that carry a checksum.
        "ipvsgre" => Some(format!("ip link add ipvsgre type gre local {server} icsum")),
        "ipvsgre6" => Some(format!("ip link add ipvsgre6 type ip6gre local {server} icsum")),
        // The device that the module provides accepts only IPv6 unless it is reconfigured.
        "ip6tnl0" if inner == Family::Inet => {
            Some("ip -6 tunnel change ip6tnl0 mode any".to_owned())
        }
        _ => None,
    };
    let port = match tunnel {
        Tunnel::Gue { port, .. } => Some(port),
        Tunnel::Ipip {} | Tunnel::Gre { .. } => None,
    };
    Endpoint { modules, device, create, port }
}

/// Bytes that encapsulation adds to a packet.
pub(super) fn overhead(tunnel: Tunnel, server: IpAddr) -> u32 {
    let outer = if server.is_ipv4() { 20 } else { 40 };
    outer
        + match tunnel {
            Tunnel::Ipip {} => 0,
            // UDP and GUE, then the private fields that remote checksum offload needs.
            Tunnel::Gue { checksum: TunnelChecksum::Remote, .. } => 8 + 4 + 8,
            Tunnel::Gue { .. } => 8 + 4,
            Tunnel::Gre { checksum: TunnelChecksum::None } => 4,
            Tunnel::Gre { .. } => 8,
        }
}
