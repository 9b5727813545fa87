//! lblc and lblcr forget addresses at the kernel's times and in the kernel's order, exactly;
//! similar addresses find a place too.

mod common;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use common::server;
use vsched::config::{Affinity, Family, Persistence, ServiceKey, VirtualService};
use vsched::{Config, Director, Flow, SchedulerKind, ServiceId, Worker};

const KINDS: [SchedulerKind; 2] = [SchedulerKind::Lblc, SchedulerKind::Lblcr];

fn key() -> ServiceKey {
    ServiceKey::fwmark(7, Family::Inet)
}

struct World {
    director: Director,
    worker: Worker,
    service: ServiceId,
}

impl World {
    fn new(service: VirtualService) -> Self {
        let servers = vec![server(1, 1), server(2, 1)];
        let services = vec![service.with_servers(servers)];
        let director = Director::new(&Config::new().with_services(services)).expect("valid");
        let service = director.service_by_key(&key()).expect("it runs");
        World { worker: director.worker(), service, director }
    }

    fn of(kind: SchedulerKind, affinity: Affinity) -> Self {
        let service = VirtualService::new(key()).with_affinity(affinity);
        World::new(service.with_scheduler(kind))
    }

    fn pick(&self, client: u32, destination: u32) {
        let address = |bits| SocketAddr::from((Ipv4Addr::from_bits(bits), 80));
        let flow = Flow::tcp(address(client), address(destination)).with_fwmark(7);
        assert!(self.worker.pick_server(self.service, &flow).is_ok());
    }

    /// Addresses remembered.
    fn remembered(&self) -> u32 {
        self.director.observe().services[0].remembered.expect("it remembers").entries
    }

    fn tick(&self, milliseconds: u64) {
        self.director.tick(Duration::from_millis(milliseconds));
    }
}

const MINUTE: u64 = 60_000;

/// Once entries are idle for exactly `expiration`, the half hour's sweep takes them.
#[test]
fn a_sweep_takes_what_is_idle_for_exactly_so_long() {
    for kind in KINDS {
        for (used, remembered) in [(20 * MINUTE, 0), (20 * MINUTE + 1, 1), (0, 0)] {
            let expiration = 600;
            let world = World::of(kind, Affinity::default().with_expiration(expiration));
            world.tick(used);
            world.pick(1, 1);
            world.tick(30 * MINUTE - 1);
            assert_eq!(world.remembered(), 1, "{kind:?}: not before the half hour");
            world.tick(30 * MINUTE);
            assert_eq!(world.remembered(), remembered, "{kind:?} {used}");
        }
    }
}

/// The kernel's sweep when it remembers more than 16,384 addresses, as a plain walk.
#[derive(Default)]
struct Kernel {
    /// When each address was used last.
    used: BTreeMap<u32, u64>,
    rover: u32,
}

impl Kernel {
    fn minute(&mut self, now: u64) {
        let excess = self.used.len().saturating_sub(16_384);
        if excess == 0 {
            return;
        }
        let goal = (excess * 4 / 3).min(8_192);
        let mut out = 0;
        for _ in 0..1024 {
            self.rover = (self.rover + 1) % 1024;
            let before = self.used.len();
            let rover = self.rover;
            let bucket = |address: u32| address.wrapping_mul(0x61c8_8647) >> 22;
            self.used.retain(|address, used| bucket(*address) != rover || now - *used < 360_000);
            out += before - self.used.len();
            if out >= goal {
                break;
            }
        }
    }
}

