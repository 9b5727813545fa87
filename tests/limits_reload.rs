//! While a reload changes thresholds and connections open and close, no upper threshold is
//! exceeded, and new thresholds take effect with the new config, not before.

mod common;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use common::Random;
use vsched::{Config, Director, Flow, ServiceId, Worker};

/// One server with this upper threshold.
fn limited(upper: u32) -> Config {
    let rules =
        format!("-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.1.1:80 -m -x {upper}\n");
    rules.parse().expect("valid rules")
}

/// What all threads share.
struct Shared {
    /// Connections open, or about to be closed.
    open: AtomicU32,
    /// Odd while a reload runs; a multiple of four while the lower limit holds.
    era: AtomicU32,
    ended: AtomicBool,
}

const LOW: u32 = 5;
const HIGH: u32 = 8;

/// Connects and closes at random; how many connections it has opened.
fn connect_and_close(director: &Director, shared: &Shared, seed: u64) -> u32 {
    let worker = director.worker();
    let service = director.service("tcp 10.0.0.1:80").expect("it runs");
    let (mut held, mut opened, mut random) = (VecDeque::new(), 0, Random(seed));
    while !shared.ended.load(Ordering::SeqCst) {
        if random.below(16) < 10 && held.len() < 20 {
            let before = shared.era.load(Ordering::SeqCst);
            let Ok(connection) = worker.connect(service, &Flow::default()) else { continue };
            held.push_back(connection.into_lease());
            let open = shared.open.fetch_add(1, Ordering::SeqCst) + 1;
            opened += 1;
            assert!(open <= HIGH, "{open} connections, above both limits");
            let is_low = before.is_multiple_of(4) && before == shared.era.load(Ordering::SeqCst);
            assert!(!is_low || open <= LOW, "{open} connections, above the limit in force");
        } else if let Some(lease) = held.pop_front() {
            shared.open.fetch_sub(1, Ordering::SeqCst);
            worker.close(lease).expect("an open lease");
        }
    }
    for lease in held {
        shared.open.fetch_sub(1, Ordering::SeqCst);
        worker.close(lease).expect("an open lease");
    }
    opened
}

#[test]
fn connect_stays_below_a_limit_that_is_being_lowered() {
    const RELOADS: u32 = 1_000;
    let director = Director::new(&limited(LOW)).expect("a valid config");
    let shared =
        Shared { open: AtomicU32::new(0), era: AtomicU32::new(0), ended: AtomicBool::new(false) };
    let opened: u32 = thread::scope(|scope| {
        let run = |seed| {
            let (director, shared) = (&director, &shared);
            scope.spawn(move || connect_and_close(director, shared, seed))
        };
        let threads: Vec<_> = [1, 2, 3].map(run).into();
        let any_finished = || threads.iter().any(|thread| thread.is_finished());
        while shared.open.load(Ordering::SeqCst) == 0 && !any_finished() {
            thread::yield_now();
        }
        for reload in 0..RELOADS {
            if any_finished() {
                break;
            }
            shared.era.fetch_add(1, Ordering::SeqCst);
            director.apply(&limited([HIGH, LOW][reload as usize % 2])).expect("a valid config");
            shared.era.fetch_add(1, Ordering::SeqCst);
            (0..reload % 7).for_each(|_| thread::yield_now());
        }
        shared.ended.store(true, Ordering::SeqCst);
        threads.into_iter().map(|thread| thread.join().expect("no limit is exceeded")).sum()
    });
    assert!(opened > RELOADS / 20, "{opened} connections are no test");
    let service = director.service("tcp 10.0.0.1:80").expect("it runs");
    let servers = director.servers(service).expect("it runs");
    let counts = servers[0].1.counts;
    assert_eq!((counts.active, counts.inactive, counts.overloaded), (0, 0, false));
}

/// A service with two limited servers, and others that take a while to compile, after it if its
/// scheduler changes.
fn with_slow_services(scheduler: &str, upper: u32, index: u8, others: u32) -> Config {
    let mut rules = format!(
        "-A -t 10.0.0.1:80 -s {scheduler}\n-a -t 10.0.0.1:80 -r 10.0.1.1:80 -m -x {upper}\n\
         -a -t 10.0.0.1:80 -r 10.0.1.2:80 -m -x {upper}\n"
    );
    for other in 0..others {
        rules +=
            &format!("-A -t 10.0.1.{other}:80 -s mh\n-a -t 10.0.1.{other}:80 -r 10.0.2.1:80\n");
        for server in 2..9 {
            rules += &format!("-a -t 10.0.1.{other}:80 -r 10.0.2.{server}:80\n");
        }
    }
    let mut config: Config = rules.parse().expect("valid rules");
    config.services.iter_mut().skip(1).for_each(|service| service.mh_table_index = index);
    config
}

/// Connects until it is refused; true if the other service of the new config was there by then.
fn connect_until_refused(worker: Worker, service: ServiceId, new: &Flow) -> bool {
    loop {
        match worker.connect(service, &Flow::default()) {
            Ok(connection) => drop(connection),
            Err(_) => return worker.service_for(new).is_some(),
        }
    }
}

/// The table that still runs goes by the limits that it was compiled for, however long the next one
/// takes to compile.
#[test]
fn limits_take_effect_with_the_config_and_not_before() {
    let director = Director::new(&with_slow_services("rr", 0, 16, 60)).expect("a valid config");
    let service = director.service("tcp 10.0.0.1:80").expect("it runs");
    let keeper = director.worker();
    let connect = |_| keeper.connect(service, &Flow::default()).expect("no limit");
    let held: Vec<_> = (0..6).map(connect).collect();
    let new = Flow::tcp(([10, 9, 9, 9], 7).into(), ([10, 0, 1, 60], 80).into());
    let worker = director.worker();
    let together = thread::scope(|scope| {
        let connecting = scope.spawn(move || connect_until_refused(worker, service, &new));
        director.apply(&with_slow_services("wrr", 1, 17, 61)).expect("a valid config");
        connecting.join().expect("no panic")
    });
    assert!(together, "a new limit refused connections to a service of the old config");
    drop(held);
}
