//! What the kernel must not hear of. The other ends of socket pairs play the kernel.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::*;
use crate::config::{Config, SchedulerKind, VirtualService};
use crate::netlink::plan::{Plan, Policy};
use crate::netlink::{Ipvs, Preflight, SyncError};

/// A kernel that answers nothing, and what it hears.
fn kernel() -> (Kernel, [UnixDatagram; 2]) {
    let pair = || {
        let (ours, theirs) = UnixDatagram::pair().expect("a pair of sockets");
        ours.set_nonblocking(true).expect("a non-blocking socket");
        theirs.set_nonblocking(true).expect("a non-blocking socket");
        let socket = Socket::from(OwnedFd::from(ours));
        (Exchange::new(socket, 77, Duration::from_millis(10), 8192), theirs)
    };
    let ((one, hears_one), (two, hears_two)) = (pair(), pair());
    let kernel =
        Kernel { exchanges: [one, two], lists: None, family: 28, attempts: 2, batch: BATCH };
    (kernel, [hears_one, hears_two])
}

fn heard(ends: &[UnixDatagram; 2]) -> usize {
    let mut bytes = [0; 8192];
    ends.iter().map(|end| std::iter::from_fn(|| end.recv(&mut bytes).ok()).count()).sum()
}

/// With services before and after it that a kernel would take.
fn wanted(kind: SchedulerKind) -> Config {
    let name = kind.name();
    let rules = format!(
        "-A -t 10.0.0.1:80 -s rr
         -a -t 10.0.0.1:80 -r 10.9.0.1 -m
         -A -t 10.0.0.2:80 -s {name}
         -a -t 10.0.0.2:80 -r 10.9.0.1 -m
         -A -t 10.0.0.3:80 -s wlc"
    );
    rules.parse().expect("rules print and parse whatever Linux has")
}

#[test]
fn nothing_is_sent_of_a_scheduler_that_linux_does_not_have() {
    let policy = Policy::default();
    let mut foreign = 0;
    for kind in SchedulerKind::ALL {
        let config = wanted(*kind);
        let expected = format!("service tcp 10.0.0.2:80: scheduler: Linux has no {}", kind.name());
        let (kernel, ends) = kernel();
        let mut ipvs = Ipvs { kernel };
        let plan = Plan::new(config.clone(), &crate::config::Observed::default(), &policy);
        let synced = ipvs.sync(config.clone(), &policy).expect_err("no answer");
        let planned = ipvs.plan(config.clone(), &policy).expect_err("no answer");
        let service = |service: &VirtualService| Request::add_service(service);
        let requests: Vec<Request> = config.services.iter().map(service).collect();
        let stopped = ipvs.kernel().execute(&requests).expect_err("no answer");
        let edit = Request::edit_service(&config.services[1]);
        let edited = ipvs.kernel().execute_one(&edit).expect_err("no answer");
        if kind.in_linux() {
            assert!(plan.is_ok() && stopped.sent == 3 && heard(&ends) >= 4, "{kind:?}");
            continue;
        }
        foreign += 1;
        assert_eq!(plan.expect_err("no plan").to_string(), expected);
        for refused in [synced, planned] {
            assert!(matches!(refused, SyncError::Plan(_)), "{refused}");
            assert_eq!(refused.to_string(), expected);
        }
        assert_eq!((stopped.sent, stopped.answered, stopped.failures.len()), (0, 0, 0));
        assert_eq!([stopped.error.to_string(), edited.to_string()], [&*expected, &*expected]);
        let (mut preflight, services) = (Preflight::default(), config.services[1..2].to_vec());
        let only = Config { services, ..Config::default() };
        preflight.not_in_linux(&only);
        preflight.modules(&only, ipvs.kernel()).expect("no question");
        assert_eq!(preflight.to_string().trim_end(), expected);
        assert!(preflight.findings()[0].is_obstacle());
        assert_eq!(heard(&ends), 0, "{kind:?}");
    }
    assert!(foreign > 0, "nothing was tested");
}

