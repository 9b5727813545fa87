//! # Config: descriptions
//!
//! Structs that describe services, servers and settings, for the functions that add, edit and read
//! them. Zero a struct, set struct_size, set what differs from the default. The library copies
//! texts; free yours when the call has returned.

use std::mem::offset_of;
use std::net::SocketAddr;

use crate::config::{
    Config, Forwarding, KernelRules, Name, RealServer, ServiceKey, Thresholds, Timeouts, Tunnel,
    TunnelChecksum,
};
use crate::error::{NameError, Quoted};
use crate::ffi::Fault;
use crate::ffi::sized::Grows;
use crate::ffi::status::{VSCHED_E_ARGUMENT, VSCHED_E_PARSE};
use crate::ffi::text::vsched_text;

/// Settings of a virtual service. Zeros mean the default.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_service {
    /// sizeof(vsched_service).
    pub struct_size: u32,
    /// Not 0: one-packet scheduling; each UDP datagram is scheduled separately.
    pub one_packet: u32,
    /// Key: "tcp 192.168.4.5:80", "udp [2001:db8::1]:53", "fwmark 7", "fwmark 7 inet6".
    pub key: vsched_text,
    /// Short name of the scheduler, such as "wrr"; "none" refuses every new connection. Default:
    /// wlc.
    pub scheduler: vsched_text,
    /// Scheduler flags, separated by commas, such as "sh-port,sh-fallback". Default: none.
    pub flags: vsched_text,
    /// Seconds that a client keeps its server after its last new connection, 1 to 2678400. 0: the
    /// service is not persistent.
    pub persistence_timeout: u32,
    /// Table size of scheduler mh, 8 to 17. Default: 12, which is 4093 slots.
    pub mh_table_index: u32,
    /// Which clients count as one: an IPv4 mask, such as "255.255.255.0", or an IPv6 prefix length,
    /// such as "64". Default: each address separately.
    pub persistence_netmask: vsched_text,
    /// Persistence engine, such as "sip". Default: none.
    pub persistence_engine: vsched_text,
    /// Maximum number of addresses that lblc, lblcr and persistence remember, 1 to 16777216.
    /// Default: 16384.
    pub affinity_capacity: u32,
    /// Seconds that lblc and lblcr remember an address, 1 to 2678400. Default: 86400.
    pub affinity_expiration: u32,
    /// "exact": all workers share one sequence of decisions, as in one kernel. "per-worker": each
    /// worker decides separately, and its picks write no memory of another worker. "chunks-16", or
    /// another number from 1 to 64, for schedulers rr and wrr: all workers share one sequence, of
    /// which each takes so many turns at once and uses them one by one, so that few of its picks
    /// write what another worker writes. Default: "exact".
    pub sharing: vsched_text,
    /// Which of equally loaded servers lc, wlc, sed and nq pick. "kernel": the one that was added
    /// last. "rotate": in turn. Default: "kernel".
    pub ties: vsched_text,
    /// How servers of lower priority take over. 0: all connections go to the highest priority with
    /// a server that is up. 100 to 1000: over-provisioning factor in percent; a priority keeps all
    /// its connections while its share of servers that are up, times the factor, is at least 100 %.
    /// Only for schedulers that share connections by weight.
    pub spill_over: u32,
    /// Percent of servers, 0 to 100: while fewer are up, all that are not draining and that no
    /// administrator holds down take part. 0: never.
    pub panic_threshold: u32,
    /// Seconds of slow start, 1 to 2678400, until a server that begins to get connections has its
    /// whole weight. 0: no slow start. Only for schedulers that share connections by weight.
    pub slow_start: u32,
    /// Shape of slow start in hundredths, 1 to 10000: 100 is linear, a greater number grows faster
    /// at first. 0: the default, 100. Without slow start it must be 0.
    pub slow_start_aggression: u32,
    /// Least share of the weight in percent, 1 to 100. 0: the default, 10. Without slow start it
    /// must be 0.
    pub slow_start_least: u32,
    /// Not 0: servers are ejected for the failures that hosts report. If 0, all fields of ejection
    /// below must be 0.
    pub eject: u32,
    /// Number of failures in a row that ejects a server, 1 to 65535. 0: the default, 5.
    /// VSCHED_ZERO: never.
    pub eject_failures: u32,
    /// Seconds of an interval, 1 to 2678400. 0: the default, 10.
    pub eject_interval: u32,
    /// Seconds of a server's first ejection, 1 to 2678400. 0: the default, 30.
    pub eject_base_time: u32,
    /// Maximum seconds of an ejection, 1 to 2678400. 0: the default, 300.
    pub eject_max_time: u32,
    /// Largest share of the service's servers ejected at any time, in percent, 1 to 100, rounded
    /// down to whole servers. 0: the default, 50. VSCHED_ZERO: none.
    pub eject_max_share: u32,
    /// Connections that a server that returns may have at a time beyond those that are still open,
    /// 1 to 65535. 0: the default, 1.
    pub eject_trials: u32,
    /// Comparison with the other servers at the end of each interval: VSCHED_OUTLIERS_NONE, _MEAN
    /// or _MEDIAN.
    pub eject_outliers: u32,
    /// Number of spreads below the center at which a share of successes ejects its server, in
    /// thousandths, 1 to 1000000. 0: the default, 1900. Without a comparison it must be 0, as must
    /// the two fields below.
    pub eject_factor: u32,
    /// Least outcomes that make a server's share count, 1 to 4294967295. 0: the default, 100.
    pub eject_least_outcomes: u32,
    /// Least number of such servers, 2 to 1048576. 0: the default, 5.
    pub eject_least_servers: u32,
    /// Name, unique within the config: 1 to 253 ASCII letters, digits and -_./@, one of them a
    /// letter. Default: none.
    pub name: vsched_text,
}

