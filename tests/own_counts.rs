//! Where each worker counts its own connections, whoever asks for all of them gets every connection once:
//! through reloads, limits, other ways of sharing, corrections, and workers that come and go.

mod common;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::{Random, config, flow, rip, server, server_id};
use vsched::config::{Sharing, Thresholds};
use vsched::{Activity, Config, Director, Lease, Refused, SchedulerKind, ServerId, Worker};

/// Scanned, and indexed.
const SIZES: [u16; 2] = [5, 40];
const SCHEDULERS: [SchedulerKind; 4] =
    [SchedulerKind::Lc, SchedulerKind::Wlc, SchedulerKind::Sed, SchedulerKind::Nq];

fn per_worker(kind: SchedulerKind, servers: u16) -> Config {
    let mut config = config(kind, servers, &[1, 2, 3]);
    config.services[0].sharing = Sharing::PerWorker;
    config
}

/// Some other config of the same service.
fn changed(random: &mut Random, kind: SchedulerKind, servers: u16) -> Config {
    let mut config = per_worker(kind, servers);
    let service = &mut config.services[0];
    match random.below(4) {
        0 => service.sharing = Sharing::Exact,
        1 => {
            for server in service.servers.iter_mut().step_by(2) {
                server.thresholds = Thresholds::new(1 + random.below(40) as u32, 0);
            }
        }
        2 => service.servers.retain(|_| random.below(3) > 0),
        _ => {}
    }
    if random.below(12) == 0 {
        config.services.clear();
    }
    config
}

/// Active and inactive connections by server, configured or removed.
type Counts = BTreeMap<SocketAddr, (u32, u32)>;

fn counted(director: &Director) -> Counts {
    let observed = director.observe();
    let servers = observed.services.iter().flat_map(|service| &service.servers);
    let configured = servers.map(|it| (it.server.address, (it.counts.active, it.counts.inactive)));
    let removed = director.removed_with_connections().into_iter();
    let removed = removed.map(|it| (it.server, (it.active, it.inactive)));
    configured.chain(removed).filter(|(_, counts)| *counts != (0, 0)).collect()
}

fn expected(open: &[(SocketAddr, Activity, Lease)]) -> Counts {
    let mut counts = Counts::new();
    for (server, activity, _) in open {
        let (active, inactive) = counts.entry(*server).or_default();
        *if *activity == Activity::Active { active } else { inactive } += 1;
    }
    counts
}

fn all_through_changes(kind: SchedulerKind, servers: u16, seed: u64) {
    let mut random = Random(seed);
    let director = Director::new(&per_worker(kind, servers)).expect("a valid config");
    let key = per_worker(kind, servers).services[0].key;
    let mut workers: Vec<Worker> = (0..2).map(|_| director.worker()).collect();
    let mut open: Vec<(SocketAddr, Activity, Lease)> = Vec::new();
    for step in 0..600 {
        let worker = random.below(workers.len() as u64) as usize;
        match random.below(40) {
            0..18 => {
                let Some(service) = director.service_by_key(&key) else { continue };
                let Ok(connection) = workers[worker].connect(service, &flow(step)) else {
                    continue;
                };
                open.push((connection.address(), Activity::Active, connection.into_lease()));
            }
            18..22 => {
                let address = rip(1 + random.below(servers.into()) as u16);
                let Some(id) = server_id(&director, &key, address) else { continue };
                let activity = [Activity::Active, Activity::Inactive][random.below(2) as usize];
                let lease = workers[worker].open(id, activity).expect("it runs");
                open.push((address, activity, lease));
            }
            22..30 if !open.is_empty() => {
                // Often by another worker than the one that opened it.
                let (_, _, lease) = open.swap_remove(random.below(open.len() as u64) as usize);
                workers[worker].close(lease).expect("an open lease");
            }
            30..34 if !open.is_empty() => {
                let at = random.below(open.len() as u64) as usize;
                let (_, activity, lease) = &mut open[at];
                *activity = [Activity::Active, Activity::Inactive][random.below(2) as usize];
                workers[worker].update(lease, *activity).expect("an open lease");
            }
            34 | 35 => {
                let config = changed(&mut random, kind, servers);
                director.apply(&config).expect("a valid config");
            }
            36 if workers.len() < 4 => workers.push(director.worker()),
            37 if workers.len() > 1 => drop(workers.swap_remove(worker)),
            38 => director.tick(Duration::from_secs(step.into())),
            _ => {}
        }
        assert_eq!(counted(&director), expected(&open), "{kind:?} {servers} {seed} {step}");
    }
    director.apply(&per_worker(kind, servers)).expect("a valid config");
    for (_, _, lease) in open {
        workers[0].close(lease).expect("an open lease");
    }
    assert_eq!(counted(&director), Counts::new());
}

#[test]
fn every_connection_counts_once_through_every_change() {
    for kind in SCHEDULERS {
        for servers in SIZES {
            (0..4).for_each(|seed| all_through_changes(kind, servers, seed));
        }
    }
}

