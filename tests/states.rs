//! Run-time states of servers: whoever holds one draining or down, every later pick obeys, of every
//! scheduler, and no change of the config undoes it.

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::{config, flow, rip, server, vip};
use vsched::config::{Command, Persistence, SchedulerFlags, ServiceKey, Sharing};
use vsched::error::StateError;
use vsched::{
    Config, Director, Flow, Holder, SchedulerKind, ServerId, ServerState, ServiceId, Worker,
};

use Holder::{Administrator, HealthChecker, Host};
use ServerState::{Down, Draining, Up};

/// Few are scanned, many have an index.
const COUNTS: [u16; 2] = [5, 40];
const CLIENTS: u32 = 600;

/// Every scheduler, among few and many servers, both ways to share.
fn cases() -> impl Iterator<Item = Config> {
    SchedulerKind::ALL.iter().flat_map(|kind| {
        COUNTS.iter().flat_map(|count| {
            [Sharing::Exact, Sharing::PerWorker].map(|sharing| {
                let mut config = config(*kind, *count, &[3, 1, 2]);
                config.services[0].sharing = sharing;
                config
            })
        })
    })
}

struct Running {
    director: Director,
    worker: Worker,
    service: ServiceId,
    /// Connections stay open; not under ovf, which refuses once all are full.
    holds: bool,
}

impl Running {
    fn new(config: &Config) -> Self {
        let director = Director::new(config).expect("a valid config");
        let service = director.service_by_key(&key()).expect("it runs");
        let holds = config.services[0].scheduler != Some(SchedulerKind::Ovf);
        Running { worker: director.worker(), director, service, holds }
    }

    fn server(&self, n: u16) -> ServerId {
        common::server_id(&self.director, &key(), rip(n)).expect("it runs")
    }

    /// Who gets a connection of each client.
    fn chosen(&self, tried: &[ServerId]) -> Vec<Option<ServerId>> {
        let mut open = Vec::new();
        let mut connect = |n| {
            let connection = self.worker.connect_excluding(self.service, &flow(n), tried).ok();
            let server = connection.as_ref().map(|open| open.server());
            open.extend(connection.filter(|_| self.holds));
            server
        };
        (0..CLIENTS).map(&mut connect).collect()
    }

    fn set(&self, n: u16, state: ServerState) -> ServerState {
        self.director.set_state(self.server(n), Host, state).expect("it runs")
    }
}

fn key() -> ServiceKey {
    ServiceKey::tcp(vip(0))
}

fn hashes(config: &Config) -> bool {
    matches!(config.services[0].scheduler, Some(kind) if ["sh", "mh", "dh"].contains(&kind.name()))
}

#[test]
fn every_scheduler_passes_over_a_server_that_is_held() {
    for config in cases() {
        let run = Running::new(&config);
        let name = config.services[0].scheduler;
        let before = run.chosen(&[]);
        let Some(held) = before[0] else { panic!("{name:?}") };
        let n = (1..).find(|n| run.server(*n) == held).expect("one of them");
        let tried = run.server(if n == 1 { 2 } else { 1 });
        for state in [Down, Draining] {
            assert_eq!(run.set(n, state), state);
            assert_eq!(run.director.state(held), Some(state));
            let after = run.chosen(&[]);
            assert!(after.iter().all(|server| server.is_some_and(|it| it != held)), "{name:?}");
            // Its clients alone move.
            if hashes(&config) {
                let moved = before.iter().zip(&after).filter(|(a, b)| a != b);
                assert!(moved.clone().all(|(before, _)| *before == Some(held)), "{name:?}");
                assert_eq!(
                    run.worker.pick_server(run.service, &flow(0)).map(|it| it.server()).ok(),
                    after[0]
                );
            }
            // A retry obeys too.
            let retried = run.chosen(&[tried]);
            let others =
                |server: &Option<ServerId>| server.is_some_and(|it| it != held && it != tried);
            assert!(retried.iter().all(others), "{name:?}");
            assert_eq!(run.set(n, Up), Up);
            let back = run.chosen(&[]);
            assert!(back.contains(&Some(held)), "{name:?}: it comes back");
            if hashes(&config) {
                assert!(back == before, "{name:?}: and so do its clients");
            }
        }
    }
}

