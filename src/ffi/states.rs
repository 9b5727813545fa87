//! # Read-out: services, servers, counts
//!
//! Snapshots of services and servers as arrays in the caller's memory, in the order of ipvsadm. See
//! "Texts, arrays and sized structs" for the capacity convention. In a snapshot of a config, ids
//! and figures are 0.
//!
//! NULL: no pointer may be NULL, except `array` if `capacity` is 0, `count` of an array output, and
//! `key` if `key_length` is 0, which is then an empty text.

use std::mem::offset_of;
use std::net::{IpAddr, SocketAddr};
use std::os::raw::c_char;

use crate::SchedulerKind;
use crate::config::{
    Ejection, Family, Forwarding, Name, Netmask, ObservedServer, ObservedService, OutlierMethod,
    Remembered, ServerState, ServiceKey, SlowStart, Tunnel, TunnelChecksum,
};
use crate::ffi::data::{vsched_server_id, vsched_service_id};
use crate::ffi::sized::Element;
use crate::ffi::structs::{
    VSCHED_BYPASS, VSCHED_CHECKSUM_FULL, VSCHED_CHECKSUM_NONE, VSCHED_CHECKSUM_REMOTE,
    VSCHED_LOCAL, VSCHED_MASQ, VSCHED_OUTLIERS_MEAN, VSCHED_OUTLIERS_MEDIAN, VSCHED_OUTLIERS_NONE,
    VSCHED_ROUTE, VSCHED_TUNNEL, VSCHED_TUNNEL_GRE, VSCHED_TUNNEL_GUE, VSCHED_TUNNEL_IPIP,
};

/// Size of the texts for keys and for addresses with port, including the NUL.
pub const VSCHED_KEY_SIZE: usize = 64;
/// Size of the texts for names, including the NUL.
pub const VSCHED_NAME_SIZE: usize = 256;
const _: () = assert!(Name::MAX < VSCHED_NAME_SIZE);

/// A virtual service that runs or is configured. Texts end with a NUL.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_service_state {
    /// Id of the service.
    pub id: vsched_service_id,
    /// Its key, as vsched_director_service takes it.
    pub key: [c_char; VSCHED_KEY_SIZE],
    /// Short name of its scheduler; "none" without one.
    pub scheduler: [c_char; 16],
    /// Connections opened since the service was added.
    pub connections: u64,
    /// Picks of workers that found no server.
    pub refused: u64,
    /// Addresses that lblc or lblcr remembers, plus persistence templates.
    pub remembered: u32,
    /// Maximum of `remembered`; 0 if the service remembers nothing.
    pub capacity: u32,
    /// Picks that were not remembered for lack of room, where a kernel would have remembered them.
    /// If it grows, raise affinity_capacity.
    pub forgotten: u64,
    /// Number of real servers.
    pub servers: u32,
    /// Firewall mark; 0: the key is address and port.
    pub fwmark: u32,
    /// Address in network order, IPv4 in the first four bytes; all 0 with a mark.
    pub address: [u8; 16],
    /// Port in host order; 0: every port, or a mark.
    pub port: u16,
    /// Address family of its packets, 4 or 6.
    pub family: u8,
    /// IP protocol number: 6 TCP, 17 UDP, 132 SCTP; 0 with a mark.
    pub protocol: u8,
    /// 1: one-packet scheduling.
    pub one_packet: u32,
    /// Scheduler flags, separated by commas, such as "mh-port".
    pub flags: [c_char; VSCHED_KEY_SIZE],
    /// Which clients count as one: "255.255.255.0", "64"; empty: each address separately.
    pub persistence_netmask: [c_char; 16],
    /// Persistence engine; empty: none. Longer names, which vsched_config_validate rejects, are
    /// cut.
    pub persistence_engine: [c_char; 16],
    /// "exact", "per-worker", or "chunks-1" to "chunks-64".
    pub sharing: [c_char; 16],
    /// Seconds that a client keeps its server; 0: not persistent.
    pub persistence_timeout: u32,
    /// Table size of scheduler mh, 8 to 17.
    pub mh_table_index: u32,
    /// Configured maximum of addresses to remember; `capacity` is the room at present.
    pub affinity_capacity: u32,
    /// Seconds that lblc and lblcr remember an address.
    pub affinity_expiration: u32,
    /// "kernel" or "rotate".
    pub ties: [c_char; 16],
    /// Over-provisioning factor in percent; 0: strictly by priority.
    pub spill_over: u32,
    /// Panic threshold in percent; 0: never.
    pub panic_threshold: u32,
    /// Seconds of slow start; 0: none.
    pub slow_start: u32,
    /// Shape of slow start in hundredths; 0 without it.
    pub slow_start_aggression: u32,
    /// Least share of the weight in percent; 0 without slow start.
    pub slow_start_least: u32,
    /// 1: servers are ejected for their failures. If 0, all fields of ejection below are 0.
    pub eject: u32,
    /// Number of failures in a row that ejects a server; 0: never.
    pub eject_failures: u32,
    /// Seconds of an interval.
    pub eject_interval: u32,
    /// Seconds of a server's first ejection.
    pub eject_base_time: u32,
    /// Maximum seconds of an ejection.
    pub eject_max_time: u32,
    /// Largest share of servers ejected, in percent; 0: none.
    pub eject_max_share: u32,
    /// Connections at a time of a server that returns.
    pub eject_trials: u32,
    /// VSCHED_OUTLIERS_NONE, _MEAN or _MEDIAN.
    pub eject_outliers: u32,
    /// Number of spreads in thousandths; 0 without a comparison, as the two fields below.
    pub eject_factor: u32,
    /// Least outcomes that make a server's share count.
    pub eject_least_outcomes: u32,
    /// Least number of such servers.
    pub eject_least_servers: u32,
    /// 1: too few servers are up to believe it, and all that are not meant to be out take part.
    pub panics: u32,
    /// Number of servers that are up and have a weight.
    pub up: u32,
    /// Name; empty: none.
    pub name: [c_char; VSCHED_NAME_SIZE],
}

