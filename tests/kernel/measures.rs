//! Measures how fast the kernel is configured: `make bench-kernel`. Compare within one run only.

use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use vsched::config::Config;
use vsched::netlink::plan::{Plan, Policy};
use vsched::netlink::{Ipvs, Kernel, Options, Progress, Rollout};

use crate::guest::{note, part, shell};
use crate::objects::building;
use crate::sync::large;

/// Of one service.
const SERVERS: u16 = 100;
const SIZE: &str = "VSCHED_MEASURED_SERVICES";
/// How often `sync` is measured for each time that `ipvsadm -R` is, which takes a hundred times as long.
const SYNCS: usize = 7;
/// Time for the kernel to clear away the namespace before.
const PAUSE: Duration = Duration::from_millis(300);
/// How many times as long as `sync` `ipvsadm -R` is to take with 10,000 servers.
const GOAL: f64 = 100.0;

fn wanted() -> Arc<Config> {
    let services = std::env::var(SIZE).expect("a size").parse().expect("a number");
    Arc::new(large(services, SERVERS, 1))
}

/// Each in a namespace of its own: what is deleted lies in a list of the namespace for minutes, and
/// every later addition looks through it.
fn measured<const N: usize>(services: u16, name: &str) -> [f64; N] {
    thread::sleep(PAUSE);
    let command = &mut part(&["unshare", "-n"], name);
    let output = command.env(SIZE, services.to_string()).stderr(Stdio::inherit()).output();
    let output = output.expect("a part");
    assert!(output.status.success(), "{name}");
    let text = String::from_utf8(output.stdout).expect("text");
    let numbers = text.split_whitespace().map(|word| word.parse().expect("a number"));
    numbers.collect::<Vec<f64>>().try_into().expect("so many numbers")
}

/// The middle one of several figures, and the least and the greatest.
#[derive(Clone, Copy)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let most = values.last().copied().expect("a value");
        Spread { median: values[values.len() / 2], least: values[0], most }
    }

    fn times(self, factor: f64) -> Self {
        let Spread { median, least, most } = self;
        Spread { median: median * factor, least: least * factor, most: most * factor }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.median < 100.0 { 1 } else { 0 };
        write!(f, "{:.digits$} ({:.digits$}-{:.digits$})", self.median, self.least, self.most)
    }
}

/// Each number of all runs.
fn spreads<const N: usize>(runs: &[[f64; N]]) -> [Spread; N] {
    std::array::from_fn(|number| Spread::of(runs.iter().map(|run| run[number])))
}

fn seconds<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let begun = Instant::now();
    let result = work();
    (begun.elapsed().as_secs_f64(), result)
}

/// Everything in turn, so often.
fn measure(services: u16, repetitions: usize) {
    let servers = u32::from(services) * u32::from(SERVERS);
    // The machine's memory is a file out there: who touches a page first waits for it.
    measured::<1>(services, "measure_ipvsadm");
    let (mut syncs, mut parts, mut adds, mut restores) = (vec![], vec![], vec![], vec![]);
    for _ in 0..repetitions {
        restores.push(measured::<1>(services, "measure_ipvsadm"));
        syncs.extend((0..SYNCS).map(|_| measured::<3>(services, "measure_sync")));
        parts.push(measured::<6>(services, "measure_parts"));
        let [[single], [batched]] =
            ["measure_single", "measure_batches"].map(|name| measured(services, name));
        adds.push([single, batched]);
    }
    let [sync, again, changes] = spreads(&syncs);
    let parts = spreads(&parts);
    let ([single, batched], [restore]) = (spreads(&adds), spreads(&restores));
    // Each against those that ran beside it.
    let near = syncs.chunks(SYNCS).map(|syncs| spreads(syncs)[0].median);
    let ratio = Spread::of(restores.iter().zip(near).map(|([restore], sync)| restore / sync));
    note(format!(
        "{servers} servers, ms, median (least-most): sync {}, `ipvsadm -R` {}, {ratio} times as \
         long; second sync {}, {} changes",
        sync.times(1e3),
        restore.times(1e3),
        again.times(1e3),
        changes.most,
    ));
    let [read, plan, apply, verify, dump, diff] = parts.map(|part| part.times(1e3));
    note(format!(
        "{servers} servers, ms: reading {read}, planning {plan}, applying {apply}, verifying \
         {verify}, dumping twice {dump}, comparing {diff}; `ipvsadm -R` against the additions \
         alone: {:.0} times",
        restore.median / batched.median,
    ));
    let rate = |time: f64| f64::from(servers) / time / 1000.0;
    note(format!(
        "{servers} servers, thousands a second: {:.0} added in batches, {:.1} one by one; {:.0} \
         read (twice over), {:.0} compared",
        rate(batched.median),
        rate(single.median),
        rate(parts[4].median),
        rate(parts[5].median)
    ));
    if services == 100 {
        let word = if ratio.median >= GOAL { "met" } else { "NOT met" };
        note(format!(
            "goal: sync at least {GOAL} times as fast as `ipvsadm -R` with {servers} servers: {word}, \
             {ratio} times"
        ));
    }
    assert!(changes.most == 0.0, "the second sync changes something");
}

