//! Outcomes that hosts report: counted for the server that is meant, kept across every change of the
//! config, aged by ticks, and without influence on picks.

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::{config, flow, rip, server, vip};
use vsched::config::{Command, Persistence, ServerHealth, ServiceKey, Sharing};
use vsched::{
    Activity, Config, ConnectionError, Director, Holder, Lease, Outcome, SchedulerKind, ServerId,
    ServerState, ServiceId, Worker,
};

use Outcome::{Abandoned, Done, Failed};

struct Running {
    director: Director,
    worker: Worker,
}

fn key() -> ServiceKey {
    ServiceKey::tcp(vip(0))
}

const fn millis(millis: u64) -> Option<Duration> {
    Some(Duration::from_millis(millis))
}

impl Running {
    fn new(config: &Config) -> Self {
        let director = Director::new(config).expect("a valid config");
        Running { worker: director.worker(), director }
    }

    /// Three servers, in rotation.
    fn rr() -> Self {
        Running::new(&three())
    }

    fn service(&self) -> ServiceId {
        self.director.service_by_key(&key()).expect("it runs")
    }

    fn server(&self, n: u16) -> ServerId {
        common::server_id(&self.director, &key(), rip(n)).expect("it runs")
    }

    fn open(&self, server: ServerId) -> Lease {
        self.worker.open(server, Activity::Active).expect("it runs")
    }

    fn health(&self, server: ServerId) -> ServerHealth {
        self.director.health(server).expect("it has a slot")
    }

    /// Done, failed, abandoned, consecutive failures.
    fn counted(&self, server: ServerId) -> [u64; 4] {
        let health = self.health(server);
        [health.done, health.failed, health.abandoned, health.consecutive_failures.into()]
    }

    fn report(&self, server: ServerId, outcomes: &[Outcome]) {
        for outcome in outcomes {
            self.worker.report(server, *outcome, None).expect("it runs");
        }
    }

    fn tick(&self, seconds: u64) {
        self.director.tick(Duration::from_secs(seconds));
    }
}

fn three() -> Config {
    config(SchedulerKind::Rr, 3, &[1])
}

fn without(n: usize) -> Config {
    let mut config = three();
    config.services[0].servers.remove(n - 1);
    config
}

type Call = fn(&Running, ServerId, Outcome);

#[test]
fn each_way_to_report_counts_once() {
    let calls: [(&str, Call); 4] = [
        ("report", |run, server, outcome| {
            run.worker.report(server, outcome, millis(4)).expect("it runs");
        }),
        ("close_with", |run, server, outcome| {
            let lease = run.open(server);
            run.worker.close_with(lease, outcome, millis(4)).expect("an open lease");
        }),
        ("close_in_place_with", |run, server, outcome| {
            let mut lease = run.open(server);
            let mut close = || run.worker.close_in_place_with(&mut lease, outcome, millis(4));
            close().expect("an open lease");
            assert_eq!(close(), Err(ConnectionError::Stale), "closed already");
            assert!(lease.is_empty());
        }),
        ("finish", |run, server, outcome| {
            let tried: Vec<_> = (1..=3).map(|n| run.server(n)).filter(|it| *it != server).collect();
            let open = run.worker.connect_excluding(run.service(), &flow(1), &tried);
            open.expect("it is up").finish(outcome, millis(4)).expect("an open connection");
        }),
    ];
    for (name, call) in calls {
        for (outcome, expected) in
            [(Done, [1, 0, 0, 0]), (Failed, [0, 1, 0, 1]), (Abandoned, [0, 0, 1, 0])]
        {
            let run = Running::rr();
            let (server, other) = (run.server(2), run.server(3));
            call(&run, server, outcome);
            assert_eq!(run.counted(server), expected, "{name} {outcome:?}");
            assert_eq!(run.health(other), ServerHealth::default(), "{name} {outcome:?}");
            let latency = if outcome == Done { millis(4) } else { None };
            assert_eq!(run.health(server).latency, latency, "{name} {outcome:?}");
            let counts = run.director.counts(server).expect("it runs");
            assert_eq!((counts.active, counts.inactive), (0, 0), "{name} {outcome:?}");
        }
    }
}

#[test]
fn plain_closes_and_drops_report_nothing() {
    let run = Running::rr();
    for _ in 0..6 {
        drop(run.worker.connect(run.service(), &flow(1)).expect("they are up"));
        let lease = run.worker.connect(run.service(), &flow(1)).expect("they are up").into_lease();
        run.worker.close(lease).expect("an open lease");
    }
    for n in 1..=3 {
        assert_eq!(run.health(run.server(n)), ServerHealth::default());
    }
}

