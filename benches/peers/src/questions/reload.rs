//! How much do a thousand reloads per second slow down a worker?
//!
//! One thread picks continuously and takes the time after each pick; another applies configs that
//! change one weight of the same service, a thousand times per second. The baselines are no
//! reloads, and the same reloads in another director, which load the machine as much but do not
//! concern the worker: the difference between these two is the effect of the reload itself.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use vsched::{Config, Director, SchedulerKind};

use crate::case::{Key, Weights};
use crate::figure::Figure;
use crate::passes::pin;
use crate::questions::name::RELOAD;
use crate::servers::{flows, service, weights};
use crate::subjects::name;

const SERVICES: usize = 10;
const SERVERS: usize = 100;
const EVERY: Duration = Duration::from_millis(1);
const KIND: SchedulerKind = SchedulerKind::Wrr;

/// Which director is reloaded, in place of schedulers.
pub const WAYS: [&str; 3] = ["no reloads", "reloads elsewhere", "reloads"];
/// Names in `Figure::detail`.
pub const RELOADS: &str = "reloads per second";
pub const WORST: &str = "worst pick, ns";
pub const SHARES: [(&str, f64); 5] =
    [("50 %", 0.5), ("99 %", 0.99), ("99.9 %", 0.999), ("99.99 %", 0.9999), ("99.999 %", 0.99999)];
/// Prefix of the histogram's bucket names: picks of at least this many nanoseconds, and fewer than
/// the next bucket's.
pub const BUCKET: &str = "picks from ns ";

pub fn measure(time: Duration) {
    for way in WAYS {
        let (histogram, reloads) = run(way, time);
        send(way, &histogram, reloads, time);
    }
}

/// Four buckets per power of two.
struct Histogram {
    counts: [u64; 256],
    worst: u64,
}

fn bucket(nanos: u64) -> usize {
    let bits = nanos.max(4).ilog2();
    (4 * bits as usize) + ((nanos.max(4) >> (bits - 2)) & 3) as usize
}

fn bound(bucket: usize) -> u64 {
    (4 + bucket as u64 % 4) << (bucket / 4).saturating_sub(2)
}

fn configs() -> [Config; 2] {
    let weights = weights(SERVERS, Weights::Skewed);
    let service = |number| service(number, KIND, number * SERVERS, &weights);
    let config: Config = Config::new().with_services((0..SERVICES).map(service).collect());
    let mut other = config.clone();
    other.services[0].servers[SERVERS / 2].weight += 1;
    [config, other]
}

fn run(way: &str, time: Duration) -> (Histogram, u64) {
    let configs = configs();
    let director = Director::new(&configs[0]).expect("a valid config");
    let reloaded = match way {
        "reloads" => Some(director.clone()),
        "no reloads" => None,
        _ => Some(Director::new(&configs[0]).expect("a valid config")),
    };
    let (stop, reloads) = (AtomicBool::new(false), AtomicU64::new(0));
    let histogram = thread::scope(|scope| {
        if let Some(reloaded) = reloaded {
            let (stop, reloads, configs) = (&stop, &reloads, &configs);
            scope.spawn(move || {
                pin(1);
                reload(&reloaded, configs, stop, reloads);
            });
        }
        let picker = scope.spawn(|| {
            pin(0);
            picks(&director, time)
        });
        let histogram = picker.join().expect("the picker");
        stop.store(true, Ordering::SeqCst);
        histogram
    });
    (histogram, reloads.into_inner())
}

fn reload(director: &Director, configs: &[Config; 2], stop: &AtomicBool, reloads: &AtomicU64) {
    let mut next = Instant::now();
    let mut turn = 0;
    while !stop.load(Ordering::SeqCst) {
        turn ^= 1;
        director.apply(&configs[turn]).expect("a valid config");
        reloads.fetch_add(1, Ordering::SeqCst);
        next += EVERY;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn picks(director: &Director, time: Duration) -> Histogram {
    let flows = flows(1);
    let service = director.service_for(&flows[0]).expect("the flows' service");
    let worker = director.worker();
    let mut histogram = Histogram { counts: [0; 256], worst: 0 };
    let start = Instant::now();
    let mut last = start;
    while last - start < time {
        let _ = black_box(worker.pick_server(service, black_box(&flows[0])));
        let now = Instant::now();
        let nanos = (now - last).as_nanos() as u64;
        last = now;
        histogram.counts[bucket(nanos)] += 1;
        histogram.worst = histogram.worst.max(nanos);
    }
    histogram
}

fn send(way: &str, histogram: &Histogram, reloads: u64, time: Duration) {
    let key = Key::new(RELOAD, name::RUST, way, SERVICES * SERVERS).weights(Weights::Skewed);
    let picks: u64 = histogram.counts.iter().sum();
    let below = |share: f64| {
        let mut seen = 0;
        let reached = |count: &u64| {
            seen += count;
            seen as f64 >= share * picks as f64
        };
        let at = histogram.counts.iter().position(reached).unwrap_or(0);
        bound(at + 1) as f64
    };
    let mut figure = Figure::nanoseconds(key, below(0.5));
    for (name, share) in SHARES {
        figure.detail.insert(name.to_owned(), below(share));
    }
    figure.detail.insert(WORST.to_owned(), histogram.worst as f64);
    figure.detail.insert(RELOADS.to_owned(), reloads as f64 / time.as_secs_f64());
    // Coarser than they were counted: one per power of two.
    for (at, counts) in histogram.counts.chunks(4).enumerate() {
        let count: u64 = counts.iter().sum();
        if count > 0 {
            let name = format!("{BUCKET}{}", bound(4 * at));
            *figure.detail.entry(name).or_default() += count as f64;
        }
    }
    figure.send();
}
