//! A director keeps its documented promises about configs, commands, and the state that outlives
//! them.

mod common;

use std::time::Duration;

use common::{config, flow, rip, server, service, vip};
use std::net::SocketAddr;

use vsched::config::{Command, KernelRules, Persistence, ServiceKey, VirtualService};
use vsched::error::ApplyError;
use vsched::{
    Activity, Config, ConnectionError, Director, Item, Lease, Refused, SchedulerKind, ServiceId,
    Tried, Worker,
};

const RR: SchedulerKind = SchedulerKind::Rr;

fn director(config: &Config) -> (Director, ServiceId, Worker) {
    let director = Director::new(config).expect("a valid config");
    let service = director.service_by_key(&ServiceKey::tcp(vip(0))).expect("service 0");
    let worker = director.worker();
    (director, service, worker)
}

/// The last byte of the addresses of the next picks.
fn picks(worker: &Worker, service: ServiceId, count: usize) -> Vec<u8> {
    let pick = |_| match worker.pick_server(service, &flow(1)).map(|pick| pick.address().ip()) {
        Ok(std::net::IpAddr::V4(ip)) => ip.octets()[3],
        _ => 0,
    };
    (0..count).map(pick).collect()
}

type Named = (ServiceKey, Option<SocketAddr>);

fn item(server: Option<u16>) -> Named {
    (ServiceKey::tcp(vip(0)), server.map(rip))
}

fn named(items: &[Item]) -> Vec<Named> {
    items.iter().map(|item| (item.service, item.server)).collect()
}

/// Every item has the ids that the director finds.
fn has_ids(director: &Director, items: &[Item]) {
    for item in items {
        assert_eq!(Some(item.service_id), director.service_by_key(&item.service));
        let server = item.server.map(|server| common::server_id(director, &item.service, server));
        assert_eq!(item.server_id.map(Some), server, "{item:?}");
    }
}

#[test]
fn apply_tells_what_it_did() {
    let (director, ..) = director(&config(RR, 3, &[1]));
    let first = common::server_id(&director, &ServiceKey::tcp(vip(0)), rip(1)).expect("it runs");
    let mut next = config(RR, 4, &[1]);
    next.services[0].servers.remove(0);
    next.services[0].servers[0].weight = 0;
    next.services[0].servers[1].weight = 5;
    next.services.push(service(1, RR));
    let applied = director.apply(&next).expect("a valid config");
    let new_service = (ServiceKey::tcp(vip(1)), None);
    assert_eq!(named(&applied.added), [new_service, item(Some(4))]);
    has_ids(&director, &applied.added);
    has_ids(&director, &applied.changed);
    has_ids(&director, &applied.drained);
    assert_eq!(applied.removed[0].server_id, Some(first));
    assert_eq!(named(&applied.changed), [item(Some(3))]);
    assert_eq!(named(&applied.drained), [item(Some(2))]);
    assert_eq!(named(&applied.removed), [item(Some(1))]);
    assert_eq!(director.config().services.len(), 2);
    assert!(!applied.settings);
    let many = config(RR, 40, &[1]);
    let applied = director.apply(&many).expect("a valid config");
    assert!(applied.added.len() > 30);
    has_ids(&director, &applied.added);
    director.apply(&next).expect("a valid config");
    next.seed = 7;
    let applied = director.apply(&next).expect("a valid config");
    assert!(applied.settings && !applied.is_empty());
    let applied = director.apply(&Config::default()).expect("an empty config");
    let servers = [2, 3, 4].map(|number| item(Some(number)));
    assert_eq!(named(&applied.removed), [&[item(None)], &servers[..], &[new_service]].concat());
    assert!(director.observe().services.is_empty());
}

#[test]
fn a_service_is_told_with_its_servers_both_when_it_comes_and_when_it_goes() {
    let wanted = config(RR, 3, &[1]);
    let all = [None, Some(1), Some(2), Some(3)].map(item);
    let director = Director::new(&Config::default()).expect("a valid config");
    let came = director.apply(&wanted).expect("a valid config");
    assert_eq!(named(&came.added), all);
    let went = director.apply(&Config::default()).expect("a valid config");
    assert_eq!(named(&went.removed), all, "by a config without it");
    let delete = Command::DeleteService(ServiceKey::tcp(vip(0)));
    for command in [delete, Command::Clear] {
        director.apply(&wanted).expect("a valid config");
        let went = director.execute(&command).expect("it is there");
        assert_eq!(named(&went.removed), all, "by {command:?}");
    }
}

