//! Measures a pick and an open + close, per scheduler and number of servers, and the same under load for
//! schedulers whose cost depends on it: `make bench-schedulers`.

#[path = "../tests/common/mod.rs"]
mod common;

use std::fmt;
use std::mem::replace;
use std::net::{Ipv4Addr, SocketAddr};

use common::{Random, config, flow};
use divan::{Bencher, black_box};
use vsched::config::{Family, ServiceKey};
use vsched::{Activity, Director, Flow, Lease, SchedulerKind, ServiceId, Worker};

const SIZES: [u16; 5] = [2, 10, 100, 1000, 10_000];
/// Destinations that lblc and lblcr remember.
const ADDRESSES: u32 = 1000;

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

/// A pick of the schedulers that choose at random, where every other server is at its upper threshold.
#[divan::bench(args = [SchedulerKind::Twos, SchedulerKind::P2c].map(|it| Scheduler(Some(it))), consts = SIZES)]
fn pick_half_overloaded<const SERVERS: u16>(bencher: Bencher<'_, '_>, scheduler: &Scheduler) {
    let mut config = config(scheduler.0.expect("a scheduler"), SERVERS, &[1, 1, 2, 2, 3, 3]);
    for server in config.services[0].servers.iter_mut().step_by(2) {
        server.thresholds.upper = 5;
    }
    let director = Director::new(&config).expect("a valid config");
    let service = director.service_for(&flow(0)).expect("it runs");
    for server in config.services[0].servers.iter().step_by(2) {
        let id = director.server_by_address(service, server.address).expect("it runs");
        director.set_counts(id, 5, 0).expect("few");
    }
    let (worker, flow) = (director.worker(), flow(1));
    bencher.bench_local(|| worker.pick_server(service, black_box(&flow)));
}

/// lblc and lblcr: a connection to a destination that is remembered for a server above its weight, while
/// no server has weight to spare, and its close.
#[divan::bench(args = [SchedulerKind::Lblc, SchedulerKind::Lblcr].map(|it| Scheduler(Some(it))), consts = SIZES)]
fn hit_under_load<const SERVERS: u16>(bencher: Bencher<'_, '_>, scheduler: &Scheduler) {
    let key = ServiceKey::fwmark(7, Family::Inet);
    let mut config = config(scheduler.0.expect("a scheduler"), SERVERS, &[1, 2, 3]);
    config.services[0].key = key;
    let director = Director::new(&config).expect("a valid config");
    let service = director.service_by_key(&key).expect("it runs");
    for server in &config.services[0].servers {
        let id = director.server_by_address(service, server.address).expect("it runs");
        director.set_counts(id, 2 * server.weight, 0).expect("few");
    }
    let client = SocketAddr::from(([172, 16, 0, 1], 40_000));
    let flow = |n: u32| {
        let destination = SocketAddr::from((Ipv4Addr::from_bits(0xcb00_7100 + n), 80));
        Flow::tcp(client, destination).with_fwmark(7)
    };
    let flows: Vec<Flow> = (0..ADDRESSES).map(flow).collect();
    let worker = director.worker();
    let (mut held, mut at) = (Vec::new(), 0);
    for flow in &flows {
        held.push(worker.connect(service, flow).expect("a server").into_lease());
    }
    bencher.bench_local(|| {
        let connection = worker.connect(service, &flows[at]).expect("a server");
        let old = replace(&mut held[at], connection.into_lease());
        worker.close(old).expect("an open lease");
        at = if at + 1 < flows.len() { at + 1 } else { 0 };
    });
}

fn main() {
    divan::main();
}
