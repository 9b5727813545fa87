//! How long do the steps of loading a config take with 100,000 servers in 1,000 services, and how
//! much memory do a server and a service take?

use std::hint::black_box;
use std::time::Instant;

use vsched::{Config, Director, SchedulerKind};

use crate::allocations;
use crate::case::{Key, Weights};
use crate::figure::{Figure, median};
use crate::questions::name::SCALE;
use crate::servers::{service, weights};
use crate::subjects::name;

const SERVICES: usize = 1_000;
const SERVERS: usize = 100;
const TIMES: usize = 3;
/// Names in `Figure::detail`.
pub const BYTES_SERVER: &str = "bytes per server";
pub const BYTES_SERVICE: &str = "bytes per service";
pub const BYTES_CONFIG: &str = "of which config";
pub const KINDS: [SchedulerKind; 2] = [SchedulerKind::Rr, SchedulerKind::Wlc];

fn config(kind: SchedulerKind, services: usize, servers: usize) -> Config {
    let weights = weights(servers, Weights::Skewed);
    let service = |number| service(number, kind, number * servers, &weights);
    Config::new().with_services((0..services).map(service).collect())
}

fn key(what: &str) -> Key {
    Key::new(SCALE, name::RUST, what, SERVICES * SERVERS).weights(Weights::Skewed)
}

/// Sends a figure per step and per scheduler.
pub fn measure(full: bool) {
    let services = if full { SERVICES } else { 10 };
    texts(&config(SchedulerKind::Wlc, services, SERVERS));
    for kind in KINDS {
        ways(kind, services);
        memory(kind, services);
    }
}

/// The median of a few runs, in nanoseconds.
fn time<R>(mut work: impl FnMut() -> R) -> f64 {
    let mut once = || {
        let start = Instant::now();
        let result = work();
        let took = start.elapsed();
        drop(black_box(result));
        took.as_secs_f64() * 1e9
    };
    let mut samples: Vec<f64> = (0..TIMES).map(|_| once()).collect();
    median(&mut samples).expect("some times")
}

fn texts(config: &Config) {
    let rules = config.to_rules().to_string();
    let json = serde_json::to_string(config).expect("a config is data");
    let parsed = time(|| rules.parse::<Config>().expect("its own text"));
    Figure::nanoseconds(key("parse rules text"), parsed).send();
    let parsed = time(|| serde_json::from_str::<Config>(&json).expect("its own text"));
    Figure::nanoseconds(key("parse JSON"), parsed).send();
    Figure::nanoseconds(key("validate"), time(|| config.validate())).send();
}

fn ways(kind: SchedulerKind, services: usize) {
    let mut configs = [config(kind, services, SERVERS), config(kind, services, SERVERS)];
    configs[1].services[services / 2].servers[SERVERS / 2].weight += 1;
    let what = |way: &str| key(&format!("{way}, {}", kind.name()));
    let built = time(|| Director::new(&configs[0]).expect("a valid config"));
    Figure::nanoseconds(what("build (Director::new)"), built).send();
    let director = Director::new(&configs[0]).expect("a valid config");
    let mut turn = 0;
    let applied = time(|| {
        turn ^= 1;
        let applied = director.apply(&configs[turn]).expect("a valid config");
        assert_eq!(applied.changed.len(), 1, "a change");
    });
    Figure::nanoseconds(what("apply, one server changed"), applied).send();
    let applied = time(|| director.apply(&configs[turn]).expect("a valid config"));
    Figure::nanoseconds(what("apply, nothing changed"), applied).send();
}

/// The memory of the value that `make` returns, in bytes.
fn held<R>(make: impl FnOnce() -> R) -> (R, f64) {
    let before = allocations::bytes();
    let made = make();
    (made, (allocations::bytes() - before) as f64)
}

fn memory(kind: SchedulerKind, services: usize) {
    let director = |config: &Config| held(|| Director::new(config).expect("a valid config")).1;
    let (full, config_full) = held(|| config(kind, services, SERVERS));
    let (bare, config_bare) = held(|| config(kind, services, 0));
    let (count, servers) = (services as f64, (services * SERVERS) as f64);
    let (nothing, with_services) = (director(&Config::default()), director(&bare));
    let detail = [
        (BYTES_SERVER, (director(&full) - with_services) / servers),
        (BYTES_SERVICE, (with_services - nothing) / count),
        (BYTES_CONFIG, (config_full - config_bare) / servers),
    ];
    let mut figure = Figure::nanoseconds(key(kind.name()), 0.0);
    figure.ns = None;
    figure.detail = detail.map(|(name, bytes)| (name.to_owned(), bytes)).into();
    figure.send();
}
