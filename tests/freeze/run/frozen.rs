//! The child: one thread that is stopped, one that keeps working, one that reloads, and the main
//! thread, which follows the tracer's orders and touches nothing under test.

use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use vsched::{
    Activity, ConnectionError, Director, Flow, Holder, Lease, Outcome, ServerState, ServiceId,
    Tried, Worker,
};

use super::live::Live;
use super::scenarios::Scenario;
use super::trap::{Call, ENOUGH, be_traced, between};
use crate::common::{Random, flow, vip};

/// The tracer's words, a line each.
pub(crate) const WINDOW: &str = "window";
pub(crate) const END: &str = "end";
/// The child's word for: done.
pub(crate) const DONE: &str = "done";

/// How long others may take for a bounded number of calls: forever, if one waits for the stopped
/// thread. Any other way to tell is a guess, too.
const PATIENCE: Duration = Duration::from_secs(40);
const ROUNDS_A_WINDOW: u32 = 3;
const RELOADS_A_WINDOW: usize = 2;
/// Leases that a thread holds across calls, so that thresholds are reached.
const HELD: usize = 6;
const ADDRESSES: u64 = 14;
const LATENCY: Option<Duration> = Some(Duration::from_millis(7));
/// Milliseconds of the director's clock from tick to tick.
const TICK: u64 = 31_000;

pub(crate) fn run(scenarios: &[Scenario]) {
    for (at, scenario) in scenarios.iter().enumerate() {
        let before = Live::bytes();
        World::run(scenario);
        let left = Live::bytes() - before;
        // In the first one are what a process allocates once, such as the buffers of its pipes.
        assert!(left == 0 || at == 0, "{}: {left} bytes were not freed", scenario.name);
        say(DONE);
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("the tracer listens");
}

struct World<'a> {
    scenario: &'a Scenario,
    director: Director,
    service: ServiceId,
    opened: AtomicU64,
    /// The address of the stopped thread's call: others come with the same.
    address: AtomicU32,
    /// What the working and the reloading thread are in the middle of.
    doing: [AtomicU32; 2],
}

const WORKER: usize = 0;
const RELOADER: usize = 1;
const DOING: [&str; 13] = [
    "nothing",
    "pick_server",
    "pick_server_excluding",
    "open_pick",
    "update",
    "close",
    "connect",
    "service_for",
    "close_in_place_with",
    "report",
    "apply",
    "tick or Director::worker",
    "set_state",
];

