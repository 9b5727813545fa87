//! Persistence decides as in the kernel's scenarios, and templates live and outlive changes as
//! documented.

mod common;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use common::{Random, config, rip, server, vip};
use vsched::config::{Family, Netmask, Persistence, ServiceKey, VirtualService};
use vsched::{Activity, Config, Director, Flow, Lease, SchedulerKind, ServiceId, Tried, Worker};

const RR: SchedulerKind = SchedulerKind::Rr;

struct World {
    director: Director,
    worker: Worker,
    service: ServiceId,
}

fn persistent(timeout: u32, servers: u16) -> Config {
    let mut config = config(RR, servers, &[1]);
    config.services[0].persistence = Some(Persistence::new(timeout));
    config
}

fn client(text: &str) -> SocketAddr {
    SocketAddr::new(text.parse().expect("an address"), 40_000)
}

fn number(address: SocketAddr) -> u8 {
    match address.ip() {
        IpAddr::V4(ip) => ip.octets()[3],
        IpAddr::V6(ip) => ip.octets()[15],
    }
}

impl World {
    fn new(config: &Config) -> Self {
        let director = Director::new(config).expect("a valid config");
        let service = director.service_by_key(&config.services[0].key).expect("it runs");
        World { worker: director.worker(), service, director }
    }

    /// A connection that stays open; the number of its server, 0 = refused.
    fn open(&self, from: &str) -> (u8, Option<Lease>) {
        let connection = self.worker.connect(self.service, &Flow::tcp(client(from), vip(0)));
        match connection {
            Ok(connection) => (number(connection.address()), Some(connection.into_lease())),
            Err(_) => (0, None),
        }
    }

    /// The servers of connections of these clients; they stay open.
    fn connect(&self, clients: &[&str]) -> Vec<u8> {
        clients.iter().map(|from| self.open(from)).map(|(server, _held)| server).collect()
    }

    /// The servers of connections that close at once.
    fn touch(&self, clients: &[&str]) -> Vec<u8> {
        let connect = |from: &&str| {
            let (server, lease) = self.open(from);
            self.worker.close(lease.expect("a server")).expect("an open lease");
            server
        };
        clients.iter().map(connect).collect()
    }

    fn tick(&self, seconds: u64) {
        self.director.tick(Duration::from_secs(seconds));
    }

    /// Templates of the servers, the newest server first.
    fn templates(&self) -> Vec<u32> {
        let observed = self.director.observe();
        observed.services[0].servers.iter().map(|server| server.counts.persistent).collect()
    }
}

/// S27, S27a, S27b.
#[test]
fn a_client_keeps_its_server() {
    let mut config = persistent(100, 3);
    let world = World::new(&config);
    assert_eq!(world.connect(&["10.7.0.1"; 3]), [3, 3, 3]);
    assert_eq!(world.connect(&["10.7.0.2", "10.7.0.3", "10.7.0.4", "10.7.0.5"]), [2, 1, 3, 2]);
    assert_eq!(world.connect(&["10.7.0.1"]), [3]);
    assert_eq!(world.templates(), [2, 2, 1]);
    config.services[0].servers[2].weight = 0;
    world.director.apply(&config).expect("a valid config");
    assert_eq!(world.connect(&["10.7.0.1"]), [3], "also if the server is quiesced");
    config.expire_quiescent_template = true;
    world.director.apply(&config).expect("a valid config");
    assert_eq!(world.connect(&["10.7.0.1", "10.7.0.1"]), [1, 1], "unless told otherwise");
}

