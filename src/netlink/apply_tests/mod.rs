//! Execution against a simulated kernel, which can refuse, fall silent and be observed at every request.

mod converge;
mod interference;
mod report;
mod rollouts;
mod simulated;

use simulated::{Fault, Simulated};

use std::borrow::Cow;
use std::time::Duration;

use super::{Progress, Report, Rollout, Status};
use crate::config::{Config, RealServer, ServiceKey, VirtualService};
use crate::netlink::plan::{Action, Drain, Ended, OnRefusal, Phase, Plan, Policy, Removal};

const SERVERS: usize = 3;

fn key() -> ServiceKey {
    "tcp 10.0.0.1:80".parse().expect("a key")
}

/// Servers by number: each absent, or of weight 0, 1, 2.
fn side(mut number: usize) -> Config {
    let mut service = VirtualService::new(key()).with_scheduler("rr".parse().expect("a scheduler"));
    for n in 0..SERVERS {
        if let Some(weight) = (number % 4).checked_sub(1) {
            let address = format!("10.0.1.{n}:80").parse().expect("an address");
            service = service.with_server(RealServer::new(address).with_weight(weight as u32));
        }
        number /= 4;
    }
    Config { services: vec![service], ..Config::default() }
}

fn is_open(config: &Config) -> bool {
    config.services[0].servers.iter().any(|server| server.weight > 0)
}

fn policies() -> Vec<Policy> {
    let mut policies = Vec::new();
    for on_refusal in [OnRefusal::RollBack, OnRefusal::GoOn] {
        for removal in [Removal::default(), Removal::Immediate] {
            policies.push(Policy { on_refusal, removal, ..Policy::default() });
        }
    }
    policies
}

fn action(plan: &Plan, place: usize) -> Action {
    plan.steps().get(place).expect("a step").into_owned().action
}

fn carry_out(plan: &Plan, kernel: &mut Simulated) -> Report {
    let mut rollout = Rollout::new(plan.clone());
    assert_eq!(rollout.poll_on(kernel), Progress::Done, "no connections");
    rollout.into_report()
}

/// Every transition with an eligible server on both sides.
fn transitions(mut each: impl FnMut(&Config, &Config, &Policy, &Plan)) {
    let policies = policies();
    for before in (0..4usize.pow(SERVERS as u32)).map(side).filter(is_open) {
        for after in (0..4usize.pow(SERVERS as u32)).map(side).filter(is_open) {
            for policy in &policies {
                let found = crate::config::Observed::from(&before);
                let plan = Plan::new(after.clone(), &found, policy).expect("a plan");
                each(&before, &after, policy, &plan);
            }
        }
    }
}

fn same(kernel: &Simulated, config: &Config) -> bool {
    let policy = Policy::default();
    Plan::new(config.clone(), &kernel.observed(), &policy).is_ok_and(|plan| plan.is_empty())
}

/// Refuses every subset of the steps that make servers available, and of those that shrink, permanently.
/// The service is available at every moment, and everything is done; or nothing, if the policy says so.
#[test]
fn no_refusals_close_a_service() {
    let (mut moments, mut rolled_back, mut skipped) = (0, 0, 0);
    transitions(|before, after, policy, plan| {
        let fallible: Vec<usize> = (0..plan.steps().len())
            .filter(|index| {
                let phase = plan.steps().get(*index).expect("a step").phase;
                (Phase::Grow..=Phase::Shrink).contains(&phase)
            })
            .collect();
        for subset in 0..1usize << fallible.len() {
            let refused = fallible.iter().enumerate().filter(|(n, _)| subset >> n & 1 == 1);
            let refused: Vec<Action> = refused.map(|(_, index)| action(plan, *index)).collect();
            let mut kernel = Simulated::new(before, Fault::Refuses(&refused));
            let report = carry_out(plan, &mut kernel);
            moments += kernel.moments;
            assert_eq!(report.is_complete(), refused.is_empty(), "{report}");
            assert_eq!(report.is_complete(), same(&kernel, after), "{report}");
            match policy.on_refusal {
                OnRefusal::RollBack if !refused.is_empty() => {
                    rolled_back += 1;
                    assert!(report.is_rolled_back() && report.left().next().is_none(), "{report}");
                    assert_eq!(kernel.config(), before.services, "{report}");
                }
                _ => assert!(!report.is_rolled_back(), "{report}"),
            }
            skipped += usize::from(report.outcomes().iter().any(|o| o.status == Status::Skipped));
        }
    });
    assert!(moments > 100_000, "{moments}");
    assert!(rolled_back > 10_000 && skipped > 1_000, "{rolled_back} {skipped}");
}

/// Refuses every request from one on, rollback included; and once, only that one.
#[test]
fn no_sudden_refusal_closes_a_service() {
    let mut left = 0;
    transitions(|before, _, _, plan| {
        for first in 0..plan.steps().len() + 2 {
            for fault in [Fault::RefusesFrom(first), Fault::RefusesOnly(first)] {
                let mut kernel = Simulated::new(before, fault);
                let report = carry_out(plan, &mut kernel);
                left += usize::from(report.left().next().is_some());
            }
        }
    });
    assert!(left > 1_000, "{left}");
}