/// Number 0, for a field in which 0 means the default.
pub const VSCHED_ZERO: u32 = u32::MAX;

/// Ejection compares no servers.
pub const VSCHED_OUTLIERS_NONE: u32 = 0;
/// Ejection compares with the mean, and by the standard deviation.
pub const VSCHED_OUTLIERS_MEAN: u32 = 1;
/// Ejection compares with the median, and by the median absolute deviation.
pub const VSCHED_OUTLIERS_MEDIAN: u32 = 2;

/// Forwarding method: masquerading (LVS-NAT); both directions pass the director.
pub const VSCHED_MASQ: u32 = 0;
/// Forwarding method: the server is the director itself.
pub const VSCHED_LOCAL: u32 = 1;
/// Forwarding method: tunneling (LVS-TUN).
pub const VSCHED_TUNNEL: u32 = 2;
/// Forwarding method: direct routing (LVS-DR).
pub const VSCHED_ROUTE: u32 = 3;
/// Forwarding method: packets go on to their original destination.
pub const VSCHED_BYPASS: u32 = 4;

/// Tunnel type: IP in IP.
pub const VSCHED_TUNNEL_IPIP: u32 = 0;
/// Tunnel type: generic UDP encapsulation.
pub const VSCHED_TUNNEL_GUE: u32 = 1;
/// Tunnel type: GRE.
pub const VSCHED_TUNNEL_GRE: u32 = 2;

/// Outer header of a tunnel: no checksum.
pub const VSCHED_CHECKSUM_NONE: u32 = 0;
/// Outer header of a tunnel: checksum.
pub const VSCHED_CHECKSUM_FULL: u32 = 1;
/// Outer header of a tunnel: remote checksum offload, GUE only.
pub const VSCHED_CHECKSUM_REMOTE: u32 = 2;

/// A real server of a service. The weight has no default: 0 is a quiesced server.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_server {
    /// sizeof(vsched_server).
    pub struct_size: u32,
    /// Share of the connections, 0 to 2147483647. 0: quiesced; no new connections, existing ones go
    /// on.
    pub weight: u32,
    /// Address and port, unique within the service: "192.168.5.11:80", "[2001:db8::1]:80". Port 0
    /// keeps the client's destination port.
    pub address: vsched_text,
    /// VSCHED_MASQ, VSCHED_ROUTE or VSCHED_TUNNEL.
    pub forwarding: u32,
    /// Number of connections at which the server becomes overloaded; 0: never.
    pub upper_threshold: u32,
    /// An overloaded server is available again below this number; 0: three quarters of the upper
    /// threshold.
    pub lower_threshold: u32,
    /// One of VSCHED_TUNNEL_IPIP to VSCHED_TUNNEL_GRE if `forwarding` is VSCHED_TUNNEL; else 0.
    pub tunnel: u32,
    /// One of VSCHED_CHECKSUM_NONE to VSCHED_CHECKSUM_REMOTE for a GUE or GRE tunnel; else 0.
    pub tunnel_checksum: u32,
    /// UDP port of a GUE tunnel, 1 to 65535; else 0.
    pub tunnel_port: u32,
    /// Tier of the server, 0 to 255: 0 serves first, 1 is a backup.
    pub priority: u32,
    /// 0.
    pub reserved: u32,
    /// Your own number for the server, such as an index or an address of your structure: picks
    /// return it.
    pub user_data: u64,
    /// Name, unique within the service: 1 to 253 ASCII letters, digits and -_./@, one of them a
    /// letter. Default: none.
    pub name: vsched_text,
}

