//! lblc and lblcr remember addresses for the documented time and up to the configured capacity;
//! what they remember survives reloads, but not a change of the scheduler.

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use common::{rip, server};
use vsched::config::{Affinity, Family, ServiceKey, VirtualService};
use vsched::{Config, Director, Flow, SchedulerKind, ServiceId, Worker};

const KEY: ServiceKey = ServiceKey::fwmark(7, Family::Inet);

struct World {
    director: Director,
    worker: Worker,
    service: ServiceId,
}

fn config(kind: SchedulerKind, weights: &[u32], affinity: Affinity) -> Config {
    let servers = (1..).zip(weights).map(|(n, weight)| server(n, *weight)).collect();
    let service = VirtualService::new(KEY).with_affinity(affinity).with_servers(servers);
    Config::new().with_service(service.with_scheduler(kind))
}

impl World {
    fn new(config: &Config) -> Self {
        let director = Director::new(config).expect("a valid config");
        let (worker, service) = (director.worker(), director.service_by_key(&KEY));
        World { worker, service: service.expect("the service"), director }
    }

    fn flow(destination: u32) -> Flow {
        let client = SocketAddr::from((Ipv4Addr::new(172, 16, 0, 1), 40_000));
        let destination = Ipv4Addr::from_bits(0xcb00_7100 + destination);
        Flow::tcp(client, SocketAddr::from((destination, 80))).with_fwmark(7)
    }

    /// A connection that stays open; the number of its server, 0 = refused.
    fn connect(&self, destination: u32) -> u8 {
        let connection = self.worker.connect(self.service, &World::flow(destination));
        connection.map_or(0, |connection| {
            let number = number(connection.address());
            let _counted = connection.into_lease();
            number
        })
    }

    /// A decision only.
    fn pick(&self, destination: u32) -> u8 {
        let pick = self.worker.pick_server(self.service, &World::flow(destination));
        pick.map_or(0, |pick| number(pick.address()))
    }

    fn tick(&self, seconds: u64) {
        self.director.tick(Duration::from_secs(seconds));
    }

    fn remembered(&self) -> (u32, u64) {
        let observed = self.director.observe();
        let remembered = observed.services[0].remembered.expect("it remembers");
        (remembered.entries, remembered.refused)
    }
}

fn number(address: SocketAddr) -> u8 {
    match address {
        SocketAddr::V4(address) => address.ip().octets()[3],
        SocketAddr::V6(_) => 0,
    }
}

/// The kernel's scenario T3a: a set loses its busiest member once it has not changed for a while.
#[test]
fn sets_shrink_as_in_the_kernel() {
    let affinity = Affinity::default().with_expiration(1);
    let world = World::new(&config(SchedulerKind::Lblcr, &[4, 4, 4], affinity));
    let connect = |count| (0..count).map(|_| world.connect(0)).collect::<Vec<_>>();
    assert_eq!(connect(9), [3, 3, 3, 3, 3, 2, 2, 2, 2]);
    for (round, expected) in [[2, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]].iter().enumerate() {
        world.director.tick(Duration::from_millis(2300 * (round as u64 + 1)));
        assert_eq!(connect(4), expected, "round {round}");
    }
}

/// As observed on a kernel: the sweep is every half hour, and takes what has been idle for so long.
#[test]
fn a_sweep_every_half_hour_forgets_what_is_idle() {
    for kind in [SchedulerKind::Lblc, SchedulerKind::Lblcr] {
        for (expiration, idle, remembers) in
            [(600, 1790, true), (600, 3590, false), (86_400, 3590, true), (86_400, 90_000, false)]
        {
            let affinity = Affinity::default().with_expiration(expiration);
            let world = World::new(&config(kind, &[1, 1], affinity));
            world.tick(1);
            assert_eq!(world.pick(0), 2);
            for second in (1..=idle).step_by(59) {
                world.tick(1 + second);
            }
            world.tick(1 + idle);
            let entries = u32::from(remembers);
            assert_eq!(world.remembered(), (entries, 0), "{} {expiration} {idle}", kind.name());
        }
    }
}

#[test]
fn a_clock_that_jumps_sweeps_once() {
    let world = World::new(&config(SchedulerKind::Lblc, &[1, 1], Affinity::default()));
    assert_eq!(world.pick(0), 2);
    // A host whose clock counts from 1970: the first tick is 56 years later.
    world.tick(1_790_000_000);
    assert_eq!(world.remembered(), (0, 0));
    assert_eq!(world.pick(0), 2);
    world.tick(1_790_003_600);
    assert_eq!(world.remembered(), (1, 0));
    world.director.tick(Duration::MAX);
    assert_eq!(world.pick(0), 2);
}

#[test]
fn a_full_map_still_answers_and_says_so() {
    for kind in [SchedulerKind::Lblc, SchedulerKind::Lblcr] {
        let affinity = Affinity::default().with_capacity(100);
        let world = World::new(&config(kind, &[1, 1, 1], affinity));
        for destination in 0..150 {
            assert_ne!(world.pick(destination), 0, "{}", kind.name());
        }
        assert_eq!(world.remembered(), (100, 50), "{}", kind.name());
    }
}