/// A second service has a server that cannot be quiesced. When that is found, the first service has
/// already shrunk, and it grows again before its new servers are removed.
#[test]
fn no_refusal_elsewhere_closes_a_service() {
    let other: ServiceKey = "tcp 10.0.0.9:80".parse().expect("a key");
    let with = |config: &Config, weight| {
        let servers = ["10.0.2.1:80", "10.0.2.2:80"].map(|text| text.parse().expect("an address"));
        let [steady, quiesced] = servers.map(RealServer::new);
        let service = VirtualService::new(other)
            .with_scheduler("rr".parse().expect("a scheduler"))
            .with_server(steady)
            .with_server(quiesced.with_weight(weight));
        let mut config = config.clone();
        config.services.push(service);
        config
    };
    let mut taken_back = 0;
    transitions(|before, after, policy, _| {
        let (before, after) = (with(before, 1), with(after, 0));
        let found = crate::config::Observed::from(&before);
        let plan = Plan::new(after.clone(), &found, policy).expect("a plan");
        let elsewhere =
            |step: &Cow<'_, crate::netlink::plan::Step>| step.action.service() == Some(other);
        let refused = [plan.steps().iter().find(elsewhere).expect("a step").into_owned().action];
        let mut kernel = Simulated::new(&before, Fault::Refuses(&refused));
        let report = carry_out(&plan, &mut kernel);
        if policy.on_refusal == OnRefusal::RollBack {
            assert_eq!(kernel.config(), before.services, "{report}");
            let back = |outcome: &super::Outcome<'_>| outcome.status == Status::TakenBack;
            taken_back += report.outcomes().iter().filter(back).count();
        }
    });
    assert!(taken_back > 1_000, "{taken_back}");
}

/// After any request the answers are lost, or the process dies: another reading completes the plan.
#[test]
fn no_loss_closes_a_service() {
    let mut deaths = 0;
    transitions(|before, after, policy, plan| {
        for first in 0..plan.steps().len() {
            let mut kernel = Simulated::new(before, Fault::Loses(first));
            let report = carry_out(plan, &mut kernel);
            assert!(report.is_complete() && same(&kernel, after), "{report}");
            // Dead: nothing more is sent. Another process starts from a new reading.
            let mut kernel = Simulated::new(before, Fault::Dies(first));
            let report = carry_out(plan, &mut kernel);
            deaths += usize::from(report.error().is_some());
            assert!(report.error().is_some() || same(&kernel, after), "{report}");
            kernel.heal();
            let plan = Plan::new(after.clone(), &kernel.observed(), policy).expect("a plan");
            let report = carry_out(&plan, &mut kernel);
            assert!(report.is_complete() && same(&kernel, after), "{report}");
        }
    });
    assert!(deaths > 10_000, "{deaths}");
}

/// One dump per service and poll, however many of its servers drain. A server that an inconsistent dump
/// misses does not count as gone.
#[test]
fn drains_wait_for_connections() {
    let (before, after) = (side(0b10_10_10), side(0b10));
    let address = |n: usize| format!("10.0.1.{n}:80").parse().expect("an address");
    for (until, connections, waits) in [
        (Ended::All, [1, 0], true),
        (Ended::All, [0, 1], true),
        (Ended::Active, [1, 0], true),
        (Ended::Active, [0, 1], false),
        (Ended::All, [0, 0], false),
    ] {
        for torn in [false, true] {
            let drain = Drain { deadline: Duration::from_secs(1 << 30), until };
            let policy = Policy { removal: Removal::Drain(drain), ..Policy::default() };
            let found = crate::config::Observed::from(&before);
            let plan = Plan::new(after.clone(), &found, &policy).expect("a plan");
            let mut kernel = Simulated::new(&before, Fault::None);
            (kernel.connections, kernel.torn) = (connections, torn);
            let mut rollout = Rollout::new(plan);
            let mut pauses = Vec::new();
            for _ in 0..7 {
                match rollout.poll_on(&mut kernel) {
                    Progress::Wait(time) => pauses.push(time.as_millis()),
                    Progress::Done => break,
                }
            }
            if !waits {
                assert_eq!((pauses.len(), kernel.config()[0].servers.len()), (0, 1));
                continue;
            }
            assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000]);
            assert_eq!(kernel.dumps, [7, if torn { 7 } else { 0 }]);
            let draining: Vec<_> =
                rollout.draining().iter().map(|d| (d.server, d.connections)).collect();
            assert_eq!(draining, [(address(1), 1), (address(2), 1)]);
            assert_eq!(kernel.config()[0].servers.len(), 3);
            kernel.connections = [0, 0];
            assert_eq!(rollout.poll_on(&mut kernel), Progress::Done);
            assert!(rollout.into_report().is_complete() && same(&kernel, &after));
        }
    }
}

/// They can move to another thread.
#[test]
fn they_are_send() {
    fn is_send<T: Send>() {}
    is_send::<crate::netlink::Ipvs>();
    is_send::<Rollout>();
    is_send::<Report>();
    is_send::<crate::netlink::SyncError>();
}

/// Another program adds, edits and deletes the plan's objects before its first request.
#[test]
fn what_others_did_meanwhile_is_no_obstacle() {
    let (mut adapted, mut already_done) = (0, 0);
    transitions(|before, after, policy, plan| {
        for other in (0..4usize.pow(SERVERS as u32)).step_by(5).map(side).filter(is_open) {
            let mut kernel = Simulated::new(&other, Fault::None);
            kernel.unwatched = true;
            let report = carry_out(plan, &mut kernel);
            assert_eq!(report.refusals().next(), None, "{report}");
            adapted += report.outcomes().iter().filter(|o| o.status == Status::Adapted).count();
            already_done +=
                report.outcomes().iter().filter(|o| o.status == Status::AlreadyDone).count();
            let plan = Plan::new(after.clone(), &kernel.observed(), policy).expect("a plan");
            let report = carry_out(&plan, &mut kernel);
            assert!(report.is_complete() && same(&kernel, after), "from {before:?}: {report}");
        }
    });
    assert!(adapted > 1_000 && already_done > 1_000, "{adapted} {already_done}");
}
