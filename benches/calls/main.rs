//! The hot path in loops, for instruction counts and for quick looks.
//!
//! - `calls SCHEDULER SERVERS PICKS`: nanoseconds per pick.
//! - `calls --count`: every case once, between callgrind requests; `ffi-tests/cost.py` reads the
//!   counts.
//! - `calls --schedulers`: the number of schedulers.
//! - `calls`: every function of `hot` once; `ffi-tests/hot_path.py` reads their object code.
//!
//! The counterpart of `ffi-tests/calls.c`, which does the same through the C library.

mod callgrind;
#[path = "../../tests/common/mod.rs"]
mod common;
mod hot;

use std::hint::black_box;
use std::time::{Duration, Instant};

use common::{config, flow};
use vsched::config::Sharing;
use vsched::{
    Activity, Director, Flow, Handle, Outcome, SchedulerKind, ServerId, ServiceId, Tried, Worker,
};

/// Numbers of servers for which instructions are counted.
const SIZES: [u16; 2] = [16, 1000];
/// Counted calls of a case, and warm-up calls before: address maps know the address, rotations have
/// started.
const CALLS: u64 = 300;
const WARM_UP: u64 = 20;

struct Loop {
    worker: Worker,
    service: ServiceId,
    flow: Flow,
    server: ServerId,
    handle: Handle,
}

impl Loop {
    fn new(kind: SchedulerKind, servers: u16) -> Self {
        Self::shared(kind, servers, Sharing::Exact)
    }

    fn shared(kind: SchedulerKind, servers: u16, sharing: Sharing) -> Self {
        let mut config = config(kind, servers, &[1, 2, 3]);
        config.services.iter_mut().for_each(|service| service.sharing = sharing);
        let director = Director::new(&config).expect("a valid config");
        let (worker, flow) = (director.worker(), flow(1));
        let service = director.service_for(&flow).expect("it runs");
        let server = worker.pick_server(service, &flow).expect("a server").server();
        Loop { worker, service, flow, server, handle: director.handle() }
    }

    fn pick(&self, calls: u64) {
        for _ in 0..calls {
            // By reference: a copy of the result would cost as much as a tenth of a pick.
            let _ = black_box(&self.worker.pick_server(self.service, black_box(&self.flow)));
        }
    }

    fn open_close(&self, calls: u64) {
        for _ in 0..calls {
            let lease = self.worker.open(black_box(self.server), Activity::Active);
            self.worker.close(lease.expect("it runs")).expect("an open lease");
        }
    }

    fn open_close_with(&self, calls: u64) {
        for _ in 0..calls {
            let lease = self.worker.open(black_box(self.server), Activity::Active);
            let lease = lease.expect("it runs");
            self.worker.close_with(lease, Outcome::Done, LATENCY).expect("an open lease");
        }
    }

    fn report(&self, calls: u64) {
        for _ in 0..calls {
            let reported = self.worker.report(black_box(self.server), Outcome::Done, LATENCY);
            reported.expect("it runs");
        }
    }

    fn report_failure(&self, calls: u64) {
        for _ in 0..calls {
            let reported = self.worker.report(black_box(self.server), Outcome::Failed, None);
            reported.expect("it runs");
        }
    }

    fn handle_pick(&self, calls: u64) {
        for _ in 0..calls {
            let _ = black_box(&self.handle.pick_server(self.service, black_box(&self.flow)));
        }
    }

    fn handle_connect_close(&self, calls: u64) {
        for _ in 0..calls {
            let _ = black_box(&self.handle.connect(self.service, black_box(&self.flow)));
        }
    }

    fn connect_close(&self, calls: u64) {
        for _ in 0..calls {
            let _ = black_box(self.worker.connect(self.service, black_box(&self.flow)));
        }
    }
}