#[test]
fn without_a_server_that_is_up_there_is_none() {
    for config in cases() {
        let run = Running::new(&config);
        let count = config.services[0].servers.len() as u16;
        for n in 1..=count {
            run.set(n, if n % 2 == 0 { Down } else { Draining });
        }
        assert!(run.chosen(&[]).iter().all(Option::is_none));
        assert!(run.director.pick_server(run.service, &flow(1)).is_err());
        run.set(count, Up);
        assert!(run.chosen(&[]).iter().all(|chosen| *chosen == Some(run.server(count))));
    }
}

/// What was picked before, between and after two holds, beside a director in which nothing was held.
#[test]
fn a_rotation_goes_on_where_it_was() {
    for kind in [SchedulerKind::Rr, SchedulerKind::Wrr] {
        for sharing in [Sharing::Exact, Sharing::PerWorker] {
            let mut config = config(kind, 6, &[2, 1, 3]);
            config.services[0].sharing = sharing;
            let (held, plain) = (Running::new(&config), Running::new(&config));
            let pick = |run: &Running| {
                run.worker.pick_server(run.service, &Flow::default()).map(|it| it.address())
            };
            for picks in [1, 5, 7, 30] {
                // Held and released: the recompiled service takes its rotation over both ways.
                held.set(1, Draining);
                held.set(1, Up);
                held.director.tick(Duration::from_secs(picks));
                for _ in 0..picks {
                    assert_eq!(pick(&held), pick(&plain), "{kind:?} {sharing:?}");
                }
            }
        }
    }
}

#[test]
fn a_state_survives_every_change_of_the_config() {
    for config in cases() {
        let run = Running::new(&config);
        run.set(2, Down);
        let is_down = |what: &str| {
            let held = common::server_id(&run.director, &key(), rip(2)).expect("it runs");
            assert_eq!(run.director.state(held), Some(Down), "{what}");
            let service = run.director.service_by_key(&key()).expect("it runs");
            let picks = (0..200).map(|n| run.worker.pick_server(service, &flow(n)));
            assert!(picks.flatten().all(|pick| pick.server() != held), "{what}");
            let (_, observed) = run.director.services().remove(0);
            let states = observed.servers.iter().map(|it| (it.server.address, it.state));
            let down: Vec<_> = states.filter(|(_, state)| *state != Up).collect();
            assert_eq!(down, [(rip(2), Down)], "{what}");
        };
        let apply = |config: &Config| run.director.apply(config).map(|_| ()).expect("valid");
        apply(&config);
        is_down("a reload that changes nothing");
        let mut other = config.clone();
        other.seed = 5;
        other.services[0].servers[1].weight = 9;
        apply(&other);
        is_down("an edit of the server");
        other.services[0].scheduler = Some(SchedulerKind::Wrr);
        apply(&other);
        is_down("another scheduler");
        for with_connection in [false, true] {
            let lease = with_connection.then(|| {
                let held = common::server_id(&run.director, &key(), rip(2)).expect("it runs");
                run.worker.open(held, vsched::Activity::Active).expect("it runs")
            });
            let mut without = other.clone();
            without.services[0].servers.remove(1);
            apply(&without);
            run.director.tick(Duration::from_secs(1));
            apply(&other);
            is_down("removal and return");
            apply(&Config::default());
            run.director.tick(Duration::from_secs(2));
            apply(&other);
            is_down("deletion of the service and return");
            lease.map(|lease| run.worker.close(lease));
        }
        let edit = Command::EditServer { service: key(), server: server(2, 4) };
        run.director.execute(&edit).expect("it runs");
        is_down("a command");
        assert_eq!(run.director.config().services[0].servers[1], server(2, 4), "no trace of it");
    }
}

#[test]
fn each_holder_releases_only_what_it_holds() {
    let run = Running::new(&config(SchedulerKind::Wlc, 3, &[1]));
    let (director, server) = (&run.director, run.server(1));
    let set = |holder, state| director.set_state_because(server, holder, state, "a reason");
    assert_eq!(set(Administrator, Draining), Ok(Draining));
    assert_eq!(set(HealthChecker, Down), Ok(Down));
    assert_eq!(set(Host, Up), Ok(Down));
    let held = director.holds(server).expect("it runs");
    let said: Vec<_> = held.iter().map(|it| (it.holder, it.state, it.reason.as_str())).collect();
    assert_eq!(said, [(Administrator, Draining, "a reason"), (HealthChecker, Down, "a reason")]);
    assert_eq!(set(HealthChecker, Up), Ok(Draining));
    assert_eq!(director.set_state(server, Administrator, Draining), Ok(Draining));
    assert_eq!(director.holds(server).expect("it runs")[0].reason, "", "the latest reason counts");
    assert_eq!(set(Administrator, Up), Ok(Up));
    assert_eq!(director.holds(server), Some(Vec::new()));
}

