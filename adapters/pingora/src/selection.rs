//! vsched's schedulers for pingora's own `LoadBalancer`, as far as they fit.

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use pingora_core::protocols::l4::socket::SocketAddr as BackendAddress;
use pingora_load_balancing::Backend;
use pingora_load_balancing::selection::{BackendIter, BackendSelection};
use vsched::config::{
    Config, Family, Forwarding, MAX_WEIGHT, RealServer, ServiceKey, VirtualService,
};
use vsched::{Director, Flow, Handle, SchedulerKind, ServerId, ServiceId};

use crate::flow::hash_key;

/// A scheduler of vsched for pingora's [`LoadBalancer`](pingora_load_balancing::LoadBalancer), for proxies
/// that keep its discovery and health checks.
///
/// `LoadBalancer` tells a selection which backends there are and asks for one; it never says when a request
/// ends. So only schedulers work that do not look at connections, and neither outcomes, ejection, thresholds
/// nor slow start exist: for those use a [`Balancer`](crate::Balancer). Built without a [`SelectionConfig`],
/// the scheduler is wrr. Every rebuild starts its rotation again.
///
/// Weights are the backends'; those above 2,147,483,647 count as that. Backends with one address are one
/// server, with the sum of their weights. An iterator returns each backend once, then `None`.
///
/// ```
/// use pingora_load_balancing::LoadBalancer;
/// use vsched_pingora::Selection;
/// let balancer = LoadBalancer::<Selection>::try_from_iter(["10.0.1.1:80", "10.0.1.2:80"])?;
/// let picks: Vec<String> = (0..4)
///     .filter_map(|_| Some(balancer.select(b"", 256)?.addr.to_string()))
///     .collect();
/// assert_eq!(picks, ["10.0.1.2:80", "10.0.1.1:80", "10.0.1.2:80", "10.0.1.1:80"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Selection {
    backends: Box<[Backend]>,
    running: Option<Running>,
}

struct Running {
    handle: Handle,
    service: ServiceId,
    /// Index in `backends`.
    places: HashMap<ServerId, usize>,
}

/// Which scheduler a [`Selection`] uses.
///
/// ```
/// use pingora_load_balancing::discovery::Static;
/// use pingora_load_balancing::{Backends, LoadBalancer};
/// use vsched::SchedulerKind;
/// use vsched_pingora::{Selection, SelectionConfig};
/// let backends = Backends::new(Static::try_from_iter(["10.0.1.1:80", "10.0.1.2:80"])?);
/// let config = SelectionConfig::new(SchedulerKind::Mh)?;
/// let balancer = LoadBalancer::<Selection>::from_backends_with_config(backends, Some(config));
///
/// let refusal = SelectionConfig::new(SchedulerKind::Wlc).unwrap_err();
/// assert!(refusal.to_string().starts_with("scheduler wlc compares connections"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelectionConfig {
    scheduler: SchedulerKind,
}

impl SelectionConfig {
    /// Returns the config of a selection by this scheduler: rr, wrr, sh, dh, mh or fo. sh, dh and mh hash the
    /// key that [`select`](pingora_load_balancing::LoadBalancer::select) gets.
    ///
    /// # Errors
    /// The scheduler compares connections, which a `LoadBalancer` does not count.
    pub fn new(scheduler: SchedulerKind) -> Result<Self, NeedsLoads> {
        use SchedulerKind::{Dh, Fo, Mh, Rr, Sh, Wrr};
        match scheduler {
            Rr | Wrr | Sh | Dh | Mh | Fo => Ok(SelectionConfig { scheduler }),
            _ => Err(NeedsLoads { scheduler }),
        }
    }
}

impl Default for SelectionConfig {
    /// Weighted round robin.
    fn default() -> Self {
        SelectionConfig { scheduler: SchedulerKind::Wrr }
    }
}

/// A scheduler that cannot work in pingora's `LoadBalancer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeedsLoads {
    scheduler: SchedulerKind,
}

impl fmt::Display for NeedsLoads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.scheduler.name();
        write!(
            f,
            "scheduler {name} compares connections, and pingora's LoadBalancer does not tell when one \
             ends: use vsched_pingora::Balancer, or a scheduler of rr, wrr, sh, dh, mh, fo"
        )
    }
}

impl Error for NeedsLoads {}

impl BackendSelection for Selection {
    type Iter = Selected;
    type Config = SelectionConfig;

    fn build_with_config(backends: &BTreeSet<Backend>, config: &SelectionConfig) -> Self {
        let backends: Box<[Backend]> = backends.iter().cloned().collect();
        let running = Running::new(&backends, config.scheduler);
        // pingora has no error here, and a selection without backends is one.
        let running = running.inspect_err(|error| log::error!("selection of backends: {error}"));
        Selection { running: running.ok(), backends }
    }

