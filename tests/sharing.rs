//! In services shared `per-worker`, a single worker picks as all workers do together, several
//! workers stay within the bounds that `Sharing::PerWorker` documents, and reloads lose nothing.

use std::collections::HashMap;
use std::fmt::Write as _;

use vsched::config::{Command, RealServer, Sharing};
use vsched::{Activity, Config, Director, Flow, Lease, SchedulerKind, ServerId, ServiceId, Worker};

const SERVICE: &str = "tcp 10.0.0.1:80";
/// Only these can share in chunks.
const ROTATIONS: [SchedulerKind; 2] = [SchedulerKind::Rr, SchedulerKind::Wrr];

fn config(kind: SchedulerKind, weights: &[u32], sharing: Sharing) -> Config {
    let mut rules = format!("-A -t 10.0.0.1:80 -s {}\n", kind.name());
    for (number, weight) in weights.iter().enumerate() {
        let (high, low) = (number >> 8, number & 255);
        writeln!(rules, "-a -t 10.0.0.1:80 -r 10.0.{}.{low}:80 -m -w {weight}", high + 1)
            .expect("text");
    }
    let mut config: Config = rules.parse().expect("rules");
    for service in &mut config.services {
        service.sharing = sharing;
    }
    config
}

fn director(kind: SchedulerKind, weights: &[u32], sharing: Sharing) -> (Director, ServiceId) {
    let director = Director::new(&config(kind, weights, sharing)).expect("a config");
    let service = director.service(SERVICE).expect("the service");
    (director, service)
}

fn flow(client: u32) -> Flow {
    let client = std::net::SocketAddr::from((std::net::Ipv4Addr::from(client), 40000));
    Flow::tcp(client, "10.0.0.1:80".parse().expect("an address"))
}

/// Numbers that look random.
fn random(state: &mut u64) -> u32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as u32
}

/// Addresses of picks among connections that come and go.
fn decisions(director: &Director, service: ServiceId, worker: &Worker) -> Vec<String> {
    let (mut seed, mut open) = (7, Vec::<Lease>::new());
    let mut answers = Vec::new();
    for step in 0..400 {
        let flow = flow(random(&mut seed) % 50);
        let Ok(pick) = worker.pick_server(service, &flow) else {
            answers.push("none".to_owned());
            open.drain(..).for_each(|lease| worker.close(lease).expect("it is open"));
            continue;
        };
        answers.push(pick.address().to_string());
        open.push(worker.open(pick.server(), Activity::Active).expect("it runs"));
        if open.len() > 40 {
            let at = random(&mut seed) as usize % open.len();
            worker.close(open.swap_remove(at)).expect("it is open");
        }
        if step % 50 == 49 {
            let server = RealServer::new("10.0.1.3:80".parse().expect("an address"))
                .with_weight(1 + random(&mut seed) % 9);
            let service = SERVICE.parse().expect("a key");
            director.execute(&Command::EditServer { service, server }).expect("it runs");
        }
    }
    for lease in open {
        worker.close(lease).expect("it is open");
    }
    answers
}

#[test]
fn one_worker_alone_decides_as_all_together() {
    for kind in SchedulerKind::ALL {
        for servers in [5, 17, 40] {
            let weights: Vec<u32> = (0..servers).map(|number| 1 + number % 7).collect();
            let answers = [Sharing::Exact, Sharing::PerWorker].map(|sharing| {
                let (director, service) = director(*kind, &weights, sharing);
                decisions(&director, service, &director.worker())
            });
            assert_eq!(answers[0], answers[1], "{kind:?}, {servers} servers");
        }
    }
}

