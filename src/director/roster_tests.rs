//! Readers see what every call has changed, and of a change of the config all or nothing.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use super::Roster;
use crate::arena::id::ServerId;
use crate::config::{Command, Ejection, ServiceKey};
use crate::director::observe::View;
use crate::sync::Arc;
use crate::{
    Activity, Config, Director, Flow, Holder, Lease, Outcome, ServerState, ServiceId, Worker,
};

use Holder::{Administrator, Ejector, HealthChecker};
use ServerState::{Down, Draining, Up};

const RULES: &str = "
    -A -t 10.0.0.1:80 -s wlc
    -a -t 10.0.0.1:80 -r 10.0.1.1
    -a -t 10.0.0.1:80 -r 10.0.1.2
    -a -t 10.0.0.1:80 -r 10.0.1.3
    -A -t 10.0.0.2:80 -s rr
    -a -t 10.0.0.2:80 -r 10.0.1.1
    -a -t 10.0.0.2:80 -r 10.0.1.2
";

struct World {
    director: Director,
    worker: Worker,
    config: Config,
    /// Every server that there ever was.
    seen: BTreeSet<ServerId>,
    leases: Vec<Lease>,
}

fn config() -> Config {
    let mut config: Config = RULES.parse().expect("valid rules");
    let rule = Ejection::default().with_failures(1).with_max_share(100).with_base_time(30);
    config.services[0].ejection = Some(rule);
    config
}

impl World {
    fn new() -> Self {
        let config = config();
        let director = Director::new(&config).expect("a valid config");
        director.tick(Duration::ZERO);
        let (worker, seen, leases) = (director.worker(), BTreeSet::new(), Vec::new());
        World { director, worker, config, seen, leases }
    }

    fn service(&self, number: usize) -> Option<ServiceId> {
        self.director.service_by_key(&self.config.services[number].key)
    }

    /// Server 10.0.1.`last` of a service.
    fn server(&self, service: usize, last: u8) -> ServerId {
        let address = SocketAddr::from(([10, 0, 1, last], 80));
        let service = self.service(service).expect("it runs");
        self.director.server_by_address(service, address).expect("it runs")
    }

    fn hold(&self, server: ServerId, holder: Holder, state: ServerState, reason: &str) {
        self.director.set_state_because(server, holder, state, reason).expect("it runs");
    }

    fn execute(&self, words: &str) {
        let words: Vec<&str> = words.split(' ').collect();
        let command = Command::from_words(&words).expect("a command");
        self.director.execute(&command).expect("valid");
    }

    fn apply(&self, edit: impl FnOnce(&mut Config)) {
        let mut config = self.config.clone();
        edit(&mut config);
        self.director.apply(&config).expect("a valid config");
    }

    fn tick(&self, seconds: u64) {
        self.director.tick(Duration::from_secs(seconds));
    }

    fn roster(&self) -> Arc<Roster> {
        self.director.inner.roster.with_live(|rosters| Arc::clone(rosters.last().expect("one")))
    }

    /// Readers that do not have the lock see what it guards.
    fn check(&mut self, what: &str) {
        for service in self.director.services() {
            let servers = self.director.servers(service.0).expect("it runs");
            self.seen.extend(servers.iter().map(|(id, _)| *id));
        }
        let control = self.director.inner.control.lock();
        let mut named = Vec::new();
        for live in control.services.values() {
            let observed = self.director.servers(live.id).expect("it runs");
            let explained = self.director.explain(live.id, &Flow::default()).expect("it runs");
            for ((id, observed), explained) in observed.iter().zip(&explained.servers) {
                assert_eq!((*id, observed.state), (explained.id, explained.state), "{what}");
                assert_eq!(self.director.holds(*id).as_ref(), Some(&explained.holds), "{what}");
                named.push((*id, live.service.key, observed.server.address));
            }
        }
        let servers = control.services.values().map(|live| live.claims.len());
        assert_eq!(control.configured, servers.sum::<usize>(), "{what}");
        let removed = control.allocator.removed();
        let of_removed = removed.iter().map(|(service, server, id)| (id, *service, server));
        let of_removed: Vec<_> = of_removed.collect();
        named.extend(&of_removed);
        for (id, service, server) in &named {
            let held = control.held.get(service, *server);
            let holds = held.into_iter().flat_map(|held| held.iter());
            let expected = holds.map(|(holder, state, reason)| {
                (holder, state, reason.map_or_else(String::new, |reason| reason.to_string()))
            });
            let read = self.director.holds(*id).expect("it has a slot").into_iter();
            let read = read.map(|hold| (hold.holder, hold.state, hold.reason));
            let (of_ejector, read): (Vec<_>, Vec<_>) =
                read.partition(|(holder, ..)| *holder == Ejector);
            assert_eq!(read, expected.collect::<Vec<_>>(), "{what}");
            let runtime = control.runtimes.get(service);
            let record = runtime.and_then(|runtime| runtime.ejections.records.get(server));
            let reason = record.and_then(|record| record.reason()).map(|reason| reason.to_string());
            let marked = self.director.health(*id).is_some_and(|health| health.ejected);
            let reason = reason.or(marked.then(|| "failures in a row".to_owned()));
            let expected = reason.map(|reason| (Ejector, Down, reason));
            assert_eq!(of_ejector, expected.into_iter().collect::<Vec<_>>(), "{what}");
        }
        let counted = |id: ServerId| self.director.counts(id).expect("it has a slot");
        let mut expected: Vec<_> = of_removed
            .into_iter()
            .map(|(id, service, server)| (service, server, id, counted(id)))
            .filter(|(.., counts)| counts.active + counts.inactive > 0)
            .collect();
        expected.sort_unstable_by_key(|(service, server, ..)| (*service, *server));
        let read = self.director.removed_with_connections().into_iter();
        assert!(
            read.map(|it| (it.service, it.server, it.id, (it.active, it.inactive))).eq(expected
                .into_iter()
                .map(|(service, server, id, counts)| {
                    (service, server, id, (counts.active, counts.inactive))
                })),
            "{what}"
        );
        assert_eq!(self.director.removed_servers(), removed.len(), "{what}");
        for id in &self.seen {
            let known = named.iter().any(|(known, ..)| known == id);
            assert_eq!(self.director.holds(*id).is_some(), known, "{what}: {id}");
        }
    }
}

