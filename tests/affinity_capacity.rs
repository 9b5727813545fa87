//! A change of `affinity.capacity` loses no remembered address, and memory stays within its bounds.

mod common;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::{Random, config, service, vip};
use vsched::config::{Affinity, Persistence, Remembered};
use vsched::error::ApplyError;
use vsched::{Config, Director, Flow, Lease, SchedulerKind, ServiceId};

fn persistent(capacity: u32) -> Config {
    let mut config = config(SchedulerKind::Rr, 3, &[1]);
    config.services[0].persistence = Some(Persistence::new(60));
    config.services[0].affinity = Affinity::default().with_capacity(capacity);
    config
}

fn flow(client: u64) -> Flow {
    let client = Ipv4Addr::from_bits(0x0a00_0000 + client as u32);
    Flow::tcp(SocketAddr::from((client, 40_000)), vip(0))
}

fn templates(director: &Director) -> Remembered {
    director.observe().services[0].templates.expect("a persistent service")
}

const HOUR: u64 = 3600;
/// Clients of one thread that come and go.
const CLIENTS: u64 = 200;
/// Connections that each thread has open at any time, each of a client of its own.
const OPEN: u64 = 50;
/// Reloads beside which connections came, and reloads at most.
const BESIDE: u64 = 60;
const RELOADS: usize = 1_000_000;

/// Connections are open all the time while reloads come; each keeps its client's template, and no
/// template outlives its connections.
#[test]
fn templates_live_as_long_as_connections_while_the_capacity_changes() {
    let director = Director::new(&persistent(1000)).expect("a valid config");
    let service = director.service_for(&flow(0)).expect("it runs");
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut beside = 0;
    let open: Vec<Vec<Lease>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|number| {
                let (director, stop, count) = (&director, &stop, &count);
                scope.spawn(move || connections(director, service, number, stop, count))
            })
            .collect();
        for reload in 0..RELOADS {
            let before = count.load(Ordering::Relaxed);
            let capacity = [1000, 2000, 500, 70_000][reload % 4];
            director.apply(&persistent(capacity)).expect("a valid config");
            beside += u64::from(count.load(Ordering::Relaxed) > before);
            if beside == BESIDE {
                break;
            }
            thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().expect("a thread")).collect()
    });
    assert_eq!(beside, BESIDE, "connections beside few reloads");
    (1..=6 * 60).for_each(|minute| director.tick(Duration::from_secs(60 * minute)));
    let counted: u64 = open.iter().map(|leases| leases.len() as u64).sum();
    assert_eq!(counted, 3 * OPEN);
    assert_eq!(u64::from(templates(&director).entries), counted, "one a client that is connected");
    let worker = director.worker();
    for lease in open.into_iter().flatten() {
        worker.close(lease).expect("an open lease");
    }
    director.tick(Duration::from_secs(8 * HOUR));
    assert_eq!(templates(&director).entries, 0, "nothing is connected");
}

fn connections(
    director: &Director,
    service: ServiceId,
    number: u64,
    stop: &AtomicBool,
    count: &AtomicU64,
) -> Vec<Lease> {
    let (worker, mut random, mut open) = (director.worker(), Random(number), VecDeque::new());
    let base = number << 16;
    let mut next = 0;
    while !stop.load(Ordering::Relaxed) || open.len() < OPEN as usize {
        // Those that stay for a while: clients in turn, so that no two are one client's.
        let client = base + next % (OPEN + 7);
        next += 1;
        let lease = worker.connect(service, &flow(client)).expect("a server").into_lease();
        open.push_back(lease);
        if open.len() > OPEN as usize {
            worker.close(open.pop_front().expect("an open one")).expect("an open lease");
        }
        // Those that do not.
        let client = base + 1000 + random.below(CLIENTS);
        drop(worker.connect(service, &flow(client)).expect("a server"));
        count.fetch_add(2, Ordering::Relaxed);
    }
    open.into()
}

