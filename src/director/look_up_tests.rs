use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::config::{RealServer, ServerHealth};
use crate::metrics::Options;
use crate::{Activity, Config, Director, Flow, Holder, ServerId, ServerState};

const RULES: &str = "
    -A -t 10.0.0.1:80 -s rr --vsched-name web
    -a -t 10.0.0.1:80 -r 10.0.1.1
    -a -t 10.0.0.1:80 -r 10.0.1.2 -w 0
";

fn running(rules: &str) -> (Config, Director) {
    let config: Config = rules.parse().expect("valid rules");
    let director = Director::new(&config).expect("a valid config");
    (config, director)
}

/// A server that comes, gets a connection and goes.
fn removed_with_a_connection(director: &Director, config: &Config) -> ServerId {
    let mut more = config.clone();
    more.services[0].servers.push(RealServer::new(([10, 0, 1, 3], 80).into()));
    director.apply(&more).expect("a valid config");
    let service = director.service("web").expect("it runs");
    let removed = director.server(service, "10.0.1.3:80").expect("it runs");
    let _kept = director.worker().open(removed, Activity::Active).expect("it runs");
    director.apply(config).expect("a valid config");
    removed
}

/// A thread that takes a lock which it holds would wait for ever.
#[test]
fn reads_do_not_wait_for_the_directors_lock() {
    let (config, director) = running(RULES);
    let key = config.services[0].key;
    let flow = Flow::tcp(([10, 9, 9, 9], 4000).into(), ([10, 0, 0, 1], 80).into());
    let held = director.server(director.service("web").expect("it runs"), "10.0.1.2:80");
    let held = held.expect("it runs");
    let (checker, down) = (Holder::HealthChecker, ServerState::Down);
    director.set_state_because(held, checker, down, "no answer").expect("it runs");
    let removed = removed_with_a_connection(&director, &config);
    let control = director.inner.control.lock();
    let service = director.service_by_key(&key).expect("it runs");
    assert_eq!(director.service("web"), Ok(service));
    assert_eq!(director.service("tcp 10.0.0.1:80"), Ok(service));
    assert_eq!(director.service_for(&flow), Some(service));
    let pick = director.pick_server(service, &flow).expect("one is up");
    for server in &config.services[0].servers {
        let found = director.server_by_address(service, server.address).expect("it runs");
        assert_eq!(found == pick.server(), server.weight > 0);
        assert_eq!(director.counts(found), Some(Default::default()));
    }
    assert_eq!(director.server_by_address(service, ([10, 0, 1, 9], 80).into()), None);
    assert_eq!(director.server(service, "10.0.1.1:80"), Ok(pick.server()));
    assert_eq!(director.state(pick.server()), Some(ServerState::Up));
    assert_eq!(director.state(held), Some(down));
    assert_eq!(director.health(pick.server()), Some(ServerHealth::default()));
    assert_eq!(director.config(), config);
    let holds = director.holds(held).expect("it runs");
    assert_eq!((holds[0].holder, holds[0].reason.as_str()), (checker, "no answer"));
    assert_eq!(director.holds(removed), Some(Vec::new()));
    let explanation = director.explain(service, &flow).expect("it runs");
    assert_eq!(explanation.pick.expect("one is up").server, pick.server());
    assert_eq!(explanation.servers[0].holds, holds);
    assert_eq!(director.removed_servers(), 1);
    assert_eq!(director.removed_with_connections()[0].id, removed);
    assert!(director.metrics(&Options::default()).contains("vsched_removed_servers 1"));
    let observed = director.observe();
    assert_eq!(observed.services.len(), 1);
    assert_eq!(director.services(), [(service, observed.services[0].clone())]);
    let servers = director.servers(service).expect("it runs");
    let listed = servers.iter().map(|(_, server)| server);
    assert!(listed.eq(&observed.services[0].servers));
    for (id, server) in servers {
        assert_eq!(director.observe_server(id), Some(server));
    }
    drop(control);
}

/// What a slot counted for earlier servers, and workers that were dropped, is never counted as another's.
#[test]
fn read_out_beside_reloads_and_workers_counts_each_connection_once() {
    const SERVERS: usize = 8;
    let config = |first: usize| -> Config {
        let server = |n: usize| format!("-a -t 10.0.0.1:80 -r 10.0.1.{}\n", n % 100);
        let servers: String = (first..first + SERVERS).map(server).collect();
        format!("-A -t 10.0.0.1:80 -s rr\n{servers}").parse().expect("valid rules")
    };
    let director = Director::new(&config(0)).expect("a valid config");
    let service = director.service("tcp 10.0.0.1:80").expect("it runs");
    let stop = AtomicBool::new(false);
    let opened = AtomicU64::new(0);
    thread::scope(|scope| {
        let reader = || {
            let (mut reads, mut latest) = (0, 0);
            while !stop.load(Ordering::SeqCst) || reads < 10 {
                let before = opened.load(Ordering::SeqCst);
                let observed = director.observe();
                let after = opened.load(Ordering::SeqCst) + 1;
                let [service] = &observed.services[..] else { panic!("one service") };
                let total = service.statistics.connections;
                assert!((before..=after).contains(&total), "{before} to {after}, read {total}");
                assert!(total >= latest, "goes back from {latest} to {total}");
                latest = total;
                assert_eq!(service.servers.len(), SERVERS);
                let of_servers: u64 =
                    service.servers.iter().map(|it| it.statistics.connections).sum();
                assert!(of_servers <= total, "{of_servers} of {total}");
                reads += 1;
            }
            reads
        };
        let reading = [scope.spawn(reader), scope.spawn(reader)];
        for round in 1..400 {
            let worker = director.worker();
            for _ in 0..20 {
                drop(worker.connect(service, &Flow::default()).expect("all are up"));
                opened.fetch_add(1, Ordering::SeqCst);
            }
            drop(worker);
            director.apply(&config(round)).expect("a valid config");
        }
        stop.store(true, Ordering::SeqCst);
        for thread in reading {
            assert!(thread.join().expect("a reader") >= 10);
        }
    });
}

/// A connection is never counted for a server before it is for the service.
#[test]
fn servers_never_have_more_connections_than_their_service() {
    let rules = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.1.1\n";
    let director = Director::new(&rules.parse().expect("valid rules")).expect("a valid config");
    let service = director.service("tcp 10.0.0.1:80").expect("it runs");
    thread::scope(|scope| {
        let opening = scope.spawn(|| {
            let worker = director.worker();
            for _ in 0..300_000 {
                drop(worker.connect(service, &Flow::default()).expect("it is up"));
            }
        });
        while !opening.is_finished() {
            let observed = &director.observe().services[0];
            let (all, of_server) = (observed.statistics, observed.servers[0].statistics);
            assert!(of_server.connections <= all.connections, "{of_server:?} of {all:?}");
        }
    });
}