#[test]
fn what_cannot_be_set_changes_nothing() {
    let run = Running::new(&config(SchedulerKind::Rr, 3, &[1]));
    let server = run.server(1);
    let long = "r".repeat(256);
    let set = |id, reason: &str| run.director.set_state_because(id, Host, Down, reason);
    let too_long = set(server, &long).expect_err("a reason that is too long");
    assert!(matches!(too_long, StateError::Reason { length: 256, .. }), "{too_long}");
    assert_eq!(too_long.to_string(), "reason: 256 bytes are more than the limit of 255");
    assert_eq!(run.director.state(server), Some(Up));
    assert_eq!(set(server, &long[1..]), Ok(Down));
    let stranger = Running::new(&config(SchedulerKind::Rr, 3, &[1]));
    let foreign = stranger.server(1);
    assert_eq!(set(foreign, ""), Err(StateError::Stale));
    assert_eq!((run.director.state(foreign), run.director.holds(foreign)), (None, None));
    run.director.apply(&Config::default()).expect("valid");
    run.director.tick(Duration::from_secs(1));
    assert_eq!((set(server, ""), run.director.state(server)), (Err(StateError::Stale), None));
}

/// A server that was removed and still has connections can be held and released by its id.
#[test]
fn a_removed_server_with_connections_is_held_by_its_id() {
    let all = config(SchedulerKind::Rr, 3, &[1]);
    let run = Running::new(&all);
    let server = run.server(1);
    let lease = run.worker.open(server, vsched::Activity::Active).expect("it runs");
    let mut without = all.clone();
    without.services[0].servers.remove(0);
    run.director.apply(&without).expect("valid");
    assert_eq!(run.director.set_state(server, HealthChecker, Down), Ok(Down));
    run.director.apply(&all).expect("valid");
    assert_eq!((run.server(1), run.director.state(server)), (server, Some(Down)));
    assert!(run.chosen(&[]).iter().all(|chosen| *chosen != Some(server)));
    run.worker.close(lease).expect("open");
}

#[test]
fn persistent_clients_stay_with_a_draining_server_and_leave_one_that_is_down() {
    for kind in SchedulerKind::ALL {
        let mut config = config(*kind, 5, &[1]);
        config.services[0].persistence = Some(Persistence::default());
        let run = Running::new(&config);
        let before = run.chosen(&[]);
        let Some(held) = before[0] else { panic!("{kind:?}") };
        let n = (1..=5).find(|n| run.server(*n) == held).expect("one of them");
        run.set(n, Draining);
        assert!(run.chosen(&[]) == before, "{kind:?}: all are known");
        let stranger = run.worker.pick_server(run.service, &flow(CLIENTS + 1));
        assert_ne!(stranger.expect("others are up").server(), held, "{kind:?}");
        run.set(n, Down);
        let after = run.chosen(&[]);
        for (before, after) in before.iter().zip(&after) {
            assert!(after.is_some() && *after != Some(held), "{kind:?}");
            assert!(before == after || *before == Some(held), "{kind:?}: only its clients move");
        }
        run.set(n, Up);
        assert!(run.chosen(&[]) == after, "{kind:?}: the templates were replaced");
    }
}

/// The flag of sh and mh decides about overloaded and quiesced servers as in the kernel, not about held
/// ones.
#[test]
fn the_fallback_flag_means_what_it_did() {
    for kind in [SchedulerKind::Sh, SchedulerKind::Mh] {
        for flags in [SchedulerFlags::default(), SchedulerFlags::FLAG_1] {
            let mut config = config(kind, 5, &[1]);
            config.services[0].flags = flags;
            let run = Running::new(&config);
            let before = run.chosen(&[]);
            run.set(2, Down);
            config.services[0].servers[2].weight = 0;
            run.director.apply(&config).expect("valid");
            for (before, after) in before.iter().zip(run.chosen(&[])) {
                let refuses = *before == Some(run.server(3)) && flags.is_empty();
                assert_eq!(after.is_none(), refuses, "{kind:?}");
            }
        }
    }
}