/// S27c, and the same for IPv6.
#[test]
fn clients_of_one_network_count_as_one() {
    let mut v4 = persistent(100, 3);
    v4.services[0].persistence =
        Some(Persistence::new(100).with_netmask(Netmask::Inet([255, 255, 255, 0].into())));
    let world = World::new(&v4);
    let clients = ["10.7.0.1", "10.7.0.2", "10.7.1.1", "10.7.1.200", "10.7.2.5", "10.7.0.9"];
    assert_eq!(world.connect(&clients), [3, 3, 2, 2, 1, 3]);

    // Half of all addresses: the lower half is network 0.0.0.0.
    v4.services[0].persistence =
        Some(Persistence::new(100).with_netmask(Netmask::Inet([128, 0, 0, 0].into())));
    let world = World::new(&v4);
    let clients = ["10.7.0.1", "192.0.2.1", "10.7.1.1", "127.0.0.1", "203.0.113.5", "192.0.2.9"];
    assert_eq!(world.connect(&clients), [3, 2, 3, 3, 2, 2]);

    let key: ServiceKey = "tcp [2001:db8::1]:80".parse().expect("a key");
    let servers = (1..=3).map(|n| format!("[fd09::{n}]:80").parse().expect("an address"));
    let service = VirtualService::new(key)
        .with_scheduler(RR)
        .with_persistence(Persistence::new(100).with_netmask(Netmask::Inet6(64)))
        .with_servers(servers.map(vsched::config::RealServer::new).collect());
    let world = World::new(&Config::new().with_service(service));
    let connect = |from: &str| {
        let destination = "[2001:db8::1]:80".parse().expect("an address");
        let flow = Flow::tcp(client(from), destination);
        let pick = world.worker.pick_server(world.service, &flow);
        number(pick.expect("a server").address())
    };
    let clients = ["fd01::1", "fd01::2", "fd01:0:0:1::1", "fd01:0:0:1:ffff::", "fd01::9"];
    assert_eq!(clients.map(connect), [3, 3, 2, 2, 3]);
}

/// S27d.
#[test]
fn templates_ignore_thresholds() {
    let mut config = persistent(100, 2);
    config.services[0].servers[0].thresholds.upper = 2;
    let world = World::new(&config);
    let clients = ["10.7.0.1", "10.7.0.2"].repeat(4);
    assert_eq!(world.connect(&clients), [2, 1, 2, 1, 2, 1, 2, 1]);
    assert_eq!(world.connect(&["10.7.0.3", "10.7.0.4"]), [2, 2], "new clients do not");
}

/// S28: each datagram is scheduled separately; with persistence the client stays.
#[test]
fn one_packet_scheduling() {
    for (persistence, first, second) in
        [(None, [3, 2, 1, 3], [2, 1]), (Some(Persistence::default()), [3, 3, 3, 3], [2, 2])]
    {
        let mut service = VirtualService::new(ServiceKey::udp(vip(0)))
            .with_scheduler(RR)
            .with_one_packet()
            .with_servers((1..=3).map(|n| server(n, 1)).collect());
        service.persistence = persistence;
        let world = World::new(&Config::new().with_service(service));
        let datagram = |from: &str| {
            let flow = Flow::udp(client(from), vip(0));
            let connection = world.worker.connect(world.service, &flow).expect("a server");
            number(connection.address())
        };
        assert_eq!(["10.7.0.1"; 4].map(datagram), first);
        assert_eq!(["10.7.0.2"; 2].map(datagram), second);
        let observed = world.director.observe();
        assert_eq!(observed.services[0].statistics.connections, 6);
        for server in &observed.services[0].servers {
            assert_eq!((server.counts.active, server.counts.inactive), (0, 0));
        }
    }
}

/// S34 and T7: a service of every port, and a firewall mark, leave connections their ports.
#[test]
fn services_of_every_port() {
    let all = VirtualService::new("tcp 10.1.0.1:0".parse().expect("a key"))
        .with_scheduler(RR)
        .with_persistence(Persistence::default())
        .with_servers(vec![server(1, 1), server(2, 1)]);
    let mut eight = server(9, 1);
    eight.address.set_port(8080);
    let web = VirtualService::new("tcp 10.1.0.1:80".parse().expect("a key"))
        .with_scheduler(RR)
        .with_server(eight);
    let marked = VirtualService::new(ServiceKey::fwmark(5, Family::Inet))
        .with_scheduler(RR)
        .with_persistence(Persistence::default())
        .with_servers((1..=3).map(|n| server(n, 1)).collect());
    let world = World::new(&Config::new().with_services(vec![all, web, marked]));
    let connect = |protocol, from: &str, port, mark| {
        let destination = SocketAddr::from((Ipv4Addr::new(10, 1, 0, 1), port));
        let flow = Flow::new(protocol, client(from), destination).with_fwmark(mark);
        let service = world.worker.service_for(&flow).expect("a service");
        let pick = world.worker.pick_server(service, &flow).expect("a server");
        (number(pick.address()), pick.address().port())
    };
    assert_eq!(connect(6, "10.7.0.1", 22, 0), (2, 22));
    assert_eq!(connect(6, "10.7.0.1", 443, 0), (2, 443));
    assert_eq!(connect(6, "10.7.0.1", 80, 0), (9, 8080));
    assert_eq!(connect(6, "10.7.0.2", 22, 0), (1, 22));
    assert_eq!(connect(6, "10.7.0.1", 80, 5), (3, 80));
    assert_eq!(connect(6, "10.7.0.1", 443, 5), (3, 443));
    assert_eq!(connect(17, "10.7.0.1", 53, 5), (3, 53));
    assert_eq!(connect(6, "10.7.0.2", 80, 5), (2, 80));
}