/// What a pick is besides the scheduler's say holds for workers that decide by themselves, too.
#[test]
fn templates_and_flows_ports_hold_for_one_worker_as_for_all() {
    for kind in SchedulerKind::ALL {
        for (service, port) in [("-t 10.0.0.1:80 -p 300", 80), ("-f 7", 0), ("-f 7 -p 300", 0)] {
            let key = service.split(" -p").next().expect("a key");
            let mut rules = format!("-A {service} -s {}\n", kind.name());
            for number in 1..=5 {
                writeln!(rules, "-a {key} -r 10.0.1.{number}:{port} -g -w {number}").expect("text");
            }
            let chunks =
                if ROTATIONS.contains(kind) { Sharing::Chunks(16) } else { Sharing::Exact };
            let answers = [Sharing::Exact, Sharing::PerWorker, chunks].map(|sharing| {
                let mut config: Config = rules.parse().expect("rules");
                config.services[0].sharing = sharing;
                let director = Director::new(&config).expect("a config");
                let (service, worker) = (director.services()[0].0, director.worker());
                let pick = |client| worker.pick_server(service, &flow(client)).expect("a server");
                // No multiple of a cycle: turns without a memory would look the same.
                (0..93).map(|turn| pick(turn % 31).address()).collect::<Vec<_>>()
            });
            assert_eq!(answers[0], answers[1], "{kind:?}, {service}");
            assert_eq!(answers[0], answers[2], "{kind:?}, {service}");
            assert!(answers[1].iter().all(|address| address.port() == 80), "{kind:?}, {service}");
            if service.contains("-p") {
                assert_eq!(answers[1][..31], answers[1][31..62], "{kind:?}, {service}");
            }
        }
    }
}

fn turns(workers: &[Worker], service: ServiceId, picks: usize) -> HashMap<ServerId, usize> {
    let mut seed = 11;
    let mut counts = HashMap::new();
    for _ in 0..picks {
        let worker = &workers[random(&mut seed) as usize % workers.len()];
        let pick = worker.pick_server(service, &flow(1)).expect("a server");
        *counts.entry(pick.server()).or_default() += 1;
    }
    counts
}

#[test]
fn rotations_stay_together() {
    for (kind, heaviest) in [(SchedulerKind::Rr, 1), (SchedulerKind::Wrr, 9)] {
        for count in [1usize, 2, 5, 16] {
            let weights: Vec<u32> = (0..12).map(|number| 1 + number % heaviest).collect();
            let sum: u32 = weights.iter().sum();
            let (director, service) = director(kind, &weights, Sharing::PerWorker);
            let workers: Vec<Worker> = (0..count).map(|_| director.worker()).collect();
            for cycles in [1, 10] {
                let picks = sum as usize * cycles * count;
                let before = turns(&workers, service, 0);
                assert!(before.is_empty());
                let counts = turns(&workers, service, picks);
                for (number, weight) in weights.iter().enumerate() {
                    let address = format!("10.0.1.{number}:80");
                    let server = director.server(service, &address).expect("it runs");
                    let share = (picks as f64) * f64::from(*weight) / f64::from(sum);
                    let had = *counts.get(&server).unwrap_or(&0) as f64;
                    // Each worker is at most one whole run of the server ahead or behind.
                    let bound = (count as f64) * f64::from(*weight) + 1.0;
                    assert!((had - share).abs() <= bound, "{kind:?} {number}: {had} of {share}");
                }
            }
        }
    }
}

#[test]
fn workers_begin_with_different_servers() {
    for kind in ["rr", "wrr", "lc", "wlc", "sed", "nq"] {
        let kind: SchedulerKind = kind.parse().expect("a scheduler");
        for servers in [8, 64] {
            let (director, service) = director(kind, &vec![1; servers], Sharing::PerWorker);
            let workers: Vec<Worker> = (0..8).map(|_| director.worker()).collect();
            let first =
                |worker: &Worker| worker.pick_server(service, &flow(1)).map(|p| p.server()).ok();
            let mut servers: Vec<_> = workers.iter().filter_map(first).collect();
            servers.sort_by_key(|server| server.to_raw());
            servers.dedup();
            assert_eq!(servers.len(), 8, "{kind:?}");
        }
    }
}