/// A client whose server was tried, or is overloaded and the flag is set, gets the same other server.
#[test]
fn a_retry_goes_where_the_fallback_flag_leads() {
    let mut config = config(SchedulerKind::Sh, 5, &[3, 1, 2]);
    config.services[0].flags = SchedulerFlags::FLAG_1;
    let plain = Running::new(&config);
    let before = plain.chosen(&[]);
    for n in 1..=5 {
        let mut limited = config.clone();
        limited.services[0].servers[usize::from(n) - 1].thresholds.upper = 1;
        let limited = Running::new(&limited);
        limited.director.set_counts(limited.server(n), 1, 0).expect("it runs");
        let (flows, mut moved) = ((0..CLIENTS).map(flow), 0);
        for (flow, before) in flows.zip(&before) {
            let retried =
                plain.worker.pick_server_excluding(plain.service, &flow, &[plain.server(n)]);
            let fallen_back = limited.worker.pick_server(limited.service, &flow);
            assert_eq!(retried.map(|it| it.address()), fallen_back.map(|it| it.address()));
            moved += usize::from(*before == Some(plain.server(n)));
        }
        assert!(moved > 10, "{moved}");
    }
}

#[test]
fn states_holders_and_errors_are_named() {
    let states: Vec<_> = ServerState::ALL.iter().map(ServerState::to_string).collect();
    assert_eq!(states, ["up", "draining", "down"]);
    assert!(ServerState::ALL.iter().map(|it| it.name()).eq(states));
    let holders: Vec<_> = Holder::ALL.iter().map(Holder::to_string).collect();
    assert_eq!(holders, ["administrator", "health-checker", "host", "ejector"]);
    assert!(Holder::ALL.iter().map(|it| it.name()).eq(holders));
    assert_eq!(StateError::Stale.to_string(), "no such server");
}

/// A busy server's destination goes to one that is up, not because an idle one is down.
#[test]
fn a_server_that_is_down_makes_no_other_look_busy() {
    for kind in [SchedulerKind::Lblc, SchedulerKind::Lblcr] {
        let run = Running::new(&config(kind, 2, &[1]));
        run.set(1, Down);
        let chosen = run.chosen(&[]);
        assert!(chosen.iter().all(|chosen| *chosen == Some(run.server(2))));
        let service = run.director.services().remove(0).1;
        assert_eq!(service.remembered.expect("it remembers").entries, 1, "{kind:?}");
    }
}

/// While threads pick, a server goes down and comes back: no pick that began after the call returned
/// gets it.
#[test]
fn a_state_is_obeyed_by_every_later_pick() {
    for config in cases() {
        let run = Running::new(&config);
        let held = run.server(2);
        // Odd while the server is down for certain.
        let epoch = AtomicU64::new(0);
        thread::scope(|scope| {
            for number in 0..4 {
                let (worker, epoch, service) = (run.director.worker(), &epoch, run.service);
                scope.spawn(move || {
                    for n in 0..3_000u32 {
                        let before = epoch.load(Ordering::SeqCst);
                        let open = worker.connect(service, &flow(n * 4 + number));
                        if before % 2 == 1 && epoch.load(Ordering::SeqCst) == before {
                            let server = open.as_ref().map(|open| open.server());
                            assert!(server.is_ok_and(|server| server != held));
                        }
                    }
                });
            }
            for round in 0..40 {
                run.set(2, if round % 3 == 0 { Draining } else { Down });
                epoch.fetch_add(1, Ordering::SeqCst);
                thread::yield_now();
                if round % 8 == 0 {
                    run.director.tick(Duration::from_secs(round));
                }
                epoch.fetch_add(1, Ordering::SeqCst);
                run.set(2, Up);
            }
        });
        let counts = run.director.counts(held).expect("it runs");
        assert_eq!((counts.active, counts.inactive), (0, 0));
    }
}

/// Servers that never come back do not pile up: those held longest go, whatever their names.
#[test]
fn held_servers_that_are_gone_are_released_in_the_end() {
    let all = config(SchedulerKind::Rr, 2, &[1]);
    let run = Running::new(&all);
    let mut next = all.clone();
    for n in (3..4_500).rev() {
        next.services[0].servers[1] = server(n, 1);
        run.director.apply(&next).expect("valid");
        run.set(n, Down);
    }
    let state = |n| {
        next.services[0].servers[1] = server(n, 1);
        run.director.apply(&next).expect("valid");
        run.director.state(run.server(n))
    };
    assert_eq!([3, 4_000, 4_200, 4_499].map(state), [Down, Down, Up, Up].map(Some));
}
