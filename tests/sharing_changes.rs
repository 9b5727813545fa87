//! In services shared `per-worker`, workers count the right connections while schedulers, sharing
//! and workers change.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use vsched::config::{Command, RealServer, Sharing, VirtualService};
use vsched::{Activity, Config, Director, Flow, Lease, SchedulerKind, ServerId, ServiceId, Worker};

const SERVICE: &str = "tcp 10.0.0.1:80";
const LEAST: [&str; 4] = ["lc", "wlc", "sed", "nq"];

fn config(scheduler: &str, weights: &[u32], sharing: Sharing) -> Config {
    let scheduler: SchedulerKind = scheduler.parse().expect("a scheduler");
    let key = SERVICE.parse().expect("a key");
    let mut service = VirtualService::new(key).with_scheduler(scheduler).with_sharing(sharing);
    for (number, weight) in (1u8..).zip(weights) {
        let server = RealServer::new(([10, 0, 1, number], 80).into()).with_weight(*weight);
        service.servers.push(server);
    }
    Config::new().with_service(service)
}

fn director(scheduler: &str, weights: &[u32], sharing: Sharing) -> (Director, ServiceId) {
    let director = Director::new(&config(scheduler, weights, sharing)).expect("a config");
    let service = director.service(SERVICE).expect("the service");
    (director, service)
}

/// The servers, oldest first.
fn servers(director: &Director, service: ServiceId) -> Vec<ServerId> {
    let newest_first = director.servers(service).expect("it runs");
    newest_first.into_iter().rev().map(|(id, _)| id).collect()
}

/// Opens so many connections, and says how many each server got.
fn connect(worker: &Worker, service: ServiceId, servers: &[ServerId], count: usize) -> Vec<usize> {
    let mut had = vec![0; servers.len()];
    for _ in 0..count {
        let connection = worker.connect(service, &Flow::default()).expect("a server");
        let place = servers.iter().position(|id| *id == connection.server());
        had[place.expect("one of them")] += 1;
        let _stays_open = connection.into_lease();
    }
    had
}

fn open(worker: &Worker, server: ServerId, count: usize) -> Vec<Lease> {
    (0..count).map(|_| worker.open(server, Activity::Active).expect("it runs")).collect()
}

fn close(worker: &Worker, leases: Vec<Lease>) {
    for lease in leases {
        worker.close(lease).expect("it is open");
    }
}

#[test]
fn a_worker_begins_without_connections_whatever_ran_when_it_was_made() {
    for scheduler in LEAST {
        for servers_of in [2, 20] {
            let weights = vec![1; servers_of];
            let (director, service) = director(scheduler, &weights, Sharing::PerWorker);
            let servers = servers(&director, service);
            let stays = director.worker();
            let goes = director.worker();
            let left = open(&goes, servers[0], 40);
            drop(goes);
            close(&stays, left);
            director.apply(&config(scheduler, &weights, Sharing::Exact)).expect("a config");
            let comes = director.worker();
            director.apply(&config(scheduler, &weights, Sharing::PerWorker)).expect("a config");
            for _ in 0..100 {
                let lease = open(&comes, servers[0], 1);
                close(&comes, lease);
            }
            let had = connect(&comes, service, &servers, 10 * servers_of);
            assert_eq!(had, vec![10; servers_of], "{scheduler}");
        }
    }
}

