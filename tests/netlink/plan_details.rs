//! Plans name the right risks, fall back to another scheduler when necessary, and recognize every
//! difference.

use std::sync::Arc;

use vsched::config::{
    Config, Observed, Persistence, Sharing, SyncDaemon, SyncRole, VirtualService,
};
use vsched::netlink::plan::{Ownership, Plan, PlanError, Policy, Removal};

fn config(rules: &str) -> Config {
    rules.parse().expect("rules")
}

fn immediate() -> Policy {
    Policy::default().with_removal(Removal::Immediate)
}

fn between(found: &Config, wanted: &Config) -> Plan {
    Plan::new(wanted.clone(), &Observed::from(found), &immediate()).expect("a plan")
}

const SERVICE: &str = "tcp 10.0.0.1:80";

/// A service with this scheduler and options, and one server with these for each.
fn service(options: &str, servers: &[&str]) -> Config {
    let mut rules = format!("-A -t 10.0.0.1:80 {options}\n");
    for (server, number) in servers.iter().zip(1..) {
        rules += &format!("-a -t 10.0.0.1:80 -r 10.0.1.{number} -m {server}\n");
    }
    config(&rules)
}

/// Lines of the plan from one service to another, without what they all have.
fn lines(found: &Config, wanted: &Config) -> Vec<String> {
    let text = between(found, wanted).to_string();
    text.lines()
        .map(|line| line.replace(&format!(" of {SERVICE}"), "").replace(SERVICE, ""))
        .collect()
}

#[test]
fn only_another_scheduler_refuses_for_a_moment() {
    let refuses = |found: &str, wanted: &str| {
        let lines = lines(&service(found, &["-w 1"]), &service(wanted, &["-w 1"]));
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines[0].contains("for a moment")
    };
    assert!(refuses("-s rr", "-s wlc"));
    assert!(!refuses("-s rr", "-s rr -p 60"));
    let mut unbound = service("-s rr", &["-w 1"]);
    unbound.services[0].scheduler = None;
    let lines = lines(&unbound, &service("-s rr", &["-w 1"]));
    assert!(lines.len() == 1 && !lines[0].contains("for a moment"), "{lines:?}");
}

/// Of a hashing scheduler, and only where a server loses its weight.
#[test]
fn only_a_server_that_is_quiesced_refuses_its_clients() {
    for (before, after, refuses) in [
        ("-w 1", "-w 0", true),
        ("-w 1", "-w 2", false),
        ("-w 0", "-w 0 -x 9", false),
        ("-w 0", "-w 3", false),
        ("-w 3", "-w 3 -x 9", false),
    ] {
        for (options, hashes) in
            [("-s sh", true), ("-s sh -b sh-fallback", false), ("-s rr", false)]
        {
            let [found, wanted] = [before, after].map(|second| service(options, &["-w 1", second]));
            let lines = lines(&found, &wanted);
            assert_eq!(lines.len(), 1, "{options} {before} {after}: {lines:?}");
            let said = lines[0].contains("refuses the clients");
            assert_eq!(said, refuses && hashes, "{options} {before} {after}");
        }
    }
}

