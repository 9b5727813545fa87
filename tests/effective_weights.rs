//! Slow start, tiers and panic: with which weights servers take part at run time.

mod common;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use common::{config, flow, rip, vip};
use vsched::config::{Command, Ejection, Persistence, RealServer, ServiceKey, Sharing, SlowStart};
use vsched::error::Refused;
use vsched::{
    Config, Director, Holder, Outcome, SchedulerKind, ServerId, ServerState, ServiceId, Worker,
};

use ServerState::{Down, Draining, Up};

struct Running {
    director: Director,
    worker: Worker,
    service: ServiceId,
}

fn key() -> ServiceKey {
    ServiceKey::tcp(vip(0))
}

fn at(n: u16) -> SocketAddr {
    rip(n + 1)
}

impl Running {
    fn new(config: &Config) -> Self {
        let director = Director::new(config).expect("a valid config");
        let service = director.service_by_key(&key()).expect("it runs");
        Running { worker: director.worker(), director, service }
    }

    fn server(&self, n: u16) -> ServerId {
        common::server_id(&self.director, &key(), at(n)).expect("it runs")
    }

    fn tick(&self, seconds: u64) {
        self.director.tick(Duration::from_secs(seconds));
    }

    fn set(&self, n: u16, state: ServerState) {
        self.director.set_state(self.server(n), Holder::HealthChecker, state).expect("it runs");
    }

    /// Connections per server; they stay open until all are there.
    fn shares(&self, connections: u32) -> BTreeMap<SocketAddr, u32> {
        let mut shares = BTreeMap::new();
        let mut open = Vec::new();
        for client in 0..connections {
            let connection = self.worker.connect(self.service, &flow(client)).expect("one is up");
            *shares.entry(connection.pick().address()).or_default() += 1;
            open.push(connection);
        }
        shares
    }

    fn used(&self) -> Vec<SocketAddr> {
        self.shares(400).into_keys().collect()
    }

    fn share(&self, n: u16) -> f64 {
        let shares = self.shares(2000);
        f64::from(*shares.get(&at(n)).unwrap_or(&0)) / 2000.0
    }
}

/// Schedulers that share connections by weight, as exactly as they can.
fn proportional() -> impl Iterator<Item = (SchedulerKind, f64)> {
    let precision =
        [("wrr", 0.02), ("wlc", 0.01), ("sed", 0.01), ("nq", 0.01), ("p2c", 0.06), ("twos", 0.2)];
    precision.into_iter().map(|(name, precision)| (name.parse().expect("a scheduler"), precision))
}

fn close(share: f64, expected: f64, precision: f64) -> bool {
    (share - expected).abs() <= precision
}

fn slowly(kind: SchedulerKind, servers: u16) -> Config {
    let mut config = config(kind, servers, &[1]);
    config.services[0].slow_start = Some(SlowStart::default().with_duration(40));
    config
}

#[test]
fn a_server_that_comes_back_gets_its_share_step_by_step() {
    for (kind, precision) in proportional() {
        for sharing in [Sharing::Exact, Sharing::PerWorker] {
            let mut config = slowly(kind, 4);
            config.services[0].sharing = sharing;
            let running = Running::new(&config);
            running.tick(100);
            let check = |part: f64, what: &str| {
                let share = running.share(1);
                let expected = part / (3.0 + part);
                assert!(
                    close(share, expected, precision),
                    "{kind:?} {what}: {share} of {expected}"
                );
            };
            check(1.0, "at start");
            running.set(1, Down);
            check(0.0, "down");
            running.tick(110);
            running.set(1, Up);
            check(0.1, "back");
            running.tick(120);
            check(0.25, "a quarter of the time");
            running.tick(130);
            check(0.5, "half of it");
            // It flaps, and begins again.
            running.set(1, Down);
            running.set(1, Up);
            check(0.1, "back again");
            running.tick(169);
            check(0.95, "nearly");
            running.tick(170);
            check(1.0, "over");
        }
    }
}

#[test]
fn who_starts_slowly() {
    let base = slowly(SchedulerKind::Wrr, 3);
    let running = Running::new(&base);
    let third = |running: &Running, n| close(running.share(n), 1.0 / 3.0, 0.01);
    assert!(third(&running, 2), "not the servers of a new service");
    // Before the first tick there is no time: the process has just started.
    let mut more = base.clone();
    more.services[0].servers.push(RealServer::new(at(3)));
    running.director.apply(&more).expect("valid");
    assert!(close(running.share(3), 0.25, 0.01));
    running.tick(1);
    // Added.
    more.services[0].servers.push(RealServer::new(at(4)));
    running.director.apply(&more).expect("valid");
    assert!(close(running.share(4), 0.1 / 4.1, 0.01), "{}", running.share(4));
    running.tick(50);
    assert!(close(running.share(4), 0.2, 0.01));
    // A reload without a change.
    running.director.apply(&more).expect("valid");
    assert!(close(running.share(4), 0.2, 0.01));
    // No longer quiesced.
    running.director.set_weight(running.server(0), 0).expect("valid");
    running.director.set_weight(running.server(0), 1).expect("valid");
    assert!(close(running.share(0), 0.1 / 4.1, 0.01));
    // Another weight goes on with its start.
    running.tick(70);
    running.director.set_weight(running.server(0), 2).expect("valid");
    assert!(close(running.share(0), 1.0 / 5.0, 0.02), "{}", running.share(0));
    // No longer draining; and a server removed that returns.
    running.tick(200);
    running.set(1, Draining);
    running.set(1, Up);
    assert!(running.share(1) < 0.03);
    running.tick(300);
    let gone = more.services[0].servers.remove(1);
    running.director.apply(&more).expect("valid");
    more.services[0].servers.push(gone);
    running.director.apply(&more).expect("valid");
    assert!(running.share(1) < 0.03);
    // Slow start off: at once.
    more.services[0].slow_start = None;
    running.director.apply(&more).expect("valid");
    assert!(running.share(1) > 0.15);
}