/// What a call is, whether it changes what is known by name, and the call.
type Step = (&'static str, bool, fn(&mut World));

const STEPS: &[Step] = &[
    ("a config that runs", false, |world| world.apply(|_| {})),
    ("a tick", false, |world| world.tick(1)),
    ("a hold", true, |world| world.hold(world.server(0, 1), HealthChecker, Down, "no answer")),
    ("another holder's", true, |world| world.hold(world.server(0, 1), Administrator, Draining, "")),
    ("of a service that is compiled again", true, |world| {
        world.hold(world.server(1, 2), Administrator, Down, "maintenance");
    }),
    ("a release of what is not held", false, |world| {
        world.hold(world.server(0, 2), HealthChecker, Up, "");
    }),
    ("a release that is refused", false, |world| {
        let server = world.server(0, 1);
        assert!(world.director.set_state(server, Ejector, Down).is_err());
        let long = "x".repeat(300);
        let refused = world.director.set_state_because(server, HealthChecker, Down, &long);
        assert!(refused.is_err());
    }),
    ("a release", true, |world| world.hold(world.server(0, 1), HealthChecker, Up, "")),
    ("a weight", false, |world| {
        world.director.set_weight(world.server(0, 2), 5).expect("it runs");
    }),
    ("counts", false, |world| {
        world.director.set_counts(world.server(0, 2), 3, 4).expect("it runs");
        world.director.set_counts(world.server(0, 2), 0, 0).expect("it runs");
    }),
    ("a phase", false, |world| world.director.set_phase(3)),
    ("a worker", false, |world| drop(world.director.worker())),
    ("connections", false, |world| {
        for server in [world.server(0, 1), world.server(0, 2), world.server(1, 2)] {
            world.leases.push(world.worker.open(server, Activity::Active).expect("it runs"));
        }
    }),
    ("a server that goes", true, |world| world.execute("-d -t 10.0.0.1:80 -r 10.0.1.1")),
    ("a tick that frees nothing", false, |world| world.tick(2)),
    ("a hold of a removed server", true, |world| {
        let removed = world.director.removed_with_connections()[0].id;
        world.hold(removed, HealthChecker, Down, "gone");
    }),
    ("a server that comes back", true, |world| world.apply(|_| {})),
    ("two that go and one that comes back", true, |world| {
        world.execute("-d -t 10.0.0.1:80 -r 10.0.1.1");
        world.apply(|config| config.services[0].servers.truncate(1));
    }),
    ("a tick that frees", true, |world| {
        let lease = world.leases.remove(1);
        world.worker.close(lease).expect("it is open");
        world.tick(3);
    }),
    ("a service that goes", true, |world| world.execute("-D -t 10.0.0.1:80")),
    ("all that go", true, |world| world.execute("-C")),
    ("all that come", true, |world| world.apply(|_| {})),
    ("a failure that a worker reports", false, |world| {
        world.worker.report(world.server(0, 3), Outcome::Failed, None).expect("it runs");
    }),
    ("a tick that records it", true, |world| world.tick(4)),
    ("a server that goes while ejected", true, |world| {
        world
            .leases
            .push(world.worker.open(world.server(0, 2), Activity::Active).expect("it runs"));
        world.worker.report(world.server(0, 2), Outcome::Failed, None).expect("it runs");
        world.tick(5);
        world.execute("-d -t 10.0.0.1:80 -r 10.0.1.2");
        assert_eq!(world.roster().ejected.len(), 2);
    }),
    ("the end of ejections", true, |world| {
        world.tick(100);
        assert_eq!(world.roster().ejected.len(), 0);
    }),
    ("an ejection that is released", true, |world| {
        world.apply(|_| {});
        world.worker.report(world.server(0, 3), Outcome::Failed, None).expect("it runs");
        world.tick(101);
        world.hold(world.server(0, 3), Ejector, Up, "");
    }),
    ("a service that stops to eject", true, |world| {
        world.worker.report(world.server(0, 3), Outcome::Failed, None).expect("it runs");
        world.tick(102);
        world.apply(|config| config.services[0].ejection = None);
    }),
    ("servers that are forgotten", true, |world| {
        world.execute("-C");
        assert!(world.director.forget_removed() > 0);
    }),
    ("none that are forgotten", false, |world| assert_eq!(world.director.forget_removed(), 0)),
    ("closes of what is forgotten", false, |world| {
        for lease in std::mem::take(&mut world.leases) {
            let _ = world.worker.close(lease);
        }
    }),
    ("all that come once more", true, |world| world.apply(|_| {})),
    ("a tick at the end", false, |world| {
        world.tick(200);
        let before = world.roster();
        world.tick(201);
        assert!(Arc::ptr_eq(&before, &world.roster()));
    }),
];

#[test]
fn readers_see_what_every_call_has_changed() {
    let mut world = World::new();
    world.check("at first");
    let mut last = None;
    for (what, publishes, call) in STEPS {
        let before = world.roster();
        call(&mut world);
        let published = !Arc::ptr_eq(&before, &world.roster());
        assert_eq!(published, *publishes, "{what}");
        assert!(world.roster().former.is_none(), "{what}: nothing is kept");
        world.check(what);
        last = Some(before);
    }
    // Nothing else has kept the one before.
    let last = last.expect("there are steps");
    assert_eq!(Arc::strong_count(&last), 1 + usize::from(Arc::ptr_eq(&last, &world.roster())) * 2);
}

/// Servers that are listed, and those that were removed, at one moment.
fn listed(view: &View<'_>, roster: &Roster) -> (BTreeSet<ServerId>, Vec<ServerId>) {
    let records = view.table.listed();
    let claims = records.iter().flat_map(|(record, _)| &record.claims);
    let removed = roster.removed_at(view.table.sequence).iter();
    (claims.map(|claim| claim.id).collect(), removed.map(|(_, _, id)| id).collect())
}

/// A server that keeps a connection is listed or removed at every moment, and never both.
#[test]
fn a_server_is_configured_or_removed_at_every_moment() {
    const SERVERS: u8 = 12;
    let all: String = (1..=SERVERS).map(|n| format!("-a -t 10.0.0.1:80 -r 10.0.1.{n}\n")).collect();
    let config: Config = format!("-A -t 10.0.0.1:80 -s rr\n{all}-A -t 10.0.0.2:80 -s wlc")
        .parse()
        .expect("valid rules");
    let director = Director::new(&config).expect("a valid config");
    let key: ServiceKey = config.services[0].key;
    let service = director.service_by_key(&key).expect("it runs");
    let servers = director.servers(service).expect("it runs");
    let ids: BTreeSet<ServerId> = servers.iter().map(|(id, _)| *id).collect();
    let worker = director.worker();
    let open = |id: &ServerId| worker.open(*id, Activity::Active).expect("it runs");
    let leases: Vec<Lease> = ids.iter().map(open).collect();
    let (stop, between) = (AtomicBool::new(false), AtomicU32::new(0));
    let reads = AtomicU32::new(0);
    let read = || {
        while !stop.load(Ordering::SeqCst) {
            director.view_with_roster(|view, roster| {
                let (configured, removed) = listed(view, roster);
                let removed: BTreeSet<ServerId> = removed.into_iter().collect();
                assert!(configured.is_disjoint(&removed));
                let both: BTreeSet<ServerId> = configured.union(&removed).copied().collect();
                assert!(both.is_superset(&ids), "{:?}", ids.difference(&both));
                if roster.former.is_some() {
                    between.fetch_add(1, Ordering::SeqCst);
                }
            });
            for id in &ids {
                assert!(director.holds(*id).is_some(), "{id}");
            }
            let removed = director.removed_with_connections();
            assert!(removed.len() <= ids.len());
            assert!(removed.iter().all(|it| ids.contains(&it.id) && it.active == 1));
            reads.fetch_add(1, Ordering::SeqCst);
        }
    };
    thread::scope(|scope| {
        let readers = [scope.spawn(read), scope.spawn(read)];
        // Until readers have often come between two publications of one change.
        let enough =
            || between.load(Ordering::SeqCst) >= 10_000 && reads.load(Ordering::SeqCst) >= 100_000;
        let failed = || readers.iter().any(|reader| reader.is_finished());
        for round in (0_u32..).take_while(|_| !enough() && !failed()) {
            let mut next = config.clone();
            // Some leave, and others come back.
            let stays = |place: u32| !(place + round).is_multiple_of(3);
            let mut places = 0..;
            next.services[0].servers.retain(|_| places.next().is_none_or(stays));
            if round % 7 == 0 {
                next.services.remove(0);
            }
            director.apply(&next).expect("a valid config");
            if round % 5 == 0 {
                director.tick(Duration::from_secs(round.into()));
            }
        }
        stop.store(true, Ordering::SeqCst);
    });
    assert!(leases.into_iter().all(|lease| worker.close(lease).is_ok()));
}