/// A scheduler falls back while it has just begun to hash and a server is yet to wake up.
#[test]
fn a_scheduler_falls_back_only_while_servers_wake_up() {
    for (found, wanted, before, after, falls_back) in [
        ("-s wlc", "-s sh", "-w 0", "-w 1", true),
        ("-s sh -b sh-fallback", "-s sh", "-w 0", "-w 1", true),
        // Hashed and refused already.
        ("-s sh", "-s sh -p 60", "-w 0", "-w 1", false),
        ("-s sh", "-s mh", "-w 0", "-w 1", false),
        // No server becomes eligible.
        ("-s wlc", "-s sh", "-w 1", "-w 2", false),
        ("-s wlc", "-s sh", "-w 0", "-w 0 -x 9", false),
        ("-s wlc", "-s sh", "-w 2", "-w 2 -x 9", false),
        ("-s wlc", "-s sh", "-w 1", "-w 0", false),
        // Nothing hashes.
        ("-s wlc", "-s rr", "-w 0", "-w 1", false),
    ] {
        let found = service(found, &["-w 1", before]);
        let wanted = service(wanted, &["-w 1", after]);
        let lines = lines(&found, &wanted);
        // One that falls back already goes on with that.
        let goes_on = usize::from(found.services[0].flags != Default::default());
        let restores = lines.iter().filter(|line| line.starts_with("restore:")).count();
        assert_eq!(restores, usize::from(falls_back), "{lines:?}");
        assert_eq!(lines.len(), 2 + restores - goes_on, "{lines:?}");
    }
    // One service's scheduler, another one's server.
    let other = |options: &str, weight: u32| {
        format!("-A -t 10.0.0.2:80 {options}\n-a -t 10.0.0.2:80 -r 10.0.2.1 -m -w {weight}\n")
    };
    let with = |service: Config, other: String| {
        let mut both = service;
        both.services.extend(config(&other).services);
        both
    };
    let found = with(service("-s wlc", &["-w 1"]), other("-s sh", 0));
    let wanted = with(service("-s sh", &["-w 1"]), other("-s sh", 1));
    assert_eq!(between(&found, &wanted).steps().len(), 2);
}

/// A mask of all bits is none, and what only a director knows is no difference.
#[test]
fn what_a_kernel_tells_otherwise_is_the_same() {
    let v6 = "-A -t [2001:db8::1]:80 -s rr\n-a -t [2001:db8::1]:80 -r [2001:db8::2]:80 -m\n";
    let v4 = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.1.1 -m\n";
    let masked = |rules: &str, netmask: Option<&str>| {
        let mut config = config(rules);
        let netmask = netmask.map(|text| {
            let options =
                if rules == v6 { "-A -t [::1]:80 -p 60 -M" } else { "-A -t 10.0.0.9:1 -p 60 -M" };
            let config: Config = format!("{options} {text}").parse().expect("rules");
            config.services[0].persistence.expect("persistent").netmask.expect("a mask")
        });
        let mut persistence = Persistence::new(60);
        persistence.netmask = netmask;
        config.services[0].persistence = Some(persistence);
        config
    };
    for (rules, all, some) in [(v4, "255.255.255.255", "255.255.255.0"), (v6, "128", "64")] {
        let none = masked(rules, None);
        // Said in rules, a mask of all bits may be left out already.
        let mut full = masked(rules, Some(some));
        if let Some(persistence) = &mut full.services[0].persistence {
            persistence.netmask = Some(match all {
                "128" => vsched::config::Netmask::Inet6(128),
                _ => vsched::config::Netmask::Inet(std::net::Ipv4Addr::BROADCAST),
            });
        }
        let part = masked(rules, Some(some));
        for (found, wanted, same) in [
            (&none, &full, true),
            (&full, &none, true),
            (&none, &part, false),
            (&part, &part, true),
        ] {
            let plan = between(found, wanted);
            assert_eq!(plan.is_empty(), same, "{plan}");
        }
    }
    let found = service("-s rr", &["-w 1"]);
    let mut wanted = found.clone();
    wanted.services[0].sharing = Sharing::PerWorker;
    assert!(between(&found, &wanted).is_empty());
    // Old kernels tell the director itself of every server.
    let mut local = found.clone();
    local.services[0].servers[0].forwarding = vsched::config::Forwarding::Local;
    assert!(between(&local, &found).is_empty());
    let plan = between(&found, &local);
    assert_eq!(plan.steps().len(), 1, "{plan}");
}

