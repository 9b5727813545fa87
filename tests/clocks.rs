//! With clocks that jump back or far forward, or run for days, the number of remembered addresses
//! stays bounded, they expire exactly on time, and nothing remains of them.

mod common;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use common::{Random, flow, server, service};
use vsched::config::{Affinity, Persistence, Remembered};
use vsched::{Activity, Config, Director, Flow, Lease, SchedulerKind, ServiceId, Worker};

struct World {
    director: Director,
    worker: Worker,
    service: ServiceId,
    config: Config,
}

const SERVERS: u16 = 5;
/// Seconds.
const EXPIRATION: u32 = 3_000;
const TIMEOUT: u32 = 300;

/// The service remembers addresses: of clients if it is persistent, of destinations if not.
fn world(kind: SchedulerKind, persistent: bool, capacity: u32) -> World {
    let mut service = service(0, kind)
        .with_servers((1..=SERVERS).map(|n| server(n, 1000)).collect())
        .with_affinity(Affinity::default().with_capacity(capacity).with_expiration(EXPIRATION));
    service.persistence = persistent.then_some(Persistence::new(TIMEOUT));
    let config = Config::new().with_service(service);
    let director = Director::new(&config).expect("a valid config");
    let id = director.service_for(&flow(0)).expect("it runs");
    World { worker: director.worker(), service: id, director, config }
}

/// A flow whose client and destination are number `n`.
fn numbered(n: u32) -> Flow {
    let of = |base: u32| SocketAddr::from((Ipv4Addr::from_bits(base + n), 80));
    Flow::tcp(of(0x0a07_0000), of(0x0b07_0000))
}

impl World {
    fn tick(&self, seconds: u64) {
        self.director.tick(Duration::from_secs(seconds));
    }

    fn open(&self, n: u32) -> Lease {
        let flow = numbered(n);
        let pick = self.worker.pick_server(self.service, &flow).expect("a server");
        self.worker.open_pick(&pick, Activity::Active).expect("it runs")
    }

    /// A connection that closes at once.
    fn touch(&self, n: u32) {
        self.worker.close(self.open(n)).expect("an open lease");
    }

    fn remembered(&self) -> Remembered {
        let service = &self.director.observe().services[0];
        service.templates.or(service.remembered).expect("it remembers")
    }

    fn entries(&self) -> u32 {
        self.remembered().entries
    }
}

/// Those that remember: every scheduler with persistence, two by themselves.
fn those_that_remember() -> impl Iterator<Item = (SchedulerKind, bool)> {
    let persistent = SchedulerKind::ALL.iter().map(|kind| (*kind, true));
    persistent.chain([(SchedulerKind::Lblc, false), (SchedulerKind::Lblcr, false)])
}

#[test]
fn a_clock_that_jumps_back_is_ignored() {
    for (kind, persistent) in those_that_remember() {
        let (world, name) = (world(kind, persistent, 64), kind.name());
        world.tick(1_000_000);
        world.touch(1);
        for earlier in [999_999, 500_000, 0] {
            world.tick(earlier);
            assert_eq!(world.director.now(), Duration::from_secs(1_000_000), "{name}");
            assert_eq!(world.entries(), 1, "{name}: tick at {earlier}");
        }
        // Its time has not started again, either.
        world.touch(2);
        world.tick(1_000_000 + u64::from(TIMEOUT) - 1);
        assert_eq!(world.entries(), 2, "{name}");
        world.tick(1_000_000 + if persistent { u64::from(TIMEOUT) } else { 4 * 3600 });
        assert_eq!(world.entries(), 0, "{name}");
    }
}