/// wrr with a cycle too long to write out: the second worker begins half of it later.
#[test]
fn workers_begin_long_cycles_at_different_levels() {
    let half = 1 << 21;
    let weights = [3 * 2 * half, 3 * (half - 5)];
    let (director, service) = director(SchedulerKind::Wrr, &weights, Sharing::PerWorker);
    let workers = [director.worker(), director.worker()];
    let picks = workers.each_ref().map(|worker| {
        let pick = || worker.pick_server(service, &flow(1)).expect("a server").address();
        (0..11).map(|_| u8::from(pick() == addressed(1))).collect::<Vec<_>>()
    });
    assert_eq!(picks[0], [0; 11]);
    // At half the level of the first, less what rounding takes, it falls by 3 a pass to the lighter
    // server's weight.
    assert_eq!(picks[1], [&[0; 5][..], &[1, 0, 1, 0, 1, 0]].concat());
}

fn addressed(number: u8) -> std::net::SocketAddr {
    ([10, 0, 1, number], 80).into()
}

#[test]
fn own_connections_are_even() {
    for kind in ["lc", "wlc", "sed", "nq"] {
        let kind: SchedulerKind = kind.parse().expect("a scheduler");
        for servers in [3usize, 10, 100] {
            let (director, service) = director(kind, &vec![1; servers], Sharing::PerWorker);
            let workers: Vec<Worker> = (0..4).map(|_| director.worker()).collect();
            let (mut seed, mut open) = (3, Vec::new());
            for _ in 0..servers * 20 {
                let worker = &workers[random(&mut seed) as usize % workers.len()];
                open.push(worker.connect(service, &flow(1)).expect("a server").into_lease());
            }
            let counts: Vec<u32> = director
                .servers(service)
                .expect("it runs")
                .iter()
                .map(|(_, observed)| observed.counts.active)
                .collect();
            let (least, most) = (counts.iter().min(), counts.iter().max());
            assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 4), "{counts:?}");
            // Ended by any worker, they leave nothing behind: the next go as the first did.
            for lease in open {
                workers[random(&mut seed) as usize % 4].close(lease).expect("it is open");
            }
            let first: Vec<_> = (0..servers)
                .map(|_| {
                    let connection = workers[0].connect(service, &flow(1)).expect("a server");
                    let server = connection.server();
                    let _lease = connection.into_lease();
                    server
                })
                .collect();
            let mut different = first.clone();
            different.sort_by_key(|server| server.to_raw());
            different.dedup();
            assert_eq!(different.len(), servers, "{kind:?}: {first:?}");
        }
    }
}

#[test]
fn an_overloaded_server_is_for_nobody_and_comes_back_for_all() {
    for servers in [3u32, 40] {
        let mut wanted = config(SchedulerKind::Wlc, &vec![1; servers as usize], Sharing::PerWorker);
        for server in &mut wanted.services[0].servers {
            server.thresholds.upper = 1;
        }
        let director = Director::new(&wanted).expect("a config");
        let service = director.service(SERVICE).expect("the service");
        let workers = [director.worker(), director.worker()];
        let mut leases: Vec<Lease> = (0..servers)
            .map(|_| workers[0].connect(service, &flow(1)).expect("a server").into_lease())
            .collect();
        assert!(workers.iter().all(|worker| worker.pick_server(service, &flow(1)).is_err()));
        let lease = leases.pop().expect("a connection");
        let freed = lease.server();
        workers[1].close(lease).expect("it is open");
        for worker in &workers {
            let pick = worker.pick_server(service, &flow(1)).expect("one is free");
            assert_eq!(pick.server(), freed);
        }
        for lease in leases {
            workers[0].close(lease).expect("it is open");
        }
    }
}

