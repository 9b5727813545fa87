//! Threads hold servers for reasons, remove servers and add them again, connect and tick, beside others that
//! ask who holds what and why: each answer agrees with itself, and with what the thread that asks has done.

mod common;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use common::{Random, rip, server, service, vip};
use vsched::config::Ejection;
use vsched::{
    Bar, Config, Director, Explanation, Flow, Hold, Holder, Outcome, SchedulerKind, ServerId,
    ServerState, ServiceId,
};

const SERVERS: u16 = 12;
const HOLDERS: [Holder; 3] = [Holder::Administrator, Holder::HealthChecker, Holder::Host];
const STATES: [ServerState; 3] = [ServerState::Up, ServerState::Draining, ServerState::Down];

/// Services of these schedulers: of one that is compiled again for a first hold, of one that ejects.
fn config() -> Config {
    let kinds = [SchedulerKind::Wlc, SchedulerKind::Rr, SchedulerKind::Mh];
    let one = |(n, kind)| {
        let servers = (1..=SERVERS).map(|n| server(n, 1)).collect();
        service(n, kind).with_servers(servers)
    };
    let services = (0..).zip(kinds).map(one).collect();
    let mut config: Config = Config::new().with_services(services);
    let rule = Ejection::default().with_failures(2).with_max_share(40).with_base_time(2);
    config.services[0].ejection = Some(rule);
    config
}

fn flow(service: u16, client: u64) -> Flow {
    let [.., b, c, d] = client.to_be_bytes();
    Flow::tcp(SocketAddr::from(([172, b, c, d], 40_000)), vip(service))
}

/// A reason names the server, the holder and the state that it is for.
fn reason(server: SocketAddr, holder: Holder, state: ServerState, number: u32) -> String {
    format!("{server} {holder} {} {number}", state.name())
}

fn is_true(hold: &Hold, server: SocketAddr) -> bool {
    if hold.holder == Holder::Ejector {
        let known = ["failures in a row", "a failure on trial"];
        return hold.state == ServerState::Down && known.iter().any(|it| hold.reason.contains(it));
    }
    let said = reason(server, hold.holder, hold.state, 0);
    hold.state != ServerState::Up && hold.reason.starts_with(said.trim_end_matches('0'))
}

/// The most severe.
fn result(holds: &[Hold]) -> ServerState {
    holds.iter().map(|hold| hold.state).max().unwrap_or_default()
}

fn check_holds(holds: &[Hold], server: SocketAddr) {
    assert!(holds.iter().all(|hold| is_true(hold, server)), "{server}: {holds:?}");
    let mut holders = holds.iter().map(|hold| hold.holder);
    assert!(
        holders.clone().is_sorted()
            && holders.all(|it| { holds.iter().filter(|hold| hold.holder == it).count() == 1 }),
        "{server}: {holds:?}"
    );
}

fn check_explanation(explanation: &Explanation) {
    for server in &explanation.servers {
        check_holds(&server.holds, server.address);
        assert_eq!(server.state, result(&server.holds), "{explanation}");
        assert_eq!(server.health.state, server.state, "{explanation}");
        let bar = match server.state {
            // After an ejection it is on trial, with a limit.
            ServerState::Up => server.bar.filter(|bar| *bar == Bar::Overloaded),
            ServerState::Draining => Some(Bar::Draining),
            _ => Some(if server.health.ejected { Bar::Ejected } else { Bar::Down }),
        };
        assert_eq!(server.bar, bar, "{explanation}");
    }
    if let Ok(pick) = &explanation.pick {
        let picked = explanation.servers.iter().find(|server| server.id == pick.server);
        assert_eq!(picked.expect("a server of the service").address, pick.address);
    }
}

struct Storm {
    director: Director,
    config: Config,
    stop: AtomicBool,
    held: AtomicU32,
    read: AtomicU32,
    removed: AtomicU32,
}

struct EndsIfFailed<'a>(&'a AtomicBool);

impl Drop for EndsIfFailed<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

impl Storm {
    fn service(&self, random: &mut Random) -> Option<(u16, ServiceId)> {
        let number = random.below(self.config.services.len() as u64) as u16;
        let key = &self.config.services[usize::from(number)].key;
        Some((number, self.director.service_by_key(key)?))
    }

