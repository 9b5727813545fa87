//! Kernels that fail for long, and other programs that change the same objects.

use std::net::SocketAddr;
use std::time::Duration;

use super::super::Status;
use super::rollouts::{AFTER, BEFORE, config, is_running, letters, plan, policy};
use super::{Fault, Progress, Report, Rollout, Simulated};
use crate::config::Observed;
use crate::netlink::plan::{Drain, Ended, OnRefusal, Plan, Policy, Removal};
use crate::netlink::wire::Command;
use crate::netlink::{Error, Object, Request};

fn at_once(on_refusal: OnRefusal) -> Policy {
    policy(on_refusal, Removal::Immediate)
}

type Unreadable = Option<fn() -> Error>;

/// Executes the plan in a kernel that does not drain for long.
fn carry_out<'f>(kernel: Simulated<'f>, policy: &Policy) -> (Simulated<'f>, Report) {
    carry_out_plan(kernel, plan(policy))
}

fn carry_out_plan(mut kernel: Simulated<'_>, plan: Plan) -> (Simulated<'_>, Report) {
    kernel.unwatched = true;
    let mut rollout = Rollout::new(plan);
    assert_eq!(rollout.poll_on(&mut kernel), Progress::Done);
    let report = rollout.into_report();
    assert_eq!(report.refusals().count(), letters(&report).matches('R').count(), "{report}");
    (kernel, report)
}

/// It is refused once and then done; its servers were refused in between, so the service is not complete,
/// and the first deletion would be the next step.
#[test]
fn a_new_service_without_its_servers_is_taken_back_before_any_deletion() {
    let before = config(BEFORE);
    let fault = |number, _: &Request| (number == 3).then_some(libc::ENOMEM);
    let policy = at_once(OnRefusal::RollBack);
    let (kernel, report) = carry_out(Simulated::new(&before, Fault::Says(&fault)), &policy);
    assert!(report.is_rolled_back() && report.left().next().is_none(), "{report}");
    assert!(is_running(&kernel, &before, &policy), "{report}");
}

/// Smaller and smaller batches, as answers are lost when there are many; then none.
#[test]
fn a_silent_kernel_is_given_up() {
    let lost: Unreadable = Some(|| Error::Lost);
    for (unreadable, on_refusal, expected, requests) in [
        (None, OnRefusal::GoOn, "?dd........ ", 8),
        (lost, OnRefusal::GoOn, "?.......... ", 13),
        (None, OnRefusal::RollBack, "?bb........ dd?", 16),
        (lost, OnRefusal::RollBack, "?.......... ?", 19),
    ] {
        let mut kernel = Simulated::new(&config(BEFORE), Fault::Silent);
        kernel.unreadable = unreadable;
        let (kernel, report) = carry_out(kernel, &at_once(on_refusal));
        assert_eq!((letters(&report).as_str(), report.requests()), (expected, requests));
        for batches in kernel.batches.chunks(6) {
            assert_eq!(batches, [128, 32, 8, 2, 1, 1], "{report}");
        }
        assert!(matches!(report.error(), Some(Error::Lost)), "{report}");
    }
}

/// A reading that passes by is done without; one that fails for good ends the rollout.
#[test]
fn after_a_loss_the_kernel_need_not_be_readable() {
    let unsettled = || Error::Unsettled { object: Object::Everything, attempts: 9 };
    let cases: [(fn() -> Error, _, _); 3] = [
        (|| Error::Timeout(Duration::ZERO), "dRwdddddddd ", false),
        (unsettled, "dRwdddddddd ", false),
        (|| Error::Absent, "........... ", true),
    ];
    for (unreadable, expected, stops) in cases {
        let mut kernel = Simulated::new(&config(BEFORE), Fault::Loses(1));
        kernel.unreadable = Some(unreadable);
        let (kernel, report) = carry_out(kernel, &at_once(OnRefusal::GoOn));
        assert_eq!(letters(&report), expected, "{report}");
        assert_eq!(matches!(report.error(), Some(Error::Absent)), stops, "{report}");
        assert_eq!(kernel.batches.len(), if stops { 1 } else { 7 });
    }
}

