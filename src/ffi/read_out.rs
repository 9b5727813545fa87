//! What runs, read into the caller's memory.

use std::mem::{MaybeUninit, offset_of};
use std::net::{IpAddr, SocketAddr};
use std::os::raw::c_char;

use crate::config::{
    Family, Forwarding, Netmask, Observed, ObservedServer, ObservedService, Remembered, ServiceKey,
    Tunnel, TunnelChecksum,
};
use crate::ffi::config::vsched_config;
use crate::ffi::data::{
    VSCHED_BYPASS, VSCHED_CHECKSUM_FULL, VSCHED_CHECKSUM_NONE, VSCHED_CHECKSUM_REMOTE,
    VSCHED_LOCAL, VSCHED_MASQ, VSCHED_ROUTE, VSCHED_TUNNEL, VSCHED_TUNNEL_GRE, VSCHED_TUNNEL_GUE,
    VSCHED_TUNNEL_IPIP, vsched_server_id, vsched_service_id,
};
use crate::ffi::director::vsched_director;
use crate::ffi::sized::{self, Element};
use crate::ffi::status::{VSCHED_E_NULL, VSCHED_NO_SERVICE, VSCHED_STALE, vsched_status};
use crate::ffi::{config_edit, guard};
use crate::{Config, SchedulerKind};

/// Room for every key, and for every address and port, as text with a NUL.
pub const VSCHED_NAME_SIZE: usize = 64;

/// A virtual service that runs or is configured.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_service_state {
    /// The service; all zeros in a config.
    pub id: vsched_service_id,
    /// Its key, NUL-terminated, as vsched_director_service takes it.
    pub key: [c_char; VSCHED_NAME_SIZE],
    /// Its scheduler's short name, NUL-terminated; "none" if there is none.
    pub scheduler: [c_char; 16],
    /// Connections opened since the service was added.
    pub connections: u64,
    /// Picks of workers that found no server.
    pub refused: u64,
    /// Addresses that lblc or lblcr remembers; persistence templates.
    pub remembered: u32,
    /// How many of those there is room for; 0 if the service remembers none.
    pub capacity: u32,
    /// Picks that found no room and were not remembered, where a kernel would have; if it grows,
    /// raise affinity_capacity.
    pub forgotten: u64,
    /// Real servers.
    pub servers: u32,
    /// Its firewall mark; 0 = it is named by address and port.
    pub fwmark: u32,
    /// Its address in network order; IPv4 in the first four bytes. All 0 if it has a mark.
    pub address: [u8; 16],
    /// Its port in host order; 0 = every port, or it has a mark.
    pub port: u16,
    /// 4 or 6, of the packets that it takes.
    pub family: u8,
    /// IP protocol number: 6 TCP, 17 UDP, 132 SCTP; 0 if it has a mark.
    pub protocol: u8,
    /// 1: one-packet scheduling.
    pub one_packet: u32,
    /// Its scheduler flags, separated by commas, NUL-terminated, such as "mh-port".
    pub flags: [c_char; VSCHED_NAME_SIZE],
    /// Which clients count as one, NUL-terminated: "255.255.255.0", "64"; empty: each by itself.
    pub persistence_netmask: [c_char; 16],
    /// Persistence engine, NUL-terminated; empty: none. In a config that vsched_config_validate refuses
    /// for it, a longer name is cut.
    pub persistence_engine: [c_char; 16],
    /// "exact" or "per-worker", NUL-terminated.
    pub sharing: [c_char; 16],
    /// Seconds that a client keeps its server; 0 = the service is not persistent.
    pub persistence_timeout: u32,
    /// Table size of scheduler mh, 8 to 17.
    pub mh_table_index: u32,
    /// Most addresses that lblc, lblcr and persistence may remember; `capacity` is what there is room
    /// for.
    pub affinity_capacity: u32,
    /// Seconds that lblc and lblcr remember them.
    pub affinity_expiration: u32,
}

