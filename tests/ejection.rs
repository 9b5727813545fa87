//! Passive ejection: a server that fails is passed over, in the very call that reports the failure, for a
//! time, within the service's share.

mod common;

use std::collections::HashMap;
use std::time::Duration;

use common::{config, flow, rip, vip};
use vsched::config::{
    Command, Ejection, OutlierMethod, Outliers, Persistence, ServiceKey, Sharing,
};
use vsched::error::StateError;
use vsched::{
    Config, Director, Holder, Outcome, SchedulerKind, ServerId, ServerState, ServiceId, Worker,
};

use Outcome::{Done, Failed};
use ServerState::{Down, Draining, Up};

struct Running {
    director: Director,
    worker: Worker,
    service: ServiceId,
}

fn key() -> ServiceKey {
    ServiceKey::tcp(vip(0))
}

/// The servers count from 1 there, from 0 here.
fn at(n: u16) -> std::net::SocketAddr {
    rip(n + 1)
}

impl Running {
    fn new(config: &Config) -> Self {
        let director = Director::new(config).expect("a valid config");
        director.tick(Duration::ZERO);
        let service = director.service_by_key(&key()).expect("it runs");
        Running { worker: director.worker(), director, service }
    }

    fn server(&self, n: u16) -> ServerId {
        common::server_id(&self.director, &key(), at(n)).expect("it runs")
    }

    fn state(&self, n: u16) -> ServerState {
        self.director.state(self.server(n)).expect("it runs")
    }

    fn tick(&self, seconds: u64) {
        self.director.tick(Duration::from_secs(seconds));
    }

    fn fail(&self, n: u16, times: u32) {
        for _ in 0..times {
            self.worker.report(self.server(n), Failed, None).expect("it runs");
        }
    }

    fn picks(&self, count: u32) -> HashMap<ServerId, u32> {
        let mut picks = HashMap::new();
        // Open until the end: else the least loaded server gets all.
        let mut open = Vec::new();
        for client in 0..count {
            let connection = self.worker.connect(self.service, &flow(client));
            let connection = connection.expect("a server is up");
            *picks.entry(connection.server()).or_default() += 1;
            open.push(connection);
        }
        picks
    }

    fn is_picked(&self, n: u16) -> bool {
        self.picks(400).contains_key(&self.server(n))
    }

    fn ejected(&self) -> Vec<u16> {
        let count = self.director.config().services[0].servers.len() as u16;
        (0..count).filter(|n| self.state(*n) == Down).collect()
    }
}

fn ejecting(kind: SchedulerKind, servers: u16, ejection: Ejection) -> Config {
    let mut config = config(kind, servers, &[1]);
    config.services[0].ejection = Some(ejection);
    config
}

/// Schedulers that use all servers for many clients.
fn spreading() -> impl Iterator<Item = SchedulerKind> {
    SchedulerKind::ALL.iter().copied().filter(|kind| !["fo", "ovf", "dh"].contains(&kind.name()))
}

#[test]
fn the_call_that_reports_the_last_failure_ejects_the_server() {
    for kind in spreading() {
        for (servers, sharing) in [
            (4, Sharing::Exact),
            (4, Sharing::PerWorker),
            (30, Sharing::Exact),
            (30, Sharing::PerWorker),
        ] {
            let mut config = ejecting(kind, servers, Ejection::default());
            config.services[0].sharing = sharing;
            let running = Running::new(&config);
            running.fail(2, 4);
            assert!(running.is_picked(2), "{kind:?}: four failures");
            running.worker.report(running.server(2), Done, None).expect("it runs");
            running.fail(2, 4);
            assert!(running.is_picked(2), "{kind:?}: a success in between");
            running.fail(2, 1);
            assert_eq!(running.state(2), Down, "{kind:?}");
            assert!(!running.is_picked(2), "{kind:?}: five in a row");
            let others = running.picks(2000);
            let expected =
                if kind.name() == "lblc" || kind.name() == "lblcr" { 1 } else { servers - 1 };
            assert!(others.len() >= usize::from(expected), "{kind:?}: {}", others.len());
        }
    }
}

