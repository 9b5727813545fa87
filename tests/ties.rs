//! `ties: rotate`: equally loaded servers take turns, in every scheduler that searches for the least load.

mod common;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use common::{config, flow};
use vsched::config::{Command, Sharing, Ties};
use vsched::{Config, Director, SchedulerKind, Tried, Worker};

const KINDS: [SchedulerKind; 4] =
    [SchedulerKind::Lc, SchedulerKind::Wlc, SchedulerKind::Sed, SchedulerKind::Nq];

/// Servers: scanned, one row of nodes, two roots, two rows.
const SIZES: [u16; 8] = [1, 2, 5, 12, 13, 40, 100, 2100];

fn rotating(kind: SchedulerKind, count: u16, weights: &[u32], sharing: Sharing) -> Config {
    let mut config = config(kind, count, weights);
    config.services[0].ties = Ties::Rotate;
    config.services[0].sharing = sharing;
    config
}

/// A connection that ends at once.
fn brief(worker: &Worker) -> SocketAddr {
    let service = worker.service_for(&flow(1)).expect("the flow's service");
    worker.connect(service, &flow(1)).expect("a server is available").address()
}

fn cases() -> impl Iterator<Item = (SchedulerKind, u16, Sharing)> {
    let sharings = [Sharing::Exact, Sharing::PerWorker];
    let sizes = |kind| SIZES.map(|count| (kind, count));
    let sized = KINDS.into_iter().flat_map(sizes);
    sized.flat_map(move |(kind, count)| sharings.map(|sharing| (kind, count, sharing)))
}

#[test]
fn idle_servers_share_connections_that_close_at_once() {
    for (kind, count, sharing) in cases() {
        let director = Director::new(&rotating(kind, count, &[1], sharing)).expect("valid");
        let worker = director.worker();
        for _ in 0..3 {
            // In list order: the newest first.
            let picked: Vec<_> = (0..count).map(|_| brief(&worker)).collect();
            let expected: Vec<_> = (1..=count).rev().map(common::rip).collect();
            assert_eq!(picked, expected, "{kind:?}, {count} servers, {sharing:?}");
        }
    }
}

#[test]
fn a_kernel_sends_them_all_to_one() {
    for (kind, count, sharing) in cases() {
        let mut config = rotating(kind, count, &[1], sharing);
        config.services[0].ties = Ties::Kernel;
        let director = Director::new(&config).expect("valid");
        let worker = director.worker();
        let picked: BTreeSet<_> = (0..count).map(|_| brief(&worker)).collect();
        assert_eq!(picked, [common::rip(count)].into(), "{kind:?}, {count} servers, {sharing:?}");
    }
}

/// Each of several workers reaches all servers by itself, and they begin apart.
#[test]
fn workers_that_decide_by_themselves_take_turns_too() {
    for kind in KINDS {
        for count in SIZES {
            let config = rotating(kind, count, &[1], Sharing::PerWorker);
            let director = Director::new(&config).expect("valid");
            let workers: Vec<Worker> = (0..3).map(|_| director.worker()).collect();
            let firsts: BTreeSet<_> = workers.iter().map(brief).collect();
            assert_eq!(firsts.len(), usize::from(count.min(3)), "{kind:?}, {count} servers");
            for worker in &workers {
                let picked: BTreeSet<_> = (0..count).map(|_| brief(worker)).collect();
                assert_eq!(picked.len(), usize::from(count), "{kind:?}, {count} servers");
            }
        }
    }
}

#[test]
fn several_workers_that_share_a_rotation_take_turns_together() {
    for kind in KINDS {
        for count in SIZES {
            let config = rotating(kind, count, &[1], Sharing::Exact);
            let director = Director::new(&config).expect("valid");
            let workers = [director.worker(), director.worker()];
            let picked: BTreeSet<_> =
                (0..usize::from(count)).map(|turn| brief(&workers[turn % 2])).collect();
            assert_eq!(picked.len(), usize::from(count), "{kind:?}, {count} servers");
        }
    }
}