#[test]
fn a_kernel_without_memory_is_asked_twelve_times() {
    for (command, expected, requests) in [
        (Command::NewDest, "ddddRRddRdd ", 11 + 3 * 11),
        (Command::SetService, "ddddddRRdsd ", 11 + 2 * 11 - 1),
    ] {
        let fault = |_, request: &Request| (request.command() == command).then_some(libc::ENOMEM);
        let kernel = Simulated::new(&config(BEFORE), Fault::Says(&fault));
        let (_, report) = carry_out(kernel, &at_once(OnRefusal::GoOn));
        assert_eq!((letters(&report).as_str(), report.requests()), (expected, requests));
    }
}

/// What another program made of the objects between plan and rollout: what comes of the steps of a plan
/// that drains and of one that does not, and whether the config runs then.
#[test]
fn what_others_did_to_services_is_no_obstacle() {
    let new = "-A -t 10.0.0.2:80 -s rr\n-a -t 10.0.0.2:80 -r 10.0.1.4 -m -w 7";
    let without = |text: &str| {
        let lines = BEFORE.lines().filter(|line| !line.contains(text));
        lines.collect::<Vec<_>>().join("\n")
    };
    let exists = format!("{BEFORE}\n{new}");
    // By removal and on refusal: drains and rolls back, drains and goes on, at once the same.
    let cases = [
        (exists, ["dddwaddddddeedd ", "dddwaddddddeedd ", "dddwadddddd ", "dddwadddddd "], 15),
        (
            without("daemon"),
            ["ddwddddddddeedd ", "ddwddddddddeedd ", "ddwdddddddd ", "ddwdddddddd "],
            15,
        ),
        (
            without("10.0.0.1:80"),
            ["bbbbbbbR....... ddddeed", "dddddddRRsdsesd ", "bbbbbbbR... dddd", "dddddddRRsd "],
            0,
        ),
        (
            without("10.0.0.3:80"),
            ["ddddddddddwewdw ", "ddddddddddwewdw ", "ddddddddddw ", "ddddddddddw "],
            15,
        ),
        (
            without("10.0.1.1"),
            ["dddddddddwdwewd ", "dddddddddwdwewd ", "dddddddddwd ", "dddddddddwd "],
            15,
        ),
        // No step is about it, so only the next plan sees it.
        (
            without("10.0.1.2"),
            ["dddddddddddeedd ", "dddddddddddeedd ", "ddddddddddd ", "ddddddddddd "],
            0,
        ),
        (
            without("10.0.1.8"),
            ["ddddddddddwewdd ", "ddddddddddwewdd ", "ddddddddddd ", "ddddddddddd "],
            15,
        ),
        // A daemon that runs may run with other settings.
        (
            AFTER.to_owned(),
            ["bRw............ d", "dRwwaaddawwwwww ", "bRw........ d", "dRwwaaddaww "],
            10,
        ),
    ];
    for (rules, expected, runs) in cases {
        let mut number = 0;
        for removal in [Removal::default(), Removal::Immediate] {
            for on_refusal in [OnRefusal::RollBack, OnRefusal::GoOn] {
                let policy = policy(on_refusal, removal);
                let kernel = Simulated::new(&config(&rules), Fault::None);
                let (kernel, report) = carry_out(kernel, &policy);
                assert_eq!(letters(&report), expected[number], "{rules}\n{report}");
                let is_running = is_running(&kernel, &config(AFTER), &policy);
                assert_eq!(is_running, runs >> number & 1 == 1, "{rules}\n{report}");
                number += 1;
            }
        }
    }
}