#[test]
fn the_first_tries_to_a_black_hole_are_few() {
    // Refused, an answer of 500, a timeout: all of them outcomes that the host reports.
    let limit = Ejection::default().failures;
    for kind in ["wlc", "wrr", "rr", "mh", "lc", "sed", "nq", "sh", "twos", "p2c"] {
        let kind: SchedulerKind = kind.parse().expect("a scheduler");
        for workers in [1, 3] {
            let running = Running::new(&ejecting(kind, 4, Ejection::default()));
            // The first in the list, which gets all of an idle service under wlc.
            let dead = running.server(3);
            let workers: Vec<Worker> = (0..workers).map(|_| running.director.worker()).collect();
            let mut tries = 0;
            for client in 0..3000u32 {
                // Each worker has one connection under way: the outcomes of all come late.
                let open: Vec<_> = workers
                    .iter()
                    .filter_map(|worker| worker.connect(running.service, &flow(client)).ok())
                    .collect();
                for connection in open {
                    let failed = connection.server() == dead;
                    tries += u32::from(failed);
                    let outcome = if failed { Failed } else { Done };
                    connection.finish(outcome, None).expect("it is open");
                }
            }
            let most = limit + workers.len() as u32;
            assert!((limit..=most).contains(&tries), "{kind:?}: {tries} of at most {most}");
        }
    }
}

#[test]
fn each_ejection_ends_with_a_trial() {
    let running = Running::new(&ejecting(SchedulerKind::Wlc, 4, Ejection::default()));
    running.fail(0, 5);
    running.tick(1);
    let reason = |running: &Running| {
        let holds = running.director.holds(running.server(0)).expect("it runs");
        holds.iter().map(|hold| (hold.holder, hold.reason.clone())).collect::<Vec<_>>()
    };
    let because = |why: &str| vec![(Holder::Ejector, why.to_owned())];
    assert_eq!(reason(&running), because("5 failures in a row; ejection 1"));
    running.tick(30);
    assert_eq!(running.state(0), Down);
    running.tick(31);
    assert_eq!((running.state(0), reason(&running)), (Up, vec![]));
    // One connection at a time.
    let open = |running: &Running| {
        let mut open = Vec::new();
        for client in 0..40 {
            let connection = running.worker.connect(running.service, &flow(client)).expect("up");
            open.push(connection.into_lease());
        }
        let here = open.iter().filter(|lease| lease.server() == running.server(0)).count();
        for lease in open {
            running.worker.close(lease).expect("open");
        }
        here
    };
    assert_eq!(open(&running), 1);
    assert_eq!(open(&running), 1);
    // One failure ejects it again, for twice as long.
    running.fail(0, 1);
    assert_eq!(running.state(0), Down);
    running.tick(40);
    assert_eq!(reason(&running), because("a failure on trial; ejection 2"));
    running.tick(99);
    assert_eq!(running.state(0), Down);
    running.tick(100);
    assert_eq!((running.state(0), open(&running)), (Up, 1));
    // One success ends the trial.
    running.worker.report(running.server(0), Done, None).expect("it runs");
    running.tick(101);
    assert_eq!(open(&running), 10);
    running.fail(0, 4);
    assert_eq!(running.state(0), Up);
    // In an interval without ejection the number falls by one: from 2 to 0 here.
    running.tick(110);
    running.tick(120);
    running.tick(130);
    running.fail(0, 5);
    running.tick(131);
    assert_eq!(reason(&running), because("9 failures in a row; ejection 1"));
}

#[test]
fn a_trial_without_outcomes_ends_after_an_interval() {
    let running = Running::new(&ejecting(SchedulerKind::Rr, 2, Ejection::default()));
    running.fail(0, 5);
    running.tick(1);
    running.tick(31);
    assert!(running.is_picked(0));
    running.tick(41);
    running.fail(0, 4);
    assert_eq!(running.state(0), Up);
    running.fail(0, 1);
    assert_eq!(running.state(0), Down);
}

