//! A host can correct counts whose leases were lost: set them, or forget them with their removed
//! server.

mod common;

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use common::{config, flow, rip, vip};
use vsched::config::{Persistence, ServiceKey, Sharing};
use vsched::{
    Activity, Config, ConnectionError, Director, Flow, MAX_CONNECTIONS, SchedulerKind, ServerId,
    Worker,
};

/// Opens so many connections by name and loses their leases.
fn lose(worker: &Worker, server: ServerId, count: u32) {
    for _ in 0..count {
        let _lost = worker.open(server, Activity::Active).expect("room");
    }
}

fn server(director: &Director, n: u16) -> ServerId {
    common::server_id(director, &ServiceKey::tcp(vip(0)), rip(n)).expect("it runs")
}

fn counts(director: &Director, server: ServerId) -> (u32, u32, bool) {
    let counts = director.counts(server).expect("it runs");
    (counts.active, counts.inactive, counts.overloaded)
}

/// How many of some connections, held at once, go to each of two servers.
fn shares(director: &Director, worker: &Worker, connections: Range<u16>) -> [usize; 2] {
    let service = director.service_by_key(&ServiceKey::tcp(vip(0))).expect("it runs");
    // Another client and another destination each time, for those that hash.
    let flow = |n| Flow::tcp(rip(n), SocketAddr::from(([10, 1, 0, n as u8], 1000)));
    let held: Vec<_> = connections.filter_map(|n| worker.connect(service, &flow(n)).ok()).collect();
    [1, 2].map(|n| held.iter().filter(|held| held.address() == rip(n)).count())
}

/// Under every scheduler, shared either way, with few servers and with enough for an index.
#[test]
fn a_server_that_lost_leases_made_overloaded_is_picked_again() {
    for (kind, (sharing, others)) in SchedulerKind::ALL.iter().flat_map(|kind| {
        let ways = [(Sharing::Exact, 1), (Sharing::Exact, 30), (Sharing::PerWorker, 1)];
        ways.map(|way| (*kind, way)).into_iter().chain([(*kind, (Sharing::PerWorker, 30))])
    }) {
        let what = format!("{} {sharing:?} beside {others}", kind.name());
        let mut config = config(kind, 1 + others, &[1]);
        config.services[0].sharing = sharing;
        let servers = &mut config.services[0].servers;
        servers[0].thresholds.upper = 4;
        servers[0].weight = 3;
        servers.iter_mut().skip(2).for_each(|server| server.weight = 0);
        let director = Director::new(&config).expect("a valid config");
        let (worker, first) = (director.worker(), server(&director, 1));
        let before = shares(&director, &worker, 0..40);
        assert!(before[0] > 0, "{what}: {before:?}");
        lose(&worker, first, 4);
        assert_eq!(counts(&director, first), (4, 0, true), "{what}");
        // New ones: lblc and lblcr send a known destination on to its server, whatever its load.
        assert_eq!(shares(&director, &worker, 100..140)[0], 0, "{what}: overloaded");
        let former = director.set_counts(first, 0, 0).expect("it runs");
        assert_eq!((former.active, former.inactive, former.overloaded), (4, 0, true), "{what}");
        assert_eq!(counts(&director, first), (0, 0, false), "{what}");
        let after = shares(&director, &worker, 0..40);
        // Rotations and draws go on; all others decide as they did before.
        let rotates = ["rr", "wrr", "twos"].contains(&kind.name());
        assert!(after == before || rotates && after[0] > 0, "{what}: {before:?}, {after:?}");
    }
}

#[test]
fn leases_that_are_open_go_on_and_never_below_zero() {
    let director = Director::new(&config(SchedulerKind::Wlc, 2, &[1])).expect("a valid config");
    let (worker, first) = (director.worker(), server(&director, 1));
    let kept = [0, 1, 2].map(|_| worker.open(first, Activity::Active).expect("room"));
    lose(&worker, first, 5);
    director.set_counts(first, 2, 1).expect("it runs");
    let mut ends = Vec::new();
    for mut lease in kept {
        if ends.len() == 2 {
            worker.update(&mut lease, Activity::Inactive).expect_err("no active one is left");
        }
        ends.push(worker.close(lease));
    }
    assert_eq!(ends, [Ok(()), Ok(()), Err(ConnectionError::Stale)]);
    assert_eq!(counts(&director, first), (0, 1, false));
}

