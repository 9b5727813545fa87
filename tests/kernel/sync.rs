//! `sync` takes a real kernel from its running state to the wanted one.

use std::net::SocketAddr;

use vsched::config::{
    Config, Forwarding, RealServer, ServiceKey, SyncDaemon, SyncRole, Timeouts, Tunnel,
    TunnelChecksum, VirtualService,
};
use vsched::netlink::plan::{OnRefusal, Ownership, Policy, Removal};
use vsched::netlink::{Cause, Ipvs, Kernel, Options, Request, Status, SyncError};

use crate::guest::part;
use crate::objects::everything;

pub(crate) fn ipvs() -> Ipvs {
    Ipvs::open().expect("IPVS")
}

pub(crate) fn config(rules: &str) -> Config {
    rules.parse().expect("rules")
}

pub(crate) fn key(text: &str) -> ServiceKey {
    text.parse().expect("a key")
}

pub(crate) fn immediate() -> Policy {
    Policy::default().with_removal(Removal::Immediate)
}

fn all() -> Policy {
    immediate().with_ownership(Ownership::All)
}

fn services(ipvs: &mut Ipvs) -> Vec<VirtualService> {
    ipvs.read().expect("a reading").observed.config().services
}

/// All that can be configured, from nothing; then nothing to do; then other things; then nothing.
pub(crate) fn rich() {
    let mut ipvs = ipvs();
    let mut wanted = everything();
    wanted.timeouts = Timeouts::default().with_tcp(777).with_udp(77);
    let report = ipvs.sync(wanted.clone(), &Policy::default()).expect("in sync");
    assert!(report.requests() > 50, "{report}");
    assert!(report.outcomes().iter().all(|outcome| outcome.status == Status::Done), "{report}");
    assert_eq!(services(&mut ipvs), wanted.services);
    assert_eq!(ipvs.kernel().timeouts().expect("timeouts").udp, Some(77));
    let report = ipvs.sync(wanted.clone(), &Policy::default()).expect("in sync");
    assert_eq!((report.requests(), report.outcomes().len()), (0, 0), "{report}");

    let mut other = wanted.clone();
    other.services.truncate(6);
    other.services.push(VirtualService::new(key("tcp 10.0.0.200:80")));
    let first = &mut other.services[0];
    first.scheduler = Some("wlc".parse().expect("a scheduler"));
    first.servers.remove(0);
    first.servers[0].weight += 1;
    first.servers.push(RealServer::new("10.9.0.77:80".parse().expect("an address")));
    let mut fewer = other.clone();
    let report = ipvs.sync(other.clone(), &all()).expect("in sync");
    let found = services(&mut ipvs);
    other.services.sort_by_key(|service| service.key);
    assert_eq!(found, other.services, "{report}");
    // Services that are not wanted are others' unless it is said that all are ours.
    fewer.services.truncate(2);
    let report = ipvs.sync(fewer.clone(), &immediate()).expect("in sync");
    assert_eq!(report.requests(), 0, "{report}");
    assert_eq!(services(&mut ipvs), other.services);
    ipvs.zero(None).expect("zeroed");
    let report = ipvs.sync(Config::default(), &all()).expect("in sync");
    assert_eq!(report.requests(), other.services.len() as u64, "{report}");
    assert_eq!(services(&mut ipvs), []);
    let missing = ipvs.zero(Some(&key("fwmark 1"))).expect_err("no such service");
    assert!(missing.to_string().contains("no such service"), "{missing}");
}

const THREE: &str = "-A -t 10.0.0.1:80 -s wlc
    -a -t 10.0.0.1:80 -r 10.9.0.1 -m -w 1
    -a -t 10.0.0.1:80 -r 10.9.0.2 -m -w 2
    -a -t 10.0.0.1:80 -r 10.9.0.3 -m -w 3";

/// Whatever others did to what is ours is repaired; what is theirs stays.
pub(crate) fn drift() {
    let mut ipvs = ipvs();
    let wanted = config(THREE);
    let _ = ipvs.sync(wanted.clone(), &Policy::default()).expect("in sync");
    let theirs = "-A -u 10.0.0.9:53 -s rr\n-a -u 10.0.0.9:53 -r 10.9.0.9 -m";
    let drift = format!(
        "-E -t 10.0.0.1:80 -s rr -p 60
         -d -t 10.0.0.1:80 -r 10.9.0.1
         -e -t 10.0.0.1:80 -r 10.9.0.2 -g -w 0
         -a -t 10.0.0.1:80 -r 10.9.0.4 -m
         {theirs}"
    );
    let rules: vsched::config::rules::Rules = drift.parse().expect("rules");
    let requests: Vec<Request> = rules.commands().filter_map(Request::from_command).collect();
    assert_eq!(ipvs.kernel().execute(&requests).expect("answers"), []);
    let plan = ipvs.plan(wanted.clone(), &immediate()).expect("a plan");
    assert_eq!(plan.to_string().lines().count(), 4, "{plan}");
    assert_eq!(plan.foreign(), [key("udp 10.0.0.9:53")]);
    let report = ipvs.apply(&plan).expect("carried out");
    assert_eq!(report.requests(), 4, "{report}");
    let mut both = wanted.clone();
    both.services.extend(config(theirs).services);
    // The server that was gone is the newest now.
    let mut found = services(&mut ipvs);
    found[0].servers.sort_by_key(|server| server.address);
    assert_eq!(found, both.services);
    // A stale plan: what it wants is done already, or undone.
    let report = ipvs.apply(&plan).expect("carried out");
    let statuses: Vec<Status> = report.outcomes().iter().map(|outcome| outcome.status).collect();
    assert_eq!(
        statuses,
        [Status::Done, Status::Adapted, Status::Done, Status::AlreadyDone],
        "{report}"
    );
    assert!(ipvs.plan(wanted.clone(), &immediate()).expect("a plan").is_empty());
}

