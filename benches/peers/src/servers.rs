//! The servers, weights and flows that every subject gets.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use vsched::config::{
    Affinity, Family, Forwarding, Persistence, RealServer, ServiceKey, Sharing, VirtualService,
};
use vsched::{Config, Flow, SchedulerKind};

use crate::case::Weights;
use crate::subjects::random::Random;

/// Number of flows that hashing schedulers get in turn, so that lookups spread over tables and rings.
pub const FLOWS: usize = 4096;

/// Virtual address number `n`.
pub fn virtual_address(n: usize) -> SocketAddr {
    let [_, b, c, d] = (n as u32).to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(10, 128 | b, c, d), 80))
}

/// Real server number `n`, below 2^24.
pub fn address(n: usize) -> SocketAddr {
    let [_, b, c, d] = (n as u32).to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(11, b, c, d), 8080))
}

/// The weights of `n` servers.
pub fn weights(n: usize, weights: Weights) -> Vec<u32> {
    let mut random = Random::new(42);
    let mut weight = || match weights {
        Weights::Equal => 1,
        Weights::Skewed => 1 + random.below(100) as u32,
    };
    (0..n).map(|_| weight()).collect()
}

/// Service number `number`, with servers from number `first` on.
pub fn service(
    number: usize,
    kind: SchedulerKind,
    first: usize,
    weights: &[u32],
) -> VirtualService {
    let server = |(at, weight): (usize, &u32)| {
        RealServer::new(address(first + at)).with_forwarding(Forwarding::Masq).with_weight(*weight)
    };
    let mut service =
        VirtualService::new(ServiceKey::tcp(virtual_address(number))).with_scheduler(kind);
    service.servers = weights.iter().enumerate().map(server).collect();
    if kind == SchedulerKind::Mh {
        // 65521 slots, or 131071 for more servers than that.
        service.mh_table_index = if weights.len() <= 65_521 { 16 } else { 17 };
    }
    service
}

/// One service with this many servers.
pub fn config(kind: SchedulerKind, n: usize, how: Weights) -> Config {
    Config::new().with_service(service(0, kind, 0, &weights(n, how)))
}

/// The same, with this kind of sharing.
pub fn config_shared(kind: SchedulerKind, n: usize, how: Weights, sharing: Sharing) -> Config {
    let mut config = config(kind, n, how);
    config.services.iter_mut().for_each(|service| service.sharing = sharing);
    config
}

/// Seconds after which addresses might be forgotten; no clock runs here.
const REMEMBERED: u32 = 3600;
/// The firewall mark of services that remember destinations.
const MARK: u32 = 1;

/// One service that remembers this many addresses: clients with persistence, or destinations with lblc.
pub fn config_remembering(kind: SchedulerKind, n: usize, how: Weights, addresses: usize) -> Config {
    let mut config = config(kind, n, how);
    for service in &mut config.services {
        service.affinity = Affinity::default().with_capacity(2 * addresses as u32);
        match kind {
            SchedulerKind::Lblc => service.key = ServiceKey::fwmark(MARK, Family::Inet),
            _ => service.persistence = Some(Persistence::new(REMEMBERED)),
        }
    }
    config
}

/// Flows that such a service takes, from as many clients to as many destinations.
pub fn flows_remembered(kind: SchedulerKind, addresses: usize) -> Vec<Flow> {
    let mut flows = flows(addresses).to_vec();
    if kind == SchedulerKind::Lblc {
        for (number, flow) in flows.iter_mut().enumerate() {
            let client = flow.client().expect("an address");
            *flow = Flow::tcp(client, virtual_address(number)).with_fwmark(MARK);
        }
    }
    flows
}

/// Flows of `count` clients to virtual address 0.
pub fn flows(count: usize) -> Arc<[Flow]> {
    let mut random = Random::new(9);
    let mut flow = || {
        let [_, b, c, d, high, low, ..] = random.next().to_be_bytes();
        let client = Ipv4Addr::new(172, 16 | (b & 15), c, d);
        let port = u16::from_be_bytes([high | 4, low]);
        Flow::tcp(SocketAddr::from((client, port)), virtual_address(0))
    };
    (0..count).map(|_| flow()).collect()
}

/// The flows for this scheduler's cases: a single one if the scheduler does not read flows.
pub fn flows_for(kind: SchedulerKind) -> Arc<[Flow]> {
    let hashes = matches!(kind, SchedulerKind::Mh | SchedulerKind::Sh | SchedulerKind::Dh);
    flows(if hashes { FLOWS } else { 1 })
}
