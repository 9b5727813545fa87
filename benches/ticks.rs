//! How long a call of `tick` takes, and how long it keeps other threads from the director's lock: `make
//! bench-ticks`.
//!
//! Another thread asks for the lock all the time; its longest wait is the longest hold, plus what the machine
//! adds. Of several rounds, each with a director of its own, the table shows the round with the shortest one,
//! and its longest call.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use vsched::config::{Affinity, Ejection, Persistence, RealServer, ServiceKey, VirtualService};
use vsched::{Config, Director, Flow, Outcome, SchedulerKind};

const ROUNDS: usize = 3;
const DAY: u64 = 86_400;

/// What a director remembers or has, and the times of the measured ticks, in seconds.
struct Case {
    name: &'static str,
    prepare: fn(u32) -> Director,
    count: u32,
    ticks: &'static [u64],
}

fn vip() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 80))
}

fn flow(n: u32) -> Flow {
    let of = |base: u32| SocketAddr::from((Ipv4Addr::from_bits(base + n), 80));
    Flow::tcp(of(0x1000_0000), of(0x2000_0000)).with_fwmark(1)
}

fn director(service: VirtualService, servers: u32) -> Director {
    let server = |n: u32| RealServer::new((Ipv4Addr::from_bits(0x0a10_0000 + n), 80).into());
    let service = service.with_servers((0..servers).map(server).collect());
    let limits = vsched::config::ResourceLimits::default().with_memory(u64::MAX);
    let director = Director::with_limits(&Config::new().with_service(service), limits);
    director.expect("a valid config")
}

fn mark() -> ServiceKey {
    ServiceKey::fwmark(1, vsched::config::Family::Inet)
}

/// Picks for so many addresses.
fn fill(director: &Director, addresses: u32) {
    director.tick(Duration::from_secs(1));
    let service = director.service_by_key(&mark()).expect("it runs");
    let worker = director.worker();
    (0..addresses).for_each(|n| assert!(worker.pick_server(service, &flow(n)).is_ok()));
}

fn templates(clients: u32) -> Director {
    let mut service = VirtualService::new(mark()).with_scheduler(SchedulerKind::Rr);
    service.affinity = Affinity::default().with_capacity(clients);
    service.persistence = Some(Persistence::new(300));
    let director = director(service, 100);
    fill(&director, clients);
    director
}

fn lblc(destinations: u32) -> Director {
    let mut service = VirtualService::new(mark()).with_scheduler(SchedulerKind::Lblc);
    service.affinity = Affinity::default().with_capacity(destinations);
    let director = director(service, 100);
    fill(&director, destinations);
    director
}

fn with_servers(count: u32, ejection: Option<Ejection>) -> Director {
    let mut service =
        VirtualService::new(ServiceKey::tcp(vip())).with_scheduler(SchedulerKind::Wlc);
    service.ejection = ejection;
    let director = director(service, count);
    director.tick(Duration::from_secs(1));
    let worker = director.worker();
    let id = director.service_by_key(&ServiceKey::tcp(vip())).expect("it runs");
    for (server, _) in director.servers(id).expect("it runs") {
        worker.report(server, Outcome::Done, Some(Duration::from_millis(1))).expect("it runs");
    }
    director
}

fn reported(count: u32) -> Director {
    with_servers(count, None)
}

fn ejecting(count: u32) -> Director {
    with_servers(count, Some(Ejection::default()))
}

fn removed(count: u32) -> Director {
    let director = director(VirtualService::new(ServiceKey::tcp(vip())), count);
    director.tick(Duration::from_secs(1));
    let worker = director.worker();
    let id = director.service_by_key(&ServiceKey::tcp(vip())).expect("it runs");
    let ids = director.servers(id).expect("it runs");
    for (server, _) in ids {
        let _open = worker.open(server, vsched::Activity::Active).expect("it runs");
    }
    director.apply(&Config::new()).expect("a valid config");
    director
}

const CASES: [Case; 11] = [
    Case {
        name: "persistence, nothing due",
        prepare: templates,
        count: 1_000_000,
        ticks: &[2, 3, 4],
    },
    Case { name: "persistence, all expire", prepare: templates, count: 1_000_000, ticks: &[DAY] },
    Case {
        name: "persistence, nothing due",
        prepare: templates,
        count: 8_000_000,
        ticks: &[2, 3, 4],
    },
    Case { name: "persistence, all expire", prepare: templates, count: 8_000_000, ticks: &[DAY] },
    Case { name: "lblc, nothing due", prepare: lblc, count: 1_000_000, ticks: &[2, 3, 4] },
    Case { name: "lblc, the next minutes", prepare: lblc, count: 1_000_000, ticks: &[60, 120] },
    Case {
        name: "lblc, the clock jumps by 28 h",
        prepare: lblc,
        count: 1_000_000,
        ticks: &[28 * 3600],
    },
    Case {
        name: "lblc, the clock jumps by 28 h",
        prepare: lblc,
        count: 8_000_000,
        ticks: &[28 * 3600],
    },
    Case { name: "servers, all reported", prepare: reported, count: 100_000, ticks: &[12, 13] },
    Case { name: "servers, ejection", prepare: ejecting, count: 100_000, ticks: &[12, 13] },
    Case { name: "removed servers, connected", prepare: removed, count: 100_000, ticks: &[2, 3] },
];

/// The longest wait of another thread for the lock, and the longest call.
fn measure(case: &Case, count: u32) -> (Duration, Duration) {
    let director = (case.prepare)(count);
    let (stop, longest) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut call = Duration::ZERO;
    thread::scope(|scope| {
        scope.spawn(|| {
            // Two calls at least, the second after the ticks have begun.
            while !stop.load(Ordering::Relaxed) {
                let start = Instant::now();
                director.removed_servers();
                longest.fetch_max(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
            }
        });
        thread::sleep(Duration::from_millis(20));
        longest.store(0, Ordering::Relaxed);
        for second in case.ticks {
            let start = Instant::now();
            director.tick(Duration::from_secs(*second));
            call = call.max(start.elapsed());
        }
        stop.store(true, Ordering::Relaxed);
    });
    (Duration::from_nanos(longest.load(Ordering::Relaxed)), call)
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // Of cargo: run each case once, without measuring.
    let test = arguments.iter().any(|argument| argument == "--test");
    println!("| case | entries | longest wait for the lock, ms | longest call, ms |");
    println!("| --- | ---: | ---: | ---: |");
    for case in &CASES {
        let (rounds, count) = if test { (1, 1000) } else { (ROUNDS, case.count) };
        let best = (0..rounds).map(|_| measure(case, count)).min().unwrap_or_default();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        println!("| {} | {count} | {:.2} | {:.1} |", case.name, ms(best.0), ms(best.1));
    }
}