/// A scheduler that this kernel has not, found out when other services were changed already.
pub(crate) fn rollback() {
    let before = format!(
        "{THREE}
         -A -t 10.0.0.2:80 -s sh
         -a -t 10.0.0.2:80 -r 10.9.0.1 -m
         -A -t 10.0.0.3:80 -s rr
         -a -t 10.0.0.3:80 -r 10.9.0.1 -m"
    );
    let wanted = "-A -t 10.0.0.1:80 -s rr
         -a -t 10.0.0.1:80 -r 10.9.0.2 -g -w 5
         -a -t 10.0.0.1:80 -r 10.9.0.3 -m -w 0
         -a -t 10.0.0.1:80 -r 10.9.0.4 -m -w 3
         -A -t 10.0.0.2:80 -s sh
         -a -t 10.0.0.2:80 -r 10.9.0.2 -m
         -A -t 10.0.0.3:80 -s twos
         -a -t 10.0.0.3:80 -r 10.9.0.1 -m
         -A -t 10.0.0.4:80 -s rr
         -a -t 10.0.0.4:80 -r 10.9.0.1 -m";
    let mut ipvs = ipvs();
    let before = config(&before);
    let _ = ipvs.sync(before.clone(), &Policy::default()).expect("in sync");
    let wanted = config(wanted);
    for policy in [Policy::default(), immediate()] {
        let failed = ipvs.sync(wanted.clone(), &policy).expect_err("no such scheduler");
        let SyncError::Incomplete(report) = &failed else { panic!("{failed}") };
        assert!(report.is_rolled_back() && report.left().next().is_none(), "{report}");
        let refused = failed.refused().expect("a refusal");
        assert_eq!(refused.cause(), Cause::NoScheduler);
        assert_eq!(
            failed.to_string(),
            "service tcp 10.0.0.3:80: SET_SERVICE: no such scheduler or persistence engine; is its \
             module installed? (No such file or directory (os error 2)); all that was done is taken \
             back"
        );
        assert!(report.to_string().contains("done, and taken back\n"), "{report}");
        assert_eq!(services(&mut ipvs), before.services, "{report}");
    }
    // A server that is refused beside a daemon, found out when schedulers are changed and servers
    // added; timeouts go back, too.
    let mut late = wanted.clone();
    late.services[2].scheduler = Some("lc".parse().expect("a scheduler"));
    let tunnel = Forwarding::Tunnel(Tunnel::Gre { checksum: TunnelChecksum::None });
    late.services[0].servers.push(server("[fd09::1]:80").with_forwarding(tunnel));
    late.timeouts.tcp = Some(1000);
    ipvs.kernel().execute_one(&Request::start_daemon(&master())).expect("started");
    let plan = ipvs.plan(late.clone(), &Policy::default()).expect("a plan");
    let failed = ipvs.apply(&plan).expect_err("another family beside a daemon");
    let SyncError::Incomplete(report) = &failed else { panic!("{failed}") };
    assert!(report.rollback().len() > 8 && report.left().next().is_none(), "{report}");
    assert_eq!(failed.refused().expect("a refusal").cause(), Cause::Invalid);
    let observed = ipvs.read().expect("a reading").observed;
    assert_eq!(observed.config().services, before.services, "{report}");
    assert_eq!((observed.settings.timeouts.tcp, observed.settings.daemons.len()), (Some(900), 1));
    // Those that can be are brought there, if so asked.
    let policy = immediate().with_on_refusal(OnRefusal::GoOn);
    let failed = ipvs.sync(wanted.clone(), &policy).expect_err("no such scheduler");
    let SyncError::Incomplete(report) = &failed else { panic!("{failed}") };
    assert!(!report.is_rolled_back(), "{report}");
    let rest = ipvs.plan(wanted.clone(), &policy).expect("a plan");
    assert_eq!(
        rest.to_string(),
        "edit services: edit service tcp 10.0.0.3:80: scheduler rr -> twos (has other settings; \
         refuses new connections for a moment)\n"
    );
}