pub(crate) fn thousand() {
    measure(10, 7);
}

pub(crate) fn ten_thousand() {
    measure(100, 5);
}

pub(crate) fn fifty_thousand() {
    measure(500, 3);
}

fn up() {
    assert!(shell("ip link set lo up"));
}

pub(crate) fn sync() {
    up();
    let wanted = wanted();
    let policy = Policy::default();
    let mut ipvs = Ipvs::open().expect("IPVS");
    let (sync, _) = seconds(|| ipvs.sync(wanted.clone(), &policy).expect("in sync"));
    let (again, report) = seconds(|| ipvs.sync(wanted.clone(), &policy).expect("in sync"));
    println!("{sync} {again} {}", report.requests());
}

/// What `sync` does, one after the other.
pub(crate) fn parts() {
    up();
    let wanted = wanted();
    let policy = Policy::default();
    let mut ipvs = Ipvs::open().expect("IPVS");
    let (read, found) = seconds(|| {
        assert!(!ipvs.runs(&wanted, &policy).expect("a reading"));
        ipvs.read().expect("a reading").observed
    });
    let (plan, steps) = seconds(|| Plan::new(wanted.clone(), &found, &policy).expect("a plan"));
    let (apply, progress) = seconds(|| Rollout::new(steps).poll(&mut ipvs));
    assert_eq!(progress, Progress::Done);
    let (verify, runs) = seconds(|| ipvs.runs(&wanted, &policy).expect("a reading"));
    assert!(runs);
    let (dump, reading) = seconds(|| ipvs.read().expect("a reading"));
    let (diff, rest) = seconds(|| Plan::new(wanted.clone(), &reading.observed, &policy));
    assert!(rest.is_ok_and(|rest| rest.is_empty()));
    println!("{read} {plan} {apply} {verify} {dump} {diff}");
}

fn adding(batch: usize) {
    up();
    let requests = building(&wanted());
    let options = Options::default().with_batch(batch);
    let mut kernel = Kernel::with_options(&options).expect("IPVS");
    let (time, failures) = seconds(|| kernel.execute(&requests).expect("answers"));
    assert_eq!(failures, []);
    println!("{time}");
}

pub(crate) fn single() {
    adding(1);
}

pub(crate) fn batches() {
    adding(128);
}

pub(crate) fn ipvsadm() {
    up();
    let mut rules = String::new();
    write!(rules, "{}", wanted().to_rules()).expect("text");
    fs::write("rules", rules).expect("a file");
    let rules = File::open("rules").expect("a file");
    let (time, status) = seconds(|| Command::new("ipvsadm").arg("-R").stdin(rules).status());
    assert!(status.expect("ipvsadm").success());
    let found = Kernel::open().expect("IPVS").read().expect("a reading").observed.config();
    let servers = |config: &Config| -> usize {
        config.services.iter().map(|service| service.servers.len()).sum()
    };
    assert_eq!(servers(&found), servers(&wanted()));
    println!("{time}");
}
