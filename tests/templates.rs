//! Connections hold a persistence template, and it lives exactly as long as documented, to the
//! second.

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use common::{config, rip, vip};
use vsched::config::{Persistence, ServiceKey};
use vsched::{Activity, Director, Flow, Lease, SchedulerKind, ServiceId, Tried, Worker};

struct World {
    director: Director,
    worker: Worker,
    service: ServiceId,
}

fn flow(client: u8) -> Flow {
    Flow::tcp(SocketAddr::from((Ipv4Addr::new(10, 7, 0, client), 40_000)), vip(0))
}

impl World {
    fn new(timeout: u32) -> Self {
        let mut config = config(SchedulerKind::Rr, 3, &[1]);
        config.services[0].persistence = Some(Persistence::new(timeout));
        let director = Director::new(&config).expect("a valid config");
        let service = director.service_for(&flow(0)).expect("it runs");
        World { worker: director.worker(), service, director }
    }

    fn connect(&self, client: u8) -> (SocketAddr, Lease) {
        let connection = self.worker.connect(self.service, &flow(client)).expect("a server");
        (connection.address(), connection.into_lease())
    }

    fn close(&self, lease: Lease) {
        self.worker.close(lease).expect("an open lease");
    }

    fn templates(&self, seconds: u64) -> u32 {
        self.director.tick(Duration::from_secs(seconds));
        self.director.observe().services[0].templates.expect("persistent").entries
    }
}

/// With a timeout of 10 s, in use until `ends`, the template lives until `gone`.
#[test]
fn whole_minutes_follow_the_end_of_the_timeout() {
    for (ends, gone) in [(9, 10), (10, 70), (69, 70), (70, 130), (71, 130), (130, 190), (315, 370)]
    {
        // Whether the clock comes by every second or jumps.
        for late in [false, true] {
            let world = World::new(10);
            let (_, lease) = world.connect(1);
            let first = if late { ends } else { 1 };
            for second in first..=ends {
                assert_eq!(world.templates(second), 1, "{second}");
            }
            world.close(lease);
            assert_eq!(world.templates(gone - 1), 1, "{ends} {late}");
            assert_eq!(world.templates(gone), 0, "{ends} {late}");
        }
    }
}

/// A connection that was made through an earlier template of the same client holds nothing.
#[test]
fn connections_count_for_their_own_template() {
    let world = World::new(10);
    let (before, early) = world.connect(1);
    let mut tried = Tried::<1>::new();
    let server =
        common::server_id(&world.director, &ServiceKey::tcp(vip(0)), before).expect("it runs");
    tried.try_push(server).expect("room");
    let moved = world.worker.pick_server_excluding(world.service, &flow(1), tried.as_slice());
    let moved = moved.expect("another server");
    assert_ne!(moved.address(), before);
    let late = world.worker.open_pick(&moved, Activity::Active).expect("it runs");
    world.close(early);
    assert_eq!(world.templates(10), 1, "in use");
    world.close(late);
    assert_eq!((world.templates(69), world.templates(70)), (1, 0));
}

#[test]
fn a_server_counts_its_templates() {
    let world = World::new(10);
    let servers: Vec<SocketAddr> = (1..=7).map(|client| world.connect(client).0).collect();
    for n in 1..=3 {
        let id =
            common::server_id(&world.director, &ServiceKey::tcp(vip(0)), rip(n)).expect("it runs");
        let expected = servers.iter().filter(|server| **server == rip(n)).count() as u32;
        assert!(expected >= 2);
        assert_eq!(world.director.counts(id).map(|counts| counts.persistent), Some(expected));
    }
}

/// After a correction lost connections hold a template no longer; later ones do.
#[test]
fn a_corrected_server_keeps_its_templates_for_later_connections() {
    let world = World::new(10);
    let (address, lost) = world.connect(1);
    let server =
        common::server_id(&world.director, &ServiceKey::tcp(vip(0)), address).expect("it runs");
    world.director.set_counts(server, 0, 0).expect("it runs");
    let (again, lease) = world.connect(1);
    assert_eq!(again, address);
    assert_eq!(world.templates(10), 1, "in use");
    world.close(lease);
    assert_eq!((world.templates(69), world.templates(70)), (1, 0));
    drop(lost);
}