#[test]
fn a_trial_is_over_thresholds_and_beside_open_connections() {
    let mut config = ejecting(SchedulerKind::Wlc, 2, Ejection::default().with_trials(3));
    config.services[0].servers[0].thresholds.upper = 7;
    for (already, more) in [(0, 3), (2, 3), (5, 2), (7, 0)] {
        let running = Running::new(&config);
        for _ in 0..already {
            let lease = running.worker.open(running.server(0), vsched::Activity::Active);
            let _kept = lease.expect("below the limit");
        }
        running.fail(0, 5);
        running.tick(1);
        running.tick(31);
        // A reload keeps the trial.
        let mut edited = config.clone();
        edited.services[0].servers[0].weight = 9;
        running.director.apply(&edited).expect("valid");
        let here = |running: &Running| {
            let connection = running.worker.connect(running.service, &flow(1)).expect("up");
            running.server(0) == connection.into_lease().server()
        };
        let opened = (0..40).filter(|_| here(&running)).count();
        assert_eq!(opened, more, "{already} open");
        running.worker.report(running.server(0), Done, None).expect("it runs");
        running.tick(32);
        let counts = running.director.counts(running.server(0)).expect("it runs");
        let opened = (0..400).filter(|_| here(&running)).count() as u32;
        assert_eq!(opened + counts.active, 7, "{already} open");
    }
}

#[test]
fn a_threshold_that_is_lowered_holds_on_trial_too() {
    let mut config = ejecting(SchedulerKind::Wlc, 2, Ejection::default().with_trials(9));
    let running = Running::new(&config);
    running.fail(0, 5);
    running.tick(1);
    running.tick(31);
    config.services[0].servers[0].thresholds.upper = 2;
    running.director.apply(&config).expect("valid");
    assert_eq!(running.picks(40).get(&running.server(0)), Some(&2));
}

#[test]
fn a_person_ends_an_ejection_in_panic_for_good() {
    let mut config = ejecting(SchedulerKind::Rr, 4, Ejection::default());
    config.services[0].panic_threshold = 50;
    let running = Running::new(&config);
    running.fail(0, 5);
    running.tick(1);
    let set = |n, holder, state| {
        running.director.set_state(running.server(n), holder, state).expect("it runs")
    };
    for n in [1, 2] {
        set(n, Holder::Host, Down);
    }
    assert!(running.is_picked(0), "in panic");
    set(0, Holder::Ejector, Up);
    for n in [1, 2] {
        set(n, Holder::Host, Up);
    }
    assert!(running.is_picked(0), "and after it");
}

#[test]
fn never_more_than_the_share() {
    for (servers, share, most) in
        [(1, 50, 0), (2, 50, 1), (5, 50, 2), (9, 10, 0), (10, 10, 1), (3, 100, 3)]
    {
        let ejection = Ejection::default().with_max_share(share);
        let running = Running::new(&ejecting(SchedulerKind::Wrr, servers, ejection));
        for n in 0..servers {
            running.fail(n, 6);
        }
        assert_eq!(running.ejected().len(), most, "{share} % of {servers}");
        running.tick(1);
        assert_eq!(running.ejected().len(), most, "{share} % of {servers}, after a tick");
    }
}

#[test]
fn a_place_that_becomes_free_goes_to_a_server_that_still_fails() {
    let running = Running::new(&ejecting(SchedulerKind::Wrr, 2, Ejection::default()));
    running.fail(0, 5);
    running.fail(1, 7);
    assert_eq!(running.ejected(), [0]);
    running.tick(1);
    running.tick(31);
    running.tick(32);
    assert_eq!(running.ejected(), [1]);
}

#[test]
fn reloads_keep_ejections_within_the_share() {
    let config = ejecting(SchedulerKind::Wlc, 8, Ejection::default());
    let running = Running::new(&config);
    for n in [1, 3, 5, 6] {
        running.fail(n, 5);
        running.tick(u64::from(n));
    }
    running.director.apply(&config).expect("valid");
    assert_eq!(running.ejected(), [1, 3, 5, 6]);
    // Half of 4 servers: those that were ejected last stay.
    let mut fewer = config.clone();
    fewer.services[0].servers.retain(|server| [1, 3, 5, 6].map(at).contains(&server.address));
    running.director.apply(&fewer).expect("valid");
    let state = |n| running.state(n);
    assert_eq!([1, 3, 5, 6].map(state), [Up, Up, Down, Down]);
    // Removed and back, while the time is not over: still ejected.
    let mut without = fewer.clone();
    without.services[0].servers.retain(|server| server.address != at(5));
    running.director.apply(&without).expect("valid");
    running.director.apply(&fewer).expect("valid");
    running.tick(20);
    assert_eq!([1, 3, 5, 6].map(state), [Up, Up, Down, Down]);
    running.director.apply(&without).expect("valid");
    running.tick(90);
    running.director.apply(&fewer).expect("valid");
    assert_eq!([1, 3, 5, 6].map(state), [Up; 4]);
    // Off: nothing stays ejected, and nothing is ejected.
    running.fail(5, 5);
    assert_eq!(state(5), Down);
    fewer.services[0].ejection = None;
    running.director.apply(&fewer).expect("valid");
    assert_eq!(state(5), Up);
    running.fail(5, 50);
    assert_eq!(state(5), Up);
}