#[test]
fn an_ejected_server_comes_back_slowly() {
    let mut config = slowly(SchedulerKind::Wlc, 4);
    config.services[0].ejection = Some(Ejection::default().with_trials(1000));
    let running = Running::new(&config);
    running.tick(1);
    for _ in 0..5 {
        running.worker.report(running.server(2), Outcome::Failed, None).expect("it runs");
    }
    running.tick(2);
    assert_eq!(running.share(2), 0.0);
    running.tick(32);
    assert!(close(running.share(2), 0.1 / 3.1, 0.01));
}

/// Servers 0 to `primaries` serve, the others are backups.
fn backed(kind: SchedulerKind, primaries: u16, backups: u16) -> Config {
    let mut config = config(kind, primaries + backups, &[1]);
    for server in config.services[0].servers.iter_mut().skip(primaries.into()) {
        server.priority = 1;
    }
    config
}

#[test]
fn backups_serve_while_no_primary_is_up() {
    for kind in SchedulerKind::ALL {
        for sharing in [Sharing::Exact, Sharing::PerWorker] {
            let mut config = backed(*kind, 2, 2);
            config.services[0].sharing = sharing;
            if kind.name() == "ovf" {
                // As many connections as the weight says.
                config.services[0].servers.iter_mut().for_each(|server| server.weight = 1000);
            }
            let running = Running::new(&config);
            let only = |expected: &[u16], what: &str| {
                let used = running.used();
                assert!(!used.is_empty(), "{kind:?} {what}");
                let expected: Vec<_> = expected.iter().map(|n| at(*n)).collect();
                let all = used.iter().all(|server| expected.contains(server));
                assert!(all, "{kind:?} {sharing:?} {what}: {used:?}");
            };
            only(&[0, 1], "all are up");
            running.set(0, Down);
            only(&[1], "one primary is down");
            running.set(1, Draining);
            only(&[2, 3], "no primary is up");
            running.set(3, Down);
            only(&[3 - 1], "one backup is down");
            running.set(1, Up);
            only(&[1], "a primary is back");
            running.set(0, Up);
            running.set(3, Up);
            only(&[0, 1], "all are up again");
            // Quiesced primaries are as good as none, but sh, dh and mh refuse their clients, as a kernel.
            if ["sh", "dh", "mh"].contains(&kind.name()) {
                continue;
            }
            for n in [0, 1] {
                running.director.set_weight(running.server(n), 0).expect("valid");
            }
            only(&[2, 3], "the primaries are quiesced");
            running.director.apply(&config).expect("valid");
            only(&[0, 1], "as configured");
        }
    }
}

#[test]
fn backups_take_over_in_the_very_pick_that_finds_no_primary() {
    for kind in SchedulerKind::ALL {
        if kind.name() == "ovf" {
            continue;
        }
        let mut config = backed(*kind, 2, 1);
        config.services[0].ejection = Some(Ejection::default().with_max_share(100));
        config.services[0].servers[0].thresholds.upper = 3;
        config.services[0].servers[1].thresholds.upper = 3;
        let running = Running::new(&config);
        // Overloaded.
        let open: Vec<_> = (0..40)
            .filter_map(|client| running.worker.connect(running.service, &flow(client)).ok())
            .collect();
        assert_eq!(open.len(), 40, "{kind:?}");
        drop(open);
        // Ejected, without a tick.
        for n in [0, 1] {
            for _ in 0..5 {
                running.worker.report(running.server(n), Outcome::Failed, None).expect("it runs");
            }
        }
        assert_eq!(running.used(), [at(2)], "{kind:?}");
        running.tick(1);
        assert_eq!(running.used(), [at(2)], "{kind:?}");
        // Tried.
        let tried = [running.server(2)];
        let again = running.worker.pick_server_excluding(running.service, &flow(1), &tried);
        assert_eq!(again.map(|pick| pick.address()), Err(Refused::AllTried), "{kind:?}");
    }
}

