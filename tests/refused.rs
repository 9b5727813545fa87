//! A stale service id is distinguished from a service without an available server, under every
//! scheduler and both kinds of sharing, even while the service is being deleted.

use std::sync::Barrier;
use std::thread;

use vsched::config::{Persistence, RealServer, Sharing, VirtualService};
use vsched::{
    Activity, Config, Director, Flow, Holder, Refused, SchedulerKind, ServerState, ServiceId,
    Worker,
};

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
            service.persistence = persistent.then_some(Persistence::new(60));
            let name = format!("{kind:?}, per worker {per_worker}, persistent {persistent}");
            (name, Config::new().with_service(service))
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
        worker.pick_server_excluding(service, &flow(), &[]).err(),
        worker.pick_server_excluding(service, &flow(), tried).err(),
        worker.connect_excluding(service, &flow(), &[]).err(),
        worker.connect_excluding(service, &flow(), tried).err(),
        director.pick_server(service, &flow()).err(),
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
            all(service, Some(Refused::AllQuiesced));
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
                    match worker.connect_excluding(service, &flow(), &[]) {
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

/// What is wrong with both servers, or with the service, and what a pick says then. The second column is
/// of the first server, the third of the second.
#[test]
fn a_refusal_says_what_left_no_server() {
    use Refused::{AllDown, AllOverloaded, AllQuiesced, AllTried, NoScheduler, NoServer};
    #[derive(Clone, Copy, PartialEq)]
    enum Is {
        Quiesced,
        Held(ServerState),
        Overloaded,
        Tried,
    }
    use Is::{Held, Overloaded, Quiesced, Tried};
    let rows = [
        (Quiesced, Quiesced, AllQuiesced),
        (Quiesced, Held(ServerState::Down), AllDown),
        (Held(ServerState::Draining), Held(ServerState::Down), AllDown),
        (Held(ServerState::Down), Overloaded, AllOverloaded),
        (Overloaded, Quiesced, AllOverloaded),
        (Overloaded, Overloaded, AllOverloaded),
        (Tried, Overloaded, AllTried),
        (Quiesced, Tried, AllTried),
        (Tried, Held(ServerState::Down), AllTried),
        (Tried, Tried, AllTried),
    ];
    // A persistent client keeps a quiesced or overloaded server.
    for (name, config) in configs().filter(|(_, it)| it.services[0].persistence.is_none()) {
        for (first, second, expected) in rows {
            let mut config = config.clone();
            let servers = &mut config.services[0].servers;
            for (server, is) in servers.iter_mut().zip([first, second]) {
                if is == Quiesced {
                    server.weight = 0;
                }
                server.thresholds.upper = u32::from(is == Overloaded);
            }
            let director = Director::new(&config).expect("a valid config");
            let (worker, service) = (director.worker(), director.service(KEY).expect("it runs"));
            let (mut tried, mut open) = (Vec::new(), Vec::new());
            for (server, is) in config.services[0].servers.iter().zip([first, second]) {
                let id = director.server_by_address(service, server.address).expect("it runs");
                match is {
                    Quiesced => {}
                    Held(state) => {
                        director.set_state(id, Holder::Host, state).expect("it runs");
                    }
                    Overloaded => open.push(worker.open(id, Activity::Active).expect("it runs")),
                    Tried => tried.push(id),
                }
            }
            let answers = [
                worker.pick_server_excluding(service, &flow(), &tried).err(),
                worker.connect_excluding(service, &flow(), &tried).err(),
            ];
            // lblc sends to an overloaded server what it sent there before; it has sent nothing.
            assert_eq!(answers, [Some(expected); 2], "{name}: {expected:?}");
            if tried.is_empty() {
                assert_eq!(director.pick_server(service, &flow()).err(), Some(expected), "{name}");
            }
            open.into_iter().for_each(|lease| worker.close(lease).expect("open"));
        }
        let all = |config: &Config, expected| {
            let director = Director::new(config).expect("a valid config");
            let (worker, service) = (director.worker(), director.service(KEY).expect("it runs"));
            let answers = answers(&director, &worker, service);
            assert!(answers.iter().all(|answer| *answer == Some(expected)), "{name}: {answers:?}");
        };
        let mut empty = config.clone();
        empty.services[0].servers.clear();
        all(&empty, NoServer);
        let mut unbound = config.clone();
        unbound.services[0].scheduler = None;
        all(&unbound, NoScheduler);
    }
}

/// Others are available, and the kernel's rule gives this flow none.
#[test]
fn a_scheduler_may_have_no_server_for_a_flow() {
    let hashing = |kind: &SchedulerKind| ["sh", "dh", "mh"].contains(&kind.name());
    for kind in SchedulerKind::ALL.iter().filter(|kind| hashing(kind)) {
        let (_, mut config) = configs()
            .find(|(_, config)| config.services[0].scheduler == Some(*kind))
            .expect("every scheduler");
        let director = Director::new(&config).expect("a valid config");
        let (worker, service) = (director.worker(), director.service(KEY).expect("it runs"));
        let own = worker.pick_server(service, &flow()).expect("two are up").address();
        let servers = &mut config.services[0].servers;
        servers.iter_mut().filter(|it| it.address == own).for_each(|it| it.weight = 0);
        director.apply(&config).expect("a valid config");
        let refused = worker.pick_server_excluding(service, &flow(), &[]).err();
        assert_eq!(refused, Some(Refused::NotThisFlow), "{kind:?}");
    }
}

/// FTP data of a service that is not persistent.
#[test]
fn a_flow_that_is_not_scheduled_is_told() {
    let config: Config =
        "-A -t 10.0.0.1:21 -s rr\n-a -t 10.0.0.1:21 -r 10.0.1.1 -m".parse().expect("rules");
    let director = Director::new(&config).expect("a valid config");
    let service = director.service("tcp 10.0.0.1:21").expect("it runs");
    let data = Flow::tcp(
        "10.9.9.9:40000".parse().expect("an address"),
        "10.0.0.1:20000".parse().expect("one"),
    );
    let refused = Some(Refused::NotScheduled);
    assert_eq!(director.worker().pick_server_excluding(service, &data, &[]).err(), refused);
    assert_eq!(director.pick_server(service, &data).err(), refused);
    let (_, observed) = &director.services()[0];
    assert_eq!(observed.statistics.refused, 0);
}
