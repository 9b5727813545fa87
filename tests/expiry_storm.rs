//! While several threads add addresses that expire at once, the map stays consistent: in the end it
//! is as empty as it reports.

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::{Random, config, vip};
use vsched::config::{Affinity, Persistence, Remembered};
use vsched::{Director, Flow, SchedulerKind, ServiceId};

const TICKS: u64 = 400_000;
const PICKERS: u64 = 3;
/// Few, so that pickers meet at one; more than fit, so that the map is full at times.
const ADDRESSES: u64 = 6;
const CAPACITY: u32 = 5;

fn flow(n: u64) -> Flow {
    let client = Ipv4Addr::from_bits(0x0a07_0000 + n as u32);
    Flow::tcp(SocketAddr::from((client, 40_000)), vip(0))
}

fn templates(director: &Director) -> Remembered {
    director.observe().services[0].templates.expect("a persistent service")
}

#[test]
fn entries_are_counted_exactly_while_they_come_and_go() {
    let mut config = config(SchedulerKind::Rr, 3, &[1]);
    config.services[0].persistence = Some(Persistence::new(1));
    config.services[0].affinity = Affinity::default().with_capacity(CAPACITY);
    let director = Director::new(&config).expect("a valid config");
    let service: ServiceId = director.service_for(&flow(0)).expect("it runs");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for seed in 0..PICKERS {
            let (director, stop) = (&director, &stop);
            scope.spawn(move || {
                let (worker, mut random) = (director.worker(), Random(seed));
                while !stop.load(Ordering::Relaxed) {
                    let flow = flow(random.below(ADDRESSES));
                    assert!(worker.pick_server(service, &flow).is_ok());
                }
            });
        }
        for second in 0..TICKS {
            director.tick(Duration::from_secs(2 * second));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(templates(&director).refused > 0, "the map was never full");
    // Everything is due; then there is room for as many as ever.
    director.tick(Duration::from_secs(2 * TICKS + 2));
    director.tick(Duration::from_secs(2 * TICKS + 4));
    assert_eq!(templates(&director).entries, 0, "nothing is remembered");
    let worker = director.worker();
    (0..u64::from(CAPACITY)).for_each(|n| assert!(worker.pick_server(service, &flow(n)).is_ok()));
    assert_eq!(templates(&director).entries, CAPACITY, "as many as there is room for");
}