#[test]
fn an_equal_config_changes_nothing() {
    for &kind in SchedulerKind::ALL {
        let config = config(kind, 5, &[3, 1, 2]);
        let (reloaded, service, worker) = director(&config);
        let (_undisturbed, other_service, other) = director(&config);
        for _ in 0..20 {
            assert!(reloaded.apply(&config).expect("a valid config").is_empty());
            let (one, two) = (picks(&worker, service, 3), picks(&other, other_service, 3));
            assert_eq!(one, two, "{}", kind.name());
        }
        // The same servers in another order are the same config: an edit never moves a server.
        let mut turned = config.clone();
        turned.services[0].servers.reverse();
        assert!(reloaded.apply(&turned).expect("a valid config").is_empty());
    }
}

#[test]
fn a_bad_config_or_command_changes_nothing() {
    let (director, service, worker) = director(&config(RR, 3, &[1]));
    assert_eq!(picks(&worker, service, 1), [3]);
    let before = director.config();
    let mut bad = config(RR, 5, &[1]);
    bad.services[0].servers[4].thresholds.lower = 7;
    assert!(matches!(director.apply(&bad), Err(ApplyError::Invalid(_))));
    let key = ServiceKey::tcp(vip(0));
    for (command, message) in [
        (
            Command::AddService(common::service(0, RR).settings()),
            "service tcp 10.1.0.1:1000: exists already",
        ),
        (
            Command::AddServer { service: key, server: server(2, 1) },
            "service tcp 10.1.0.1:1000: server 10.9.0.2:80: exists already",
        ),
        (
            Command::DeleteServer { service: key, server: rip(9) },
            "service tcp 10.1.0.1:1000: server 10.9.0.9:80: no such server",
        ),
        (
            Command::EditServer { service: key, server: server(9, 1) },
            "service tcp 10.1.0.1:1000: server 10.9.0.9:80: no such server",
        ),
        (
            Command::DeleteService(ServiceKey::tcp(vip(7))),
            "service tcp 10.1.0.1:1007: no such service",
        ),
        (
            Command::AddServer { service: key, server: server(9, u32::MAX) },
            "service tcp 10.1.0.1:1000: server 10.9.0.9:80: weight: \
             4294967295 is more than 2147483647",
        ),
    ] {
        let error = director.execute(&command).expect_err(message);
        assert_eq!(error.to_string(), message);
    }
    assert_eq!(director.config(), before);
    assert_eq!(picks(&worker, service, 3), [2, 1, 3], "the rotation goes on");
}