/// FTP data goes where the client's control connection went, to the port it asks for.
#[test]
fn ftp_data_follows_its_control_connection() {
    let ftp = VirtualService::new("tcp 10.1.0.1:21".parse().expect("a key"))
        .with_scheduler(RR)
        .with_persistence(Persistence::default())
        .with_servers((1..=3).map(|n| server(n, 1)).collect());
    let world = World::new(&Config::new().with_service(ftp));
    let connect = |from: &str, port| {
        let destination = SocketAddr::from((Ipv4Addr::new(10, 1, 0, 1), port));
        let flow = Flow::tcp(client(from), destination);
        let service = world.worker.service_for(&flow).expect("the service");
        let pick = world.worker.pick_server(service, &flow).expect("a server");
        (number(pick.address()), pick.address().port())
    };
    assert_eq!(connect("10.7.0.1", 21), (3, 80), "the server's port");
    assert_eq!(connect("10.7.0.2", 21), (2, 80));
    assert_eq!(connect("10.7.0.1", 35_000), (3, 35_000));
    assert_eq!(connect("10.7.0.2", 20), (2, 20));
}

#[test]
fn a_template_lives_for_the_timeout_after_the_last_connection() {
    let world = World::new(&persistent(10, 2));
    world.tick(100);
    assert_eq!(world.touch(&["10.7.0.1"]), [2]);
    world.tick(109);
    assert_eq!(world.touch(&["10.7.0.1"]), [2]);
    world.tick(118);
    assert_eq!(world.templates(), [1, 0]);
    world.tick(119);
    assert_eq!(world.templates(), [0, 0]);
    assert_eq!(world.touch(&["10.7.0.1"]), [1], "the rotation went on");
}

/// As observed with `-p 10`: at its time's end a template in use gets a minute, and a later
/// connection gives it no more than that.
#[test]
fn a_template_in_use_is_extended_by_minutes() {
    let world = World::new(&persistent(10, 2));
    let (server, lease) = world.open("10.7.0.1");
    assert_eq!(server, 2);
    for (second, alive) in [(11, true), (51, true), (69, true)] {
        world.tick(second);
        assert_eq!(world.templates(), [u32::from(alive), 0], "{second}");
    }
    assert_eq!(world.touch(&["10.7.0.1"]), [2]);
    world.worker.close(lease.expect("a server")).expect("an open lease");
    world.tick(128);
    assert_eq!(world.templates(), [1, 0], "a minute after the connection at 69");
    world.tick(129);
    assert_eq!(world.templates(), [0, 0]);
}

#[test]
fn picks_with_and_without_their_template() {
    let world = World::new(&persistent(10, 2));
    let flow = Flow::tcp(client("10.7.0.1"), vip(0));
    let pick = world.worker.pick_server(world.service, &flow).expect("a server");
    let held = world.worker.open_pick(&pick, Activity::Active).expect("it runs");
    world.tick(500);
    assert_eq!(world.templates(), [1, 0], "held by the pick's connection");
    world.worker.close(held).expect("an open lease");
    let plain = world.worker.open(pick.server(), Activity::Active).expect("it runs");
    world.tick(600);
    assert_eq!(world.templates(), [0, 0], "not held by a connection to the server as such");
    world.worker.close(plain).expect("an open lease");
}

#[test]
fn templates_outlive_reloads_and_their_server() {
    let before = persistent(100, 3);
    let world = World::new(&before);
    let clients: Vec<String> = (1..=30).map(|n| format!("10.7.0.{n}")).collect();
    let clients: Vec<&str> = clients.iter().map(String::as_str).collect();
    let first = world.touch(&clients);
    let mut after = before.clone();
    after.services[0].servers.push(server(4, 1));
    after.services[0].affinity.capacity = 200;
    after.services[0].scheduler = Some(SchedulerKind::Wlc);
    world.director.apply(&after).expect("a valid config");
    assert_eq!(world.touch(&clients), first);
    // A removed server's clients go elsewhere if they come meanwhile, and back if they do not.
    let mut without = after.clone();
    without.services[0].servers.remove(2);
    world.director.apply(&without).expect("a valid config");
    world.worker.service_for(&Flow::default());
    world.tick(1);
    assert_eq!(world.director.removed_servers(), 1, "kept for its templates");
    assert_eq!(first[..2], [3, 2]);
    let moved = world.touch(&clients[..1]);
    assert_ne!(moved, [3]);
    world.director.apply(&after).expect("a valid config");
    assert_eq!(world.touch(&clients[..1]), moved);
    assert_eq!(world.touch(&clients[1..]), first[1..]);
}