#[test]
fn what_cannot_be_set_changes_nothing() {
    let mut config = config(SchedulerKind::Wlc, 1, &[1]);
    config.services[0].servers[0].thresholds.upper = MAX_CONNECTIONS;
    let director = Director::new(&config).expect("a valid config");
    let (worker, first) = (director.worker(), server(&director, 1));
    lose(&worker, first, 3);
    for (active, inactive) in [(MAX_CONNECTIONS, 1), (1, MAX_CONNECTIONS), (u32::MAX, u32::MAX)] {
        let set = director.set_counts(first, active, inactive);
        assert_eq!(set, Err(ConnectionError::Full), "{active} and {inactive}");
        assert_eq!(counts(&director, first), (3, 0, false));
    }
    director.set_counts(first, MAX_CONNECTIONS - 7, 7).expect("the most");
    assert_eq!(counts(&director, first), (MAX_CONNECTIONS - 7, 7, true));
    let [slot, generation] = first.to_raw();
    for raw in [[slot, generation + 1], [slot + 1, generation], [u32::MAX; 2]] {
        let set = director.set_counts(ServerId::from_raw(raw), 0, 0);
        assert_eq!(set, Err(ConnectionError::Stale), "{raw:?}");
    }
    director.apply(&Config::default()).expect("an empty config");
    director.set_counts(first, 0, 0).expect("it counts still");
    assert!(
        worker.service_for(&flow(0)).is_none(),
        "the worker lets go of the table that named it"
    );
    director.tick(Duration::ZERO);
    assert_eq!(director.removed_servers(), 0, "nothing holds its slot");
    assert_eq!(director.set_counts(first, 0, 0), Err(ConnectionError::Stale));
}

#[test]
fn a_removed_server_is_forgotten_when_told_so() {
    let both = config(SchedulerKind::Lc, 2, &[1]);
    let mut one = both.clone();
    one.services[0].servers.remove(0);
    for forget in [false, true] {
        let director = Director::new(&both).expect("a valid config");
        let worker = director.worker();
        let former = server(&director, 1);
        let late = worker.open(former, Activity::Active).expect("room");
        lose(&worker, former, 5);
        director.apply(&one).expect("a valid config");
        if forget {
            assert_eq!(director.forget_removed(), 1);
            assert_eq!(director.forget_removed(), 0, "once");
        }
        // The worker lets go of the table that named it.
        assert!(worker.service_for(&flow(0)).is_some());
        director.tick(Duration::ZERO);
        assert_eq!(director.removed_servers(), usize::from(!forget));
        director.apply(&both).expect("a valid config");
        let again = server(&director, 1);
        assert_eq!(again == former, !forget);
        let counted = if forget { 0 } else { 6 };
        assert_eq!(counts(&director, again), (counted, 0, false));
        let closed = worker.close(late);
        assert_eq!(closed, if forget { Err(ConnectionError::Stale) } else { Ok(()) });
        assert_eq!(counts(&director, again).0, counted.saturating_sub(1));
    }
}

/// A server that comes back before the tables that named it are gone is a new one, too.
#[test]
fn a_forgotten_server_may_return_while_a_table_names_its_former_self() {
    let both = config(SchedulerKind::Lc, 2, &[1]);
    let mut one = both.clone();
    one.services[0].servers.remove(0);
    let director = Director::new(&both).expect("a valid config");
    let worker = director.worker();
    assert!(worker.service_for(&flow(0)).is_some(), "it holds this table");
    let former = server(&director, 1);
    let late = worker.open(former, Activity::Active).expect("room");
    director.apply(&one).expect("a valid config");
    assert_eq!(director.forget_removed(), 1);
    director.apply(&both).expect("a valid config");
    let again = server(&director, 1);
    assert_ne!(again, former);
    assert_eq!(counts(&director, again), (0, 0, false));
    // Named by the table that the worker held until now.
    worker.close(late).expect("not yet stale");
    assert_eq!(counts(&director, again), (0, 0, false));
    director.tick(Duration::ZERO);
    assert_eq!(director.removed_servers(), 0);
    assert_eq!(worker.open(former, Activity::Active), Err(ConnectionError::Stale));
}

/// One client of a persistent service whose only lease was lost: its template would be kept alive
/// forever.
#[test]
fn templates_are_not_kept_alive_by_lost_leases() {
    let mut both = config(SchedulerKind::Rr, 2, &[1]);
    both.services[0].persistence = Some(Persistence::new(60));
    let service = ServiceKey::tcp(vip(0));
    for way in ["lost", "set", "forgotten"] {
        let director = Director::new(&both).expect("a valid config");
        let id = director.service_by_key(&service).expect("it runs");
        let worker = director.worker();
        let connection = worker.connect(id, &flow(1)).expect("a server");
        let (held, address) = (connection.server(), connection.address());
        let _lost = connection.into_lease();
        match way {
            "set" => _ = director.set_counts(held, 0, 0).expect("it runs"),
            "forgotten" => {
                let mut one = both.clone();
                one.services[0].servers.retain(|server| server.address != address);
                director.apply(&one).expect("a valid config");
                assert_eq!(director.forget_removed(), 1);
                director.apply(&both).expect("a valid config");
            }
            _ => {}
        }
        for minute in 1..10 {
            director.tick(Duration::from_secs(61 * minute));
        }
        let templates = director.services()[0].1.templates.expect("a persistent service");
        assert_eq!(templates.entries, u32::from(way == "lost"), "{way}");
        drop(worker);
        director.tick(Duration::from_secs(1000));
        assert_eq!(director.removed_servers(), 0, "{way}");
    }
}