#[test]
fn a_removed_server_counts_on_and_comes_back_with_its_counts() {
    let both = config(RR, 2, &[1]);
    let mut one = both.clone();
    one.services[0].servers.remove(0);
    let (director, _, worker) = director(&both);
    let id = common::server_id(&director, &ServiceKey::tcp(vip(0)), rip(1)).expect("server 1");
    let first = worker.open(id, Activity::Active).expect("an open");
    let mut second = worker.open(id, Activity::Active).expect("an open");
    director.apply(&one).expect("a valid config");
    director.tick(Duration::from_secs(1));
    assert_eq!(director.removed_servers(), 1);
    let removed = || {
        let removed = director.removed_with_connections().into_iter();
        removed.map(|r| (r.server, r.id == id, r.active, r.inactive)).collect::<Vec<_>>()
    };
    assert_eq!(removed(), [(rip(1), true, 2, 0)]);
    worker.update(&mut second, Activity::Inactive).expect("a lease of a removed server");
    assert_eq!(director.counts(id).map(|counts| (counts.active, counts.inactive)), Some((1, 1)));
    director.apply(&Config::default()).expect("an empty config");
    assert_eq!(removed(), [(rip(1), true, 1, 1)], "the other is removed too, and has none");
    assert_eq!(director.removed_with_connections()[0].service, ServiceKey::tcp(vip(0)));
    director.apply(&both).expect("a valid config");
    assert_eq!(removed(), [], "it is back");
    let again = common::server_id(&director, &ServiceKey::tcp(vip(0)), rip(1)).expect("server 1");
    assert_eq!(again, id, "the same slot, even in a new service");
    assert_eq!(director.counts(id).map(|counts| (counts.active, counts.inactive)), Some((1, 1)));
    director.apply(&one).expect("a valid config");
    worker.close(first).expect("a lease of a removed server");
    worker.close(second).expect("a lease of a removed server");
    assert_eq!((director.removed_servers(), removed()), (1, vec![]), "only its slot is left");
    // The worker lets go of the table that had the server, then the slot is free.
    worker.service_for(&flow(1)).expect("service 0");
    director.tick(Duration::from_secs(2));
    assert_eq!(director.removed_servers(), 0);
    assert_eq!(director.counts(id), None);
    assert_eq!(worker.open(id, Activity::Active), Err(ConnectionError::Stale));
    director.apply(&both).expect("a valid config");
    let new = common::server_id(&director, &ServiceKey::tcp(vip(0)), rip(1)).expect("server 1");
    assert_ne!(new, id, "a former id stays stale");
    assert_eq!(worker.open(id, Activity::Active), Err(ConnectionError::Stale));
}

#[test]
fn a_deleted_service_is_stale_also_when_it_is_made_again() {
    let config = config(RR, 2, &[1]);
    let (director, old, worker) = director(&config);
    director.apply(&Config::default()).expect("an empty config");
    assert_eq!(worker.pick_server(old, &flow(1)), Err(Refused::NoService));
    worker.service_for(&flow(1));
    director.tick(Duration::from_secs(1));
    director.apply(&config).expect("a valid config");
    let new = director.service_by_key(&ServiceKey::tcp(vip(0))).expect("service 0");
    assert_ne!(old, new);
    assert_eq!(worker.pick_server(old, &flow(1)), Err(Refused::NoService));
    assert!(worker.pick_server(new, &flow(1)).is_ok());
}

#[test]
fn nobody_available_is_no_server_for_every_scheduler() {
    for &kind in SchedulerKind::ALL {
        for unavailable in [
            config(kind, 0, &[1]),
            config(kind, 4, &[0]),
            Config::new()
                .with_service(config(kind, 4, &[1]).services[0].clone().without_scheduler()),
        ] {
            let (director, service, worker) = director(&unavailable);
            for _ in 0..3 {
                assert!(worker.pick_server(service, &flow(1)).is_err(), "{}", kind.name());
                assert!(worker.connect(service, &flow(1)).is_err());
                assert!(director.pick_server(service, &flow(1)).is_err());
            }
            assert_eq!(director.observe().services[0].statistics.refused, 6);
        }
        if kind.name() == "lblc" {
            // A destination stays with its server though that is overloaded, as in the kernel.
            continue;
        }
        let mut full = config(kind, 3, &[1]);
        for server in &mut full.services[0].servers {
            server.thresholds.upper = 1;
        }
        let (director, service, worker) = director(&full);
        let hashed = matches!(kind.name(), "sh" | "dh" | "mh");
        let room = if hashed { 1 } else { 3 };
        let held: Vec<_> = std::iter::from_fn(|| worker.connect(service, &flow(1)).ok()).collect();
        assert_eq!(held.len(), room, "{}", kind.name());
        drop(held);
        assert!(worker.connect(service, &flow(1)).is_ok(), "{}", kind.name());
        assert_eq!(director.observe().services[0].statistics.connections, room as u64 + 1);
    }
}

