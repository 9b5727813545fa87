//! Counters at their limits, and configs at and above theirs, work exactly or are refused with an
//! error that names the item and the limit. Nothing wraps, and a refusal changes nothing.

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use common::{config, flow, rip, server, service, vip};
use vsched::config::{
    DEFAULT_MH_TABLE_INDEX, Family, KernelRules, MAX_MH_TABLE_INDEX, MAX_SERVERS, MAX_SERVICES,
    MAX_WEIGHT, Persistence, RealServer, ServiceKey, mh_table_size,
};
use vsched::error::ApplyError;
use vsched::{
    Activity, Config, ConnectionError, Director, Flow, Lease, MAX_CONNECTIONS, SchedulerKind,
    ServerId, Worker,
};

fn counts(director: &Director, server: ServerId) -> (u32, u32) {
    let counts = director.counts(server).expect("it runs");
    (counts.active, counts.inactive)
}

/// Fills a server to its last connection. The leases are alike: one closes any.
fn fill(worker: &Worker, server: ServerId) -> Lease {
    let activity = Activity::Active;
    let first = worker.open(server, activity).expect("room");
    for _ in 1..MAX_CONNECTIONS {
        // Dropped leases stay counted.
        let _counted = worker.open(server, activity).expect("room");
    }
    first
}

#[test]
fn a_server_counts_to_its_limit_and_no_further() {
    let key = ServiceKey::tcp(vip(0));
    let mut config = config(SchedulerKind::Rr, 1, &[1]);
    config.services[0].servers[0].thresholds.upper = MAX_CONNECTIONS;
    let director = Director::new(&config).expect("a valid config");
    let worker = director.worker();
    let service = director.service_by_key(&key).expect("it runs");
    let full = common::server_id(&director, &key, rip(1)).expect("it runs");
    let mut lease = fill(&worker, full);
    assert!(worker.pick_server(service, &flow(0)).is_err(), "the last one reached the threshold");
    // One that no count reaches, after none: the mark goes with the threshold.
    for upper in [0, MAX_CONNECTIONS + 1] {
        config.services[0].servers[0].thresholds.upper = upper;
        director.apply(&config).expect("a valid config");
        assert!(worker.pick_server(service, &flow(0)).is_ok());
    }
    for round in 0..2 {
        let most = if round == 0 { (MAX_CONNECTIONS, 0) } else { (MAX_CONNECTIONS - 1, 1) };
        assert_eq!(counts(&director, full), most);
        for activity in [Activity::Active, Activity::Inactive] {
            assert_eq!(worker.open(full, activity), Err(ConnectionError::Full));
        }
        assert!(worker.connect(service, &flow(0)).is_err(), "no server to wait for");
        assert_eq!(counts(&director, full), most, "a refusal changes nothing");
        worker.update(&mut lease, Activity::Inactive).expect("an open lease");
    }
    worker.close(lease).expect("an open lease");
    assert_eq!(counts(&director, full), (MAX_CONNECTIONS - 1, 0));
    lease = worker.open(full, Activity::Active).expect("room again");
    schedulers_reckon_with_full_servers(&director, &worker, full);
    worker.close(lease).expect("an open lease");
}

/// Every scheduler in both generations, the full server beside an idle one, at the largest weights:
/// what is multiplied and added there does not wrap (tests run with overflow checks).
fn schedulers_reckon_with_full_servers(director: &Director, worker: &Worker, full: ServerId) {
    let total = (MAX_CONNECTIONS, 0);
    let weights = [[1, MAX_WEIGHT], [MAX_WEIGHT, 1], [MAX_WEIGHT, MAX_WEIGHT], [1, 1]];
    let id = director.service_by_key(&ServiceKey::tcp(vip(0))).expect("it runs");
    for kind in SchedulerKind::ALL {
        for (generation, weights) in
            [KernelRules::A, KernelRules::B].into_iter().flat_map(|it| weights.map(|two| (it, two)))
        {
            let what = format!("{} {generation:?} {weights:?}", kind.name());
            let config = config(*kind, 2, &weights).with_kernel_rules(generation);
            director.apply(&config).expect("a valid config");
            assert_eq!(counts(director, full), total, "{what}: counts outlive reloads");
            for client in 0..50 {
                let flow = flow(client);
                let pick = worker.pick_server(id, &flow).expect("a server");
                let opened = worker.open_pick(&pick, Activity::Active);
                if pick.server() == full {
                    assert_eq!(opened, Err(ConnectionError::Full), "{what}");
                } else {
                    worker.close(opened.expect("room")).expect("an open lease");
                }
                // Filled or not, it ends.
                drop(worker.connect(id, &flow));
            }
        }
    }
    // Those that go by load go to the idle one.
    for name in ["lc", "wlc", "sed", "nq"] {
        let kind = name.parse().expect("a scheduler");
        director.apply(&config(kind, 2, &[1])).expect("a valid config");
        let pick = worker.pick_server(id, &flow(0)).expect("a server");
        assert_eq!(pick.address(), rip(2), "{name}");
    }
}

