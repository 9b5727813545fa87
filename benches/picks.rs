//! Measures a pick and an open + close, per scheduler and number of servers: `make
//! bench-schedulers`.

#[path = "../tests/common/mod.rs"]
mod common;

use std::fmt;
use std::mem::replace;

use common::{Random, config, flow};
use divan::{Bencher, black_box};
use vsched::{Activity, Director, Flow, Lease, SchedulerKind, ServiceId, Worker};

const SIZES: [u16; 4] = [2, 16, 256, 4096];

/// A scheduler, or none: the lower bound of every pick.
#[derive(Clone, Copy)]
struct Scheduler(Option<SchedulerKind>);

impl fmt::Display for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.map_or("floor", |kind| kind.name()))
    }
}

fn all() -> impl Iterator<Item = Scheduler> {
    [Scheduler(None)].into_iter().chain(real())
}

fn real() -> impl Iterator<Item = Scheduler> {
    SchedulerKind::ALL.iter().map(|&kind| Scheduler(Some(kind)))
}

struct Case {
    worker: Worker,
    service: ServiceId,
    held: Vec<Lease>,
    _director: Director,
}

impl Case {
    fn new(Scheduler(scheduler): Scheduler, servers: u16) -> Self {
        let kind = scheduler.unwrap_or(SchedulerKind::Rr);
        let mut config = config(kind, servers, &[1, 2, 3]);
        config.services[0].scheduler = scheduler;
        if kind == SchedulerKind::Mh && servers > 4000 {
            // More servers than the default table has slots.
            config.services[0].mh_table_index = 16;
        }
        let director = Director::new(&config).expect("a valid config");
        let service = director.service_for(&flow(0)).expect("it runs");
        let worker = director.worker();
        let mut held = Vec::new();
        // About two connections per server, so that least-loaded searches have something to compare.
        for _ in 0..2 * u32::from(servers) {
            let pick = worker.pick_server(service, &Flow::default());
            held.extend(
                pick.ok().and_then(|pick| worker.open(pick.server(), Activity::Active).ok()),
            );
        }
        Case { worker, service, held, _director: director }
    }
}

#[divan::bench(args = all(), consts = SIZES)]
fn pick<const SERVERS: u16>(bencher: Bencher<'_, '_>, scheduler: &Scheduler) {
    let case = Case::new(*scheduler, SERVERS);
    let flow = flow(1);
    bencher.bench_local(|| case.worker.pick_server(case.service, black_box(&flow)));
}

/// Opens a connection on the server of an earlier lease, and closes that lease.
#[divan::bench(args = real(), consts = SIZES)]
fn open_close<const SERVERS: u16>(bencher: Bencher<'_, '_>, scheduler: &Scheduler) {
    let mut case = Case::new(*scheduler, SERVERS);
    let mut random = Random(7);
    bencher.bench_local(|| {
        let at = random.below(case.held.len() as u64) as usize;
        let new = case.worker.open(case.held[at].server(), Activity::Active).expect("it runs");
        let old = replace(&mut case.held[at], new);
        case.worker.close(old).expect("an open lease");
    });
}

fn main() {
    divan::main();
}
