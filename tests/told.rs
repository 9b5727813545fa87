//! A director reports changes, removed servers and the lack of address maps correctly, and finds
//! services by key and flow.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{config, flow, rip, service, vip};
use vsched::config::{Affinity, Family, Forwarding, RealServer, ServiceKey, VirtualService};
use vsched::error::ApplyError;
use vsched::{Activity, Config, Director, Flow, SchedulerKind};

#[test]
fn only_a_server_that_had_weight_is_drained() {
    let before = config(SchedulerKind::Rr, 2, &[0, 5]);
    let director = Director::new(&before).expect("a valid config");
    let mut after = before.clone();
    for server in &mut after.services[0].servers {
        server.weight = 0;
        server.thresholds.upper = 9;
    }
    let applied = director.apply(&after).expect("a valid config");
    let servers = |items: &[vsched::Item]| items.iter().map(|item| item.server).collect::<Vec<_>>();
    assert_eq!(servers(&applied.changed), [Some(rip(1))], "quiesced already");
    assert_eq!(servers(&applied.drained), [Some(rip(2))]);
}

#[test]
fn a_weight_is_set_unshared() {
    let mut wanted = config(SchedulerKind::Wlc, 3, &[1]);
    wanted.services[0].servers[1].thresholds.upper = 9;
    let director = Director::new(&wanted).expect("a valid config");
    let server = common::server_id(&director, &wanted.services[0].key, rip(2)).expect("it runs");
    for weight in [7, 0, 0, 2] {
        let drains = weight == 0 && wanted.services[0].servers[1].weight > 0;
        wanted.services[0].servers[1].weight = weight;
        let applied = director.set_weight(server, weight).expect("it runs");
        assert_eq!(applied.drained.len(), usize::from(drains), "{weight}");
        assert_eq!(director.config(), wanted);
    }
    assert!(matches!(
        director.set_weight(server, 1 << 31),
        Err(ApplyError::Command(_) | ApplyError::Invalid(_))
    ));
    assert_eq!(director.config(), wanted);
    let other = Director::new(&wanted).expect("a valid config");
    assert!(matches!(other.set_weight(server, 5), Err(ApplyError::Stale)));
}

#[test]
fn removed_servers_are_listed_with_connections_of_either_activity() {
    let before = config(SchedulerKind::Rr, 4, &[1]);
    let director = Director::new(&before).expect("a valid config");
    let worker = director.worker();
    let id = |n| common::server_id(&director, &before.services[0].key, rip(n)).expect("it runs");
    let ids = [1, 2, 3].map(id);
    let open = |n: usize, activity| worker.open(ids[n], activity).expect("it runs");
    let leases = [
        open(0, Activity::Active),
        open(1, Activity::Inactive),
        open(2, Activity::Active),
        open(2, Activity::Inactive),
    ];
    let mut after = before.clone();
    after.services[0].servers.drain(..3);
    director.apply(&after).expect("a valid config");
    let found = director.removed_with_connections();
    let counts: Vec<_> = found.iter().map(|it| (it.server, it.active, it.inactive)).collect();
    assert_eq!(counts, [(rip(1), 1, 0), (rip(2), 0, 1), (rip(3), 1, 1)]);
    assert_eq!(director.removed_servers(), 3);
    let [_, second, ..] = leases.map(|lease| worker.close(lease));
    second.expect("an open lease");
    assert!(director.removed_with_connections().is_empty());
}

/// Forgotten, and still named by the table that a worker has.
#[test]
fn a_forgotten_server_is_removed_until_its_slot_is_free() {
    let before = config(SchedulerKind::Rr, 2, &[1]);
    let director = Director::new(&before).expect("a valid config");
    let worker = director.worker();
    assert!(worker.service_for(&flow(0)).is_some(), "it holds this table");
    let id = common::server_id(&director, &before.services[0].key, rip(1)).expect("it runs");
    let _lost = worker.open(id, Activity::Active).expect("it runs");
    let mut after = before.clone();
    after.services[0].servers.remove(0);
    director.apply(&after).expect("a valid config");
    assert_eq!((director.removed_servers(), director.forget_removed()), (1, 1));
    assert_eq!(director.removed_servers(), 1, "no worker may name it any more");
    assert!(worker.service_for(&flow(0)).is_some(), "it has the new table");
    director.tick(Duration::from_secs(1));
    assert_eq!(director.removed_servers(), 0);
}

/// Only lblc and lblcr remember addresses, and only persistent services have templates.
#[test]
fn what_remembers_nothing_says_nothing() {
    for kind in SchedulerKind::ALL.iter() {
        let director = Director::new(&config(*kind, 2, &[1])).expect("a valid config");
        let observed = director.observe();
        let remembers = [SchedulerKind::Lblc, SchedulerKind::Lblcr].contains(kind);
        assert_eq!(observed.services[0].remembered.is_some(), remembers, "{kind:?}");
        assert!(observed.services[0].templates.is_none(), "{kind:?}");
    }
}