/// Kernel whose decisions to follow: Linux from 6.1.187, 6.12.107 and all of 7.x (the default).
pub const VSCHED_KERNEL_RULES_B: u32 = 0;
/// Kernel whose decisions to follow: older, Linux up to 6.1.176 and 6.12.101.
pub const VSCHED_KERNEL_RULES_A: u32 = 1;

/// Settings of a config that belong to no service. Zeros mean the default.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_settings {
    /// sizeof(vsched_settings).
    pub struct_size: u32,
    /// VSCHED_KERNEL_RULES_B or VSCHED_KERNEL_RULES_A.
    pub kernel_rules: u32,
    /// Seed of the random schedulers; equal seeds give equal decisions.
    pub seed: u64,
    /// Not 0: persistent clients of a quiesced server get another server at their next connection.
    pub expire_quiescent_template: u32,
    /// Timeout of an established TCP connection in seconds, 1 to 2678400; 0: the kernel's.
    pub timeout_tcp: u32,
    /// Timeout of a TCP connection after a FIN in seconds, 1 to 2678400; 0: the kernel's.
    pub timeout_tcp_fin: u32,
    /// Timeout of a UDP connection in seconds, 1 to 2678400; 0: the kernel's.
    pub timeout_udp: u32,
}

// SAFETY: all begin with their size, end without padding, and hold numbers, pointers and lengths.
unsafe impl Grows for vsched_service {
    const LEAST: usize = offset_of!(vsched_service, persistence_timeout);
}
// SAFETY: as above.
unsafe impl Grows for vsched_server {
    const LEAST: usize = offset_of!(vsched_server, tunnel);
}
// SAFETY: as above.
unsafe impl Grows for vsched_settings {
    const LEAST: usize = offset_of!(vsched_settings, timeout_tcp);
}

pub(super) fn bad(what: &str, value: impl std::fmt::Display, expected: &str) -> Fault {
    Fault::new(VSCHED_E_ARGUMENT, format_args!("{what} {value}: expected {expected}"))
}

pub(super) fn byte(what: &str, value: u32, expected: &str) -> Result<u8, Fault> {
    u8::try_from(value).map_err(|_| bad(what, value, expected))
}

/// A number that is 0 for the default.
pub(super) fn or(value: u32, default: u32) -> u32 {
    if value == 0 { default } else { value }
}

pub(super) fn key(text: &str) -> Result<ServiceKey, Fault> {
    text.parse().map_err(|error| Fault::new(VSCHED_E_PARSE, error))
}

pub(super) fn address(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().map_err(|_| {
        let expected = "expected a numeric `ADDRESS:PORT`, IPv6 as `[ADDRESS]:PORT`";
        Fault::new(VSCHED_E_PARSE, format_args!("server address `{}`: {expected}", Quoted(text)))
    })
}

/// Empty: none.
pub(super) fn name(text: &str) -> Result<Option<Name>, Fault> {
    let name = (!text.is_empty()).then(|| text.parse()).transpose();
    name.map_err(|error: NameError| Fault::new(VSCHED_E_ARGUMENT, error))
}