/// A real server that runs or is configured.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_server_state {
    /// The server; all zeros in a config.
    pub id: vsched_server_id,
    /// Its address and port, NUL-terminated, as vsched_director_server takes them.
    pub name: [c_char; VSCHED_NAME_SIZE],
    /// Its address in network order; IPv4 in the first four bytes.
    pub address: [u8; 16],
    /// Its port in host order; 0 keeps the client's.
    pub port: u16,
    /// 4 or 6.
    pub family: u8,
    /// VSCHED_MASQ, …
    pub forwarding: u8,
    /// 0 = quiesced.
    pub weight: u32,
    /// Number of connections that makes it overloaded; 0 = never.
    pub upper_threshold: u32,
    /// It is available again below this number; 0 = three quarters of the upper.
    pub lower_threshold: u32,
    /// Active connections.
    pub active: u32,
    /// Inactive connections.
    pub inactive: u32,
    /// Persistence templates that lead to it.
    pub persistent: u32,
    /// 1: overloaded, no new connections.
    pub overloaded: u32,
    /// Connections opened since it was added.
    pub connections: u64,
    /// VSCHED_TUNNEL_IPIP, …, where `forwarding` is VSCHED_TUNNEL; else 0.
    pub tunnel: u32,
    /// VSCHED_CHECKSUM_NONE, …, of a GUE or GRE tunnel; else 0.
    pub tunnel_checksum: u32,
    /// UDP port of a GUE tunnel; else 0.
    pub tunnel_port: u32,
    /// 0.
    pub reserved: u32,
}

/// Connections of a server at one moment.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct vsched_counts {
    /// Active connections.
    pub active: u32,
    /// Inactive connections.
    pub inactive: u32,
    /// Persistence templates that lead to it.
    pub persistent: u32,
    /// 1: overloaded, no new connections.
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
        == 8 + 64 + 16 + 8 + 8 + 4 + 4 + 8 + 4 + 4 + 16 + 2 + 1 + 1 + 4 + 64 + 3 * 16 + 4 * 4
        && size_of::<vsched_server_state>() == 8 + 64 + 16 + 2 + 1 + 1 + 7 * 4 + 8 + 4 * 4
);

/// Copies the services that run into an array of `capacity` elements of
/// `element_size` = sizeof(vsched_service_state), in the order of adding. `count` is set to their
/// number even if the array is too small: call with NULL and 0 to learn it.
///
/// NULL: `count` may be; `array` may if `capacity` is 0. Answers: VSCHED_E_BUFFER (nothing was
/// copied), VSCHED_E_STRUCT_SIZE. From any thread. O(services + servers).
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_services(
    director: Option<&vsched_director>,
    array: *mut vsched_service_state,
    element_size: usize,
    capacity: usize,
    count: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let services = director.ok_or(VSCHED_E_NULL)?.director.services();
        let states: Vec<_> =
            services.iter().map(|(id, service)| state_of((*id).into(), service)).collect();
        // SAFETY: the caller promises so many elements of that size.
        unsafe { sized::fill(&states, array, element_size, capacity, count) }
    })
}

/// Copies the servers of a service into an array of `capacity` elements of
/// `element_size` = sizeof(vsched_server_state), in list order, the newest first.
///
/// As vsched_director_services; besides VSCHED_NO_SERVICE (the service was deleted).
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_director_servers(
    director: Option<&vsched_director>,
    service: vsched_service_id,
    array: *mut vsched_server_state,
    element_size: usize,
    capacity: usize,
    count: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let servers = director.ok_or(VSCHED_E_NULL)?.director.servers(service.into());
        let servers = servers.ok_or(VSCHED_NO_SERVICE)?;
        let states: Vec<_> =
            servers.iter().map(|(id, server)| server_state_of((*id).into(), server)).collect();
        // SAFETY: the caller promises so many elements of that size.
        unsafe { sized::fill(&states, array, element_size, capacity, count) }
    })
}

/// Copies the services of a config, in its order; their ids and figures are 0.
///
/// As vsched_director_services.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_services(
    config: Option<&vsched_config>,
    array: *mut vsched_service_state,
    element_size: usize,
    capacity: usize,
    count: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let observed = Observed::from(&config.ok_or(VSCHED_E_NULL)?.config);
        let no_id = vsched_service_id { slot: 0, generation: 0 };
        let states = observed.services.iter().map(|service| state_of(no_id, service));
        // SAFETY: the caller promises so many elements of that size.
        unsafe { sized::fill(&states.collect::<Vec<_>>(), array, element_size, capacity, count) }
    })
}

