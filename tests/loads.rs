//! Least-loaded schedulers pick correctly where loads are nearly equal, counts are large, or many
//! servers were tried: with and without an index, in both kinds of sharing.

mod common;

use common::{config, flow, rip, server};
use vsched::config::{ServiceKey, Sharing};
use vsched::{Config, Director, Refused, SchedulerKind, ServerId, ServiceId, Tried, Worker};

const SHARINGS: [Sharing; 2] = [Sharing::Exact, Sharing::PerWorker];

struct World {
    director: Director,
    worker: Worker,
    service: ServiceId,
}

impl World {
    fn new(config: &Config) -> Self {
        let director = Director::new(config).expect("a valid config");
        let service = director.service_for(&flow(1)).expect("it runs");
        World { worker: director.worker(), service, director }
    }

    fn server(&self, n: u16) -> ServerId {
        common::server_id(&self.director, &ServiceKey::tcp(common::vip(0)), rip(n))
            .expect("it runs")
    }

    fn set(&self, n: u16, active: u32, inactive: u32) {
        self.director.set_counts(self.server(n), active, inactive).expect("not too many");
    }

    fn pick(&self) -> Result<ServerId, Refused> {
        self.worker.pick_server(self.service, &flow(1)).map(|pick| pick.server())
    }
}

/// Servers 1 and 2 of these weights, and so many that are quiesced.
fn two(kind: &str, weights: [u32; 2], quiesced: u16, sharing: Sharing) -> Config {
    let mut config = config(kind.parse().expect("a scheduler"), 2 + quiesced, &[0]);
    config.services[0].sharing = sharing;
    for (server, weight) in config.services[0].servers.iter_mut().zip(weights) {
        server.weight = weight;
    }
    config
}

/// `a / (1 + t * a)` and `(a - 1) / (1 + t * (a - 1))` differ by one part in 2^61: no floating-point
/// number and no 64-bit product tells them apart.
#[test]
fn loads_per_weight_are_compared_exactly() {
    let active = (1 << 25) - 1;
    let weight = |active: u32| 1 + 31 * active;
    for sharing in SHARINGS {
        for kind in ["wlc", "sed", "nq"] {
            // What sed and nq compare counts the connection to come.
            let next = u32::from(kind != "wlc");
            for quiesced in [0, 30] {
                for lighter in [1, 2] {
                    let heavy = [active, active - 1];
                    let loads = if lighter == 1 { [heavy[1], heavy[0]] } else { heavy };
                    let world = World::new(&two(kind, loads.map(weight), quiesced, sharing));
                    world.set(1, loads[0] - next, 0);
                    world.set(2, loads[1] - next, 0);
                    let what = format!("{kind} {sharing:?} {quiesced} {loads:?}");
                    assert_eq!(world.pick(), Ok(world.server(lighter)), "{what}");
                }
                // Of equals the one that was added last.
                let world = World::new(&two(kind, [weight(active); 2], quiesced, sharing));
                for (loads, least) in [([0, 0], 2), ([1, 0], 1), ([0, 1], 2), ([1, 1], 2)] {
                    (1..).zip(loads).for_each(|(n, less)| world.set(n, active - next - less, 0));
                    let what = format!("{kind} {sharing:?} {quiesced} {loads:?}");
                    assert_eq!(world.pick(), Ok(world.server(least)), "{what}");
                }
            }
        }
    }
}

/// A retry finds the least of the rest, however many were tried.
#[test]
fn more_servers_are_tried_than_an_index_passes_over() {
    for sharing in SHARINGS {
        for kind in ["lc", "wlc", "sed", "nq"] {
            let mut config = config(kind.parse().expect("a scheduler"), 100, &[1]);
            config.services[0].sharing = sharing;
            let world = World::new(&config);
            let mut tried = Tried::<100>::new();
            for n in 1..=100 {
                world.set(n, u32::from(n), 0);
            }
            for n in 1..=100 {
                let pick =
                    world.worker.pick_server_excluding(world.service, &flow(1), tried.as_slice());
                let found = pick.map(|pick| pick.server());
                assert_eq!(found, Ok(world.server(n)), "{kind} {sharing:?}");
                tried.try_push(world.server(n)).expect("room");
            }
            let pick =
                world.worker.pick_server_excluding(world.service, &flow(1), tried.as_slice());
            assert!(pick.is_err());
        }
    }
}