    fn build(backends: &BTreeSet<Backend>) -> Self {
        Selection::build_with_config(backends, &SelectionConfig::default())
    }

    fn iter(self: &Arc<Self>, key: &[u8]) -> Selected {
        let flow = Flow::default().with_key(hash_key(key));
        Selected { selection: Arc::clone(self), flow, tried: Vec::new(), latest: None }
    }
}

impl Running {
    fn new(backends: &[Backend], scheduler: SchedulerKind) -> Result<Self, Box<dyn Error>> {
        let family = if backends.iter().all(is_ipv4) { Family::Inet } else { Family::Inet6 };
        let mut weights: HashMap<SocketAddr, (usize, usize)> = HashMap::new();
        for (place, backend) in backends.iter().enumerate() {
            let first = weights.entry(address(backend, family)).or_insert((place, 0));
            first.1 = first.1.saturating_add(backend.weight);
        }
        let mut servers: Vec<_> = weights.into_iter().collect();
        servers.sort_unstable_by_key(|(_, (place, _))| *place);
        let key = ServiceKey::fwmark(1, family);
        let service = VirtualService::new(key).with_scheduler(scheduler);
        let service = servers.iter().fold(service, |service, (address, (_, weight))| {
            let weight = u32::try_from(*weight).unwrap_or(MAX_WEIGHT).min(MAX_WEIGHT);
            let server = RealServer::new(*address).with_forwarding(Forwarding::Masq);
            service.with_server(server.with_weight(weight))
        });
        let director = Director::new(&Config::default().with_service(service))?;
        let service = director.service_by_key(&key).ok_or("no service")?;
        let by_address: HashMap<_, _> =
            servers.into_iter().map(|(address, (place, _))| (address, place)).collect();
        let servers = director.servers(service).unwrap_or_default().into_iter();
        let places = servers
            .filter_map(|(id, it)| Some((id, *by_address.get(&it.server.address)?)))
            .collect();
        Ok(Running { handle: director.handle(), service, places })
    }
}

/// The backends of a [`Selection`] in the order in which to try them, each once.
pub struct Selected {
    selection: Arc<Selection>,
    flow: Flow,
    tried: Vec<ServerId>,
    latest: Option<ServerId>,
}

impl BackendIter for Selected {
    fn next(&mut self) -> Option<&Backend> {
        let running = self.selection.running.as_ref()?;
        // The first pick, which is the only one nearly always, allocates nothing.
        self.tried.extend(self.latest.take());
        let pick = if self.tried.is_empty() {
            running.handle.pick_server(running.service, &self.flow)
        } else {
            running.handle.pick_server_excluding(running.service, &self.flow, &self.tried)
        };
        let server = pick.ok()?.server();
        self.latest = Some(server);
        self.selection.backends.get(*running.places.get(&server)?)
    }
}

fn is_ipv4(backend: &Backend) -> bool {
    backend.addr.as_inet().is_some_and(|address| address.is_ipv4() && is_unicast(address.ip()))
}

/// True if a config may name the address.
fn is_unicast(ip: IpAddr) -> bool {
    let special = match ip {
        IpAddr::V4(ip) => ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !(special || ip.is_unspecified() || ip.is_multicast())
}

/// The server's address: the backend's own, if possible. Beside IPv6 backends and Unix sockets an IPv4
/// address is written in `64:ff9b::/96` (RFC 6052); what else a config cannot name becomes a hash of its
/// text in `fd00::/8`.
fn address(backend: &Backend, family: Family) -> SocketAddr {
    match &backend.addr {
        BackendAddress::Inet(address) if !is_unicast(address.ip()) => hashed(address),
        BackendAddress::Inet(SocketAddr::V4(address)) if family == Family::Inet6 => {
            let number = (0x0064_ff9b << 96) | u128::from(u32::from(*address.ip()));
            SocketAddr::new(Ipv6Addr::from(number).into(), address.port())
        }
        // Without its scope, which is no part of a server's address.
        BackendAddress::Inet(address) => SocketAddr::new(address.ip(), address.port()),
        #[cfg(unix)]
        BackendAddress::Unix(path) => hashed(path),
    }
}

fn hashed(address: &impl fmt::Debug) -> SocketAddr {
    let hash = hash_key(format!("{address:?}").as_bytes());
    SocketAddr::new(Ipv6Addr::from((0xfd00 << 112) | u128::from(hash)).into(), 1)
}

impl fmt::Debug for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selection").field("backends", &self.backends).finish_non_exhaustive()
    }
}

impl fmt::Debug for Selected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selected").field("tried", &self.tried).finish_non_exhaustive()
    }
}