/// A real server that runs or is configured. Texts end with a NUL.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_server_state {
    /// Id of the server.
    pub id: vsched_server_id,
    /// Its address and port, as vsched_director_server takes them.
    pub address_text: [c_char; VSCHED_KEY_SIZE],
    /// Address in network order, IPv4 in the first four bytes.
    pub address: [u8; 16],
    /// Port in host order; 0: the client's destination port.
    pub port: u16,
    /// 4 or 6.
    pub family: u8,
    /// Forwarding method, VSCHED_MASQ to VSCHED_BYPASS.
    pub forwarding: u8,
    /// Weight; 0: quiesced.
    pub weight: u32,
    /// Number of connections at which the server becomes overloaded; 0: never.
    pub upper_threshold: u32,
    /// It is available again below this number; 0: three quarters of the upper threshold.
    pub lower_threshold: u32,
    /// Active connections.
    pub active: u32,
    /// Inactive connections.
    pub inactive: u32,
    /// Persistence templates that lead to the server.
    pub persistent: u32,
    /// 1: overloaded; no new connections.
    pub overloaded: u32,
    /// Connections opened since the server was added.
    pub connections: u64,
    /// VSCHED_TUNNEL_IPIP to VSCHED_TUNNEL_GRE if `forwarding` is VSCHED_TUNNEL; else 0.
    pub tunnel: u32,
    /// VSCHED_CHECKSUM_NONE to VSCHED_CHECKSUM_REMOTE of a GUE or GRE tunnel; else 0.
    pub tunnel_checksum: u32,
    /// UDP port of a GUE tunnel; else 0.
    pub tunnel_port: u32,
    /// VSCHED_UP, VSCHED_DRAINING or VSCHED_DOWN.
    pub state: u32,
    /// Tier: 0 serves first.
    pub priority: u32,
    /// Weight with which it takes part: another one in slow start and with spill-over, 0 in a tier
    /// that does not serve. Compare it with that of other servers alone: all may be scaled.
    pub effective_weight: u32,
    /// Your own number for the server.
    pub user_data: u64,
    /// Name; empty: none.
    pub name: [c_char; VSCHED_NAME_SIZE],
}

/// Connection counts of a server at one moment.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_counts {
    /// Active connections.
    pub active: u32,
    /// Inactive connections.
    pub inactive: u32,
    /// Persistence templates that lead to the server.
    pub persistent: u32,
    /// 1: overloaded; no new connections.
    pub overloaded: u32,
}