/// Equal is what has the same load per weight: three connections to a server of weight 3 are as much as
/// one to a server of weight 1.
#[test]
fn equal_means_load_per_weight() {
    let config = rotating(SchedulerKind::Wlc, 3, &[3, 1, 1], Sharing::Exact);
    let director = Director::new(&config).expect("valid");
    let worker = director.worker();
    let service = worker.service_for(&flow(1)).expect("the flow's service");
    let open = |_| worker.connect(service, &flow(1)).expect("one is available").into_lease();
    let leases: Vec<_> = (0..5).map(open).collect();
    let active = |number: u16| {
        let server = common::server_id(&director, &config.services[0].key, common::rip(number));
        director.counts(server.expect("it runs")).expect("it runs").active
    };
    assert_eq!([1, 2, 3].map(active), [3, 1, 1]);
    // All are equal again: six picks that open nothing go around twice.
    let pick = |_| worker.pick_server(service, &flow(1)).expect("one is available").address();
    let picked: Vec<_> = (0..6).map(pick).collect();
    assert_eq!(picked[..3].iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(picked[..3], picked[3..]);
    leases.into_iter().for_each(|lease| worker.close(lease).expect("it is open"));
}

/// A retry takes the next turn of its own rotation, and the first picks go on where they were.
#[test]
fn retries_have_turns_of_their_own() {
    for kind in KINDS {
        for count in [4, 40] {
            let config = rotating(kind, count, &[1], Sharing::Exact);
            let director = Director::new(&config).expect("valid");
            let worker = director.worker();
            let service = worker.service_for(&flow(1)).expect("the flow's service");
            let mut reached = BTreeSet::new();
            for turn in 0..count {
                let first = worker.pick_server(service, &flow(1)).expect("one is available");
                assert_eq!(first.address(), common::rip(count - turn), "{kind:?}");
                let mut tried = Tried::<1>::new();
                tried.try_push(first.server()).expect("room");
                let next = worker.pick_server_excluding(service, &flow(1), tried.as_slice());
                let next = next.expect("another is available");
                assert_ne!(next.server(), first.server());
                reached.insert(next.address());
            }
            assert!(reached.len() >= usize::from(count / 2), "{kind:?}: {reached:?}");
        }
    }
}

/// A new server is at the head of the list and has its turn when the rotation comes round; one that
/// goes leaves its turn to its predecessor; switching to a kernel's rule and back starts again.
#[test]
fn the_rotation_survives_reloads() {
    for (kind, count, sharing) in cases().filter(|(_, count, _)| *count > 2) {
        let director = Director::new(&rotating(kind, count, &[1], sharing)).expect("valid");
        let worker = director.worker();
        let key = director.config().services[0].key;
        assert_eq!([brief(&worker), brief(&worker)], [count, count - 1].map(common::rip));
        let server = common::server(count + 1, 1);
        director.execute(&Command::AddServer { service: key, server }).expect("it is new");
        assert_eq!(brief(&worker), common::rip(count - 2), "{kind:?}, {count}, {sharing:?}");
        let server = common::rip(count - 2);
        director.execute(&Command::DeleteServer { service: key, server }).expect("it runs");
        let next = if count > 3 { count - 3 } else { count + 1 };
        assert_eq!(brief(&worker), common::rip(next), "{kind:?}, {count}, {sharing:?}");
        let mut config = director.config();
        for ties in [Ties::Kernel, Ties::Rotate] {
            config.services[0].ties = ties;
            director.apply(&config).expect("valid");
            assert_eq!(brief(&worker), common::rip(count + 1), "{kind:?}, {count}, {sharing:?}");
        }
        assert_eq!(brief(&worker), common::rip(count), "{kind:?}, {count}, {sharing:?}");
    }
}