    /// Runs `act` until the end, or until it fails in a thread.
    fn go_on(&self, seed: u64, mut act: impl FnMut(&mut Random)) {
        let mut random = Random(seed);
        let _ends = EndsIfFailed(&self.stop);
        while !self.stop.load(Ordering::Relaxed) {
            act(&mut random);
        }
    }

    /// Holds servers in the name of one holder, which sees at once what it has done.
    fn hold(&self, holder: Holder, latest: &mut HashMap<(u16, SocketAddr), (ServerState, String)>) {
        let mut number = 0;
        self.go_on(holder as u64, |random| {
            let Some((service, id)) = self.service(random) else { return };
            let address = rip(1 + random.below(SERVERS.into()) as u16);
            let Some(server) = self.director.server_by_address(id, address) else { return };
            // Half of all are up.
            let state = STATES[(random.below(4) as usize).saturating_sub(1)];
            number += 1;
            let said = reason(address, holder, state, number);
            // It may be gone by now.
            if self.director.set_state_because(server, holder, state, &said).is_err() {
                return;
            }
            let wanted = (state != ServerState::Up).then_some((state, said.clone()));
            latest.insert((service, address), (state, said));
            self.held.fetch_add(1, Ordering::Relaxed);
            let Some(holds) = self.director.holds(server) else { return };
            let own = holds.into_iter().find(|hold| hold.holder == holder);
            assert_eq!(own.map(|own| (own.state, own.reason)), wanted);
        });
    }

    fn ask(&self, seed: u64) {
        self.go_on(seed, |random| {
            let Some((number, id)) = self.service(random) else { return };
            if let Some(explanation) = self.director.explain(id, &flow(number, random.next())) {
                check_explanation(&explanation);
            }
            for (server, observed) in self.director.servers(id).unwrap_or_default() {
                if let Some(holds) = self.director.holds(server) {
                    check_holds(&holds, observed.server.address);
                }
            }
            let removed = self.director.removed_with_connections();
            let names = removed.iter().map(|it| (it.service, it.server));
            assert!(names.is_sorted_by(|one, two| one < two), "{removed:?}");
            for it in &removed {
                assert!(it.active + it.inactive > 0);
                if let Some(holds) = self.director.holds(it.id) {
                    check_holds(&holds, it.server);
                }
                // What a known id names never changes.
                if let Some(observed) = self.director.observe_server(it.id) {
                    assert_eq!(observed.server.address, it.server);
                }
            }
            self.removed.fetch_add(removed.len() as u32, Ordering::Relaxed);
            assert!(self.director.removed_servers() < 100_000);
            self.read.fetch_add(1, Ordering::Relaxed);
        });
    }

    fn connect(&self, seed: u64) {
        let worker = self.director.worker();
        let mut open = Vec::new();
        self.go_on(seed, |random| {
            let Some((number, id)) = self.service(random) else { return };
            open.extend(worker.connect(id, &flow(number, random.next())));
            if open.len() > 40 {
                let connection = open.swap_remove(random.below(open.len() as u64) as usize);
                let bad = random.below(3) == 0;
                let outcome = if bad { Outcome::Failed } else { Outcome::Done };
                let _ = connection.finish(outcome, None);
            }
        });
    }

    fn change(&self, rounds: u32) {
        let enough = |round| {
            round >= rounds
                && self.held.load(Ordering::Relaxed) > 3000
                && self.read.load(Ordering::Relaxed) > 300
                && self.removed.load(Ordering::Relaxed) > 1000
        };
        let mut random = Random(99);
        let stopped = || self.stop.load(Ordering::Relaxed);
        for round in (0..).take_while(|round| !enough(*round) && !stopped()) {
            let mut config = self.config.clone();
            for service in &mut config.services {
                service.servers.retain(|_| random.below(4) > 0);
            }
            if round % 10 == 0 {
                config.services.remove(random.below(3) as usize);
            }
            self.director.apply(&config).expect("valid");
            self.director.tick(Duration::from_millis(u64::from(round) * 100));
            if round % 50 == 0 {
                self.director.forget_removed();
            }
        }
    }
}