// SAFETY: `repr(C)`, numbers only, no padding: the fields' sizes add up (asserted below).
unsafe impl Element for vsched_service_state {
    const LEAST: usize = offset_of!(vsched_service_state, remembered);
}
// SAFETY: as above.
unsafe impl Element for vsched_server_state {
    const LEAST: usize = offset_of!(vsched_server_state, tunnel);
}
const _: () = assert!(
    size_of::<vsched_service_state>()
        == 8 + 64
            + 16
            + 8
            + 8
            + 4
            + 4
            + 8
            + 4
            + 4
            + 16
            + 2
            + 1
            + 1
            + 4
            + 64
            + 3 * 16
            + 4 * 4
            + 16
            + 18 * 4
            + 256
        && size_of::<vsched_server_state>()
            == 8 + 64 + 16 + 2 + 1 + 1 + 7 * 4 + 8 + 6 * 4 + 8 + 256
);

pub(super) fn state_of(id: vsched_service_id, service: &ObservedService) -> vsched_service_state {
    let settings = &service.settings;
    let known = [service.remembered, service.templates].into_iter().flatten();
    let sum = known.fold(Remembered::default(), |sum, known| Remembered {
        entries: sum.entries + known.entries,
        capacity: sum.capacity + known.capacity,
        refused: sum.refused + known.refused,
    });
    let key = settings.key;
    let (fwmark, (address, family), port, protocol) = match key {
        ServiceKey::Address { protocol, address } => {
            (0, bytes(address), address.port(), protocol.number())
        }
        ServiceKey::FirewallMark { mark, family: Family::Inet } => (mark, ([0; 16], 4), 0, 0),
        ServiceKey::FirewallMark { mark, family: Family::Inet6 } => (mark, ([0; 16], 6), 0, 0),
    };
    let mut state = vsched_service_state {
        id,
        key: chars(&settings.key.to_string()),
        scheduler: chars(settings.scheduler.map_or("none", SchedulerKind::name)),
        connections: service.statistics.connections,
        refused: service.statistics.refused,
        remembered: sum.entries,
        capacity: sum.capacity,
        forgotten: sum.refused,
        servers: u32::try_from(service.servers.len()).unwrap_or(u32::MAX),
        fwmark,
        address,
        port,
        family,
        protocol,
        one_packet: u32::from(settings.one_packet),
        flags: chars(&settings.flags.names(settings.scheduler).collect::<Vec<_>>().join(",")),
        persistence_netmask: chars(&match settings.persistence.and_then(|it| it.netmask) {
            Some(Netmask::Inet(mask)) => mask.to_string(),
            Some(Netmask::Inet6(prefix)) => prefix.to_string(),
            None => String::new(),
        }),
        persistence_engine: chars(settings.persistence_engine.as_deref().unwrap_or_default()),
        sharing: chars(&settings.sharing.to_string()),
        persistence_timeout: settings.persistence.map_or(0, |it| it.timeout),
        mh_table_index: settings.mh_table_index.into(),
        affinity_capacity: settings.affinity.capacity,
        affinity_expiration: settings.affinity.expiration,
        ties: chars(settings.ties.name()),
        spill_over: settings.spill_over.unwrap_or(0),
        panic_threshold: settings.panic_threshold.into(),
        slow_start: 0,
        slow_start_aggression: 0,
        slow_start_least: 0,
        eject: 0,
        eject_failures: 0,
        eject_interval: 0,
        eject_base_time: 0,
        eject_max_time: 0,
        eject_max_share: 0,
        eject_trials: 0,
        eject_outliers: VSCHED_OUTLIERS_NONE,
        eject_factor: 0,
        eject_least_outcomes: 0,
        eject_least_servers: 0,
        panics: service.panics.into(),
        name: name_of(&settings.name),
        up: service.servers.iter().filter(|server| is_up(server)).count() as u32,
    };
    show(settings.ejection, settings.slow_start, &mut state);
    state
}

fn is_up(server: &ObservedServer) -> bool {
    server.server.weight > 0 && server.state == ServerState::Up
}