#[test]
fn a_clock_that_jumps_far_forward_ends_what_is_due_and_nothing_else() {
    const YEAR: u64 = 365 * 86_400;
    for (kind, persistent) in those_that_remember() {
        let (world, name) = (world(kind, persistent, 64), kind.name());
        let held = world.open(1);
        world.touch(2);
        world.tick(56 * YEAR);
        // A client with an open connection keeps its template.
        assert_eq!(world.entries(), u32::from(persistent), "{name}");
        world.touch(1);
        world.touch(2);
        assert_eq!(world.entries(), 2, "{name}");
        world.worker.close(held).expect("an open lease");
        world.tick(57 * YEAR);
        assert_eq!(world.entries(), 0, "{name}");
        // The end of time, of which every deadline falls short.
        let held = world.open(3);
        world.director.tick(Duration::MAX);
        world.touch(3);
        world.touch(4);
        world.worker.close(held).expect("an open lease");
        world.director.tick(Duration::MAX);
        world.tick(0);
        assert_eq!(world.director.now(), Duration::from_millis(u64::MAX), "{name}");
    }
}

/// What should be remembered after ticks at these times, in seconds.
struct Model {
    persistent: bool,
    /// When each address came last.
    used: HashMap<u32, u64>,
    /// When the kernel's sweep is next.
    sweep: u64,
}

impl Model {
    fn tick(&mut self, now: u64) {
        if self.persistent {
            self.used.retain(|_, used| *used + u64::from(TIMEOUT) > now);
        }
        while !self.persistent && self.sweep <= now {
            let at = self.sweep;
            self.used.retain(|_, used| *used + u64::from(EXPIRATION) > at);
            self.sweep += 1800;
        }
    }
}

#[test]
fn a_day_of_addresses_that_come_and_go_expires_to_the_second() {
    for (kind, persistent) in those_that_remember() {
        let (world, name) = (world(kind, persistent, 2048), kind.name());
        let mut model = Model { persistent, used: HashMap::new(), sweep: 1800 };
        let (mut random, mut most) = (Random(7), 0);
        // Seven seconds a tick, so that no deadline is a tick's time.
        for now in (0..=86_400).step_by(7) {
            world.tick(now);
            model.tick(now);
            assert_eq!(world.entries(), model.used.len() as u32, "{name} at {now}");
            most = most.max(model.used.len());
            for _ in 0..random.below(4) {
                let address = random.below(if persistent { 400 } else { 700 }) as u32;
                world.touch(address);
                model.used.insert(address, now);
            }
        }
        assert!(most > 40, "{name}: {most} at once");
        assert_eq!(world.remembered().refused, 0, "{name}");
        is_empty_after(&world, 86_400 + 8 * 3600, name);
    }
}

/// Far more addresses than fit: never more are kept, all are answered, and room comes back.
#[test]
fn a_day_of_floods_is_bounded() {
    const CAPACITY: u32 = 100;
    for (kind, persistent) in those_that_remember() {
        let (world, name) = (world(kind, persistent, CAPACITY), kind.name());
        let mut held = Vec::new();
        for hour in 0..24_u32 {
            for address in 0..2 * CAPACITY {
                held.push(world.open(hour * 1000 + address));
                assert!(world.entries() <= CAPACITY, "{name}");
            }
            assert!(world.remembered().refused >= u64::from(hour * CAPACITY), "{name}");
            for lease in held.drain(..) {
                world.worker.close(lease).expect("an open lease");
            }
            for minute in 0..120_u64 {
                world.tick(u64::from(hour) * 7200 + minute * 60);
            }
        }
        is_empty_after(&world, 60 * 3600, name);
    }
}

/// Nothing is remembered, nothing is counted, and no server's slot is held by what was.
fn is_empty_after(world: &World, seconds: u64, name: &str) {
    world.tick(seconds);
    world.tick(seconds + 3600);
    assert_eq!(world.entries(), 0, "{name}");
    for server in &world.director.observe().services[0].servers {
        let counts = server.counts;
        assert_eq!((counts.active, counts.inactive, counts.persistent), (0, 0, 0), "{name}");
    }
    let mut without = world.config.clone();
    without.services[0].servers.truncate(1);
    world.director.apply(&without).expect("a valid config");
    assert!(world.worker.service_for(&flow(0)).is_some());
    world.tick(seconds + 3601);
    assert_eq!(world.director.removed_servers(), 0, "{name}: no address names a removed server");
}