/// Several workers: each finds at once the one server where it has a connection less.
#[test]
fn a_worker_finds_the_server_where_a_connection_of_its_own_ended() {
    for kind in ["lc", "wlc", "sed"] {
        let servers = 200;
        let mut config = config(kind.parse().expect("a scheduler"), servers, &[1]);
        config.services[0].sharing = Sharing::PerWorker;
        let director = Director::new(&config).expect("a valid config");
        let workers = [director.worker(), director.worker(), director.worker()];
        let service = director.service_for(&flow(1)).expect("it runs");
        for worker in &workers {
            let connect = || worker.connect(service, &flow(1)).expect("a server").into_lease();
            let mut leases: Vec<_> = (0..servers).map(|_| connect()).collect();
            let mut seen: Vec<_> = leases.iter().map(|lease| lease.server().to_raw()).collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), usize::from(servers), "{kind}: one each");
            for lease in &mut leases {
                let ended = lease.server();
                worker.close(std::mem::take(lease)).expect("an open lease");
                *lease = connect();
                assert_eq!(lease.server(), ended, "{kind}");
            }
            leases.into_iter().for_each(|lease| worker.close(lease).expect("an open lease"));
        }
    }
}

/// A worker that is left alone decides as one that came first.
#[test]
fn the_last_worker_left_prefers_the_first_of_equals() {
    for kind in ["lc", "wlc", "sed", "nq"] {
        for servers in [3, 100] {
            let mut config = config(kind.parse().expect("a scheduler"), servers, &[1]);
            config.services[0].sharing = Sharing::PerWorker;
            let director = Director::new(&config).expect("a valid config");
            let service = director.service_for(&flow(1)).expect("it runs");
            let (first, second) = (director.worker(), director.worker());
            let pick =
                |worker: &Worker| worker.pick_server(service, &flow(1)).map(|it| it.server());
            let alone = {
                let director = Director::new(&config).expect("a valid config");
                let service = director.service_for(&flow(1)).expect("it runs");
                director.worker().pick_server(service, &flow(1)).map(|pick| pick.address())
            };
            assert_ne!(pick(&first), pick(&second), "{kind}");
            drop(first);
            director.tick(std::time::Duration::from_secs(1));
            let address = second.pick_server(service, &flow(1)).map(|pick| pick.address());
            assert_eq!(address, alone, "{kind} {servers}");
        }
    }
}

/// Connections that no living worker has opened are divided among the living workers. For two
/// workers, the share of 24 such connections exceeds 10 of a worker's own; for three workers it does
/// not.
#[test]
fn connections_of_nobody_are_divided_anew_as_workers_come() {
    for servers in [2, 40] {
        for more in [1, 2] {
            let mut config = config(SchedulerKind::Lc, servers, &[1]);
            config.services[0].sharing = Sharing::PerWorker;
            let director = Director::new(&config).expect("a valid config");
            let service = director.service_for(&flow(1)).expect("it runs");
            let workers = [director.worker(), director.worker()];
            let server = |n| {
                common::server_id(&director, &ServiceKey::tcp(common::vip(0)), rip(n))
                    .expect("it runs")
            };
            (3..=servers).for_each(|n| {
                director.set_counts(server(n), 1000, 0).expect("it runs");
            });
            director.set_counts(server(1), 24, 0).expect("it runs");
            director.set_counts(server(2), 2, 0).expect("it runs");
            let own: Vec<_> = (0..10)
                .map(|_| workers[0].open(server(2), vsched::Activity::Active).expect("room"))
                .collect();
            let pick = || workers[0].pick_server(service, &flow(1)).map(|pick| pick.server());
            assert_eq!(pick(), Ok(server(2)), "{servers}: 12 and 11");
            let later: Vec<Worker> = (0..more).map(|_| director.worker()).collect();
            director.tick(std::time::Duration::from_secs(1));
            assert_eq!(pick(), Ok(server(1)), "{servers}: 8 or 6, and 10");
            drop(later);
            director.tick(std::time::Duration::from_secs(2));
            assert_eq!(pick(), Ok(server(2)), "{servers}: 12 and 11 again");
            own.into_iter().for_each(|lease| workers[0].close(lease).expect("an open lease"));
        }
    }
}

/// A correction of inactive connections concerns all workers, each with its part.
#[test]
fn corrected_inactive_connections_are_everybodys() {
    for servers in [2, 40] {
        for (loaded, free) in [(1, 2), (2, 1)] {
            let mut config = config(SchedulerKind::Wlc, servers, &[1]);
            config.services[0].servers.iter_mut().skip(2).for_each(|server| server.weight = 0);
            config.services[0].sharing = Sharing::PerWorker;
            let director = Director::new(&config).expect("a valid config");
            let service = director.service_for(&flow(1)).expect("it runs");
            let workers = [director.worker(), director.worker()];
            let server = |n| {
                common::server_id(&director, &ServiceKey::tcp(common::vip(0)), rip(n))
                    .expect("it runs")
            };
            director.set_counts(server(loaded), 0, 60).expect("it runs");
            director.set_counts(server(free), 0, 20).expect("it runs");
            for worker in &workers {
                let pick = worker.pick_server(service, &flow(1)).map(|pick| pick.server());
                assert_eq!(pick, Ok(server(free)), "{servers} {loaded}");
            }
        }
    }
}