/// Options of the second service and its server, and what is refused.
const FOREIGN: &[(&str, &str, &[&str])] = &[
    ("--vsched-ties rotate", "", &["ties: Linux has no rotation of ties"]),
    ("--vsched-ejection failures=0", "", &["ejection: Linux has no ejection"]),
    ("--vsched-slow-start duration=30", "", &["slow_start: Linux has no slow start"]),
    ("--vsched-spill-over 140", "", &["spill_over: Linux has no spill-over"]),
    ("--vsched-panic-threshold 1", "", &["panic_threshold: Linux has no panic threshold"]),
    ("", "--vsched-priority 1", &["server 10.9.0.1:80: priority: Linux has no priorities"]),
    (
        "--vsched-panic-threshold 1 --vsched-spill-over 140",
        "--vsched-priority 255",
        &[
            "spill_over: Linux has no spill-over",
            "panic_threshold: Linux has no panic threshold",
            "server 10.9.0.1:80: priority: Linux has no priorities",
        ],
    ),
    // What only this crate's workers and address maps know is left out, as a seed is.
    ("--vsched-sharing per-worker --vsched-affinity-capacity 7", "--vsched-priority 0", &[]),
    ("--vsched-name web", "--vsched-name one --vsched-user-data 7", &[]),
    (
        "",
        "-r [2001:db8::9]:80",
        &["server [2001:db8::9]:80: address: Linux has no masquerading between IPv4 and IPv6"],
    ),
];

#[test]
fn nothing_is_sent_of_a_setting_that_linux_does_not_have() {
    let policy = Policy::default();
    for (service, server, problems) in FOREIGN {
        let other = server.strip_prefix("-r ");
        let (address, server) = other.map_or(("10.9.0.1", *server), |address| (address, ""));
        let rules = format!(
            "-A -t 10.0.0.1:80 -s rr
             -A -t 10.0.0.2:80 -s wlc {service}
             -a -t 10.0.0.2:80 -r {address} -m {server}
             -a -t 10.0.0.2:80 -r 10.9.0.2 -m {server}"
        );
        let mut config: Config = rules.parse().expect("rules");
        config.services[1].servers.truncate(1);
        config.validate().expect("a director takes it");
        let (kernel, ends) = kernel();
        let mut ipvs = Ipvs { kernel };
        let expected: Vec<String> =
            problems.iter().map(|problem| format!("service tcp 10.0.0.2:80: {problem}")).collect();
        let mut preflight = Preflight::default();
        preflight.not_in_linux(&config);
        preflight.not_in_linux(&Config::default());
        assert!(preflight.findings().iter().all(|finding| finding.is_obstacle()));
        assert_eq!(preflight.to_string().lines().collect::<Vec<_>>(), expected);
        let plan = Plan::new(config.clone(), &crate::config::Observed::default(), &policy);
        let Some(first) = expected.first() else {
            plan.expect("a kernel takes it");
            continue;
        };
        let lines = |error: String| error.lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(lines(plan.expect_err("no plan").to_string()), expected);
        assert_eq!(
            lines(ipvs.sync(config.clone(), &policy).expect_err("no sync").to_string()),
            expected
        );
        assert_eq!(
            lines(ipvs.plan(config.clone(), &policy).expect_err("no plan").to_string()),
            expected
        );
        let (wanted, key) = (&config.services[1], config.services[1].key);
        let (add, edit) = if first.contains("server") {
            let server = &wanted.servers[0];
            (Request::add_server(&key, server), Request::edit_server(&key, server))
        } else {
            (Request::add_service(wanted), Request::edit_service(wanted))
        };
        let others = [Request::add_service(&config.services[0]), add];
        let stopped = ipvs.kernel().execute(&others).expect_err("refused");
        assert_eq!((stopped.sent, stopped.answered, stopped.failures.len()), (0, 0, 0));
        let edited = ipvs.kernel().execute_one(&edit).expect_err("refused");
        assert_eq!([stopped.error.to_string(), edited.to_string()], [first.clone(), first.clone()]);
        assert_eq!(heard(&ends), 0, "{first}");
    }
}

/// Labels are the host's own: what runs has none, and is what is wanted.
#[test]
fn names_and_user_data_are_no_difference_to_a_kernel() {
    let bare = "-A -t 10.0.0.2:80 -s wlc
                -a -t 10.0.0.2:80 -r 10.9.0.1 -m";
    let found = crate::config::Observed::from(&bare.parse::<Config>().expect("rules"));
    let policy = Policy::default();
    let plan = |labels: &str| {
        let text = bare.replace("wlc", "wlc --vsched-name web") + labels;
        let config: Config = text.parse().expect("rules");
        Plan::new(config.clone(), &found, &policy).expect("a plan")
    };
    assert!(plan(" --vsched-name web-1 --vsched-user-data 7").is_empty());
    assert!(!plan(" --vsched-name web-1 -w 2").is_empty());
}