#[test]
fn one_worker_alone_knows_what_it_opened_under_another_scheduler() {
    let answers = [Sharing::Exact, Sharing::PerWorker].map(|sharing| {
        let (director, service) = director("fo", &[1, 5], sharing);
        let (worker, servers) = (director.worker(), servers(&director, service));
        let mut had = connect(&worker, service, &servers, 3);
        let server = RealServer::new("10.0.1.2:80".parse().expect("an address"));
        let key = SERVICE.parse().expect("a key");
        director.execute(&Command::EditServer { service: key, server }).expect("it runs");
        director.apply(&config("lc", &[1, 1], sharing)).expect("a config");
        for _ in 0..5 {
            had.extend(connect(&worker, service, &servers, 1));
        }
        had
    });
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn an_old_lease_never_counts_for_a_later_worker() {
    let (director, service) = director("lc", &[1, 1], Sharing::PerWorker);
    let servers = servers(&director, service);
    let stays = director.worker();
    let mut old = Vec::new();
    // Counts with few bits for whose they are come round.
    for _ in 0..=4096 {
        old.push(open(&director.worker(), servers[0], 1));
    }
    let comes = director.worker();
    let mine: Vec<_> = (0..10).flat_map(|number| open(&comes, servers[number % 2], 1)).collect();
    for leases in old {
        close(&stays, leases);
    }
    assert_eq!(connect(&comes, service, &servers, 10), [5, 5]);
    close(&comes, mine);
}

/// While several workers decide, each goes by its share of the connections that were opened before.
#[test]
fn several_workers_share_what_was_opened_before() {
    for scheduler in ["lc", "wlc", "sed"] {
        for workers in [2, 4, 8] {
            for before in ["fo", "exact", "gone"] {
                let sharing = if before == "exact" { Sharing::Exact } else { Sharing::PerWorker };
                let first = if before == "fo" { "fo" } else { scheduler };
                let (director, service) = director(first, &[1, 1], sharing);
                let servers = servers(&director, service);
                let all: Vec<Worker> = (0..workers).map(|_| director.worker()).collect();
                let goes = director.worker();
                let old = open(&goes, servers[0], 64);
                drop(goes);
                let wanted = config(scheduler, &[1, 1], Sharing::PerWorker);
                director.apply(&wanted).expect("a config");
                let mut had = [0, 0];
                for worker in &all {
                    let each = connect(worker, service, &servers, 64 / workers);
                    had = [had[0] + each[0], had[1] + each[1]];
                }
                assert_eq!(had, [0, 64], "{scheduler}, {workers} workers, {before}");
                // They are level now, and stay so when the old connections have ended.
                for (number, lease) in old.into_iter().enumerate() {
                    all[number % workers].close(lease).expect("it is open");
                }
                let mut had = [0, 0];
                for worker in &all {
                    let each = connect(worker, service, &servers, 64 / workers);
                    had = [had[0] + each[0], had[1] + each[1]];
                }
                assert_eq!(had, [64, 0], "{scheduler}, {workers} workers, {before}");
            }
        }
    }
}

/// Workers come and go, connections end in other workers than theirs, and schedulers and sharing
/// change, all at once. Then one worker is left, and decides as if nothing had been.
#[test]
fn after_a_storm_one_worker_decides_as_if_nothing_had_been() {
    const SERVERS: usize = 20;
    let weights = [1; SERVERS];
    let (director, service) = director("wlc", &weights, Sharing::PerWorker);
    let servers = servers(&director, service);
    let open_leases = Mutex::new(Vec::<Lease>::new());
    let opened = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for seed in 0..3 {
            let (director, open_leases, opened) = (&director, &open_leases, &opened);
            scope.spawn(move || {
                for round in 0..150 {
                    let worker = director.worker();
                    for turn in 0..20 {
                        let flow = Flow::default();
                        let connection = worker.connect(service, &flow).expect("a server");
                        opened.fetch_add(1, Ordering::Relaxed);
                        let mut leases = open_leases.lock().expect("no panic");
                        leases.push(connection.into_lease());
                        let at = (seed + 7 * turn + round) % leases.len();
                        let mut other = leases.swap_remove(at);
                        drop(leases);
                        if turn % 3 == 0 {
                            worker.update(&mut other, Activity::Inactive).expect("it is open");
                            open_leases.lock().expect("no panic").push(other);
                        } else {
                            worker.close(other).expect("it is open");
                        }
                    }
                }
            });
        }
        for number in 0..60 {
            let scheduler = ["wlc", "sed", "fo", "lc"][number % 4];
            let sharing = [Sharing::PerWorker, Sharing::PerWorker, Sharing::Exact][number % 3];
            director.apply(&config(scheduler, &weights, sharing)).expect("a config");
            director.tick(std::time::Duration::from_millis(number as u64));
            std::thread::yield_now();
        }
    });
    assert_eq!(opened.into_inner(), 3 * 150 * 20);
    director.apply(&config("wlc", &weights, Sharing::PerWorker)).expect("a config");
    let worker = director.worker();
    close(&worker, open_leases.into_inner().expect("no panic"));
    for _ in 0..3 {
        assert_eq!(connect(&worker, service, &servers, SERVERS), [1; SERVERS]);
    }
    // Several share what that one has opened: each goes by an equal part of it.
    let others = [director.worker(), director.worker()];
    assert_eq!(connect(&others[0], service, &servers, SERVERS), [1; SERVERS]);
}

/// A change of activity counts under whatever runs meanwhile.
#[test]
fn an_update_beside_another_scheduler_is_not_forgotten() {
    let (director, service) = director("lc", &[1, 1], Sharing::PerWorker);
    let servers = servers(&director, service);
    let workers = [director.worker(), director.worker()];
    let mut leases = open(&workers[0], servers[0], 30);
    director.apply(&config("fo", &[1, 1], Sharing::PerWorker)).expect("a config");
    for lease in &mut leases {
        workers[1].update(lease, Activity::Inactive).expect("it is open");
    }
    close(&workers[0], leases);
    director.apply(&config("lc", &[1, 1], Sharing::PerWorker)).expect("a config");
    assert_eq!(connect(&workers[0], service, &servers, 20), [10, 10]);
}
