//! Whole rollouts, step by step: what the report says and what the kernel then runs, for one fault each.

use std::borrow::Cow;
use std::fmt::Write;

use super::super::{Outcome, Report, Status};
use super::{Fault, Progress, Rollout, Simulated};
use crate::config::{Config, Observed};
use crate::netlink::Request;
use crate::netlink::plan::{OnRefusal, Ownership, Phase, Plan, Policy, Removal, Step};

/// A service that loses a server and gets one, one that leaves, daemon and timeouts.
pub(super) const BEFORE: &str = "--set 9 0 0
--start-daemon backup --mcast-interface eth0 --syncid 1
-A -t 10.0.0.1:80 -s rr
-a -t 10.0.0.1:80 -r 10.0.1.1 -m
-a -t 10.0.0.1:80 -r 10.0.1.2 -m
-A -t 10.0.0.3:80 -s rr
-a -t 10.0.0.3:80 -r 10.0.1.8 -m";
/// And a new service with two servers.
pub(super) const AFTER: &str = "--set 5 0 0
--start-daemon master --mcast-interface eth0 --syncid 1
-A -t 10.0.0.1:80 -s wlc
-a -t 10.0.0.1:80 -r 10.0.1.2 -m
-a -t 10.0.0.1:80 -r 10.0.1.3 -m
-A -t 10.0.0.2:80 -s wlc
-a -t 10.0.0.2:80 -r 10.0.1.4 -m
-a -t 10.0.0.2:80 -r 10.0.1.5 -m -w 0";

pub(super) fn policy(on_refusal: OnRefusal, removal: Removal) -> Policy {
    Policy { on_refusal, removal, ownership: Ownership::All, ..Policy::default() }
}

pub(super) fn config(rules: &str) -> Config {
    rules.parse().expect("rules")
}

pub(super) fn plan(policy: &Policy) -> Plan {
    Plan::new(config(AFTER), &Observed::from(&config(BEFORE)), policy).expect("a plan")
}

const FAULTS: [&str; 6] = ["EPERM", "EPERM from", "ENOMEM", "breaks", "loses", "dies"];

type Row = (&'static str, fn() -> Policy);
const POLICIES: [Row; 3] = [
    ("back, drain", || policy(OnRefusal::RollBack, Removal::default())),
    ("back, at once", || policy(OnRefusal::RollBack, Removal::Immediate)),
    ("on, at once", || policy(OnRefusal::GoOn, Removal::Immediate)),
];

/// What became of each step, and of each step back, by letters.
pub(super) fn letters(report: &Report) -> String {
    let letter = |outcome: Outcome<'_>| match outcome.status {
        Status::NotTried => '.',
        Status::Done => 'd',
        Status::Adapted => 'a',
        Status::AlreadyDone => 'w',
        Status::Refused(_) => 'R',
        Status::Unknown => '?',
        Status::Drained => 'e',
        Status::CutOff(_) => 'c',
        Status::Kept => 'K',
        Status::Skipped => 's',
        Status::TakenBack => 'b',
    };
    let forward: String = report.outcomes().iter().map(letter).collect();
    let back: String = report.rollback().iter().map(letter).collect();
    format!("{forward} {back}")
}

/// What remains to be done to run this config.
pub(super) fn is_running(kernel: &Simulated, config: &Config, policy: &Policy) -> bool {
    Plan::new(config.clone(), &kernel.observed(), policy).expect("a plan").is_empty()
}

/// One line for each fault at each request: the steps, the steps back, what runs then, requests sent.
fn table() -> String {
    let (before, after, mut text) = (config(BEFORE), config(AFTER), String::new());
    for (name, policy) in POLICIES {
        let (policy, plan) = (policy(), plan(&policy()));
        let waits = |step: &Cow<'_, Step>| step.phase == Phase::Drain;
        let requests = plan.steps().iter().filter(|step| !waits(step)).count();
        for (fault, at) in FAULTS.iter().flat_map(|fault| (0..requests).map(move |at| (*fault, at)))
        {
            let refuses = |errno, to: usize| {
                move |number, _: &Request| (at..to).contains(&number).then_some(errno)
            };
            let (once, from) = (refuses(libc::EPERM, at + 1), refuses(libc::EPERM, usize::MAX));
            let memory = refuses(libc::ENOMEM, at + 1);
            let does = match fault {
                "EPERM" => Fault::Says(&once),
                "EPERM from" => Fault::Says(&from),
                "ENOMEM" => Fault::Says(&memory),
                "breaks" => Fault::Breaks(at),
                "loses" => Fault::Loses(at),
                _ => Fault::Dies(at),
            };
            let mut kernel = Simulated::new(&before, does);
            // New services and those that leave are not available.
            kernel.unwatched = true;
            let mut rollout = Rollout::new(plan.clone());
            assert_eq!(rollout.poll_on(&mut kernel), Progress::Done);
            let report = rollout.into_report();
            let states = [("before", &before), ("after", &after)];
            let runs = states.iter().find(|(_, config)| is_running(&kernel, config, &policy));
            let (runs, letters) = (runs.map_or("between", |(name, _)| name), letters(&report));
            assert_eq!(report.requests(), kernel.sent as u64);
            writeln!(text, "{name}, {fault} {at}: {letters} {runs} {}", report.requests())
                .expect("text");
        }
    }
    text
}

/// `rollouts.txt` says what a fault at each request leads to. Under `RollBack` that is what ran before, as
/// long as nothing is deleted and the kernel takes the steps back.
#[test]
fn every_fault_has_its_outcome() {
    let table = table();
    assert!(table == include_str!("rollouts.txt"), "rollouts.txt should be\n{table}");
}
