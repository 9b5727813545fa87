use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::Tick;
use crate::config::{Affinity, Persistence};
use crate::{Config, Director, Flow, ServiceId};

const CLIENTS: u32 = 60_000;

/// A persistent service of 2^17 entries, and one of lblc.
fn config(capacity: u32, weights: [u32; 2]) -> Config {
    let [first, second] = weights;
    let rules = format!(
        "-A -t 10.0.0.1:80 -s rr -p 300\n\
         -a -t 10.0.0.1:80 -r 10.0.1.1 -w {first}\n\
         -a -t 10.0.0.1:80 -r 10.0.1.2 -w {second}\n\
         -A -t 10.0.0.2:80 -s lblc\n\
         -a -t 10.0.0.2:80 -r 10.0.1.1 -w {first}\n\
         -a -t 10.0.0.2:80 -r 10.0.1.2 -w {second}"
    );
    let mut config: Config = rules.parse().expect("valid rules");
    for service in &mut config.services {
        service.affinity = Affinity::default().with_capacity(capacity).with_expiration(3600);
    }
    config.services[0].persistence = Some(Persistence::new(300));
    config
}

fn flow(n: u32, service: u8) -> Flow {
    let client: SocketAddr = (std::net::Ipv4Addr::from_bits(0x0a10_0000 + n), 4000).into();
    let destination = match service {
        1 => SocketAddr::from(([10, 0, 0, 1], 80)),
        _ => (std::net::Ipv4Addr::from_bits(0x0b10_0000 + n), 80).into(),
    };
    Flow::tcp(client, destination)
}

struct World {
    director: Director,
    persistent: ServiceId,
    lblc: ServiceId,
}

impl World {
    fn new() -> Self {
        let director = Director::new(&config(CLIENTS, [1, 0])).expect("a valid config");
        let id = |name| director.service(name).expect("it runs");
        let (persistent, lblc) = (id("tcp 10.0.0.1:80"), id("tcp 10.0.0.2:80"));
        let world = World { director, persistent, lblc };
        assert!(world.leads(0..CLIENTS, 1));
        world
    }

    fn apply(&self, capacity: u32, weights: [u32; 2]) {
        self.director.apply(&config(capacity, weights)).expect("a valid config");
    }

    /// True if picks of both services for these addresses find this server.
    fn leads(&self, mut addresses: impl Iterator<Item = u32>, server: u8) -> bool {
        let worker = self.director.worker();
        let to = |service, flow: Flow| {
            let pick = worker.pick_server(service, &flow).expect("a server");
            pick.address() == SocketAddr::from(([10, 0, 1, server], 80))
        };
        addresses.all(|n| to(self.persistent, flow(n, 1)) && to(self.lblc, flow(n, 2)))
    }

    /// A tick in slices, with `between` after each one. Returns the number of slices.
    fn tick(&self, seconds: u64, mut between: impl FnMut(usize)) -> usize {
        let inner = &self.director.inner;
        inner.arena.set_clock(seconds * 1000);
        let mut tick = Tick::default();
        let mut slices = 1;
        while inner.control.lock().go_on(&mut tick) {
            drop(tick.take_freed());
            between(slices);
            slices += 1;
        }
        slices
    }

    fn remembered(&self) -> [u32; 2] {
        let services = self.director.observe().services;
        let [first, second] = [services[0].templates, services[1].remembered];
        [first.expect("persistent").entries, second.expect("lblc").entries]
    }
}

/// Between two slices of one tick, picks, reloads, another capacity and another tick come: each sees what a
/// whole tick would have left.
#[test]
fn what_comes_between_two_slices_sees_what_a_whole_tick_leaves() {
    let world = World::new();
    world.tick(10, |_| {});
    world.apply(CLIENTS, [0, 1]);
    let mut new = 0;
    let slices = world.tick(100_000, |slice| {
        let persistent = |n| {
            let pick = world.director.worker().pick_server(world.persistent, &flow(n, 1));
            pick.expect("a server").address() == SocketAddr::from(([10, 0, 1, 2], 80))
        };
        assert!((new..new + 20).all(persistent), "{slice}");
        new += 20;
        assert_eq!(world.remembered()[0], new, "{slice}");
        match slice {
            3 => world.apply(200_000, [0, 1]),
            4 => world.apply(1_000, [0, 2]),
            5 => _ = world.tick(100_001, |_| {}),
            6 => world.apply(CLIENTS, [0, 1]),
            _ => {}
        }
    });
    // At least four for the templates: 2^17 entries in slices of 2^15.
    assert!((10..60).contains(&slices), "{slices}");
    assert_eq!(world.remembered()[0], new);
    assert!(world.leads(0..1000, 2), "both maps");
}

/// Another thread that waits for the lock has it before the tick is over.
#[test]
fn a_thread_that_waits_gets_the_lock_between_two_slices() {
    let world = World::new();
    let (asks, asked) = mpsc::channel();
    thread::scope(|scope| {
        let director = &world.director;
        let inner = &director.inner;
        let mut control = inner.changing();
        scope.spawn(move || {
            asks.send(()).expect("the test waits");
            director.forget_removed();
            asks.send(()).expect("the test waits");
        });
        asked.recv().expect("a thread");
        inner.arena.set_clock(100_000_000);
        let mut tick = Tick::default();
        let mut slices = 0;
        let mut served = 0;
        // The thread sleeps until the lock is free, some time after it has asked.
        while served == 0 {
            if !control.go_on(&mut tick) {
                tick = Tick::default();
            }
            control.give_way();
            slices += 1;
            served += asked.recv_timeout(Duration::from_millis(1)).map_or(0, |()| 1);
            assert!(slices < 100_000);
        }
    });
}