#[test]
fn a_daemon_runs_on_if_all_that_is_said_fits() {
    let unsaid = SyncDaemon::new(SyncRole::Master, "eth0").with_sync_id(3);
    let daemon = unsaid
        .clone()
        .with_max_len(1000)
        .with_group("224.0.0.81".parse().expect("a group"))
        .with_port(8848)
        .with_ttl(1);
    let with = |daemon: &SyncDaemon| Config::new().with_daemon(daemon.clone());
    let restarts = |found: &SyncDaemon, wanted: &SyncDaemon| {
        let steps = between(&with(found), &with(wanted)).steps().len();
        assert!(steps == 0 || steps == 2);
        steps == 2
    };
    assert!(!restarts(&daemon, &daemon));
    for other in [
        daemon.clone().with_max_len(1001),
        daemon.clone().with_group("224.0.0.82".parse().expect("a group")),
        daemon.clone().with_port(8849),
        daemon.clone().with_ttl(2),
    ] {
        assert!(restarts(&daemon, &other) && restarts(&other, &daemon), "{other:?}");
    }
    assert!(!restarts(&daemon, &unsaid), "the kernel fills in what is not said");
    assert!(restarts(&unsaid, &daemon));
}

#[test]
fn several_new_services_are_told_one_after_the_other() {
    let rules = "-A -t 10.0.0.1:80 -s wlc
        -a -t 10.0.0.1:80 -r 10.0.1.1 -m -w 1
        -A -t 10.0.0.2:80 -s rr
        -a -t 10.0.0.2:80 -r 10.0.2.1 -m -w 1
        -a -t 10.0.0.2:80 -r 10.0.2.2 -m -w 1";
    let plan = between(&Config::default(), &config(rules));
    assert_eq!(
        plan.to_string(),
        "new services: add service tcp 10.0.0.1:80 (wanted)
new services: add server 10.0.1.1:80 masq weight 1 to tcp 10.0.0.1:80 (wanted)
new services: edit service tcp 10.0.0.1:80: scheduler none -> wlc (has its servers)
new services: add service tcp 10.0.0.2:80 (wanted)
new services: add server 10.0.2.1:80 masq weight 1 to tcp 10.0.0.2:80 (wanted)
new services: add server 10.0.2.2:80 masq weight 1 to tcp 10.0.0.2:80 (wanted)
new services: edit service tcp 10.0.0.2:80: scheduler none -> rr (has its servers)
"
    );
    let steps = plan.steps();
    assert_eq!((steps.len(), steps.is_empty(), steps.get(7)), (7, false, None));
    let same = between(&Config::default(), &config(rules));
    assert!(steps == same.steps());
    assert!(steps != between(&Config::default(), &service("-s wlc", &["-w 1"])).steps());
}

#[test]
fn ownership_is_compared_by_what_it_says() {
    let [first, second] = ["tcp 10.0.0.1:80", "tcp 10.0.0.2:80"]
        .map(|key| key.parse::<vsched::config::ServiceKey>().expect("a key"));
    let matching = || Ownership::Matching(Arc::new(|key| key.port() == Some(80)));
    let one = matching();
    let all = [
        Ownership::Wanted,
        Ownership::All,
        Ownership::Keys(vec![first]),
        Ownership::Keys(vec![second]),
        Ownership::Keys(vec![first, second]),
        one.clone(),
        matching(),
    ];
    for (a, left) in all.iter().enumerate() {
        for (b, right) in all.iter().enumerate() {
            assert_eq!(left == right, a == b, "{left:?} {right:?}");
        }
    }
    assert_eq!(one, one.clone());
}

#[test]
fn a_refused_plan_lists_the_problems() {
    let service = VirtualService::new(SERVICE.parse().expect("a key"));
    let twice = Config::new().with_services(vec![service.clone(), service]);
    let refused = Plan::new(twice, &Observed::default(), &Policy::default());
    let error = refused.expect_err("one service twice");
    let PlanError::Invalid(problems) = &error else { panic!("{error}") };
    assert_eq!(error.to_string(), problems.to_string());
}