#[test]
fn many_addresses_are_forgotten_minute_by_minute_as_in_the_kernel() {
    for kind in KINDS {
        let affinity = Affinity::default().with_capacity(1 << 16).with_expiration(86_400);
        let world = World::of(kind, affinity);
        let mut kernel = Kernel::default();
        let mut next = 0;
        let mut pick = |kernel: &mut Kernel, count: u32, now: u64| {
            for _ in 0..count {
                let address = 0x0a00_0000 + next;
                next += 1;
                world.pick(1, address);
                kernel.used.insert(address, now);
            }
        };
        pick(&mut kernel, 16_384, 0);
        for minute in 1..=14 {
            let now = minute * MINUTE;
            world.tick(now - 1);
            assert_eq!(world.remembered() as usize, kernel.used.len(), "{kind:?} {minute}");
            world.tick(now);
            kernel.minute(now);
            assert_eq!(world.remembered() as usize, kernel.used.len(), "{kind:?} {minute}");
            // As many as fit, one more, what takes a part of the buckets, and more than go at once.
            match minute {
                2 => pick(&mut kernel, 1, now),
                7 => pick(&mut kernel, 3_000, now),
                9 => pick(&mut kernel, 20_000, now),
                _ => {}
            }
        }
        // Which ones they were: those that are used again are no new entries.
        let kept: Vec<u32> = kernel.used.keys().copied().collect();
        kept.iter().for_each(|address| world.pick(1, *address));
        assert_eq!(world.remembered() as usize, kept.len(), "{kind:?}");
        assert!(kept.len() < 30_000 && kernel.rover != 0, "some went: {}", kept.len());
    }
}

/// Hosts of many networks that have the same number in each: a table must not go by the low bits.
#[test]
fn addresses_with_equal_low_bits_find_room() {
    let affinity = Affinity::default().with_capacity(1000);
    for kind in KINDS {
        let world = World::of(kind, affinity);
        (0..100).for_each(|network| world.pick(1, 0x0a00_0001 + (network << 16)));
        assert_eq!(world.remembered(), 100, "{kind:?}");
    }
    let persistence = Some(Persistence::new(100));
    let mut service = VirtualService::new(key()).with_affinity(affinity);
    service.persistence = persistence;
    let world = World::new(service.with_scheduler(SchedulerKind::Rr));
    (0..100).for_each(|network| world.pick(0x0a00_0001 + (network << 16), 1));
    let templates = world.director.observe().services[0].templates.expect("persistent");
    assert_eq!((templates.entries, templates.refused), (100, 0));
}

/// lblcr's set shrinks once it has not changed for longer than `expiration`, and loses the member of
/// most overhead among those with a weight.
#[test]
fn a_set_shrinks_late_enough_and_by_a_member_with_weight() {
    let ip = |n: u8| std::net::IpAddr::from([10, 9, 0, n]);
    for (milliseconds, quiesced, left) in
        [(1000, false, [2, 1]), (1001, false, [2, 2]), (1001, true, [1, 2])]
    {
        let affinity = Affinity::default().with_expiration(1);
        let world = World::of(SchedulerKind::Lblcr, affinity);
        let id = |n| common::server_id(&world.director, &key(), common::rip(n)).expect("it runs");
        let pick = || {
            let address = |bits: u32| SocketAddr::from((Ipv4Addr::from_bits(bits), 80));
            let flow = Flow::tcp(address(1), address(2)).with_fwmark(7);
            world.worker.pick_server(world.service, &flow).expect("a server").address().ip()
        };
        // One busy, then the other: both are members, server 1 the newer one.
        assert_eq!(pick(), ip(2));
        world.director.set_counts(id(2), 2, 0).expect("few");
        assert_eq!(pick(), ip(1));
        world.director.set_counts(id(1), 1, 0).expect("few");
        world.director.set_counts(id(2), 0, 0).expect("few");
        let set_weight = |weight| {
            let mut config = world.director.config();
            config.services[0].servers[1].weight = weight;
            world.director.apply(&config).expect("a valid config");
        };
        if quiesced {
            // The one with most for its weight, if that counted.
            world.director.set_counts(id(2), 5, 0).expect("few");
            set_weight(0);
        }
        world.tick(milliseconds);
        let first = pick();
        if quiesced {
            set_weight(1);
            world.director.set_counts(id(2), 0, 0).expect("few");
        }
        // Of the members the less loaded: server 1 is busy in no case, having one connection.
        world.director.set_counts(id(1), 0, 1).expect("few");
        world.director.set_counts(id(2), 0, 2).expect("few");
        assert_eq!([first, pick()], left.map(ip), "{milliseconds} {quiesced}");
    }
}