#[test]
fn retries_exclude_what_was_tried_and_leave_rotations_alone() {
    for &kind in SchedulerKind::ALL {
        let (_director, service, worker) = director(&config(kind, 4, &[2, 1, 0, 2]));
        for _ in 0..10 {
            let mut tried = Tried::<8>::new();
            while let Ok(pick) = worker.pick_server_excluding(service, &flow(3), tried.as_slice()) {
                assert_ne!(pick.address(), rip(3), "{}: server 3 is quiesced", kind.name());
                tried.try_push(pick.server()).expect("room");
                assert!(tried.len() <= 3, "{}: a server came twice", kind.name());
            }
            assert_eq!(tried.len(), 3, "{}: every other server was offered", kind.name());
        }
    }
    // Rotations: a dead server's load spreads, and the next request begins where it would have.
    for kind in [RR, SchedulerKind::Wrr] {
        let (_director, service, worker) = director(&config(kind, 4, &[1]));
        let dead = worker.pick_server(service, &flow(1)).expect("a server");
        let mut tried = Tried::<2>::new();
        tried.try_push(dead.server()).expect("room");
        let mut answers = [0; 5];
        for _ in 0..30 {
            let next = worker
                .pick_server_excluding(service, &flow(1), tried.as_slice())
                .expect("a server");
            answers[usize::from(next.address().to_string().as_bytes()[7] - b'0')] += 1;
        }
        assert_eq!(answers, [0, 10, 10, 10, 0], "{}", kind.name());
        assert_eq!(picks(&worker, service, 4), [3, 2, 1, 4]);
    }
}

#[test]
fn flows_find_their_service_as_in_the_kernel() {
    let persistent = |key| VirtualService::new(key).with_persistence(Persistence::default());
    let keys = [
        "tcp 10.1.0.1:80",
        "tcp 10.1.0.1:0",
        "udp 10.1.0.1:53",
        "tcp 10.1.0.2:21",
        "tcp [2001:db8::1]:80",
        "fwmark 7",
        "fwmark 7 inet6",
        "fwmark 9",
    ];
    let services = keys.map(|key| persistent(key.parse().expect("a key")));
    let config = Config::new().with_services(services.into());
    let director = Director::new(&config).expect("a valid config");
    let worker = director.worker();
    for (protocol, destination, mark, found) in [
        (6, "10.1.0.1:80", 0, Some("tcp 10.1.0.1:80")),
        (6, "10.1.0.1:81", 0, Some("tcp 10.1.0.1:0")),
        (17, "10.1.0.1:53", 0, Some("udp 10.1.0.1:53")),
        (17, "10.1.0.1:80", 0, None),
        (132, "10.1.0.1:80", 0, None),
        (6, "10.1.0.1:80", 7, Some("fwmark 7")),
        (17, "10.99.0.1:1", 7, Some("fwmark 7")),
        (6, "10.1.0.1:80", 8, Some("tcp 10.1.0.1:80")),
        (6, "[2001:db8::1]:80", 7, Some("fwmark 7 inet6")),
        (6, "[2001:db8::1]:80", 9, Some("tcp [2001:db8::1]:80")),
        (6, "[2001:db8::1]:81", 0, None),
        // FTP data goes where port 21 goes: port 20, or one that needs no privilege.
        (6, "10.1.0.2:21", 0, Some("tcp 10.1.0.2:21")),
        (6, "10.1.0.2:20", 0, Some("tcp 10.1.0.2:21")),
        (6, "10.1.0.2:1024", 0, Some("tcp 10.1.0.2:21")),
        (6, "10.1.0.2:1023", 0, None),
        (17, "10.1.0.2:2000", 0, None),
    ] {
        let destination = destination.parse().expect("an address");
        let client = "10.7.7.7:40000".parse().expect("an address");
        let flow = vsched::Flow::new(protocol, client, destination).with_fwmark(mark);
        let id = found.map(|key| director.service(key).expect("it runs"));
        assert_eq!(worker.service_for(&flow), id, "{protocol} {destination} {mark}");
        assert_eq!(director.service_for(&flow), id);
    }
    assert_eq!(worker.service_for(&vsched::Flow::default()), None);
    let error = director.service("tcp 10.1.0.3:80").expect_err("no such service");
    assert_eq!(error.to_string(), "service tcp 10.1.0.3:80: no such service");
    assert!(director.service("tcp 10.1.0.3").is_err());
}

