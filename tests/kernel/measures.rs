//! How fast the kernel is told things: `make bench-kernel`. Compare within one run only.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::Instant;

use vsched::config::Config;
use vsched::netlink::plan::{Plan, Policy};
use vsched::netlink::{Ipvs, Kernel, Options};

use crate::guest::{note, part, shell};
use crate::objects::building;
use crate::sync::{immediate, large};

/// Of one service.
const SERVERS: u16 = 100;
const SIZE: &str = "VSCHED_MEASURED_SERVICES";

fn wanted() -> Config {
    let services = std::env::var(SIZE).expect("a size").parse().expect("a number");
    large(services, SERVERS, 1)
}

/// Each in a namespace of its own: what is deleted lies in a list of the namespace for minutes, and
/// every later addition looks through it.
fn measured(services: u16, name: &str) -> Vec<f64> {
    let command = &mut part(&["unshare", "-n"], name);
    let output = command.env(SIZE, services.to_string()).stderr(Stdio::inherit()).output();
    let output = output.expect("a part");
    assert!(output.status.success(), "{name}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.split_whitespace().map(|word| word.parse().expect("a number")).collect()
}

fn seconds<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let begun = Instant::now();
    let result = work();
    (begun.elapsed().as_secs_f64(), result)
}

fn measure(services: u16) {
    let servers = u32::from(services) * u32::from(SERVERS);
    let [sync, again, requests, read, plan] = measured(services, "measure_sync")[..] else {
        panic!("five numbers")
    };
    let (single, batched) =
        (measured(services, "measure_single"), measured(services, "measure_batches"));
    let restore = measured(services, "measure_ipvsadm")[0];
    let rate = |seconds: f64| f64::from(servers) / seconds / 1000.0;
    note(format!(
        "{servers} servers: sync {:.1} ms, `ipvsadm -R` {:.0} ms, {:.0} times as long; second sync \
         {:.1} ms, {requests} changes",
        sync * 1e3,
        restore * 1e3,
        restore / sync,
        again * 1e3
    ));
    note(format!(
        "{servers} servers, thousands a second: {:.0} added in batches, {:.1} one by one; {:.0} read \
         (twice over), {:.0} compared",
        rate(batched[0]),
        rate(single[0]),
        rate(read),
        rate(plan)
    ));
    assert!(requests == 0.0, "the second sync changes something");
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
    let mut ipvs = Ipvs::open().expect("IPVS");
    let (sync, _) = seconds(|| ipvs.sync(&wanted, &Policy::default()).expect("in sync"));
    let (again, report) = seconds(|| ipvs.sync(&wanted, &Policy::default()).expect("in sync"));
    let (read, reading) = seconds(|| ipvs.read().expect("a reading"));
    let (plan, _) = seconds(|| Plan::new(&wanted, &reading.observed, &immediate()));
    println!("{sync} {again} {} {read} {plan}", report.requests());
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
