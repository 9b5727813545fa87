//! While several threads make least-loaded picks, loads stay within the documented bound, and the
//! index is exact once all threads are done.

mod common;

use std::net::SocketAddr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{Random, config, flow};
use vsched::{Config, Director, Lease, SchedulerKind, Worker};

/// What it is about: opens only, weights in turn.
const KINDS: [(SchedulerKind, &[u32]); 3] =
    [(SchedulerKind::Lc, &[1]), (SchedulerKind::Wlc, &[1]), (SchedulerKind::Wlc, &[3, 1, 2])];

/// Servers: scanned, one row of nodes, two rows, three.
const SIZES: [u16; 4] = [10, 100, 1000, 10_000];

fn open(worker: &Worker, number: u32) -> Lease {
    let flow = flow(number);
    let service = worker.service_for(&flow).expect("the flow's service");
    worker.connect(service, &flow).expect("nobody is full").into_lease()
}

/// Active connections and weight of each server.
fn loads(director: &Director) -> Vec<(u64, u64)> {
    let observed = director.observe();
    let servers = observed.services.iter().flat_map(|service| &service.servers);
    servers.map(|it| (it.counts.active.into(), it.server.weight.into())).collect()
}

/// A pick takes the server that is least loaded at some moment during the pick, and loads only grow
/// here. So in the end, a server exceeds the least load by at most its last pick and those that were
/// in flight then: one per thread.
#[test]
fn loads_stay_within_one_connection_a_thread() {
    for (kind, weights) in KINDS {
        for size in SIZES {
            for threads in [2, 3, 4] {
                let director = Director::new(&config(kind, size, weights)).expect("valid");
                let barrier = Barrier::new(threads as usize);
                thread::scope(|scope| {
                    for _ in 0..threads {
                        scope.spawn(|| {
                            let worker = director.worker();
                            barrier.wait();
                            let opens = (20_000 + 2 * u32::from(size)) / threads as u32;
                            // Leases that are dropped stay counted.
                            (0..opens).for_each(|number| drop(open(&worker, number)));
                        });
                    }
                });
                let loads = loads(&director);
                let (least, weight) = *loads
                    .iter()
                    .min_by(|(a, v), (b, w)| (a * w).cmp(&(b * v)))
                    .expect("there are servers");
                for (active, own) in loads {
                    let spared = active.saturating_sub(threads);
                    assert!(
                        spared * weight <= least * own,
                        "{kind:?}, {size} servers, {threads} threads: {active} connections at \
                         weight {own}, {least} at weight {weight}"
                    );
                }
            }
        }
    }
}

/// Opens and closes at random.
fn churn(worker: &Worker, seed: u64, stop: &AtomicBool) -> Vec<Lease> {
    let mut random = Random(seed);
    let mut leases = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let flow = flow(random.below(1 << 16) as u32);
        let connection = worker.service_for(&flow).and_then(|id| worker.connect(id, &flow).ok());
        leases.extend(connection.map(|connection| connection.into_lease()));
        if leases.len() > 300 || random.below(5) < 2 && !leases.is_empty() {
            let at = random.below(leases.len() as u64) as usize;
            worker.close(leases.swap_remove(at)).expect("an open lease");
        }
    }
    leases
}

/// Where the next connection belongs, by a scan of what is observed: all are active here.
fn least(director: &Director) -> SocketAddr {
    let observed = director.observe();
    let servers = &observed.services[0].servers;
    let load =
        |at: &usize| (u64::from(servers[*at].counts.active), u64::from(servers[*at].server.weight));
    let available =
        (0..servers.len()).filter(|at| load(at).1 > 0 && !servers[*at].counts.overloaded);
    let least = available.reduce(|held, next| {
        let ((a, v), (b, w)) = (load(&held), load(&next));
        if a * w > b * v { next } else { held }
    });
    servers[least.expect("somebody is available")].server.address
}

/// Threads open and close while the service is edited, deleted and made again; when they are done
/// every pick is that of a scan.
#[test]
fn after_a_storm_the_index_is_right() {
    for (round, size) in [40, 100, 1100].into_iter().enumerate() {
        let calm = config(SchedulerKind::Wlc, size, &[2, 1, 3, 1]);
        let mut edited = config(SchedulerKind::Wlc, size, &[1, 1, 0, 2]);
        edited.services[0].servers.truncate(usize::from(size) - 3);
        let configs = [calm.clone(), edited, calm.clone(), Config::default()];
        let director = Director::new(&calm).expect("valid");
        let stop = AtomicBool::new(false);
        let leases: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|thread| {
                    let (director, stop) = (&director, &stop);
                    let seed = thread + 10 * round as u64;
                    scope.spawn(move || churn(&director.worker(), seed, stop))
                })
                .collect();
            for config in configs.iter().cycle().take(201) {
                director.apply(config).expect("valid");
                thread::yield_now();
            }
            stop.store(true, Ordering::Relaxed);
            threads.into_iter().map(|thread| thread.join().expect("a thread").len()).sum()
        });
        let counted: u64 = loads(&director).iter().map(|(active, _)| active).sum();
        assert!(counted <= leases as u64);
        let worker = director.worker();
        for number in 0..200 {
            let (wanted, flow) = (least(&director), flow(number));
            let service = worker.service_for(&flow).expect("the flow's service");
            let connection = worker.connect(service, &flow).expect("somebody is available");
            assert_eq!(connection.pick().address(), wanted, "{size} servers, pick {number}");
            drop(connection.into_lease());
        }
    }
}