#[test]
fn a_server_without_a_port_keeps_the_flows() {
    let key = ServiceKey::fwmark(3, vsched::config::Family::Inet);
    let mut any = server(1, 1);
    any.address.set_port(0);
    let config = Config::new().with_service(VirtualService::new(key).with_server(any));
    let director = Director::new(&config).expect("a valid config");
    let worker = director.worker();
    let destination = "203.0.113.1:8443".parse().expect("an address");
    let flow = vsched::Flow::tcp(destination, destination).with_fwmark(3);
    let id = worker.service_for(&flow).expect("by its mark");
    let pick = worker.pick_server(id, &flow).expect("a server");
    assert_eq!(pick.address(), "10.9.0.1:8443".parse().expect("an address"));
}

#[test]
fn upper_thresholds_hold_exactly_when_many_threads_connect() {
    for generation in [KernelRules::A, KernelRules::B] {
        let mut limited = config(SchedulerKind::Wlc, 4, &[1, 2]);
        limited.kernel_rules = generation;
        for server in &mut limited.services[0].servers {
            server.thresholds.upper = 25;
        }
        let (director, service, _) = director(&limited);
        let opened: usize = std::thread::scope(|scope| {
            let connect = || {
                let worker = director.worker();
                let held = std::iter::from_fn(|| worker.connect(service, &flow(1)).ok());
                held.map(vsched::Connection::into_lease).count()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(connect)).collect();
            threads.into_iter().map(|thread| thread.join().expect("a thread")).sum()
        });
        assert_eq!(opened, 100);
        for server in &director.observe().services[0].servers {
            assert_eq!(server.counts.active, 25, "{}", server.server.address);
            assert!(server.counts.overloaded);
        }
    }
}

#[test]
fn connections_count_as_their_protocol_does() {
    let address = vip(0);
    let keys = [ServiceKey::tcp(address), ServiceKey::udp(address), ServiceKey::sctp(address)];
    let services = keys.map(|key| VirtualService::new(key).with_server(server(1, 1)));
    let config = Config::new().with_services(services.into());
    let director = Director::new(&config).expect("a valid config");
    let worker = director.worker();
    let client = "10.7.7.7:40000".parse().expect("an address");
    // Active and inactive: at the beginning, established, closing.
    for (key, protocol, expected) in [
        (keys[0], 6, [(1, 0), (1, 0), (0, 1)]),
        (keys[1], 17, [(0, 1), (0, 1), (0, 1)]),
        (keys[2], 132, [(0, 1), (1, 0), (0, 1)]),
    ] {
        let flow = vsched::Flow::new(protocol, client, address);
        let id = director.service_by_key(&key).expect("it runs");
        let counts = |id| director.counts(id).map(|counts| (counts.active, counts.inactive));
        let mut connection = worker.connect(id, &flow).expect("a server");
        let server = connection.server();
        assert_eq!(counts(server), Some(expected[0]), "{key}");
        connection.established();
        assert_eq!(counts(server), Some(expected[1]), "{key}");
        connection.closing();
        assert_eq!(counts(server), Some(expected[2]), "{key}");
        drop(connection);
        assert_eq!(counts(server), Some((0, 0)), "{key}");
    }
}

#[test]
fn statistics_survive_workers_and_begin_anew_with_a_service() {
    let config = config(RR, 2, &[1]);
    let (director, service, worker) = director(&config);
    let connect = |worker: &Worker| drop(worker.connect(service, &flow(1)));
    (0..3).for_each(|_| connect(&worker));
    drop(worker);
    let worker = director.worker();
    connect(&worker);
    let totals = || {
        let observed = director.observe();
        let service = &observed.services[0];
        let servers = service.servers.iter().map(|server| server.statistics.connections);
        (service.statistics.connections, servers.collect::<Vec<_>>())
    };
    assert_eq!(totals(), (4, vec![2, 2]));
    director.apply(&Config::default()).expect("an empty config");
    director.apply(&config).expect("a valid config");
    assert_eq!(totals(), (0, vec![0, 0]));
}

