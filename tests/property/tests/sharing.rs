//! Workers that decide by themselves stay within the bounds that `Sharing::PerWorker` documents, at
//! every moment of any interleaving.

use std::net::{Ipv4Addr, SocketAddr};

use proptest::collection::vec;
use proptest::prelude::*;
use vsched::config::{RealServer, Sharing, VirtualService};
use vsched::{Config, Director, Flow, SchedulerKind, ServerId, Worker};
use vsched_property::cases;

fn director(kind: SchedulerKind, weights: &[u32]) -> Director {
    let key = "tcp 10.0.0.1:80".parse().expect("a key");
    let mut service =
        VirtualService::new(key).with_scheduler(kind).with_sharing(Sharing::PerWorker);
    for (number, weight) in (0u32..).zip(weights) {
        let address = SocketAddr::from((Ipv4Addr::from(0x0a01_0000 + number), 80));
        service.servers.push(RealServer::new(address).with_weight(*weight));
    }
    Director::new(&Config::new().with_service(service)).expect("valid")
}

/// The servers in the order of the config.
fn servers(director: &Director, worker: &Worker) -> Vec<ServerId> {
    let flow = flow();
    let service = worker.service_for(&flow).expect("the service");
    let newest_first = director.servers(service).expect("it runs");
    newest_first.into_iter().rev().map(|(id, _)| id).collect()
}

fn flow() -> Flow {
    let client = SocketAddr::from((Ipv4Addr::new(10, 9, 9, 9), 40000));
    Flow::tcp(client, SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), 80)))
}

/// Numbers of the workers that pick, one after the other.
fn turns() -> impl Strategy<Value = (usize, Vec<usize>)> {
    (1usize..9).prop_flat_map(|count| (Just(count), vec(0..count, 1..600)))
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn rotations(
        weighted in any::<bool>(),
        weights in vec(1u32..10, 1..24),
        (count, turns) in turns(),
    ) {
        let kind = if weighted { SchedulerKind::Wrr } else { SchedulerKind::Rr };
        let weights = if weighted { weights } else { vec![1; weights.len()] };
        let sum: u32 = weights.iter().sum();
        let director = director(kind, &weights);
        let workers: Vec<Worker> = (0..count).map(|_| director.worker()).collect();
        let (servers, flow) = (servers(&director, &workers[0]), flow());
        let service = workers[0].service_for(&flow).expect("the service");
        let mut had = vec![0u32; servers.len()];
        for (picks, worker) in (1u32..).zip(turns) {
            let pick = workers[worker].pick_server(service, &flow).expect("a server");
            let place = servers.iter().position(|id| *id == pick.server()).expect("one of them");
            had[place] += 1;
            for (had, weight) in had.iter().zip(&weights) {
                let share = f64::from(picks) * f64::from(*weight) / f64::from(sum);
                let bound = (count as f64) * f64::from(*weight);
                let apart = (f64::from(*had) - share).abs();
                prop_assert!(apart <= bound, "{had} of {share}, {count} workers");
            }
        }
    }

    #[test]
    fn connections(
        kind in prop::sample::select(vec!["lc", "wlc", "sed", "nq"]),
        servers in prop_oneof![1usize..24, 60usize..80],
        (count, turns) in turns(),
    ) {
        let director = director(kind.parse().expect("a scheduler"), &vec![1; servers]);
        let workers: Vec<Worker> = (0..count).map(|_| director.worker()).collect();
        let flow = flow();
        let service = workers[0].service_for(&flow).expect("the service");
        let mut open = Vec::new();
        for worker in turns {
            open.push(workers[worker].connect(service, &flow).expect("a server").into_lease());
            let counts = director.servers(service).expect("it runs");
            let active = counts.iter().map(|(_, observed)| observed.counts.active);
            let (least, most) = (active.clone().min(), active.max());
            let apart = most.unwrap_or(0) - least.unwrap_or(0);
            prop_assert!(apart <= count as u32, "{apart} apart, {count} workers");
        }
        for (number, lease) in open.into_iter().enumerate() {
            prop_assert!(workers[number % count].close(lease).is_ok());
        }
    }
}
