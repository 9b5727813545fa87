//! A flow with an IPv4-mapped IPv6 address, as dual-stack sockets report IPv4 peers, is treated as
//! the IPv4 flow.

use std::net::{IpAddr, SocketAddr};

use vsched::config::{
    Config, Family, Netmask, Persistence, RealServer, ServiceKey, VirtualService,
};
use vsched::{Director, Flow, SchedulerKind};

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn mapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

fn config(scheduler: SchedulerKind, persistence: Option<Persistence>) -> Config {
    let mut service =
        VirtualService::new(ServiceKey::tcp(address("192.0.2.5:80"))).with_scheduler(scheduler);
    service.persistence = persistence;
    for n in 1..=7 {
        service.servers.push(RealServer::new(address(&format!("10.9.0.{n}:80"))));
    }
    Config::new().with_service(service)
}

#[test]
fn every_scheduler_answers_a_mapped_client_as_a_plain_one() {
    let network = Persistence::new(60).with_netmask(Netmask::Inet([255, 255, 255, 0].into()));
    let hashing =
        [SchedulerKind::Sh, SchedulerKind::Mh, SchedulerKind::Dh].map(|kind| (kind, None));
    let persistent = (SchedulerKind::Rr, Some(network));
    for (scheduler, persistence) in hashing.into_iter().chain([persistent]) {
        let director = Director::new(&config(scheduler, persistence)).expect("a valid config");
        let worker = director.worker();
        let service = director.service("tcp 192.0.2.5:80").expect("it runs");
        let virtual_address = address("192.0.2.5:80");
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..200u16 {
            let client = SocketAddr::from(([172, 16, (n % 20) as u8, n as u8], 1024 + n));
            let plain = Flow::tcp(client, virtual_address);
            let pick = worker.pick_server(service, &plain).expect("a server").address();
            seen.insert(pick);
            for (client, virtual_address) in [
                (mapped(client), mapped(virtual_address)),
                (client, mapped(virtual_address)),
                (mapped(client), virtual_address),
            ] {
                let flow = Flow::tcp(client, virtual_address);
                assert_eq!(flow, plain);
                assert_eq!(worker.service_for(&flow), Some(service), "a dual-stack listener");
                let again = worker.pick_server(service, &flow).expect("a server").address();
                assert_eq!(again, pick, "{}: client {client}", scheduler.name());
            }
        }
        assert!(seen.len() > 1 || scheduler == SchedulerKind::Dh, "{seen:?}");
    }
}

#[test]
fn a_flow_of_a_mark_has_the_family_of_the_mapped_address() {
    let service = VirtualService::new(ServiceKey::fwmark(7, Family::Inet))
        .with_server(RealServer::new(address("10.9.0.1:80")));
    let config = Config::new().with_service(service);
    let director = Director::new(&config).expect("a valid config");
    let client = address("[::ffff:172.16.0.9]:40000");
    let flow = Flow::tcp(client, address("[::ffff:192.0.2.5]:80")).with_fwmark(7);
    assert_eq!(director.service_for(&flow), director.service("fwmark 7").ok());
    assert_eq!(flow.client(), Some(address("172.16.0.9:40000")));
    assert_eq!(flow.destination(), Some(address("192.0.2.5:80")));
    let six = Flow::tcp(client, address("[2001:db8::5]:80")).with_fwmark(7);
    assert_eq!(director.service_for(&six), None, "an IPv6 destination");
}

#[test]
fn a_config_says_ipv4_addresses_as_such() {
    let service = VirtualService::new(ServiceKey::tcp(address("[::ffff:192.0.2.5]:80")));
    let config = Config::new().with_service(service);
    let error = config.validate().expect_err("a mapped service").to_string();
    assert!(error.ends_with("is an IPv4 address in IPv6 form; write 192.0.2.5"), "{error}");
    let server = RealServer::new(address("[::ffff:10.9.0.1]:80"));
    let service =
        VirtualService::new(ServiceKey::tcp(address("[2001:db8::5]:80"))).with_server(server);
    let config = Config::new().with_service(service);
    let error = config.validate().expect_err("a mapped server").to_string();
    assert!(error.ends_with("is an IPv4 address in IPv6 form; write 10.9.0.1"), "{error}");
}