type Case = (&'static str, fn(&Loop, u64));
const CASES: [Case; 3] = [
    ("pick", Loop::pick),
    ("open+close", Loop::open_close),
    ("connect+close", Loop::connect_close),
];

/// The same through a handle.
const HANDLE: [Case; 2] =
    [("handle:pick", Loop::handle_pick), ("handle:connect+close", Loop::handle_connect_close)];

/// Reports of outcomes, which know nothing of schedulers.
const REPORTS: [Case; 3] = [
    ("open+close_with", Loop::open_close_with),
    ("report", Loop::report),
    ("report_failure", Loop::report_failure),
];
const LATENCY: Option<Duration> = Some(Duration::from_millis(3));

/// Schedulers that are not counted per worker: their picks then cost what they cost otherwise, or what
/// those of wlc do.
const SAME_PER_WORKER: &[&str] =
    &["lc", "sed", "nq", "sh", "dh", "lblc", "lblcr", "mh", "fo", "ovf"];

fn count(kind: SchedulerKind, servers: u16, sharing: Sharing, calls: &[Case]) {
    let it = Loop::shared(kind, servers, sharing);
    let how = if sharing == Sharing::Exact { String::new() } else { format!(",{sharing}") };
    for (call, case) in calls {
        case(&it, WARM_UP);
        let name = format!("{call} {}{how} n={servers} / {CALLS}", kind.name());
        callgrind::count(&name, || case(&it, CALLS));
    }
}

fn cases(kinds: &[SchedulerKind]) -> impl Iterator<Item = (SchedulerKind, u16)> + '_ {
    kinds.iter().flat_map(|kind| SIZES.map(|servers| (*kind, servers)))
}

fn time(kind: SchedulerKind, servers: u16, picks: u64) {
    let cases = Loop::new(kind, servers);
    let start = Instant::now();
    cases.pick(picks);
    let nanos = start.elapsed().as_secs_f64() * 1e9 / picks.max(1) as f64;
    println!("{} {servers} {nanos:.1} ns", kind.name());
}

/// Keeps the functions of `hot` in the program.
fn each_once(worker: &Worker, service: ServiceId, flow: &Flow) {
    let pick = hot::pick_server(worker, service, flow).expect("a server");
    let mut tried = Tried::new();
    assert!(hot::tried_push(&mut tried, pick.server()));
    let again =
        hot::pick_server_excluding(worker, service, flow, tried.as_slice()).expect("another");
    assert_eq!(hot::service_for(worker, flow), Some(service));
    assert!(hot::connection(worker, service, flow));
    let leases = [
        hot::connect(worker, service, flow).expect("a server"),
        hot::open(worker, again.server()).expect("it runs"),
        hot::open_pick(worker, &pick).expect("it runs"),
    ];
    for mut lease in leases {
        hot::update(worker, &mut lease).expect("an open lease");
        hot::close(worker, lease).expect("an open lease");
    }
    let lease = hot::open(worker, again.server()).expect("it runs");
    hot::close_with(worker, lease, Outcome::Done, LATENCY).expect("an open lease");
    let connection = worker.connect(service, flow).expect("a server");
    hot::finish(connection, Outcome::Failed, None).expect("an open connection");
    hot::report(worker, again.server(), Outcome::Abandoned, None).expect("it runs");
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--count"] => {
            for (kind, servers) in cases(SchedulerKind::ALL) {
                count(kind, servers, Sharing::Exact, &CASES);
            }
            count(SchedulerKind::Rr, SIZES[0], Sharing::Exact, &REPORTS);
            count(SchedulerKind::Rr, SIZES[0], Sharing::Exact, &HANDLE);
            count(SchedulerKind::Wlc, SIZES[0], Sharing::Exact, &HANDLE);
            let per_worker = |kind: &SchedulerKind| !SAME_PER_WORKER.contains(&kind.name());
            let kinds: Vec<_> = SchedulerKind::ALL.iter().copied().filter(per_worker).collect();
            for (kind, servers) in cases(&kinds) {
                count(kind, servers, Sharing::PerWorker, &CASES);
            }
            for (kind, servers) in cases(&[SchedulerKind::Rr, SchedulerKind::Wrr]) {
                count(kind, servers, Sharing::Chunks(16), &CASES[..1]);
            }
        }
        ["--schedulers"] => println!("{}", SchedulerKind::ALL.len()),
        [scheduler, servers, picks] => {
            let kind = scheduler.parse().expect("a scheduler");
            let servers = servers.parse().expect("a number of servers");
            time(kind, servers, picks.parse().expect("a number of picks"));
        }
        // As `cargo bench` and `cargo test --benches` call it.
        _ => {
            let Loop { worker, service, flow, .. } = Loop::new(SchedulerKind::Rr, 3);
            each_once(&worker, service, &flow);
            println!("usage: calls SCHEDULER SERVERS PICKS | --count");
        }
    }
}