fn master() -> SyncDaemon {
    SyncDaemon::new(SyncRole::Master, "lo").with_sync_id(3)
}

fn server(address: &str) -> RealServer {
    RealServer::new(address.parse().expect("an address")).with_forwarding(Forwarding::Masq)
}

pub(crate) fn large(services: u16, servers: u16, weight: u32) -> Config {
    let server = |service: u16, place: u16| {
        let [high, low] = place.to_be_bytes();
        let address: SocketAddr = ([10, 9 + high, service as u8, low], 80).into();
        RealServer::new(address).with_forwarding(Forwarding::Masq).with_weight(weight)
    };
    let service = |index: u16| {
        VirtualService::new(ServiceKey::tcp(([10, 0, 0, 1], index + 1).into()))
            .with_scheduler("wrr".parse().expect("wrr"))
            .with_servers((1..=servers).map(|place| server(index, place)).collect())
    };
    Config::new().with_services((0..services).map(service).collect())
}

/// 10,000 servers; the second time nothing is sent.
pub(crate) fn ten_thousand() {
    let mut ipvs = ipvs();
    let wanted = large(100, 100, 1);
    let report = ipvs.sync(wanted.clone(), &Policy::default()).expect("in sync");
    assert_eq!(report.requests(), 100 * (1 + 100 + 1));
    assert_eq!(services(&mut ipvs), wanted.services);
    let report = ipvs.sync(wanted.clone(), &Policy::default()).expect("in sync");
    assert_eq!(report.requests(), 0);
    let heavier = large(100, 100, 2);
    let report = ipvs.sync(heavier.clone(), &Policy::default()).expect("in sync");
    assert_eq!(report.requests(), 10_000);
    assert!(ipvs.plan(heavier.clone(), &Policy::default()).expect("a plan").is_empty());
}

/// Answers are lost in every phase: every refusal of a large batch, in a receive buffer for a few.
pub(crate) fn lost_answers() {
    let wanted = large(3, 300, 4);
    // What is to be added exists, and what is to be edited or deleted does not.
    let stale = large(3, 300, 1);
    let options = Options::default().with_receive_buffer(4096);
    let mut small = Ipvs::with_options(&options).expect("IPVS");
    let adding = small.plan(wanted.clone(), &Policy::default()).expect("a plan");
    let mut kernel = Kernel::open().expect("IPVS");
    let requests = crate::objects::building(&stale);
    assert_eq!(kernel.execute(&requests).expect("answers"), []);
    let editing = small.plan(wanted.clone(), &Policy::default()).expect("a plan");
    let report = small.apply(&adding).expect("converges");
    assert!(report.requests() > 2 * 900, "answers were lost: {}", report.requests());
    assert_eq!(services(&mut small), wanted.services);
    let empty = Config::new().with_services(Vec::new());
    let deleting = small.plan(empty.clone(), &all()).expect("a plan");
    for service in &wanted.services {
        for server in &service.servers {
            let delete = Request::delete_server(&service.key, server.address);
            kernel.execute_one(&delete).expect("deleted");
        }
    }
    let report = small.apply(&editing).expect("converges");
    assert!(report.requests() > 2 * 900, "answers were lost: {}", report.requests());
    assert!(small.plan(wanted.clone(), &Policy::default()).expect("a plan").is_empty());
    kernel.execute_one(&Request::flush()).expect("flushed");
    let report = small.apply(&deleting).expect("nothing is left to do");
    assert!(report.outcomes().iter().all(|o| o.status == Status::AlreadyDone), "{report}");
}

pub(crate) fn permission() {
    assert!(
        part(&["unshare", "-U", "-r", "-n"], "unprivileged_sync")
            .status()
            .expect("a part")
            .success()
    );
}

/// As root of a user namespace: what is missing is named.
pub(crate) fn unprivileged() {
    let mut ipvs = ipvs();
    let failed = ipvs.sync(config(THREE), &Policy::default()).expect_err("not permitted");
    assert!(failed.to_string().contains("CAP_NET_ADMIN in the initial user namespace is needed"));
    assert_eq!(failed.refused().expect("a refusal").cause(), Cause::Permission);
    // A plan from elsewhere, too: nothing was done, and so nothing is left.
    let found = vsched::config::Observed::default();
    let plan = vsched::netlink::plan::Plan::new(config(THREE), &found, &Policy::default());
    let failed = ipvs.apply(&plan.expect("a plan")).expect_err("not permitted");
    assert!(failed.to_string().contains("CAP_NET_ADMIN"), "{failed}");
    let SyncError::Incomplete(report) = failed else { panic!("{failed}") };
    assert!(report.is_rolled_back() && report.left().next().is_none(), "{report}");
}