/// An IPv6 address whose first bytes are an IPv4 address, a mark with that number: neither is it.
#[test]
fn services_of_other_families_and_kinds_are_told_apart() {
    let address: SocketAddr = "10.0.0.1:80".parse().expect("an address");
    let twin: SocketAddr = "[a00:1::]:80".parse().expect("an address");
    let client = |at: &str| at.parse().expect("an address");
    let keys = [
        ServiceKey::tcp(address),
        ServiceKey::tcp(twin),
        ServiceKey::fwmark(80, Family::Inet),
        ServiceKey::fwmark(80, Family::Inet6),
    ];
    let flows = [
        Flow::tcp(client("192.0.2.1:4000"), address),
        Flow::tcp(client("[2001:db8::1]:4000"), twin),
        Flow::tcp(client("192.0.2.1:4000"), client("10.9.9.9:1")).with_fwmark(80),
        Flow::tcp(client("[2001:db8::1]:4000"), client("[2001:db8::9]:1")).with_fwmark(80),
    ];
    for there in 0_u32..16 {
        let is_there = |at: usize| there >> at & 1 == 1;
        let services = (0..4).filter(|at| is_there(*at)).map(|at| VirtualService::new(keys[at]));
        let config = Config::new().with_services(services.collect());
        let director = Director::new(&config).expect("a valid config");
        for (at, flow) in flows.iter().enumerate() {
            let found = director.service_for(flow);
            assert_eq!(found.is_some(), is_there(at), "{at} of {there:b}");
            assert_eq!(found, director.service_by_key(&keys[at]));
        }
    }
}

#[test]
fn connections_and_flows_tell_what_they_were_made_of() {
    for forwarding in [Forwarding::Masq, Forwarding::Route, Forwarding::Local, Forwarding::Bypass] {
        let servers = vec![RealServer::new(rip(1)).with_forwarding(forwarding)];
        let services = vec![service(0, SchedulerKind::Rr).with_servers(servers)];
        let director = Director::new(&Config::new().with_services(services)).expect("valid");
        let id = director.service_for(&flow(0)).expect("it runs");
        let worker = director.worker();
        let connection = worker.connect(id, &flow(0)).expect("a server");
        assert_eq!((connection.forwarding(), connection.address()), (forwarding, rip(1)));
        assert_eq!(connection.pick().forwarding(), forwarding);
    }
    for (client, destination) in
        [("192.0.2.1:4000", "10.0.0.1:80"), ("[2001:db8::1]:4000", "[2001:db8:1::2]:443")]
    {
        let (client, destination) = (client.parse().unwrap(), destination.parse().unwrap());
        let flow = Flow::tcp(client, destination);
        assert_eq!((flow.client(), flow.destination()), (Some(client), Some(destination)));
    }
    let nothing = Flow::default();
    assert_eq!((nothing.client(), nothing.destination()), (None, None));
}

/// A client of two services, every port and FTP, that has one template at a time: a retry in one takes
/// it from the other.
#[test]
fn a_retry_moves_a_client_of_ftp_in_both_services() {
    let on = |port: u16| SocketAddr::new(vip(0).ip(), port);
    for (first, second) in [(443, 21), (21, 443)] {
        let mut config = config(SchedulerKind::Rr, 3, &[1]);
        let persistence = Some(vsched::config::Persistence::new(100));
        let servers: Vec<RealServer> = config.services[0]
            .servers
            .iter()
            .map(|server| {
                let mut made = server.clone();
                made.address = SocketAddr::new(server.address.ip(), 0);
                made
            })
            .collect();
        config.services = [0, 21]
            .map(|port| {
                let affinity = Affinity::default();
                let service = VirtualService::new(ServiceKey::tcp(on(port)));
                let service = service.with_scheduler(SchedulerKind::Rr);
                let mut service = service.with_affinity(affinity).with_servers(servers.clone());
                service.persistence = persistence;
                service
            })
            .to_vec();
        let director = Director::new(&config).expect("a valid config");
        let worker = director.worker();
        let client: SocketAddr = "192.0.2.1:4000".parse().expect("an address");
        let flow = |port| Flow::tcp(client, on(port));
        let service = |port| director.service_for(&flow(port)).expect("it runs");
        let pick =
            |port| worker.pick_server(service(port), &flow(port)).expect("a server").address().ip();
        let dead = worker.pick_server(service(first), &flow(first)).expect("a server");
        assert_eq!(pick(second), dead.address().ip(), "one client, one server");
        let mut tried = vsched::Tried::<2>::new();
        tried.try_push(dead.server()).expect("room");
        // The same machine as the other service's server.
        let key = config.services[usize::from(second == 21)].key;
        let address = SocketAddr::new(dead.address().ip(), 0);
        tried
            .try_push(common::server_id(&director, &key, address).expect("it runs"))
            .expect("room");
        let moved = worker
            .pick_server_excluding(service(second), &flow(second), tried.as_slice())
            .expect("another server");
        assert_ne!(moved.address().ip(), dead.address().ip());
        assert_eq!(pick(second), moved.address().ip());
        assert_eq!(pick(first), moved.address().ip(), "{first} {second}");
    }
}

/// Also beside servers that run already, wherever in the list.
#[test]
fn an_edit_that_names_a_server_twice_is_refused() {
    let numbers = |numbers: &[u16]| {
        let mut config = config(SchedulerKind::Rr, 1, &[1]);
        config.services[0].servers = numbers.iter().map(|n| common::server(*n, 1)).collect();
        config
    };
    let before = numbers(&[1, 2, 3]);
    for twice in [
        &[1, 2, 2, 3][..],
        &[1, 2, 3, 4, 4],
        &[4, 4, 1, 2, 3],
        &[1, 4, 4],
        &[4, 4, 3],
        &[1, 4, 4, 3],
        &[4, 4],
        &[1, 2, 3, 1],
        &[3, 1, 2, 3],
    ] {
        let director = Director::new(&before).expect("a valid config");
        let error = director.apply(&numbers(twice)).expect_err("one server twice");
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
        assert_eq!(director.config(), before, "{twice:?}");
        let mut once = twice.to_vec();
        once.sort_unstable();
        once.dedup();
        director.apply(&numbers(&once)).expect("each once");
    }
}