/// Writes the settings into the snapshot, whose fields are 0.
fn show(ejection: Option<Ejection>, slow_start: Option<SlowStart>, to: &mut vsched_service_state) {
    if let Some(slow_start) = slow_start {
        to.slow_start = slow_start.duration;
        to.slow_start_aggression = slow_start.aggression;
        to.slow_start_least = slow_start.least.into();
    }
    let Some(ejection) = ejection else { return };
    to.eject = 1;
    to.eject_failures = ejection.failures;
    to.eject_interval = ejection.interval;
    to.eject_base_time = ejection.base_time;
    to.eject_max_time = ejection.max_time;
    to.eject_max_share = ejection.max_share.into();
    to.eject_trials = ejection.trials;
    let Some(outliers) = ejection.outliers else { return };
    to.eject_outliers = match outliers.method {
        OutlierMethod::Mean => VSCHED_OUTLIERS_MEAN,
        OutlierMethod::Median => VSCHED_OUTLIERS_MEDIAN,
    };
    to.eject_factor = outliers.factor;
    to.eject_least_outcomes = outliers.least_outcomes;
    to.eject_least_servers = outliers.least_servers;
}

pub(super) fn server_state_of(
    id: vsched_server_id,
    observed: &ObservedServer,
) -> vsched_server_state {
    let ObservedServer { server, counts, statistics, .. } = observed;
    let (address, family) = bytes(server.address);
    let (tunnel, tunnel_checksum, tunnel_port) = tunnel_of(server.forwarding);
    vsched_server_state {
        id,
        address_text: chars(&server.address.to_string()),
        address,
        port: server.address.port(),
        family,
        forwarding: match server.forwarding {
            Forwarding::Masq => VSCHED_MASQ as u8,
            Forwarding::Local => VSCHED_LOCAL as u8,
            Forwarding::Tunnel(_) => VSCHED_TUNNEL as u8,
            Forwarding::Route => VSCHED_ROUTE as u8,
            Forwarding::Bypass => VSCHED_BYPASS as u8,
        },
        weight: server.weight,
        upper_threshold: server.thresholds.upper,
        lower_threshold: server.thresholds.lower,
        active: counts.active,
        inactive: counts.inactive,
        persistent: counts.persistent,
        overloaded: u32::from(counts.overloaded),
        connections: statistics.connections,
        tunnel,
        tunnel_checksum,
        tunnel_port,
        state: observed.state as u32,
        priority: server.priority.into(),
        effective_weight: observed.effective_weight,
        user_data: server.user_data,
        name: name_of(&server.name),
    }
}

/// Type, checksum and port of a tunnel; zeros for other forwarding methods.
fn tunnel_of(forwarding: Forwarding) -> (u32, u32, u32) {
    let number = |checksum| match checksum {
        TunnelChecksum::None => VSCHED_CHECKSUM_NONE,
        TunnelChecksum::Full => VSCHED_CHECKSUM_FULL,
        TunnelChecksum::Remote => VSCHED_CHECKSUM_REMOTE,
    };
    match forwarding {
        Forwarding::Tunnel(Tunnel::Ipip {}) => (VSCHED_TUNNEL_IPIP, 0, 0),
        Forwarding::Tunnel(Tunnel::Gue { port, checksum }) => {
            (VSCHED_TUNNEL_GUE, number(checksum), port.into())
        }
        Forwarding::Tunnel(Tunnel::Gre { checksum }) => (VSCHED_TUNNEL_GRE, number(checksum), 0),
        _ => (0, 0, 0),
    }
}

fn name_of(name: &Option<Name>) -> [c_char; VSCHED_NAME_SIZE] {
    chars(name.as_ref().map_or("", Name::as_str))
}

fn bytes(address: SocketAddr) -> ([u8; 16], u8) {
    match address.ip() {
        IpAddr::V6(ip) => (ip.octets(), 6),
        IpAddr::V4(ip) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&ip.octets());
            (bytes, 4)
        }
    }
}

/// A text and a NUL, cut between characters to fit. The texts of a valid config fit.
pub(super) fn chars<const N: usize>(text: &str) -> [c_char; N] {
    let end =
        (0..N).rev().find(|end| *end >= text.len() || text.is_char_boundary(*end)).unwrap_or(0);
    let mut chars = [0; N];
    for (to, from) in chars.iter_mut().zip(text.as_bytes().iter().take(end)) {
        *to = *from as c_char;
    }
    chars
}