/// # Safety
/// The texts are readable.
pub(super) unsafe fn server(from: vsched_server) -> Result<RealServer, Fault> {
    // SAFETY: the caller's promise.
    let (text, given) = unsafe { (from.address.read()?, from.name.read()?) };
    let forwarding = match from.forwarding {
        VSCHED_MASQ => Forwarding::Masq,
        VSCHED_ROUTE => Forwarding::Route,
        VSCHED_TUNNEL => Forwarding::Tunnel(tunnel(&from)?),
        VSCHED_LOCAL => Forwarding::Local,
        VSCHED_BYPASS => Forwarding::Bypass,
        other => return Err(bad("forwarding", other, "VSCHED_MASQ, _ROUTE or _TUNNEL")),
    };
    let described = (from.tunnel, from.tunnel_checksum, from.tunnel_port) != (0, 0, 0);
    if described && from.forwarding != VSCHED_TUNNEL {
        return Err(bad("tunnel", from.tunnel, "0 where forwarding is not VSCHED_TUNNEL"));
    }
    if from.reserved != 0 {
        return Err(bad("reserved", from.reserved, "0"));
    }
    Ok(RealServer {
        address: address(text)?,
        forwarding,
        weight: from.weight,
        thresholds: Thresholds { upper: from.upper_threshold, lower: from.lower_threshold },
        priority: byte("priority", from.priority, "0 to 255")?,
        user_data: from.user_data,
        name: name(given)?,
    })
}

fn tunnel(from: &vsched_server) -> Result<Tunnel, Fault> {
    let checksum = match from.tunnel_checksum {
        VSCHED_CHECKSUM_NONE => TunnelChecksum::None,
        VSCHED_CHECKSUM_FULL => TunnelChecksum::Full,
        VSCHED_CHECKSUM_REMOTE => TunnelChecksum::Remote,
        other => return Err(bad("tunnel_checksum", other, "VSCHED_CHECKSUM_NONE, _FULL, _REMOTE")),
    };
    let port = u16::try_from(from.tunnel_port);
    let port = port.map_err(|_| bad("tunnel_port", from.tunnel_port, "1 to 65535"))?;
    match (from.tunnel, checksum, port) {
        (VSCHED_TUNNEL_IPIP, TunnelChecksum::None, 0) => Ok(Tunnel::Ipip {}),
        (VSCHED_TUNNEL_IPIP, ..) => {
            Err(bad("tunnel", from.tunnel, "no checksum and no port with VSCHED_TUNNEL_IPIP"))
        }
        (VSCHED_TUNNEL_GUE, checksum, port) => Ok(Tunnel::Gue { port, checksum }),
        (VSCHED_TUNNEL_GRE, checksum, 0) => Ok(Tunnel::Gre { checksum }),
        (VSCHED_TUNNEL_GRE, ..) => Err(bad("tunnel_port", port, "0 with VSCHED_TUNNEL_GRE")),
        (other, ..) => Err(bad("tunnel", other, "VSCHED_TUNNEL_IPIP, _GUE or _GRE")),
    }
}

/// Replaces the settings of a config.
pub(super) fn set(config: &mut Config, from: vsched_settings) -> Result<(), Fault> {
    let some = |value: u32| (value != 0).then_some(value);
    config.kernel_rules = match from.kernel_rules {
        VSCHED_KERNEL_RULES_B => KernelRules::B,
        VSCHED_KERNEL_RULES_A => KernelRules::A,
        other => return Err(bad("kernel_rules", other, "VSCHED_KERNEL_RULES_A or _B")),
    };
    config.seed = from.seed;
    config.expire_quiescent_template = from.expire_quiescent_template != 0;
    config.timeouts = Timeouts {
        tcp: some(from.timeout_tcp),
        tcp_fin: some(from.timeout_tcp_fin),
        udp: some(from.timeout_udp),
    };
    Ok(())
}

/// The settings of a config.
pub(super) fn settings(config: &Config) -> vsched_settings {
    vsched_settings {
        struct_size: 0,
        kernel_rules: match config.kernel_rules {
            KernelRules::B => VSCHED_KERNEL_RULES_B,
            KernelRules::A => VSCHED_KERNEL_RULES_A,
        },
        seed: config.seed,
        expire_quiescent_template: u32::from(config.expire_quiescent_template),
        timeout_tcp: config.timeouts.tcp.unwrap_or(0),
        timeout_tcp_fin: config.timeouts.tcp_fin.unwrap_or(0),
        timeout_udp: config.timeouts.udp.unwrap_or(0),
    }
}