/// What a service begins with when it changes to `per-worker`: connections opened before are counted
/// once, those of servers that it has had already not again.
#[test]
fn connections_of_before_are_nobodys_and_counted_once() {
    for servers in [2, 40] {
        let mut config = config(SchedulerKind::Lc, servers, &[1]);
        config.services[0].sharing = Sharing::Exact;
        let director = Director::new(&config).expect("a valid config");
        let service = director.service_for(&flow(1)).expect("it runs");
        let workers = [director.worker(), director.worker()];
        let id = |n| {
            common::server_id(&director, &ServiceKey::tcp(common::vip(0)), rip(n)).expect("it runs")
        };
        let open = |n, count| {
            (0..count).for_each(|_| {
                let _lost = workers[1].open(id(n), vsched::Activity::Active).expect("room");
            });
        };
        (3..=servers).for_each(|n| open(n, 50));
        open(1, 12);
        config.services[0].sharing = Sharing::PerWorker;
        director.apply(&config).expect("a valid config");
        let pick = || workers[0].pick_server(service, &flow(1)).map(|pick| pick.server());
        assert_eq!(pick(), Ok(id(2)), "it has none");
        let own = |count| {
            (0..count).for_each(|_| {
                let _lost = workers[0].open(id(2), vsched::Activity::Active).expect("room");
            });
        };
        own(5);
        assert_eq!(pick(), Ok(id(2)), "{servers}: 6 and 5");
        // Another server: nothing is counted twice by the reload.
        config.services[0].servers.push(server(900, 1));
        config.services[0].servers.last_mut().expect("it").weight = 0;
        director.apply(&config).expect("a valid config");
        assert_eq!(pick(), Ok(id(2)), "{servers}: 6 and 5");
        own(2);
        assert_eq!(pick(), Ok(id(1)), "{servers}: 6 and 7");
    }
}

/// Connections of another worker, so that no own count is bounded by what all have.
fn hold(director: &Director, worker: &Worker, servers: u16) {
    for n in 1..=servers {
        let id =
            common::server_id(director, &ServiceKey::tcp(common::vip(0)), rip(n)).expect("it runs");
        for _ in 0..30 {
            let _held = worker.open(id, vsched::Activity::Active).expect("room");
        }
    }
}

/// Another worker in the place of one that is gone counts what it opens and closes as its own.
#[test]
fn a_worker_in_another_place_counts_its_own_connections() {
    for servers in [3, 40] {
        let mut config = config(SchedulerKind::Wlc, servers, &[1]);
        config.services[0].sharing = Sharing::PerWorker;
        let director = Director::new(&config).expect("a valid config");
        let service = director.service_for(&flow(1)).expect("it runs");
        let first = director.worker();
        hold(&director, &first, servers);
        for round in 0..5 {
            let worker = director.worker();
            let connect = || worker.connect(service, &flow(1)).expect("a server");
            let server = connect().server();
            // Nothing is left of a connection that has ended.
            for _ in 0..10 {
                assert_eq!(connect().server(), server, "{servers} {round}");
            }
            let lease = connect().into_lease();
            assert_ne!(connect().server(), server, "{servers} {round}: one is open there");
            worker.close(lease).expect("an open lease");
            drop(worker);
            director.tick(std::time::Duration::from_secs(round));
        }
    }
}

/// Whose activity changes: 10 inactive connections are less than 2 active ones.
#[test]
fn connections_that_become_inactive_weigh_less_for_their_worker() {
    for servers in [2, 40] {
        let mut config = config(SchedulerKind::Wlc, servers, &[0]);
        config.services[0].servers.iter_mut().take(2).for_each(|server| server.weight = 1);
        config.services[0].sharing = Sharing::PerWorker;
        let director = Director::new(&config).expect("a valid config");
        let service = director.service_for(&flow(1)).expect("it runs");
        let [worker, other] = [director.worker(), director.worker()];
        hold(&director, &other, 2);
        let id = |n| {
            common::server_id(&director, &ServiceKey::tcp(common::vip(0)), rip(n)).expect("it runs")
        };
        let open = |n| worker.open(id(n), vsched::Activity::Active).expect("room");
        let mut many: Vec<_> = (0..10).map(|_| open(1)).collect();
        let few = [open(2), open(2)];
        let pick = || worker.pick_server(service, &flow(1)).map(|pick| pick.server());
        assert_eq!(pick(), Ok(id(2)), "{servers}");
        // By whichever worker.
        for (number, lease) in many.iter_mut().enumerate() {
            let by = if number % 2 == 0 { &worker } else { &other };
            by.update(lease, vsched::Activity::Inactive).expect("an open lease");
        }
        assert_eq!(pick(), Ok(id(1)), "{servers}");
        for lease in &mut many {
            worker.update(lease, vsched::Activity::Active).expect("an open lease");
        }
        assert_eq!(pick(), Ok(id(2)), "{servers}");
        for lease in many.into_iter().chain(few) {
            other.close(lease).expect("an open lease");
        }
        assert!(director.counts(id(1)).is_some_and(|counts| counts.active == 30));
    }
}