#[test]
fn series_of_failures_end_with_a_success_only() {
    for (outcomes, expected) in [
        (&[Failed, Failed, Failed][..], [0, 3, 0, 3]),
        (&[Failed, Abandoned, Failed, Abandoned], [0, 2, 2, 2]),
        (&[Failed, Failed, Done], [1, 2, 0, 0]),
        (&[Done, Failed, Done, Failed, Failed], [2, 3, 0, 2]),
        (&[Abandoned, Done], [1, 0, 1, 0]),
    ] {
        let run = Running::rr();
        run.report(run.server(1), outcomes);
        assert_eq!(run.counted(run.server(1)), expected, "{outcomes:?}");
    }
}

#[test]
fn what_names_no_server_counts_nowhere() {
    let run = Running::rr();
    let stranger = Running::rr();
    let [slot, generation] = run.server(1).to_raw();
    // Slots exist in blocks: this one exists, and has never had a server.
    let ids = [
        stranger.server(1),
        ServerId::from_raw([slot, generation + 1]),
        ServerId::from_raw([60, generation]),
        ServerId::from_raw([u32::MAX, generation]),
        ServerId::from_raw([0, 0]),
    ];
    for id in ids {
        for &outcome in Outcome::ALL {
            let reported = run.worker.report(id, outcome, millis(1));
            assert_eq!(reported, Err(ConnectionError::Stale), "{id:?}");
        }
        assert_eq!(run.director.health(id), None, "{id:?}");
    }
    let foreign = stranger.open(stranger.server(1));
    assert_eq!(run.worker.close_with(foreign, Failed, None), Err(ConnectionError::Stale));
    let empty = run.worker.close_with(Lease::default(), Done, millis(1));
    assert_eq!(empty, Err(ConnectionError::Stale));
    for n in 1..=3 {
        assert_eq!(run.health(run.server(n)), ServerHealth::default());
    }
}

#[test]
fn it_survives_every_reload() {
    for kind in SchedulerKind::ALL {
        let run = Running::rr();
        let server = run.server(2);
        run.worker.report(server, Done, millis(30)).expect("it runs");
        run.report(server, &[Failed, Failed]);
        let expected = run.health(server);
        let mut other = config(*kind, 3, &[5]);
        other.services[0].sharing = Sharing::PerWorker;
        run.director.apply(&other).expect("valid");
        assert_eq!(run.health(server), expected, "{kind:?}");
        other.services[0].persistence = Some(Persistence::default());
        other.services[0].servers.push(common::server(4, 1));
        run.director.apply(&other).expect("valid");
        let edit = Command::EditServer { service: key(), server: common::server(2, 0) };
        run.director.execute(&edit).expect("it runs");
        assert_eq!((run.server(2), run.health(server)), (server, expected), "{kind:?}");
        assert_eq!(run.health(run.server(4)), ServerHealth::default(), "{kind:?}");
        // Quiesced, it still counts.
        run.report(server, &[Done]);
        assert_eq!(run.counted(server), [2, 2, 0, 0], "{kind:?}");
    }
}

/// A connection keeps the slot: removed, reported of, and back.
#[test]
fn it_survives_removal_with_a_connection_and_return() {
    for service in [false, true] {
        let run = Running::rr();
        let server = run.server(2);
        let leases = [run.open(server), run.open(server)];
        run.report(server, &[Failed]);
        run.director.apply(&if service { Config::default() } else { without(2) }).expect("valid");
        run.tick(1);
        assert_eq!(run.counted(server), [0, 1, 0, 1]);
        // Late reports count for it.
        run.report(server, &[Failed]);
        let [late, kept] = leases;
        run.worker.close_with(late, Failed, None).expect("an open lease");
        assert_eq!(run.counted(server), [0, 3, 0, 3]);
        run.director.apply(&three()).expect("valid");
        assert_eq!((run.server(2), run.counted(server)), (server, [0, 3, 0, 3]));
        run.worker.close_with(kept, Done, None).expect("an open lease");
        assert_eq!(run.counted(server), [1, 3, 0, 0]);
    }
}