/// The slot of a deleted service goes to another one; connections to a server that was removed with
/// it are not on that one's account.
#[test]
fn servers_of_a_deleted_service_count_on_nobodys_account() {
    let before = config(RR, 2, &[1]);
    let (director, service, worker) = director(&before);
    let pick = worker.pick_server(service, &flow(1)).expect("a server");
    let _held = worker.open(pick.server(), Activity::Active).expect("it runs");
    director.apply(&Config::default()).expect("an empty config");
    worker.service_for(&flow(1));
    director.tick(Duration::from_secs(1));
    let mut other = config(RR, 2, &[1]);
    other.services[0].key = ServiceKey::tcp(vip(1));
    director.apply(&other).expect("a valid config");
    let _more = worker.open(pick.server(), Activity::Active).expect("it still counts");
    assert_eq!(director.observe().services[0].statistics.connections, 0);
    // Added again in a new service object, it keeps its counts, and its statistics start again.
    director.apply(&before).expect("a valid config");
    let server = director.observe().services[0].servers[0].clone();
    assert_eq!((server.counts.active, server.statistics.connections), (2, 0));
}

/// A host that replaces its director while connections are open closes them on the new one sooner or
/// later.
#[test]
fn ids_and_leases_of_one_director_are_stale_in_another() {
    let config = config(RR, 2, &[1]);
    let ((_, here, worker), (new, there, other)) = (director(&config), director(&config));
    let pick = worker.pick_server(here, &flow(1)).expect("a server");
    let mut lease = worker.open(pick.server(), Activity::Active).expect("it runs");
    let same_slot = other.pick_server(there, &flow(1)).expect("a server");
    let _held = other.open(same_slot.server(), Activity::Active).expect("it runs");

    assert_eq!(other.pick_server(here, &flow(1)), Err(Refused::NoService));
    assert_eq!(other.open(pick.server(), Activity::Active), Err(ConnectionError::Stale));
    for activity in [Activity::Active, Activity::Inactive] {
        assert_eq!(other.update(&mut lease, activity), Err(ConnectionError::Stale));
    }
    assert_eq!(other.close_in_place(&mut lease), Err(ConnectionError::Stale));
    assert_eq!(new.counts(same_slot.server()).map(|counts| counts.active), Some(1));
    assert_eq!(new.counts(pick.server()), None);
    // Refused there, it is still good here.
    assert_eq!(worker.close(lease), Ok(()));
}

#[test]
fn a_lease_closed_in_place_is_empty() {
    let (director, service, worker) = director(&config(RR, 1, &[1]));
    let mut lease = worker.connect(service, &flow(1)).expect("a server").into_lease();
    let server = lease.server();
    assert_eq!(worker.close_in_place(&mut lease), Ok(()));
    assert_eq!(lease, Lease::default());
    assert!(lease.is_empty());
    let _other = worker.open(server, Activity::Active).expect("it runs");
    assert_eq!(worker.close_in_place(&mut lease), Err(ConnectionError::Stale));
    assert_eq!(worker.update(&mut lease, Activity::Active), Err(ConnectionError::Stale));
    assert_eq!(director.counts(server).map(|counts| counts.active), Some(1));
}

#[test]
fn what_runs_is_listed_with_its_ids() {
    let (director, service, worker) = director(&config(RR, 3, &[1]));
    let _held = worker.connect(service, &flow(1)).expect("a server").into_lease();
    let services = director.services();
    assert_eq!(services.len(), 1);
    assert_eq!(services[0].0, service);
    let servers = director.servers(service).expect("it runs");
    assert_eq!(
        services[0].1.servers,
        servers.iter().map(|(_, server)| server.clone()).collect::<Vec<_>>()
    );
    for (id, server) in &servers {
        assert_eq!(
            common::server_id(&director, &ServiceKey::tcp(vip(0)), server.server.address),
            Some(*id)
        );
        assert_eq!(director.counts(*id), Some(server.counts));
    }
    assert_eq!(servers.iter().map(|(_, server)| server.counts.active).sum::<u32>(), 1);
    director.apply(&Config::default()).expect("an empty config");
    assert_eq!(director.servers(service), None);
    assert_eq!(director.services(), []);
}

#[test]
fn the_clock_never_goes_back() {
    let (director, ..) = director(&config(RR, 1, &[1]));
    director.tick(Duration::from_millis(1500));
    director.tick(Duration::from_millis(200));
    assert_eq!(director.now(), Duration::from_millis(1500));
    director.tick(Duration::MAX);
    assert!(director.now() > Duration::from_secs(1 << 40));
}