#[test]
fn persistent_clients_of_a_backup_stay_and_those_of_a_dead_primary_go() {
    let mut config = backed(SchedulerKind::Wrr, 2, 2);
    config.services[0].persistence = Some(Persistence::default());
    let running = Running::new(&config);
    let pick = |client| {
        let pick = running.worker.pick_server(running.service, &flow(client));
        pick.expect("one is up").address()
    };
    let first = pick(7);
    assert!([at(0), at(1)].contains(&first));
    running.set(0, Down);
    running.set(1, Down);
    let backup = pick(7);
    assert!([at(2), at(3)].contains(&backup));
    running.set(0, Up);
    running.set(1, Up);
    assert_eq!(pick(7), backup);
    assert!([at(0), at(1)].contains(&pick(8)));
}

#[test]
fn tiers_spill_over_by_health() {
    for (kind, precision) in proportional() {
        let mut config = config(kind, 8, &[1]);
        for server in config.services[0].servers.iter_mut().skip(4) {
            server.priority = 5;
        }
        config.services[0].spill_over = Some(140);
        let running = Running::new(&config);
        let check = |expected: f64| {
            let first = running.shares(2000);
            let first: u32 = first
                .iter()
                .filter(|(server, _)| (0..4).any(|n| at(n) == **server))
                .map(|(_, n)| n)
                .sum();
            let share = f64::from(first) / 2000.0;
            assert!(close(share, expected, precision), "{kind:?}: {share} of {expected}");
        };
        check(1.0);
        running.set(0, Down);
        check(1.0);
        running.set(1, Down);
        check(0.7);
        running.set(2, Down);
        check(0.35);
        running.set(3, Down);
        check(0.0);
        (0..4).for_each(|n| running.set(n, Up));
        check(1.0);
    }
}

#[test]
fn in_panic_all_take_part_but_those_that_are_meant_to_be_out() {
    for kind in ["rr", "wlc", "wrr", "lc", "twos", "p2c", "mh", "sh"] {
        let kind: SchedulerKind = kind.parse().expect("a scheduler");
        let mut config = config(kind, 6, &[1]);
        config.services[0].panic_threshold = 50;
        let running = Running::new(&config);
        let hold = |n, holder, state| {
            running.director.set_state(running.server(n), holder, state).expect("it runs");
        };
        // Of six, one drains and one is held down by a person: four count.
        hold(0, Holder::Host, Draining);
        hold(1, Holder::Administrator, Down);
        hold(2, Holder::HealthChecker, Down);
        hold(3, Holder::Host, Down);
        assert_eq!(running.used(), [4, 5].map(at), "{kind:?}: half is up");
        hold(4, Holder::HealthChecker, Down);
        assert_eq!(running.used(), [2, 3, 4, 5].map(at), "{kind:?}: fewer than half");
        // A reload keeps it.
        running.director.apply(&config).expect("valid");
        assert_eq!(running.used(), [2, 3, 4, 5].map(at), "{kind:?}");
        let holds = running.director.holds(running.server(4)).expect("it runs");
        assert_eq!((holds[0].holder, holds[0].state), (Holder::HealthChecker, Down));
        hold(2, Holder::HealthChecker, Up);
        assert_eq!(running.used(), [2, 5].map(at), "{kind:?}: half is up again");
        // Off.
        hold(5, Holder::Host, Down);
        assert_eq!(running.used(), [2, 3, 4, 5].map(at), "{kind:?}");
        let mut calm = config.clone();
        calm.services[0].panic_threshold = 0;
        running.director.apply(&calm).expect("valid");
        assert_eq!(running.used(), [2].map(at), "{kind:?}");
    }
}

#[test]
fn panic_ends_no_ejection_for_good() {
    let mut config = config(SchedulerKind::Rr, 4, &[1]);
    config.services[0].panic_threshold = 50;
    config.services[0].ejection = Some(Ejection::default());
    let running = Running::new(&config);
    running.tick(1);
    for _ in 0..5 {
        running.worker.report(running.server(0), Outcome::Failed, None).expect("it runs");
    }
    running.tick(2);
    assert_eq!(running.used(), [1, 2, 3].map(at));
    running.set(1, Down);
    running.set(2, Down);
    assert_eq!(running.used(), [0, 1, 2, 3].map(at));
    // While it panics, none is ejected.
    for _ in 0..50 {
        running.worker.report(running.server(3), Outcome::Failed, None).expect("it runs");
    }
    assert_eq!(running.used(), [0, 1, 2, 3].map(at));
    running.worker.report(running.server(3), Outcome::Done, None).expect("it runs");
    running.set(1, Up);
    running.set(2, Up);
    assert_eq!(running.used(), [1, 2, 3].map(at));
    running.tick(40);
    running.worker.report(running.server(0), Outcome::Done, None).expect("it runs");
    running.tick(41);
    assert_eq!(running.used(), [0, 1, 2, 3].map(at));
}

#[test]
fn a_command_may_change_the_tier() {
    let running = Running::new(&config(SchedulerKind::Mh, 3, &[1]));
    let server = running.director.config().services[0].servers[1].clone().with_priority(9);
    running.director.execute(&Command::EditServer { service: key(), server }).expect("valid");
    assert_eq!(running.used(), [0, 2].map(at));
    for n in [0, 2] {
        let address = at(n);
        let gone = Command::DeleteServer { service: key(), server: address };
        running.director.execute(&gone).expect("valid");
    }
    assert_eq!(running.used(), [at(1)]);
}