#[test]
fn a_new_owner_of_a_slot_starts_at_zero() {
    let run = Running::rr();
    let server = run.server(2);
    run.worker.report(server, Done, millis(9)).expect("it runs");
    run.report(server, &[Failed, Abandoned]);
    let lease = run.open(server);
    run.director.apply(&without(2)).expect("valid");
    // The close after which the slot may be freed counts.
    run.worker.close_with(lease, Failed, None).expect("an open lease");
    assert_eq!(run.counted(server), [1, 2, 1, 2]);
    run.tick(1);
    assert_eq!(run.director.health(server), None);
    assert_eq!(run.worker.report(server, Done, None), Err(ConnectionError::Stale));
    let mut other = without(2);
    other.services[0].servers.push(common::server(7, 1));
    run.director.apply(&other).expect("valid");
    let next = run.server(7);
    assert_eq!(next.to_raw()[0], server.to_raw()[0], "the same slot");
    assert_eq!(run.health(next), ServerHealth::default());
    assert_eq!(run.worker.report(server, Failed, None), Err(ConnectionError::Stale));
    assert_eq!(run.counted(next), [0; 4]);
    run.report(next, &[Done]);
    assert_eq!(run.counted(next), [1, 0, 0, 0]);
}

#[test]
fn the_window_moves_with_the_ticks() {
    let run = Running::rr();
    let server = run.server(1);
    let recent = || {
        let health = run.health(server);
        (health.recent_done, health.recent_failed)
    };
    // The ticks' clock starts anywhere.
    run.tick(1_000_000);
    let mut now = 1_000_000;
    run.report(server, &[Done, Done, Failed]);
    for _ in 0..9 {
        now += 1;
        run.tick(now);
        assert_eq!(recent(), (2, 1));
    }
    run.tick(now + 1);
    run.report(server, &[Done]);
    assert_eq!(recent(), (3, 1), "the interval before counts");
    run.tick(now + 11);
    assert_eq!(recent(), (1, 0));
    // Ticks that go back are ignored.
    run.tick(5);
    assert_eq!(recent(), (1, 0));
    run.tick(now + 21);
    assert_eq!((recent(), run.counted(server)), ((0, 0), [3, 1, 0, 0]));
    // A director that is ticked rarely: from tick to tick.
    run.report(server, &[Failed, Failed]);
    run.tick(now + 1000);
    assert_eq!(recent(), (0, 2));
    run.tick(now + 2000);
    assert_eq!(recent(), (0, 0));
}

#[test]
fn a_latency_decays_while_nothing_is_done() {
    let run = Running::rr();
    let (slow, busy) = (run.server(1), run.server(2));
    let latency = |server| run.health(server).latency.map(|it| (it.as_micros() + 500) / 1000);
    run.tick(50);
    for _ in 0..20 {
        run.worker.report(slow, Done, millis(800)).expect("it runs");
    }
    for second in 51..=61 {
        run.worker.report(busy, Done, millis(100)).expect("it runs");
        run.report(slow, &[Failed, Abandoned]);
        run.tick(second);
    }
    // A second with samples, then a half-life without.
    assert_eq!((latency(slow), latency(busy)), (Some(400), Some(100)));
    // Without a measurement, the average stays what it is and goes on decaying.
    run.report(slow, &[Done]);
    run.tick(71);
    assert_eq!(latency(slow), Some(200));
    run.worker.report(slow, Done, millis(10)).expect("it runs");
    let next = latency(slow).expect("a sample");
    assert!((10..=105).contains(&next), "the first sample after a pause decides: {next}");
    run.tick(10_000);
    run.tick(20_000);
    assert_eq!((latency(slow), latency(busy)), (None, None));
    assert_eq!(run.counted(busy), [11, 0, 0, 0]);
}

#[test]
fn observations_contain_it_with_the_state() {
    let run = Running::rr();
    let server = run.server(2);
    run.worker.report(server, Done, millis(5)).expect("it runs");
    run.report(server, &[Failed]);
    run.director.set_state(server, Holder::Host, ServerState::Down).expect("it runs");
    let health = run.health(server);
    assert_eq!((health.state, health.failed, health.latency), (ServerState::Down, 1, millis(5)));
    for (id, observed) in run.director.servers(run.service()).expect("it runs") {
        assert_eq!(observed.health, run.health(id));
        assert_eq!(observed.health.state, observed.state);
    }
    let observed = run.director.observe().services.remove(0).servers;
    assert!(observed.iter().any(|it| it.server.address == rip(2) && it.health == health));
}