/// What the plan was made for, what is wanted, what runs, what comes of it, which servers run then.
#[test]
fn a_service_shrinks_only_if_its_clients_have_another_server() {
    const ONE: &str = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.1.1 -m";
    const OTHER: &str = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.1.3 -m";
    const LEAVES: &str = "-A -t 10.0.0.3:80 -s rr\n-a -t 10.0.0.3:80 -r 10.0.1.8 -m";
    let two = format!("{ONE}\n-a -t 10.0.0.1:80 -r 10.0.1.2 -m");
    let both = format!("{ONE}\n{LEAVES}");
    let gone = format!("-A -t 10.0.0.1:80 -s rr\n{LEAVES}");
    let back = policy(OnRefusal::RollBack, Removal::default());
    let on = policy(OnRefusal::GoOn, Removal::default());
    let cases = [
        // Nothing ran: the service is refused, and so is all that builds on it.
        ("", &two, "", &on, Some(Command::NewService), "Rsss ", ""),
        // The server that was to be quiesced is gone, so its successor is not taken back.
        (
            &both,
            &OTHER.to_owned(),
            &gone,
            &back,
            Some(Command::SetDest),
            "dwR.... sss",
            "10.0.1.3 10.0.1.8",
        ),
        // Its service is gone, and with it the server that was to take the clients.
        (&two, &format!("{ONE} -w 2"), "", &on, None, "Rsss ", ""),
    ];
    for (before, after, runs, policy, refused, expected, servers) in cases {
        let plan = Plan::new(config(after), &Observed::from(&config(before)), policy);
        let fault = |_, request: &Request| {
            let about = request.object().to_string();
            let refuses = refused == Some(request.command()) && !about.contains("10.0.1.1:");
            refuses.then_some(libc::EPERM)
        };
        let kernel = Simulated::new(&config(runs), Fault::Says(&fault));
        let (kernel, report) = carry_out_plan(kernel, plan.expect("a plan"));
        assert_eq!(letters(&report), expected, "{report}");
        let left = kernel.config().into_iter().flat_map(|service| service.servers);
        let left: Vec<_> = left.map(|server| server.address.ip().to_string()).collect();
        assert_eq!(left.join(" "), servers, "{report}");
    }
}

/// A server that another program gives weight while it drains stays, and so does its service.
#[test]
fn a_server_that_gets_weight_again_is_kept() {
    for (place, address, expected) in
        [(0, "10.0.1.1:80", "dddddddddddKeKd "), (1, "10.0.1.8:80", "dddddddddddeKdK ")]
    {
        for on_refusal in [OnRefusal::RollBack, OnRefusal::GoOn] {
            let mut kernel = Simulated::new(&config(BEFORE), Fault::None);
            (kernel.unwatched, kernel.connections) = (true, [1, 0]);
            let mut rollout = Rollout::new(plan(&policy(on_refusal, Removal::default())));
            assert!(matches!(rollout.poll_on(&mut kernel), Progress::Wait(_)));
            let address: SocketAddr = address.parse().expect("an address");
            kernel.set_weight(place, address, 3);
            assert!(matches!(rollout.poll_on(&mut kernel), Progress::Wait(_)));
            kernel.connections = [0, 0];
            assert_eq!(rollout.poll_on(&mut kernel), Progress::Done);
            assert_eq!(letters(&rollout.into_report()), expected);
            let left = config(BEFORE).services.into_iter().flat_map(|service| service.servers);
            let runs = kernel.config().into_iter().flat_map(|service| service.servers);
            let runs: Vec<_> = runs.map(|server| server.address).collect();
            let stay: Vec<_> =
                left.map(|server| server.address).filter(|server| runs.contains(server)).collect();
            assert_eq!(stay.len(), 2, "10.0.1.2 and {address}: {runs:?}");
            assert!(stay.contains(&address), "{runs:?}");
        }
    }
}

/// Connections left at the deadline are cut off, even if no dump tells how many; other failures end it.
#[test]
fn a_drain_ends_at_its_deadline() {
    let drain = Drain { deadline: Duration::ZERO, until: Ended::All };
    let policy = policy(OnRefusal::RollBack, Removal::Drain(drain));
    let cases: [(Unreadable, _, _, _); 5] = [
        (None, "dddddddddddccdd ", Some(5), false),
        (Some(|| Error::Lost), "dddddddddddccdd ", Some(0), false),
        (Some(|| Error::Timeout(Duration::ZERO)), "dddddddddddccdd ", Some(0), false),
        (
            Some(|| Error::Unsettled { object: Object::Everything, attempts: 9 }),
            "dddddddddddccdd ",
            Some(0),
            false,
        ),
        (Some(|| Error::Absent), "ddddddddddd.... ", None, true),
    ];
    for (unreadable, expected, left, stops) in cases {
        let mut kernel = Simulated::new(&config(BEFORE), Fault::None);
        (kernel.unreadable, kernel.connections) = (unreadable, [2, 3]);
        let (_, report) = carry_out(kernel, &policy);
        assert_eq!(letters(&report), expected, "{report}");
        let cut = report.outcomes().iter().filter_map(|outcome| match outcome.status {
            Status::CutOff(left) => Some(left),
            _ => None,
        });
        assert_eq!(cut.collect::<Vec<_>>(), left.into_iter().chain(left).collect::<Vec<_>>());
        assert_eq!(report.error().is_some(), stops, "{report}");
    }
}
