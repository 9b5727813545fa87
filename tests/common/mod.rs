//! Helpers that several tests use.

#![allow(dead_code)]

use std::net::{Ipv4Addr, SocketAddr};

use vsched::config::{Forwarding, RealServer, SchedulerFlags, ServiceKey, VirtualService};
use vsched::{Config, Director, Flow, SchedulerKind, ServerId};

/// Virtual address number `n`.
pub(crate) fn vip(n: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 1, 0, 1), 1000 + n))
}

/// Real server number `n`.
pub(crate) fn rip(n: u16) -> SocketAddr {
    let [high, low] = n.to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(10, 9, high, low), 80))
}

pub(crate) fn service(n: u16, scheduler: SchedulerKind) -> VirtualService {
    VirtualService::new(ServiceKey::tcp(vip(n)))
        .with_scheduler(scheduler)
        .with_flags(SchedulerFlags::default())
}

pub(crate) fn server(n: u16, weight: u32) -> RealServer {
    RealServer::new(rip(n)).with_forwarding(Forwarding::Masq).with_weight(weight)
}

/// The id of a server of the service with this key.
pub(crate) fn server_id(
    director: &Director,
    service: &ServiceKey,
    server: SocketAddr,
) -> Option<ServerId> {
    director.service_by_key(service).and_then(|service| director.server_by_address(service, server))
}

/// One service with servers 1 to `count`, their weights in turn from `weights`.
pub(crate) fn config(scheduler: SchedulerKind, count: u16, weights: &[u32]) -> Config {
    let weights = weights.iter().copied().cycle();
    let servers = (1..=count).zip(weights).map(|(n, weight)| server(n, weight)).collect();
    Config::new().with_service(service(0, scheduler).with_servers(servers))
}

/// A TCP flow of client number `n` to virtual address 0.
pub(crate) fn flow(n: u32) -> Flow {
    let [_, b, c, d] = n.to_be_bytes();
    Flow::tcp(SocketAddr::from((Ipv4Addr::new(172, 16 | b, c, d), 40_000)), vip(0))
}

/// SplitMix64: the tests' random numbers, the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