/// Outcomes are figures: no scheduler looks at them.
#[test]
fn they_change_no_pick() {
    for kind in SchedulerKind::ALL {
        let picks = |outcome: Option<Outcome>| {
            let run = Running::new(&config(*kind, 9, &[3, 1, 2]));
            let pick = |n| {
                let open = run.worker.connect(run.service(), &flow(n)).ok()?;
                let server = open.server();
                match outcome {
                    Some(outcome) => open.finish(outcome, millis(n.into())).expect("open"),
                    None => drop(open),
                }
                Some(server.to_raw()[0])
            };
            (0..200).map(pick).collect::<Vec<_>>()
        };
        let plain = picks(None);
        assert!(plain.iter().all(Option::is_some), "{kind:?}");
        for &outcome in Outcome::ALL {
            assert_eq!(picks(Some(outcome)), plain, "{kind:?} {outcome:?}");
        }
    }
}

/// While others reload and tick, nothing that is reported is lost or counted twice.
#[test]
fn counts_are_exact_beside_reloads_and_ticks() {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 20_000;
    let run = Running::new(&config(SchedulerKind::Wlc, 3, &[1]));
    let configs = [config(SchedulerKind::Wlc, 3, &[2]), config(SchedulerKind::Lc, 4, &[1])];
    let servers = [1, 2, 3].map(|n| run.server(n));
    let (running, reloads) = (AtomicU64::new(THREADS), AtomicU64::new(0));
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (worker, running, reloads) = (run.director.worker(), &running, &reloads);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let server = servers[(round % 3) as usize];
                    let outcome = Outcome::ALL[((round + number) % 3) as usize];
                    let lease = worker.open(server, Activity::Active).expect("it runs");
                    worker.close_with(lease, outcome, millis(round)).expect("an open lease");
                    worker.report(server, outcome, None).expect("it runs");
                    // All threads go on while there are reloads.
                    while round == ROUNDS / 2 && reloads.load(Ordering::SeqCst) < 20 {
                        thread::yield_now();
                    }
                }
                running.fetch_sub(1, Ordering::SeqCst);
            });
        }
        for second in 0.. {
            run.director.apply(&configs[second as usize % 2]).expect("valid");
            run.tick(second * 4);
            reloads.fetch_add(1, Ordering::SeqCst);
            if running.load(Ordering::SeqCst) == 0 {
                break;
            }
        }
    });
    let mut sums = [0; 3];
    for server in servers {
        let [done, failed, abandoned, _] = run.counted(server);
        for (sum, count) in sums.iter_mut().zip([done, failed, abandoned]) {
            *sum += count;
        }
        let health = run.health(server);
        assert!(health.recent_done <= health.done && health.recent_failed <= health.failed);
    }
    let mut expected = [0; 3];
    for (number, round) in (0..THREADS).flat_map(|number| (0..ROUNDS).map(move |it| (number, it))) {
        expected[((round + number) % 3) as usize] += 2;
    }
    assert_eq!(sums, expected);
    // Threads that fail together: one series without a gap.
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let worker = run.director.worker();
            scope.spawn(move || {
                (0..100).for_each(|_| worker.report(servers[0], Failed, None).expect("it runs"));
            });
        }
    });
    let before = run.health(servers[0]).consecutive_failures;
    assert!(before >= 400);
    run.report(servers[0], &[Done]);
    assert_eq!(run.counted(servers[0])[3], 0);
}

#[test]
fn a_server_is_a_server_in_every_service() {
    let mut config = three();
    config.services.push(common::service(1, SchedulerKind::Sh));
    config.services[1].servers = vec![server(1, 1)];
    let run = Running::new(&config);
    let second =
        common::server_id(&run.director, &ServiceKey::tcp(vip(1)), rip(1)).expect("it runs");
    run.report(run.server(1), &[Failed]);
    assert_eq!((run.counted(run.server(1)), run.counted(second)), ([0, 1, 0, 1], [0; 4]));
}

/// An interval ends 10 seconds after it began; the seconds in which latencies decay are counted from the
/// first tick. So a tick can end an interval and no second.
#[test]
fn an_interval_can_end_within_a_second() {
    let run = Running::rr();
    let server = run.server(1);
    let tick = |millis| run.director.tick(Duration::from_millis(millis));
    let done = || run.worker.report(server, Done, millis(64)).expect("it runs");
    let recent = || run.health(server).recent_done;
    tick(5_000);
    // Begins at 15.5 s; the seconds end at 5, 6, 7...
    tick(15_500);
    done();
    tick(25_400);
    done();
    assert_eq!(recent(), 2);
    tick(25_500);
    tick(25_600);
    assert_eq!(recent(), 2, "the previous interval and this one");
    tick(26_000);
    assert_eq!(run.health(server).latency, millis(64), "a sample arrived in this second");
    tick(36_000);
    assert_eq!(run.health(server).latency, millis(32));
    assert_eq!(recent(), 0);
}