#[test]
fn a_limit_applies_to_connections_that_were_counted_alone() {
    for servers in SIZES {
        let mut config = per_worker(SchedulerKind::Lc, servers);
        let director = Director::new(&config).expect("a valid config");
        let workers = [director.worker(), director.worker()];
        let service = director.service_by_key(&config.services[0].key).expect("it runs");
        let connect = |n: u32| workers[n as usize % 2].connect(service, &flow(n));
        let first: Vec<Lease> = (0..u32::from(servers) * 3)
            .map(|n| connect(n).expect("no limits").into_lease())
            .collect();
        let most = first.len();
        for server in &mut config.services[0].servers {
            server.thresholds = Thresholds::new(4, 0);
        }
        director.apply(&config).expect("a valid config");
        let more: Vec<Lease> =
            (0..).map_while(|n| connect(n).ok()).map(vsched::Connection::into_lease).collect();
        let all = director.observe().services[0].servers.iter().map(|it| it.counts.active).sum();
        assert_eq!((more.len() + most, all), (usize::from(servers) * 4, u32::from(servers) * 4));
        assert_eq!(connect(0).map(drop), Err(Refused::AllOverloaded));
        for lease in first.into_iter().chain(more) {
            workers[1].close(lease).expect("an open lease");
        }
        assert_eq!(counted(&director), Counts::new());
    }
}

/// A server that returns with its deleted service is as limited as any other.
#[test]
fn a_limit_applies_after_the_service_has_returned() {
    for servers in SIZES {
        let mut config = per_worker(SchedulerKind::Wlc, servers);
        let director = Director::new(&config).expect("a valid config");
        let workers = [director.worker(), director.worker()];
        let key = config.services[0].key;
        let id = |n| server_id(&director, &key, rip(n)).expect("it runs");
        // These keep their slots.
        let held: Vec<Lease> = (1..=servers)
            .map(|n| workers[0].open(id(n), Activity::Active).expect("it runs"))
            .collect();
        director.apply(&Config::new()).expect("a valid config");
        for server in &mut config.services[0].servers {
            server.thresholds = Thresholds::new(2, 0);
        }
        director.apply(&config).expect("a valid config");
        let service = director.service_by_key(&key).expect("it runs");
        let connect = |n: u32| workers[1].connect(service, &flow(n)).ok();
        let more: Vec<_> = (0..1_000).map_while(connect).collect();
        assert_eq!(more.len(), usize::from(servers));
        drop(more);
        held.into_iter().for_each(|lease| workers[1].close(lease).expect("an open lease"));
        assert_eq!(counted(&director), Counts::new());
    }
}

#[test]
fn a_correction_replaces_what_workers_counted_alone() {
    let config = per_worker(SchedulerKind::Wlc, 3);
    let director = Director::new(&config).expect("a valid config");
    let workers = [director.worker(), director.worker()];
    let id = server_id(&director, &config.services[0].key, rip(1)).expect("it runs");
    let open = |worker: &Worker| worker.open(id, Activity::Active).expect("it runs");
    let [kept, lost] = [open(&workers[0]), open(&workers[1])];
    // The host has lost this one.
    drop(lost);
    let before = director.set_counts(id, 1, 0).expect("it runs");
    assert_eq!((before.active, before.inactive), (2, 0));
    assert_eq!(director.counts(id).map(|counts| counts.active), Some(1));
    workers[1].close(kept).expect("an open lease");
    assert_eq!(director.counts(id).map(|counts| counts.active), Some(0));
}