#[test]
fn answers_agree_with_themselves_whatever_happens_beside_them() {
    let config = config();
    let director = Director::new(&config).expect("a valid config");
    let counts = [AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0)];
    let [held, read, removed] = counts;
    let storm = Storm { director, config, stop: AtomicBool::new(false), held, read, removed };
    let latest = thread::scope(|scope| {
        let storm = &storm;
        let holders = HOLDERS.map(|holder| {
            scope.spawn(move || {
                let mut latest = HashMap::new();
                storm.hold(holder, &mut latest);
                (holder, latest)
            })
        });
        (10..12).for_each(|seed| _ = scope.spawn(move || storm.ask(seed)));
        (20..22).for_each(|seed| _ = scope.spawn(move || storm.connect(seed)));
        storm.change(400);
        storm.stop.store(true, Ordering::Relaxed);
        holders.map(|thread| thread.join().expect("a holder"))
    });
    // In the end every server is held as each holder said last.
    let Storm { director, config, .. } = storm;
    director.apply(&config).expect("valid");
    director.tick(Duration::from_secs(1_000_000));
    director.tick(Duration::from_secs(2_000_000));
    let mut held = 0;
    for (number, service) in (0..).zip(&config.services) {
        let id = director.service_by_key(&service.key).expect("it runs");
        let servers = director.servers(id).expect("it runs");
        for (server, observed) in &servers {
            let address = observed.server.address;
            let said = |(holder, latest): &(Holder, HashMap<_, (ServerState, String)>)| {
                let (state, reason) = latest.get(&(number, address))?.clone();
                (state != ServerState::Up).then_some((*holder, state, reason))
            };
            let expected: Vec<_> = latest.iter().filter_map(said).collect();
            let holds = director.holds(*server).expect("it runs");
            assert_eq!(observed.state, result(&holds));
            let holds = holds.into_iter().map(|hold| (hold.holder, hold.state, hold.reason));
            assert_eq!(holds.collect::<Vec<_>>(), expected, "{address}");
            held += expected.len();
        }
        check_explanation(&director.explain(id, &flow(number, 1)).expect("it runs"));
    }
    assert!(held > 0);
}

/// A server that keeps its connection can be asked about at any time, however often it leaves and returns.
#[test]
fn a_removed_server_is_never_unknown() {
    let config = config();
    let director = Director::new(&config).expect("a valid config");
    let id = director.service_by_key(&config.services[0].key).expect("it runs");
    let servers = director.servers(id).expect("it runs");
    let ids: Vec<ServerId> = servers.iter().map(|(id, _)| *id).collect();
    let worker = director.worker();
    let leases: Vec<_> =
        ids.iter().map(|id| worker.open(*id, vsched::Activity::Active).expect("it runs")).collect();
    director.set_state_because(ids[0], Holder::Host, ServerState::Down, "why").expect("it runs");
    let (stop, asked) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for id in &ids {
                    let holds = director.holds(*id).expect("it has a connection");
                    assert_eq!(holds.len(), usize::from(*id == ids[0]));
                }
                asked.fetch_add(1, Ordering::Relaxed);
            }
        });
        let enough = |round| round >= 3000 && asked.load(Ordering::Relaxed) >= 3000;
        for round in (0_u16..).take_while(|round| !enough(*round) && !reader.is_finished()) {
            let mut next = config.clone();
            if round % 4 == 0 {
                next.services.remove(0);
            } else {
                next.services[0].servers.retain(|server| server.address != rip(round % 12 + 1));
            }
            director.apply(&next).expect("valid");
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(leases.into_iter().all(|lease| worker.close(lease).is_ok()));
}

/// A server that is down is down for a reason, from the moment when it is seen.
#[test]
fn a_state_that_is_read_has_its_hold() {
    let config = config();
    let director = Director::new(&config).expect("a valid config");
    let service = director.service_by_key(&config.services[1].key).expect("it runs");
    let server = director.server_by_address(service, rip(1)).expect("it runs");
    // Odd during a release.
    let (stop, seen, releases) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                let before = releases.load(Ordering::SeqCst);
                let state = director.state(server).expect("it runs");
                let holds = director.holds(server).expect("it runs");
                let undisturbed = before % 2 == 0 && releases.load(Ordering::SeqCst) == before;
                if undisturbed && state == ServerState::Down {
                    assert_eq!(holds.len(), 1);
                    seen.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        let set = |state| director.set_state(server, Holder::Host, state).expect("it runs");
        let enough = |round| round > 20_000 && seen.load(Ordering::SeqCst) > 3000;
        for _ in (0..).take_while(|round| !enough(*round) && !reader.is_finished()) {
            set(ServerState::Down);
            releases.fetch_add(1, Ordering::SeqCst);
            set(ServerState::Up);
            releases.fetch_add(1, Ordering::SeqCst);
        }
        stop.store(true, Ordering::SeqCst);
    });
}