#[test]
fn what_is_remembered_outlives_reloads_but_not_the_scheduler() {
    for kind in [SchedulerKind::Lblc, SchedulerKind::Lblcr] {
        // With ten connections each, no server is busy.
        let before = config(kind, &[30, 30, 30], Affinity::default());
        let world = World::new(&before);
        let first: Vec<u8> = (0..30).map(|destination| world.connect(destination)).collect();
        let again = || (0..30).map(|destination| world.pick(destination)).collect::<Vec<u8>>();
        assert!(first.contains(&1) && first.contains(&2) && first.contains(&3));
        let mut after = before.clone();
        after.services[0].servers.push(server(4, 30));
        after.services[0].servers[0].weight = 29;
        world.director.apply(&after).expect("a valid config");
        assert_eq!(again(), first, "{}: servers come and change", kind.name());
        after.services[0].affinity.capacity = 50;
        world.director.apply(&after).expect("a valid config");
        assert_eq!(again(), first, "{}: the map is made smaller", kind.name());
        after.services[0].affinity.capacity = 10_000;
        world.director.apply(&after).expect("a valid config");
        assert_eq!(again(), first, "{}: the map is made larger", kind.name());
        after.services[0].scheduler = Some(SchedulerKind::Rr);
        world.director.apply(&after).expect("a valid config");
        after.services[0].scheduler = Some(kind);
        world.director.apply(&after).expect("a valid config");
        assert_eq!(world.remembered(), (0, 0), "{}: bound anew", kind.name());
    }
}

/// As the kernel keeps what an entry refers to: removed and added again, the server has its
/// destinations back, also if it had no connection.
#[test]
fn a_removed_server_comes_back_to_its_destinations() {
    for kind in [SchedulerKind::Lblc, SchedulerKind::Lblcr] {
        let both = config(kind, &[5, 5], Affinity::default());
        let world = World::new(&both);
        assert_eq!(world.pick(0), 2);
        let mut without = both.clone();
        without.services[0].servers.pop();
        world.director.apply(&without).expect("a valid config");
        world.worker.service_for(&World::flow(0)).expect("the worker moves on");
        world.tick(1);
        assert_eq!(world.director.removed_servers(), 1, "{}: kept for its entry", kind.name());
        world.director.apply(&both).expect("a valid config");
        assert_eq!(world.pick(0), 2, "{}", kind.name());
        // Picked elsewhere in between, lblc's destination stays there; lblcr's set has both.
        world.director.apply(&without).expect("a valid config");
        assert_eq!(world.pick(0), 1);
        world.director.apply(&both).expect("a valid config");
        assert_eq!(world.pick(0), 1, "{}", kind.name());
        // Once nothing names it, a removed server is let go.
        world.director.apply(&without).expect("a valid config");
        world.pick(0);
        world.tick(2);
        let kept = usize::from(kind == SchedulerKind::Lblcr);
        assert_eq!(world.director.removed_servers(), kept, "{}", kind.name());
        for second in (0..200_000).step_by(60) {
            world.tick(second);
        }
        assert_eq!(world.director.removed_servers(), 0, "{}", kind.name());
    }
}

#[test]
fn ipv6_destinations_are_told_apart() {
    let key = ServiceKey::fwmark(7, Family::Inet6);
    let servers = (1..=3).map(|n| {
        let address = format!("[fd09::{n}]:80").parse().expect("an address");
        vsched::config::RealServer::new(address).with_weight(9)
    });
    let service = VirtualService::new(key).with_servers(servers.collect());
    let config = Config::new().with_service(service.with_scheduler(SchedulerKind::Lblc));
    let director = Director::new(&config).expect("a valid config");
    let worker = director.worker();
    let id = director.service_by_key(&key).expect("the service");
    let flow = |n: u16| {
        let at = |text: String| text.parse().expect("an address");
        Flow::tcp(at("[2001:db8::99]:40000".into()), at(format!("[2001:db8:1::{n:x}]:80")))
    };
    let connect = |n| worker.connect(id, &flow(n)).map(|it| (it.address(), it.into_lease()).0);
    let first: Vec<_> = (1..100).map(connect).collect();
    let again = |n| worker.pick_server(id, &flow(n)).map(|pick| pick.address());
    assert_eq!((1..100).map(again).collect::<Vec<_>>(), first);
    let remembered = director.observe().services[0].remembered.expect("it remembers");
    assert_eq!(remembered.entries, 99);
}

#[test]
fn retries_leave_the_remembered_server() {
    let world = World::new(&config(SchedulerKind::Lblc, &[5, 5], Affinity::default()));
    assert_eq!(world.pick(0), 2);
    let mut tried = vsched::Tried::<2>::new();
    let dead = common::server_id(&world.director, &KEY, rip(2)).expect("it runs");
    tried.try_push(dead).expect("room");
    let flow = World::flow(0);
    let next = world.worker.pick_server_excluding(world.service, &flow, tried.as_slice());
    assert_eq!(next.map(|pick| pick.address()), Ok(rip(1)));
    assert_eq!(world.pick(0), 1, "what answered is remembered");
}