/// A capacity below the number of remembered clients forgets none of them, and counts the clients
/// that do not fit.
#[test]
fn a_smaller_capacity_forgets_nothing() {
    let director = Director::new(&persistent(1000)).expect("a valid config");
    let (worker, service) = (director.worker(), director.service_for(&flow(0)).expect("it runs"));
    let pick = |client| worker.pick_server(service, &flow(client)).map(|pick| pick.address());
    let first: Vec<_> = (0..100).map(pick).collect();
    director.apply(&persistent(10)).expect("a valid config");
    assert_eq!((0..100).map(pick).collect::<Vec<_>>(), first);
    let refused = |refused| Remembered::new(100, 10, refused);
    assert_eq!(templates(&director), refused(0));
    (200..205).for_each(|client| assert!(pick(client).is_ok()));
    assert_eq!(templates(&director), refused(5));
    director.apply(&persistent(20)).expect("a valid config");
    assert_eq!(templates(&director).refused, 5, "reloads do not set it back");
    director.tick(Duration::from_secs(100));
    assert!(pick(0).is_ok());
    assert_eq!(templates(&director).entries, 1, "there is room again");
}

/// Resident bytes of this process; `None` where that is not known.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(text.split(' ').nth(1)?.parse::<u64>().ok()? * 4096)
}

/// Every map of the largest capacity: together more than most machines have.
fn largest() -> Config {
    let affinity = Affinity::default().with_capacity(1 << 24);
    let of = |n, kind, persistence| {
        let mut made = service(n, kind)
            .with_affinity(affinity)
            .with_servers(vec![common::server(1, 1), common::server(2, 1)]);
        made.persistence = persistence;
        made
    };
    let services = vec![
        of(0, SchedulerKind::Rr, Some(Persistence::default())),
        of(1, SchedulerKind::Lblc, None),
        of(2, SchedulerKind::Lblcr, None),
    ];
    Config::new().with_services(services)
}

#[test]
fn maps_take_memory_as_they_fill() {
    let Some(before) = resident() else { return };
    let director = Director::new(&largest()).expect("a valid config");
    let worker = director.worker();
    for n in 0..3 {
        let service = director.service_by_key(&largest().services[n].key).expect("it runs");
        // Few, as each may take a huge page.
        (0..4).for_each(|client| assert!(worker.pick_server(service, &flow(client)).is_ok()));
    }
    director.tick(Duration::from_secs(1));
    director.observe();
    director.tick(Duration::from_secs(HOUR));
    let grown = resident().unwrap_or(0).saturating_sub(before);
    drop((worker, director));
    assert!(grown < 256 << 20, "{} MiB for twelve addresses", grown >> 20);
}

/// In a process with little memory left: what runs goes on.
#[test]
#[ignore = "for the process that the next test starts"]
fn child_with_little_memory() {
    let small = persistent(1000);
    let director = Director::new(&small).expect("a small config");
    let (worker, service) = (director.worker(), director.service_for(&flow(0)).expect("it runs"));
    let first = worker.pick_server(service, &flow(1)).map(|pick| pick.address());
    let error = director.apply(&largest()).expect_err("more than there is");
    let text = error.to_string();
    assert!(matches!(error, ApplyError::OutOfMemory { .. }), "{text}");
    assert!(text.contains("affinity: capacity"), "{text}");
    let grown = persistent(1 << 24);
    let edit = vsched::config::Command::EditService(grown.services[0].settings());
    let error = director.execute(&edit).expect_err("more than there is");
    assert!(matches!(error, ApplyError::OutOfMemory { bytes, .. } if bytes > 1 << 30), "{error}");
    assert!(Director::new(&largest()).is_err());
    assert_eq!(director.config(), small, "nothing has changed");
    assert_eq!(worker.pick_server(service, &flow(1)).map(|pick| pick.address()), first);
    director.apply(&persistent(2000)).expect("what fits is still taken");
}

#[test]
fn what_the_system_has_no_memory_for_is_an_error() {
    if cfg!(not(target_os = "linux")) {
        return;
    }
    let child = Command::new("sh")
        .args(["-c", "ulimit -v 800000 && exec \"$0\" --ignored --exact child_with_little_memory"])
        .arg(std::env::current_exe().expect("this program"))
        .output()
        .expect("a shell");
    let text = [&child.stdout, &child.stderr].map(|text| String::from_utf8_lossy(text)).concat();
    assert!(child.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}