#[test]
fn holders_and_the_ejector_release_only_what_they_hold() {
    let running = Running::new(&ejecting(SchedulerKind::Rr, 3, Ejection::default()));
    let set = |holder, state| running.director.set_state(running.server(1), holder, state);
    set(Holder::Administrator, Draining).expect("it runs");
    running.fail(1, 5);
    assert_eq!(running.state(1), Down);
    assert_eq!(set(Holder::Administrator, Up).expect("it runs"), Down);
    assert_eq!(running.state(1), Down);
    set(Holder::HealthChecker, Down).expect("it runs");
    assert_eq!(set(Holder::Ejector, Up).expect("it runs"), Down);
    assert_eq!(set(Holder::HealthChecker, Up).expect("it runs"), Up);
    assert!(running.is_picked(1));
    for state in [Draining, Down] {
        assert_eq!(set(Holder::Ejector, state), Err(StateError::Ejector));
    }
    // While it is held down, failures do not eject it.
    set(Holder::Host, Down).expect("it runs");
    running.fail(1, 50);
    running.tick(1);
    assert_eq!(set(Holder::Host, Up).expect("it runs"), Up);
    // But the next one does.
    running.fail(1, 1);
    assert_eq!(running.state(1), Down);
}

#[test]
fn persistent_clients_leave_an_ejected_server() {
    let mut config = ejecting(SchedulerKind::Wrr, 4, Ejection::default());
    config.services[0].persistence = Some(Persistence::default());
    let running = Running::new(&config);
    let pick = || running.worker.pick_server(running.service, &flow(7)).expect("up").server();
    let first = pick();
    assert_eq!(pick(), first);
    for _ in 0..5 {
        running.worker.report(first, Failed, None).expect("it runs");
    }
    assert_ne!(pick(), first);
}

#[test]
fn outliers_are_ejected_when_an_interval_ends() {
    for (method, bad, expected) in [
        (OutlierMethod::Mean, vec![4], vec![4]),
        (OutlierMethod::Mean, vec![3, 4], vec![]),
        (OutlierMethod::Median, vec![3, 4], vec![3, 4]),
    ] {
        let outliers = Some(Outliers::default().with_method(method));
        let mut ejection = Ejection::default().with_failures(0);
        ejection.outliers = outliers;
        let running = Running::new(&ejecting(SchedulerKind::Wlc, 5, ejection));
        let report = |n, each| {
            for k in 0..100 {
                let outcome = if k % each == 0 { Failed } else { Done };
                running.worker.report(running.server(n), outcome, None).expect("it runs");
            }
        };
        let interval = || (0..5).for_each(|n| report(n, if bad.contains(&n) { 2 } else { 100 }));
        // The first interval in which the totals are known at its beginning.
        running.tick(10);
        interval();
        running.tick(19);
        assert_eq!(running.ejected(), [0; 0], "{method:?}");
        running.tick(20);
        assert_eq!(running.ejected(), expected, "{method:?}");
        if let Some(n) = expected.first() {
            let holds = running.director.holds(running.server(*n)).expect("it runs");
            assert!(holds[0].reason.starts_with("50 % done"), "{}", holds[0].reason);
        }
    }
}

#[test]
fn commands_edit_ejection_too() {
    let running = Running::new(&config(SchedulerKind::Rr, 4, &[1]));
    running.fail(1, 9);
    assert_eq!(running.state(1), Up);
    let settings = running.director.config().services[0].settings();
    let with = |ejection| {
        let mut edited = settings.clone();
        edited.ejection = ejection;
        Command::EditService(edited)
    };
    running.director.execute(&with(Some(Ejection::default()))).expect("valid");
    running.fail(1, 1);
    assert_eq!(running.state(1), Down);
    running.director.execute(&with(None)).expect("valid");
    assert_eq!(running.state(1), Up);
}