#[test]
fn a_retry_moves_the_client() {
    let world = World::new(&persistent(100, 3));
    let flow = Flow::tcp(client("10.7.0.1"), vip(0));
    let dead = world.worker.pick_server(world.service, &flow).expect("a server");
    let mut tried = Tried::<4>::new();
    tried.try_push(dead.server()).expect("room");
    let next = world
        .worker
        .pick_server_excluding(world.service, &flow, tried.as_slice())
        .expect("another");
    assert_ne!(next.address(), dead.address());
    let again = world.worker.pick_server(world.service, &flow).expect("a server");
    assert_eq!(again.address(), next.address());
}

#[test]
fn without_room_or_client_the_scheduler_decides() {
    let mut config = persistent(100, 2);
    config.services[0].affinity.capacity = 1;
    let world = World::new(&config);
    assert_eq!(world.touch(&["10.7.0.1", "10.7.0.1"]), [2, 2]);
    assert_eq!(world.touch(&["10.7.0.2", "10.7.0.2", "10.7.0.1"]), [1, 2, 2]);
    let templates = world.director.observe().services[0].templates.expect("persistent");
    assert_eq!((templates.entries, templates.capacity, templates.refused), (1, 1, 2));
    let pick = || world.worker.pick_server(world.service, &Flow::default()).expect("a server");
    assert_ne!(pick().address(), pick().address());
    assert!([rip(1), rip(2)].contains(&pick().address()));
}

/// Threads connect, close and reload at random; in the end nothing is held and all expires.
#[test]
fn nothing_is_held_after_a_storm() {
    let world = World::new(&persistent(10, 4));
    let (director, service) = (&world.director, world.service);
    std::thread::scope(|scope| {
        for seed in 0..4 {
            scope.spawn(move || {
                let worker = director.worker();
                let mut random = Random(seed);
                let mut held = Vec::new();
                for _ in 0..20_000 {
                    let from = Ipv4Addr::from_bits(0x0a07_0000 + random.below(50) as u32);
                    let flow = Flow::tcp(SocketAddr::from((from, 40_000)), vip(0));
                    let connection = worker.connect(service, &flow).expect("a server");
                    held.push(connection.into_lease());
                    if held.len() > 20 {
                        let lease = held.swap_remove(random.below(20) as usize);
                        worker.close(lease).expect("an open lease");
                    }
                }
                for lease in held {
                    worker.close(lease).expect("an open lease");
                }
            });
        }
        for round in 0..2000_u32 {
            let mut config = persistent(10, 4);
            config.services[0].servers[0].weight = 1 + round % 2;
            director.apply(&config).expect("a valid config");
            director.tick(Duration::from_millis(u64::from(round)));
        }
    });
    assert!(world.templates().iter().sum::<u32>() > 0);
    world.tick(1_000);
    world.tick(1_100);
    assert_eq!(world.templates(), [0; 4]);
    for server in &director.observe().services[0].servers {
        assert_eq!((server.counts.active, server.counts.inactive), (0, 0));
    }
}

/// Side by side with a kernel: who came while the server was gone has left it, though there was no
/// other to go to.
#[test]
fn a_refused_client_has_left_its_server() {
    let both = persistent(100, 2);
    let mut none = both.clone();
    none.services[0].servers.clear();
    let world = World::new(&both);
    assert_eq!(world.touch(&["10.7.0.1", "10.7.0.2", "10.7.0.3", "10.7.0.4"]), [2, 1, 2, 1]);
    world.director.apply(&none).expect("a valid config");
    assert_eq!(world.open("10.7.0.1").0, 0);
    world.director.apply(&both).expect("a valid config");
    // The others have their templates; the first is scheduled again, once 2 and once 1.
    let clients = ["10.7.0.2", "10.7.0.5", "10.7.0.1", "10.7.0.3", "10.7.0.4"];
    assert_eq!(world.touch(&clients), [1, 2, 1, 2, 1]);
}
