//! What a change costs the indexes of workers, and that they stay right.

use super::{LOOKED_AT, View};
use crate::arena::counts::Activity::Active;
use crate::config::Sharing;
use crate::worker::Worker;
use crate::{Config, Director, Flow};

fn renewed(act: impl FnOnce()) -> u32 {
    LOOKED_AT.set(0);
    act();
    LOOKED_AT.get()
}

/// Servers that take one connection each, after `gone` workers have left, with `living` workers.
fn director(servers: u32, gone: usize, living: usize) -> (Director, Vec<Worker>) {
    let mut rules = "-A -t 10.0.0.1:80 -s lc\n".to_owned();
    for number in 0..servers {
        let (high, low) = (number >> 8, number & 255);
        rules += &format!("-a -t 10.0.0.1:80 -r 10.0.{high}.{low}:80 -m -x 1 -y 1\n");
    }
    let mut config: Config = rules.parse().unwrap();
    config.services[0].sharing = Sharing::PerWorker;
    let director = Director::new(&config).unwrap();
    drop((0..gone).map(|_| director.worker()).collect::<Vec<_>>());
    let workers: Vec<Worker> = (0..living).map(|_| director.worker()).collect();
    // Each renews its index at its first pick, as the number of workers has changed.
    let service = director.service("tcp 10.0.0.1:80").unwrap();
    for worker in &workers {
        assert!(worker.pick_server(service, &Flow::default()).is_ok());
    }
    (director, workers)
}

#[test]
fn a_place_leads_to_its_position_and_back() {
    for length in [1, 2, 7, 100] {
        for first in 0..length {
            let view = View { first, length };
            let places: Vec<u32> = (0..length).map(|at| view.place(view.position(at))).collect();
            assert_eq!(places, (0..length).collect::<Vec<_>>(), "{first} of {length}");
            assert_eq!((view.position(0), view.place(first)), (first, 0));
        }
    }
}

#[test]
fn a_connection_costs_the_same_however_many_workers_there_were() {
    const SERVERS: u32 = 100;
    for (gone, living) in [(0, 2), (100, 2), (0, 100)] {
        let (director, workers) = director(SERVERS, gone, living);
        let service = director.service("tcp 10.0.0.1:80").unwrap();
        let flow = Flow::default();
        let most = 2 * crate::concurrent::sizes::GROUP as u32;
        for _ in 0..3 {
            // Sets and clears the server's overload mark.
            let renewed_by = renewed(|| {
                let lease = workers[0].connect(service, &flow).unwrap().into_lease();
                workers[0].close(lease).unwrap();
            });
            assert!((1..=most).contains(&renewed_by), "{gone}, {living}: {renewed_by}");
        }
        // A worker that picks later catches up with the changes, once.
        let renewed_by = renewed(|| assert!(workers[1].pick_server(service, &flow).is_ok()));
        assert!((1..=most).contains(&renewed_by), "{gone}, {living}: {renewed_by}");
        assert_eq!(renewed(|| assert!(workers[1].pick_server(service, &flow).is_ok())), 0);
    }
}

#[test]
fn a_worker_costs_the_same_however_many_there_are() {
    let costs = [(0, 3), (100, 3), (0, 100)].map(|(gone, living)| {
        let (director, _workers) = director(100, gone, living);
        renewed(|| drop(director.worker()))
    });
    // At a place with an index the worker itself renews it, at its first pick.
    assert_eq!(costs, [100, 0, 100]);
}

#[test]
fn who_rests_finds_a_server_that_became_available() {
    for servers in [40, 1000] {
        let (director, workers) = director(servers, 0, 3);
        let service = director.service("tcp 10.0.0.1:80").unwrap();
        let flow = Flow::default();
        let mut leases: Vec<_> = (0..servers)
            .map(|_| workers[0].connect(service, &flow).unwrap().into_lease())
            .collect();
        assert!(workers.iter().all(|worker| worker.pick_server(service, &flow).is_err()));
        let at = leases.len() / 3;
        let lease = leases.swap_remove(at);
        let freed = lease.server();
        workers[1].close(lease).unwrap();
        for worker in &workers {
            // Found by the index: a scan would refresh all of them.
            let renewed_by = renewed(|| {
                assert_eq!(worker.pick_server(service, &flow).unwrap().server(), freed);
            });
            assert!((1..=16).contains(&renewed_by), "{renewed_by}");
        }
        let other = workers[2].open(freed, Active).unwrap();
        workers[0].close(other).unwrap();
        leases.into_iter().for_each(|lease| workers[2].close(lease).unwrap());
    }
}