fn numbered(n: usize) -> RealServer {
    let ip = Ipv4Addr::from_bits(0x0a00_0001 + u32::try_from(n).expect("a small number"));
    RealServer::new(SocketAddr::from((ip, 80)))
}

fn refusal(director: &Director, config: &Config) -> String {
    match director.apply(config).expect_err("beyond the limit") {
        ApplyError::Invalid(error) => error.to_string(),
        other => panic!("refused as {other:?}"),
    }
}

/// Every scheduler with as many servers as the largest mh table has slots; then a million. More than
/// the limit are refused, and what ran goes on.
#[test]
fn a_million_servers_are_carried_and_too_many_refused() {
    const MILLION: usize = 1_000_000;
    let director = Director::new(&Config::default()).expect("a valid config");
    let key = ServiceKey::tcp(vip(0));
    let servers: Vec<RealServer> = (0..MILLION).map(numbered).collect();
    let slots = mh_table_size(MAX_MH_TABLE_INDEX).expect("a size") as usize;
    let of = |kind: SchedulerKind, servers: &[RealServer]| {
        let is_mh = kind == SchedulerKind::Mh;
        let index = if is_mh { MAX_MH_TABLE_INDEX } else { DEFAULT_MH_TABLE_INDEX };
        let service = service(0, kind)
            .with_servers(servers.to_vec())
            .with_persistence(Persistence::default())
            .with_mh_table_index(index);
        Config::new().with_service(service)
    };
    let all = SchedulerKind::ALL.iter().map(|kind| (*kind, slots));
    for (kind, count) in all.chain([(SchedulerKind::Wlc, MILLION)]) {
        director.apply(&of(kind, &servers[..count])).expect("within the limits");
        let worker = director.worker();
        let id = director.service_by_key(&key).expect("it runs");
        for client in 0..3 {
            drop(worker.connect(id, &flow(client)).expect("a server"));
        }
    }
    let text = refusal(&director, &of(SchedulerKind::Mh, &servers[..=slots]));
    let limit = format!("service tcp 10.1.0.1:1000: servers: {} are more than {slots}", slots + 1);
    assert!(text.starts_with(&limit), "{text}");
    let before = director.service_by_key(&key);
    let servers: Vec<RealServer> = (0..=MAX_SERVERS).map(numbered).collect();
    assert_eq!(
        refusal(&director, &of(SchedulerKind::Rr, &servers)),
        "service tcp 10.1.0.1:1000: servers: 2097151 are more than 2097150"
    );
    assert_eq!(director.service_by_key(&key), before, "what ran goes on");
    assert_eq!(director.config().services[0].servers.len(), MILLION);
}

/// As many services as there may be, each found and each with a server; one more is refused.
#[test]
fn a_million_services_are_carried_and_too_many_refused() {
    let mark = |n: usize| ServiceKey::fwmark(u32::try_from(n).expect("a mark"), Family::Inet);
    let of = |n: usize| {
        let mut made = service(0, SchedulerKind::Rr).with_servers(vec![server(7, 1)]);
        made.key = mark(n);
        made
    };
    let mut config = Config::new().with_services((1..=MAX_SERVICES).map(of).collect());
    let director = Director::new(&config).expect("within the limits");
    let worker = director.worker();
    for n in [1, 77_777, MAX_SERVICES] {
        let flow = Flow::tcp(rip(1), vip(0)).with_fwmark(n as u32);
        let id = worker.service_for(&flow).expect("the service");
        assert_eq!(director.service_by_key(&mark(n)), Some(id));
        drop(worker.connect(id, &flow).expect("a server"));
    }
    config.services.push(of(MAX_SERVICES + 1));
    assert_eq!(refusal(&director, &config), "services: 1048577 are more than 1048576");
    assert!(director.service_by_key(&mark(MAX_SERVICES)).is_some(), "what ran goes on");
    director.apply(&Config::default()).expect("an empty config");
    assert!(worker.service_for(&Flow::default()).is_none());
    director.tick(Duration::ZERO);
    assert_eq!(director.removed_servers(), 0);
}