impl World<'_> {
    fn run(scenario: &Scenario) {
        let director = Director::new(&scenario.configs[0]).expect("a valid config");
        let key = scenario.configs[0].services[0].key;
        let world = World {
            scenario,
            service: director.service_by_key(&key).expect("it runs"),
            director,
            opened: AtomicU64::new(0),
            address: AtomicU32::new(0),
            doing: Default::default(),
        };
        // All workers are made beforehand: the director's lock is not the hot path's affair.
        let [stopped, working] = [world.director.worker(), world.director.worker()];
        let workers = thread::scope(|scope| {
            let ((go, goes), (done, is_done)) = (channel(), channel());
            let (again, begins) = channel();
            let all_done = done.clone();
            let working = scope.spawn(|| world.work(working, goes, done));
            let reloading = scope.spawn(|| world.reload(begins, all_done));
            let stopped = scope.spawn(|| world.be_stopped(stopped));
            world.obey(&[go, again], &is_done);
            reloading.join().expect("the reloading thread");
            [stopped.join().expect("the stopped thread"), working.join().expect("the working one")]
        });
        world.check(workers);
    }

    /// Opens windows until the tracer has seen enough.
    fn obey(&self, starts: &[Sender<()>], is_done: &Receiver<()>) {
        for line in std::io::stdin().lock().lines() {
            if line.expect("the tracer speaks") != WINDOW {
                return;
            }
            starts.iter().for_each(|start| start.send(()).expect("it listens"));
            if starts.iter().any(|_| is_done.recv_timeout(PATIENCE).is_err()) {
                let [worker, reloader] = self.doing.each_ref().map(|at| {
                    // Relaxed: a note for the reader.
                    DOING[at.load(Ordering::Relaxed) as usize]
                });
                say(&format!("the working thread is in {worker}, the reloading one in {reloader}"));
            } else {
                say(DONE);
            }
        }
    }

    fn note<T>(&self, thread: usize, doing: u32, act: impl FnOnce() -> T) -> T {
        self.doing[thread].store(doing, Ordering::Relaxed);
        let done = act();
        self.doing[thread].store(0, Ordering::Relaxed);
        done
    }

    fn flow(&self, address: u32) -> Flow {
        let client = flow(address).client().expect("an address");
        let mut destination = vip(0);
        destination.set_ip(std::net::Ipv4Addr::from_bits(0x0a02_0000 + address).into());
        Flow::tcp(client, destination)
    }

    /// Every call once; `around` is told before each, and says when it is enough.
    fn round(
        &self,
        worker: &Worker,
        held: &mut Vec<Lease>,
        flow: &Flow,
        mut around: impl FnMut(Call, &mut dyn FnMut()),
    ) {
        let service = self.service;
        let (mut pick, mut lease) = (None, None);
        around(Call::Pick, &mut || pick = worker.pick_server(service, flow).ok());
        if let Some(pick) = pick {
            let mut tried = Tried::<2>::new();
            tried.try_push(pick.server()).expect("room");
            let mut again = None;
            around(Call::PickExcluding, &mut || {
                again = worker.pick_server_excluding(service, flow, tried.as_slice()).ok();
            });
            assert!(again.is_none_or(|again| again.server() != pick.server()), "tried already");
            let mut reported = Ok(());
            around(Call::Report, &mut || {
                reported = worker.report(pick.server(), Outcome::Failed, None);
            });
            // A reload may have removed it since.
            assert!(matches!(reported, Ok(()) | Err(ConnectionError::Stale)));
            around(Call::OpenPick, &mut || lease = worker.open_pick(&pick, Activity::Active).ok());
        }
        if let Some(lease) = &mut lease {
            self.opened.fetch_add(1, Ordering::Relaxed);
            let mut updated = Ok(());
            around(Call::Update, &mut || updated = worker.update(lease, Activity::Inactive));
            updated.expect("an open lease");
        }
        let mut connected = None;
        around(Call::Connect, &mut || {
            connected = worker.connect(service, flow).map(vsched::Connection::into_lease).ok();
        });
        self.opened.fetch_add(u64::from(connected.is_some()), Ordering::Relaxed);
        held.extend([lease, connected].into_iter().flatten());
        while held.len() > HELD {
            let mut lease = held.remove(0);
            let mut closed = Ok(());
            // Those of `connect`.
            if lease.activity() == Some(Activity::Active) {
                around(Call::CloseWith, &mut || {
                    closed = worker.close_in_place_with(&mut lease, Outcome::Done, LATENCY);
                });
            } else {
                around(Call::Close, &mut || closed = worker.close_in_place(&mut lease));
            }
            closed.expect("an open lease");
        }
        let mut found = None;
        let known = crate::common::flow(0);
        around(Call::ServiceFor, &mut || found = worker.service_for(&known));
        assert_eq!(found, Some(service));
    }

    fn close_all(worker: &Worker, held: Vec<Lease>) {
        held.into_iter().for_each(|lease| worker.close(lease).expect("an open lease"));
    }

    fn be_stopped(&self, worker: Worker) -> Worker {
        be_traced();
        let (mut random, mut held) = (Random(1), Vec::new());
        let mut enough = false;
        while !enough {
            let address = random.below(ADDRESSES) as u32;
            self.address.store(address, Ordering::Relaxed);
            self.round(&worker, &mut held, &self.flow(address), |call, act| {
                // After the last stop, the tracer no longer waits for its breakpoints.
                if enough {
                    act();
                } else {
                    enough = between(call, act).1 == ENOUGH;
                }
            });
        }
        World::close_all(&worker, held);
        worker
    }

    fn work(&self, worker: Worker, goes: Receiver<()>, done: Sender<()>) -> Worker {
        let (mut random, mut held) = (Random(2), Vec::new());
        for () in goes {
            for round in 0..ROUNDS_A_WINDOW {
                let same = self.address.load(Ordering::Relaxed);
                let address = if round == 0 { same } else { random.below(ADDRESSES) as u32 };
                self.round(&worker, &mut held, &self.flow(address), |call, act| {
                    self.note(WORKER, call as u32, act);
                });
            }
            done.send(()).expect("the main thread waits");
        }
        World::close_all(&worker, held);
        worker
    }

    fn reload(&self, begins: Receiver<()>, done: Sender<()>) {
        let mut configs = self.scenario.configs.iter().cycle().skip(1);
        for () in begins {
            for config in configs.by_ref().take(RELOADS_A_WINDOW) {
                self.hold(1, ServerState::Down);
                let applied = self.note(RELOADER, 10, || self.director.apply(config));
                assert!(!applied.expect("a valid config").is_empty());
                self.hold(usize::MAX, ServerState::Up);
            }
            self.note(RELOADER, 11, || {
                self.director.tick(self.director.now() + Duration::from_millis(TICK));
                drop(self.director.worker());
            });
            done.send(()).expect("the main thread waits");
        }
    }

    /// Sets the state of the first servers, at most this many.
    fn hold(&self, most: usize, state: ServerState) {
        for (server, _) in self.director.servers(self.service).into_iter().flatten().take(most) {
            self.note(RELOADER, 12, || {
                let set = self.director.set_state(server, Holder::HealthChecker, state);
                // Down, if it has been ejected.
                assert!([Ok(state), Ok(ServerState::Down)].contains(&set), "{set:?}");
            });
        }
    }

    /// Everything is closed: all counts are exact, and old tables are freed while the workers are
    /// alive.
    fn check(self, workers: [Worker; 2]) {
        let name = &self.scenario.name;
        for config in [&self.scenario.configs[0], &self.scenario.configs[2]] {
            self.director.apply(config).expect("a valid config");
            let service = &self.director.observe().services[0];
            let opened = self.opened.load(Ordering::Relaxed);
            assert_eq!(service.statistics.connections, opened, "{name}: connections opened");
            for server in &service.servers {
                let counts = (server.counts.active, server.counts.inactive);
                assert_eq!(counts, (0, 0), "{name}: server {}", server.server.address);
            }
        }
        // More than an hour, by minutes: what is remembered of addresses expires.
        for _ in 0..70 {
            self.director.tick(self.director.now() + Duration::from_secs(60));
        }
        let service = &self.director.observe().services[0];
        for remembered in [service.remembered, service.templates].into_iter().flatten() {
            assert_eq!(remembered.entries, 0, "{name}: addresses remembered");
        }
        self.director.apply(&self.scenario.configs[0]).expect("a valid config");
        workers.iter().for_each(|worker| assert!(worker.service_for(&flow(0)).is_some()));
        self.director.tick(self.director.now());
        let removed = self.director.removed_servers();
        assert_eq!(removed, 0, "{name}: removed servers whose slots are not free again");
    }
}
