//! A stale service id is distinguished from a service without an available server, under every
//! scheduler and both kinds of sharing, even while the service is being deleted.

use std::sync::Barrier;
use std::thread;

use vsched::config::{Persistence, RealServer, Sharing, VirtualService};
use vsched::{Config, Director, Flow, Refused, SchedulerKind, ServiceId, Worker};

const KEY: &str = "tcp 10.0.0.1:80";

fn flow() -> Flow {
    Flow::tcp("10.9.9.9:40000".parse().expect("an address"), "10.0.0.1:80".parse().expect("one"))
}

/// Every scheduler, shared and per worker, persistent and not.
fn configs() -> impl Iterator<Item = (String, Config)> {
    let kinds = SchedulerKind::ALL.iter().copied();
    kinds.flat_map(|kind| (0..4).map(move |how| (kind, how & 1 != 0, how & 2 != 0))).map(
        |(kind, per_worker, persistent)| {
            let server = |n: u8| RealServer::new(([10, 0, 1, n], 80).into());
            let mut service = VirtualService::new(KEY.parse().expect("a key"));
            service.scheduler = Some(kind);
            service.servers = vec![server(1), server(2)];
            if per_worker {
                service.sharing = Sharing::PerWorker;
            }
            service.persistence = persistent.then_some(Persistence { timeout: 60, netmask: None });
            let name = format!("{kind:?}, per worker {per_worker}, persistent {persistent}");
            (name, Config { services: vec![service], ..Config::default() })
        },
    )
}

/// What every call that takes a service answers.
fn answers(director: &Director, worker: &Worker, service: ServiceId) -> Vec<Option<Refused>> {
    let tried = director.service(KEY).ok().and_then(|known| {
        let servers = director.servers(known)?;
        servers.first().map(|(id, _)| *id)
    });
    let tried = tried.as_slice();
    vec![
        worker.try_pick_server(service, &flow(), &[]).err(),
        worker.try_pick_server(service, &flow(), tried).err(),
        worker.pick_into(service, &flow(), &[], &mut std::mem::MaybeUninit::uninit()).err(),
        worker.try_connect(service, &flow(), &[]).err(),
        worker.try_connect(service, &flow(), tried).err(),
        director.try_pick_server(service, &flow()).err(),
    ]
}

#[test]
fn a_stale_service_id_is_no_service() {
    for (name, config) in configs() {
        let director = Director::new(&config).expect("a valid config");
        let other = Director::new(&config).expect("a valid config");
        let (worker, service) = (director.worker(), director.service(KEY).expect("it runs"));
        let all = |service, expected| {
            let answers = answers(&director, &worker, service);
            assert!(answers.iter().all(|answer| *answer == expected), "{name}: {answers:?}");
        };
        all(service, None);
        let [slot, generation] = service.to_raw();
        for stale in [
            other.service(KEY).expect("it runs"),
            ServiceId::from_raw([slot, generation + 1]),
            ServiceId::from_raw([slot + 1, generation]),
            ServiceId::from_raw([u32::MAX, generation]),
            ServiceId::from_raw([0, 0]),
        ] {
            all(stale, Some(Refused::NoService));
        }
        let quiesced = {
            let mut config = config.clone();
            config.services[0].servers.iter_mut().for_each(|server| server.weight = 0);
            config
        };
        director.apply(&quiesced).expect("a valid config");
        // Persistent clients keep a quiesced server, as in a kernel; a new client has none.
        if config.services[0].persistence.is_none() {
            all(service, Some(Refused::NoServer));
        }
        director.apply(&Config::default()).expect("a valid config");
        all(service, Some(Refused::NoService));
        director.apply(&config).expect("a valid config");
        all(service, Some(Refused::NoService));
        all(director.service(KEY).expect("it runs"), None);
    }
}

/// A service that always has a server answers with one until it is deleted, and never says that it
/// has none.
#[test]
fn deletion_is_no_lack_of_servers() {
    const ROUNDS: usize = 20;
    for (name, config) in configs() {
        let director = Director::new(&config).expect("a valid config");
        let (before, after) = (Barrier::new(3), Barrier::new(3));
        let connects = || {
            let worker = director.worker();
            for _ in 0..ROUNDS {
                before.wait();
                let service = director.service(KEY).expect("it runs");
                after.wait();
                let why = loop {
                    match worker.try_connect(service, &flow(), &[]) {
                        Ok(_) => {}
                        Err(why) => break why,
                    }
                };
                assert_eq!(why, Refused::NoService, "{name}");
            }
        };
        thread::scope(|scope| {
            scope.spawn(connects);
            scope.spawn(connects);
            for _ in 0..ROUNDS {
                before.wait();
                after.wait();
                director.apply(&Config::default()).expect("a valid config");
                director.apply(&config).expect("a valid config");
            }
        });
        // Deleted services count no refusals.
        let (_, observed) = &director.services()[0];
        assert_eq!(observed.statistics.refused, 0, "{name}");
    }
}