/// Threads connect, update and close, each also what others opened, while configs and workers change.
#[test]
fn a_storm_of_changes_loses_no_connection() {
    const THREADS: u64 = 3;
    /// Connections of each thread.
    const CONNECTIONS: u64 = 2_000;
    /// Rounds of each thread at most: at times there is no service, or no server.
    const ROUNDS: u32 = 1_000_000;
    for servers in SIZES {
        let kind = SchedulerKind::Wlc;
        let director = Director::new(&per_worker(kind, servers)).expect("a valid config");
        let key = per_worker(kind, servers).services[0].key;
        let (done, opened) = (AtomicBool::new(false), AtomicU64::new(0));
        let pool = std::sync::Mutex::new(Vec::<Lease>::new());
        thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|seed| {
                    let (director, pool, opened) = (&director, &pool, &opened);
                    scope.spawn(move || {
                        let mut random = Random(seed);
                        let mut worker = director.worker();
                        let mut left = CONNECTIONS;
                        for n in 0..ROUNDS {
                            if left == 0 {
                                break;
                            }
                            if random.below(200) == 0 {
                                worker = director.worker();
                            }
                            let service = director.service_by_key(&key);
                            let connected =
                                service.and_then(|it| worker.connect(it, &flow(n)).ok());
                            if connected.is_none() {
                                thread::yield_now();
                            }
                            if let Some(connection) = connected {
                                left -= 1;
                                opened.fetch_add(1, Ordering::SeqCst);
                                pool.lock().unwrap().push(connection.into_lease());
                            }
                            let lease = {
                                let mut pool = pool.lock().unwrap();
                                let length = pool.len() as u64;
                                let often = length > 30 || random.below(3) > 0;
                                (often && length > 0)
                                    .then(|| pool.swap_remove(random.below(length) as usize))
                            };
                            if let Some(mut lease) = lease {
                                let closing = worker.update(&mut lease, Activity::Inactive);
                                closing.expect("an open lease");
                                worker.close(lease).expect("an open lease");
                            }
                        }
                    })
                })
                .collect();
            let changes = scope.spawn(|| {
                let mut random = Random(99);
                while !done.load(Ordering::SeqCst) {
                    let config = changed(&mut random, kind, servers);
                    director.apply(&config).expect("a valid config");
                    thread::yield_now();
                }
            });
            threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
            done.store(true, Ordering::SeqCst);
            changes.join().expect("no panic");
        });
        let left = pool.into_inner().unwrap();
        let total: u32 =
            counted(&director).values().map(|(active, inactive)| active + inactive).sum();
        assert_eq!(total as usize, left.len(), "{servers}");
        let worker = director.worker();
        left.into_iter().for_each(|lease| worker.close(lease).expect("an open lease"));
        assert_eq!(counted(&director), Counts::new(), "{servers}");
        assert_eq!(opened.load(Ordering::SeqCst), THREADS * CONNECTIONS);
    }
}

/// One worker alone decides by all connections, whoever counts them; several by their own.
#[test]
fn workers_decide_by_what_they_count() {
    for servers in SIZES {
        let config = per_worker(SchedulerKind::Lc, servers);
        let director = Director::new(&config).expect("a valid config");
        let service = director.service_by_key(&config.services[0].key).expect("it runs");
        let ids: Vec<ServerId> = (1..=servers)
            .map(|n| server_id(&director, &config.services[0].key, rip(n)).expect("it runs"))
            .collect();
        let one = director.worker();
        let open = |worker: &Worker, id| worker.open(id, Activity::Active).expect("it runs");
        // All but server 2 have one connection.
        let mut leases: Vec<Lease> = Vec::new();
        leases.extend(ids.iter().filter(|id| **id != ids[1]).map(|id| open(&one, *id)));
        let next = |worker: &Worker| worker.pick_server(service, &flow(1)).expect("one is up");
        assert_eq!(next(&one).server(), ids[1]);
        assert_eq!(director.pick_server(service, &flow(1)).expect("one is up").server(), ids[1]);
        let explained = director.explain(service, &flow(1)).expect("it runs");
        assert_eq!(explained.pick.expect("one is up").server, ids[1]);
        let two = director.worker();
        assert_eq!(next(&one).server(), ids[1]);
        // The other has none: it goes by its own place in the list.
        let first = next(&two).server();
        leases.push(open(&two, first));
        assert_ne!(next(&two).server(), first);
        // Its connections are no worker's once it has gone.
        drop(two);
        assert_eq!(next(&one).server() == ids[1], first != ids[1]);
        let held = leases.len() as u32;
        let all: u32 = ids.iter().filter_map(|id| director.counts(*id)).map(|it| it.active).sum();
        assert_eq!(all, held);
        leases.into_iter().for_each(|lease| one.close(lease).expect("an open lease"));
        assert_eq!(counted(&director), Counts::new());
    }
}

/// A server that is held down, or full, gets nothing from any worker.
#[test]
fn every_worker_sees_who_is_unavailable() {
    use vsched::{Holder, ServerState};
    for servers in SIZES {
        let mut config = per_worker(SchedulerKind::Nq, servers);
        config.services[0].servers.push(server(900, 50).with_thresholds(2, 0));
        let director = Director::new(&config).expect("a valid config");
        let key = config.services[0].key;
        let service = director.service_by_key(&key).expect("it runs");
        let (down, full) = (rip(1), rip(900));
        let id = |address| server_id(&director, &key, address).expect("it runs");
        let workers = [director.worker(), director.worker(), director.worker()];
        let picks = |n: u32| workers[n as usize % 3].connect(service, &flow(n)).expect("one is up");
        director.set_state(id(down), Holder::Host, ServerState::Down).expect("it runs");
        let open: Vec<_> = (0..u32::from(servers) * 6).map(picks).collect();
        let at = |address| open.iter().filter(|it| it.address() == address).count();
        assert_eq!((at(down), at(full)), (0, 2));
        director.set_state(id(down), Holder::Host, ServerState::Up).expect("it runs");
        assert!((0..3).all(|n| picks(n).address() == down));
        drop(open);
        assert_eq!(counted(&director), Counts::new());
    }
}