#[test]
fn a_worker_that_goes_leaves_its_place_to_another() {
    let (director, service) = director(SchedulerKind::Lc, &[1; 30], Sharing::PerWorker);
    let stays = director.worker();
    let leases: Vec<Lease> = {
        let goes = director.worker();
        (0..30).map(|_| goes.connect(service, &flow(1)).expect("a server").into_lease()).collect()
    };
    let comes = director.worker();
    let first = comes.connect(service, &flow(1)).expect("a server").into_lease();
    for lease in leases {
        stays.close(lease).expect("it is open");
    }
    // The former worker's ends took nothing from the new one's count.
    let second = comes.pick_server(service, &flow(1)).expect("a server");
    assert_ne!(second.server(), first.server());
    comes.close(first).expect("it is open");
    assert!(director.observe().services[0].servers.iter().all(|server| server.counts.active == 0));
}

#[test]
fn sharing_changes_while_connections_are_open() {
    for kind in SchedulerKind::ALL {
        let weights = [3, 2, 1, 4, 5, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6];
        let (director, service) = director(*kind, &weights, Sharing::Exact);
        let workers = [director.worker(), director.worker()];
        let mut open = Vec::new();
        for round in 0..12 {
            let chunks = if ROTATIONS.contains(kind) { Sharing::Chunks(5) } else { Sharing::Exact };
            let sharings = [Sharing::PerWorker, Sharing::PerWorker, Sharing::Exact, chunks];
            let sharing = sharings[round % 4];
            let mut wanted = config(*kind, &weights, sharing);
            if round % 2 == 0 {
                wanted.services[0].servers.pop();
            }
            director.apply(&wanted).expect("a config");
            let late = director.worker();
            for number in 0..30u32 {
                let worker = [&workers[0], &workers[1], &late][number as usize % 3];
                let Ok(connection) = worker.connect(service, &flow(number)) else {
                    // ovf refuses when all are full in its sense.
                    assert_eq!(*kind, SchedulerKind::Ovf);
                    continue;
                };
                open.push(connection.into_lease());
            }
            while open.len() > 60 {
                workers[round % 2].close(open.swap_remove(round % 7)).expect("it is open");
            }
        }
        for lease in open {
            workers[0].close(lease).expect("it is open");
        }
        let observed = director.observe();
        assert!(observed.services[0].servers.iter().all(|server| server.counts.active == 0));
    }
}

/// Several changes of the list between two picks: a worker that missed them stands where all stand.
#[test]
fn a_worker_that_missed_versions_goes_on_where_it_was() {
    let service_key = SERVICE.parse().expect("a key");
    let server =
        |n: u8| RealServer::new(([10, 0, 1, n], 80).into()).with_weight(u32::from(n) % 3 + 1);
    let delete = |n| Command::DeleteServer { service: service_key, server: server(n).address };
    let add = |n| Command::AddServer { service: service_key, server: server(n) };
    // In front of the place where the rotation stands, and behind it.
    let changes =
        [delete(0), delete(1), add(20), delete(2), add(21), delete(20), delete(3), add(0)];
    for kind in [SchedulerKind::Rr, SchedulerKind::Wrr] {
        for (missed, picks) in (1..=changes.len()).flat_map(|k| [(k, 1), (k, 4), (k, 9)]) {
            let both = [Sharing::Exact, Sharing::PerWorker].map(|sharing| {
                let (director, service) = director(kind, &[1, 2, 3, 1, 2, 3, 1, 2], sharing);
                let worker = director.worker();
                let pick = |count: usize, tried: &[_]| -> Vec<_> {
                    let pick = || worker.pick_server_excluding(service, &flow(1), tried);
                    (0..count).map(|_| pick().map(|pick| pick.address())).collect()
                };
                let second =
                    director.server_by_address(service, server(5).address).expect("it runs");
                let mut found = pick(picks, &[]);
                found.extend(pick(picks, &[second]));
                for changes in changes.chunks(missed) {
                    for change in changes {
                        director.execute(change).expect("it can be carried out");
                    }
                    found.extend(pick(picks, &[]));
                    found.extend(pick(picks, &[second]));
                }
                found
            });
            assert_eq!(both[0], both[1], "{kind:?} {missed} {picks}");
        }
    }
}
