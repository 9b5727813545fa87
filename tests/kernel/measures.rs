//! How fast the kernel is told things: `make bench-kernel`. Compare within one run only.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use vsched::config::Config;
use vsched::netlink::plan::{Plan, Policy};
use vsched::netlink::{Ipvs, Kernel, Options, Progress, Rollout};

use crate::guest::{note, part, shell};
use crate::objects::building;
use crate::sync::large;

/// Of one service.
const SERVERS: u16 = 100;
const SIZE: &str = "VSCHED_MEASURED_SERVICES";
/// How often everything is measured, in turn.
const REPETITIONS: usize = 3;
/// How many times as long as `sync` `ipvsadm -R` is to take with 10,000 servers.
const GOAL: f64 = 100.0;

fn wanted() -> Arc<Config> {
    let services = std::env::var(SIZE).expect("a size").parse().expect("a number");
    Arc::new(large(services, SERVERS, 1))
}

/// Each in a namespace of its own: what is deleted lies in a list of the namespace for minutes, and
/// every later addition looks through it.
fn measured<const N: usize>(services: u16, name: &str) -> [f64; N] {
    let command = &mut part(&["unshare", "-n"], name);
    let output = command.env(SIZE, services.to_string()).stderr(Stdio::inherit()).output();
    let output = output.expect("a part");
    assert!(output.status.success(), "{name}");
    let text = String::from_utf8(output.stdout).expect("text");
    let numbers = text.split_whitespace().map(|word| word.parse().expect("a number"));
    numbers.collect::<Vec<f64>>().try_into().expect("so many numbers")
}

/// The middle one of each number.
fn medians<const N: usize>(runs: &[[f64; N]]) -> [f64; N] {
    std::array::from_fn(|number| {
        let mut values: Vec<f64> = runs.iter().map(|run| run[number]).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    })
}

fn seconds<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let begun = Instant::now();
    let result = work();
    (begun.elapsed().as_secs_f64(), result)
}

fn measure(services: u16) {
    let servers = u32::from(services) * u32::from(SERVERS);
    let (mut syncs, mut parts, mut adds, mut restores) = (vec![], vec![], vec![], vec![]);
    for _ in 0..REPETITIONS {
        syncs.push(measured(services, "measure_sync"));
        restores.push(measured(services, "measure_ipvsadm"));
        parts.push(measured(services, "measure_parts"));
        let [[single], [batched]] =
            ["measure_single", "measure_batches"].map(|name| measured(services, name));
        adds.push([single, batched]);
    }
    let [sync, again, changes] = medians(&syncs);
    let [read, plan, apply, verify, dump, diff] = medians(&parts);
    let ([single, batched], [restore]) = (medians(&adds), medians(&restores));
    let ratio = restore / sync;
    note(format!(
        "{servers} servers: sync {:.1} ms, `ipvsadm -R` {:.0} ms, {ratio:.0} times as long; second \
         sync {:.1} ms, {changes} changes",
        sync * 1e3,
        restore * 1e3,
        again * 1e3
    ));
    note(format!(
        "{servers} servers, ms: reading {:.1}, planning {:.1}, applying {:.1}, verifying {:.1}; \
         `ipvsadm -R` against the additions alone: {:.0} times",
        read * 1e3,
        plan * 1e3,
        apply * 1e3,
        verify * 1e3,
        restore / batched,
    ));
    let rate = |seconds: f64| f64::from(servers) / seconds / 1000.0;
    note(format!(
        "{servers} servers, thousands a second: {:.0} added in batches, {:.1} one by one; {:.0} read \
         (twice over), {:.0} compared",
        rate(batched),
        rate(single),
        rate(dump),
        rate(diff)
    ));
    if services == 100 {
        let word = if ratio >= GOAL { "met" } else { "NOT met" };
        note(format!(
            "goal: sync at least {GOAL} times as fast as `ipvsadm -R` with {servers} servers: {word}, \
             {ratio:.0} times"
        ));
    }
    assert!(syncs.iter().all(|[.., changes]| *changes == 0.0), "the second sync changes something");
}

pub(crate) fn thousand() {
    measure(10);
}

pub(crate) fn ten_thousand() {
    measure(100);
}

pub(crate) fn fifty_thousand() {
    measure(500);
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
    let options = Options { batch, ..Options::default() };
    let mut kernel = Kernel::with_options(&options).expect("IPVS");
    let (time, failures) = seconds(|| kernel.execute(&requests).expect("answers"));
    assert_eq!(failures, []);
    println!("{time}");
}

pub(crate) fn single() {
    adding(1);
}

pub(crate) fn batches() {
    adding(256);
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