/// Copies the servers of the config's service with this key, the newest first; their ids and figures
/// are 0.
///
/// As vsched_director_services; besides VSCHED_NO_SERVICE, VSCHED_E_PARSE (no key), VSCHED_E_UTF8.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vsched_config_servers(
    config: Option<&vsched_config>,
    key: *const c_char,
    key_length: usize,
    array: *mut vsched_server_state,
    element_size: usize,
    capacity: usize,
    count: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let config = config.ok_or(VSCHED_E_NULL)?;
        // SAFETY: the caller promises so many bytes.
        let key = config.error.keep(unsafe { config_edit::key_of(key, key_length) })?;
        let service = config.config.service(&key).ok_or(VSCHED_NO_SERVICE)?.clone();
        let observed = Observed::from(&Config { services: vec![service], ..Config::default() });
        let no_id = vsched_server_id { slot: 0, generation: 0 };
        let servers = observed.services.iter().flat_map(|service| &service.servers);
        let states = servers.map(|server| server_state_of(no_id, server));
        // SAFETY: the caller promises so many elements of that size.
        unsafe { sized::fill(&states.collect::<Vec<_>>(), array, element_size, capacity, count) }
    })
}

/// Reads the connections of one server.
///
/// NULL: none may be. Answers: VSCHED_STALE. From any thread. O(1), in a persistent service
/// O(templates).
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_director_counts(
    director: Option<&vsched_director>,
    server: vsched_server_id,
    counts: Option<&mut MaybeUninit<vsched_counts>>,
) -> vsched_status {
    guard(|| {
        let (director, to) = (director.ok_or(VSCHED_E_NULL)?, counts.ok_or(VSCHED_E_NULL)?);
        let found = director.director.counts(server.into()).ok_or(VSCHED_STALE)?;
        to.write(vsched_counts {
            active: found.active,
            inactive: found.inactive,
            persistent: found.persistent,
            overloaded: u32::from(found.overloaded),
        });
        Ok(())
    })
}

/// How many servers that were removed from the config still hold memory: they have connections (see
/// vsched_director_removed_with_connections), are named by a config that a worker has not let go of
/// or by a memory of addresses, or wait for the next vsched_director_tick.
///
/// NULL: none may be. From any thread. O(services).
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn vsched_director_removed_servers(
    director: Option<&vsched_director>,
    count: Option<&mut MaybeUninit<usize>>,
) -> vsched_status {
    guard(|| {
        let (director, to) = (director.ok_or(VSCHED_E_NULL)?, count.ok_or(VSCHED_E_NULL)?);
        to.write(director.director.removed_servers());
        Ok(())
    })
}

fn state_of(id: vsched_service_id, service: &ObservedService) -> vsched_service_state {
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
    vsched_service_state {
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
        sharing: chars(settings.sharing.name()),
        persistence_timeout: settings.persistence.map_or(0, |it| it.timeout),
        mh_table_index: settings.mh_table_index.into(),
        affinity_capacity: settings.affinity.capacity,
        affinity_expiration: settings.affinity.expiration,
    }
}

fn server_state_of(id: vsched_server_id, observed: &ObservedServer) -> vsched_server_state {
    let ObservedServer { server, counts, statistics, .. } = observed;
    let (address, family) = bytes(server.address);
    let (tunnel, tunnel_checksum, tunnel_port) = tunnel_of(server.forwarding);
    vsched_server_state {
        id,
        name: chars(&server.address.to_string()),
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
        reserved: 0,
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

/// A text and a NUL. What does not fit is cut off, a character as a whole; of a valid config nothing is
/// so long.
pub(super) fn chars<const N: usize>(text: &str) -> [c_char; N] {
    let end =
        (0..N).rev().find(|end| *end >= text.len() || text.is_char_boundary(*end)).unwrap_or(0);
    let mut chars = [0; N];
    for (to, from) in chars.iter_mut().zip(text.as_bytes().iter().take(end)) {
        *to = *from as c_char;
    }
    chars
}
