//! Scheduler mh keeps its slots across quiescing and reloads, and keeps to its limits, table sizes
//! and fallback.

mod common;

use std::net::{Ipv4Addr, SocketAddr};

use common::{config, flow, rip, server, service, vip};
use vsched::config::{Command, RealServer, SchedulerFlags, ServiceKey};
use vsched::{Config, Director, Flow, SchedulerKind, Tried};

const MH: SchedulerKind = SchedulerKind::Mh;
const CLIENTS: u32 = 2000;

fn run(config: &Config) -> Director {
    Director::new(config).expect("a valid config")
}

/// Which server each of the clients gets; 0 = none.
fn picks(director: &Director) -> Vec<u16> {
    let id = director.service_by_key(&ServiceKey::tcp(vip(0))).expect("service 0");
    let worker = director.worker();
    let pick = |n| match worker.pick_server(id, &flow(n)).map(|pick| pick.address().ip()) {
        Ok(std::net::IpAddr::V4(ip)) => ip.to_bits() as u16,
        _ => 0,
    };
    (0..CLIENTS).map(pick).collect()
}

fn edit(director: &Director, n: u16, weight: u32) {
    let command =
        Command::EditServer { service: ServiceKey::tcp(vip(0)), server: server(n, weight) };
    director.execute(&command).expect("it is there");
}

fn with_weight(config: &Config, n: usize, weight: u32) -> Config {
    let mut config = config.clone();
    config.services[0].servers[n - 1].weight = weight;
    config
}

/// These picks if the clients of this server, and no others, are refused.
fn refused(picks: &[u16], server: u16) -> Vec<u16> {
    picks.iter().map(|pick| if *pick == server { 0 } else { *pick }).collect()
}

#[test]
fn a_quiesced_server_keeps_its_slots_through_edits_reloads_and_schedulers() {
    let all = config(MH, 5, &[3, 1, 2]);
    let director = run(&all);
    let before = picks(&director);
    let drained = refused(&before, 3);
    assert_ne!(before, drained, "server 3 has clients");
    edit(&director, 3, 0);
    assert_eq!(picks(&director), drained, "by a command");
    edit(&director, 3, 0);
    assert_eq!(picks(&director), drained, "once more");
    edit(&director, 3, 2);
    assert_eq!(picks(&director), before);

    let quiet = with_weight(&all, 3, 0);
    director.apply(&quiet).expect("a valid config");
    assert_eq!(picks(&director), drained, "by a config");
    let mut seeded = quiet.clone();
    seeded.seed = 7;
    director.apply(&seeded).expect("a valid config");
    assert_eq!(picks(&director), drained, "all pools anew");
    seeded.services[0].scheduler = Some(SchedulerKind::Rr);
    director.apply(&seeded).expect("a valid config");
    seeded.services[0].scheduler = Some(MH);
    director.apply(&seeded).expect("a valid config");
    assert_eq!(picks(&director), drained, "another scheduler between");
    director.apply(&all).expect("a valid config");
    assert_eq!(picks(&director), before);

    // Bound to mh only after the server was quiesced: what it weighed before counts.
    let late = run(
        &Config::new().with_service(all.services[0].clone().with_scheduler(SchedulerKind::Wlc))
    );
    edit(&late, 3, 0);
    late.apply(&quiet).expect("a valid config");
    assert_eq!(picks(&late), drained);
}

#[test]
fn a_server_added_with_weight_0_has_no_slots() {
    let all = config(MH, 5, &[3, 1, 2]);
    let quiet = with_weight(&all, 3, 0);
    let without = {
        let mut config = all.clone();
        config.services[0].servers.remove(2);
        picks(&run(&config))
    };
    let director = run(&quiet);
    assert_eq!(picks(&director), without, "configured with weight 0");
    director.apply(&all).expect("a valid config");
    let before = picks(&director);
    assert_eq!(before, picks(&run(&all)));
    director.apply(&quiet).expect("a valid config");
    assert_eq!(picks(&director), refused(&before, 3));

    // Removed and added again, even while it counts a connection, it starts from its new weight.
    let id = common::server_id(&director, &ServiceKey::tcp(vip(0)), rip(3)).expect("server 3");
    let worker = director.worker();
    let lease = worker.open(id, vsched::Activity::Active).expect("an open");
    let key = ServiceKey::tcp(vip(0));
    director.execute(&Command::DeleteServer { service: key, server: rip(3) }).expect("there");
    director.execute(&Command::AddServer { service: key, server: server(3, 0) }).expect("gone");
    assert_eq!(common::server_id(&director, &key, rip(3)), Some(id), "the same slot");
    assert_eq!(picks(&director), without);
    worker.close(lease).expect("a lease");
}

#[test]
fn more_servers_than_slots_are_refused() {
    let sized = |count: u16, index: u8| {
        let mut config = config(MH, count, &[1]);
        config.services[0].mh_table_index = index;
        config
    };
    let message = |count: u16, slots: u16| {
        format!(
            "service tcp 10.1.0.1:1000: servers: {count} are more than {slots}, \
             the slots of its mh table (mh_table_index)"
        )
    };
    for (index, slots) in [(8, 251), (12, 4093)] {
        assert_eq!(sized(slots, index).validate(), Ok(()));
        let error = sized(slots + 1, index).validate().expect_err("one too many");
        assert_eq!(error.to_string(), message(slots + 1, slots));
    }
    let full = run(&sized(251, 8));
    let before = picks(&full);
    let one_more = Command::AddServer { service: ServiceKey::tcp(vip(0)), server: server(252, 1) };
    let error = full.execute(&one_more).expect_err("one too many");
    assert_eq!(error.to_string(), message(252, 251));
    assert_eq!(picks(&full), before);
    full.apply(&sized(252, 9)).expect("a larger table");
    let wlc = config(SchedulerKind::Wlc, 4094, &[1]);
    let director = run(&wlc);
    let bind = Command::EditService(service(0, MH).settings());
    let error = director.execute(&bind).expect_err("too many for mh");
    assert_eq!(error.to_string(), message(4094, 4093));
    assert_eq!(director.config(), wlc);
}

#[test]
fn the_table_index_is_checked() {
    for (scheduler, index, problem) in [
        (Some(MH), 7, Some("7 is outside 8 to 17")),
        (Some(MH), 8, None),
        (Some(MH), 17, None),
        (Some(MH), 18, Some("18 is outside 8 to 17")),
        (Some(SchedulerKind::Rr), 12, None),
        (Some(SchedulerKind::Rr), 13, Some("13 is for scheduler mh, this one is rr")),
        (None, 13, Some("13 is for scheduler mh, this one is none")),
    ] {
        let mut config = config(MH, 1, &[1]);
        config.services[0].scheduler = scheduler;
        config.services[0].mh_table_index = index;
        let error = config.validate().err().map(|error| error.to_string());
        let wanted =
            problem.map(|problem| format!("service tcp 10.1.0.1:1000: mh_table_index: {problem}"));
        assert_eq!(error, wanted);
    }
}

#[test]
fn a_larger_table_is_a_change_and_spreads_more_evenly() {
    let small = config(MH, 100, &[1]);
    let mut large = small.clone();
    large.services[0].mh_table_index = 17;
    let director = run(&small);
    let before = picks(&director);
    let applied = director.apply(&large).expect("a valid config");
    assert_eq!(applied.changed.len(), 1);
    assert_ne!(picks(&director), before);
    assert_eq!(picks(&director), picks(&run(&large)), "as if it had always been so");
    assert!(director.apply(&large).expect("a valid config").is_empty());
    director.apply(&small).expect("a valid config");
    assert_eq!(picks(&director), before);
}

#[test]
fn fallback_keeps_the_clients_of_available_servers() {
    let mut all = config(MH, 6, &[1, 2]);
    let before = picks(&run(&all));
    all.services[0].flags = SchedulerFlags::FLAG_1;
    let director = run(&all);
    assert_eq!(picks(&director), before);
    edit(&director, 4, 0);
    let after = picks(&director);
    let mut took_over = std::collections::BTreeSet::new();
    for (before, after) in before.iter().zip(&after) {
        if *before == 4 {
            took_over.insert(*after);
        } else {
            assert_eq!(before, after);
        }
    }
    assert_eq!(Vec::from_iter(took_over), [1, 2, 3, 5, 6]);
    for n in [1, 2, 3, 5, 6] {
        edit(&director, n, 0);
    }
    assert_eq!(picks(&director), vec![0; CLIENTS as usize]);
}

#[test]
fn a_retry_falls_back_and_a_key_decides() {
    let director = run(&config(MH, 4, &[1]));
    let id = director.service_by_key(&ServiceKey::tcp(vip(0))).expect("service 0");
    let worker = director.worker();
    for n in 0..100 {
        let first = worker.pick_server(id, &flow(n)).expect("a server");
        let mut tried = Tried::<2>::new();
        tried.try_push(first.server()).expect("room");
        let second = worker.pick_server_excluding(id, &flow(n), tried.as_slice()).expect("another");
        assert_ne!(first.server(), second.server());
        let keyed = |n: u32| worker.pick_server(id, &flow(n).with_key(u64::from(n % 7)));
        assert_eq!(keyed(n), keyed(n + 7));
    }
}

/// A server behind a tunnel may be of the other family; it has slots like any other.
#[test]
fn servers_of_the_other_family_have_their_share() {
    let tunnel = |address: &str| {
        RealServer::new(address.parse().expect("an address"))
            .with_forwarding(vsched::config::Forwarding::Tunnel(Default::default()))
    };
    let mut config = config(MH, 0, &[1]);
    config.services[0].servers = ["10.9.0.1:80", "[fd09::1]:80", "[fd0a::1]:80"].map(tunnel).into();
    let director = run(&config);
    let id = director.service_by_key(&ServiceKey::tcp(vip(0))).expect("service 0");
    let mut counts = std::collections::BTreeMap::new();
    for n in 0..3000 {
        let pick = director.pick_server(id, &flow(n)).expect("a server");
        *counts.entry(pick.address()).or_insert(0) += 1;
    }
    assert!(counts.len() == 3 && counts.values().all(|count| *count > 900), "{counts:?}");
}

/// The port takes part with `mh-port` only.
#[test]
fn ports_take_part_if_asked() {
    let client = |port| Flow::tcp(SocketAddr::from((Ipv4Addr::new(192, 168, 7, 1), port)), vip(0));
    for (flags, servers) in [(SchedulerFlags::default(), 1), (SchedulerFlags::FLAG_2, 3)] {
        let mut config = config(MH, 3, &[1]);
        config.services[0].flags = flags;
        let director = run(&config);
        let id = director.service_by_key(&ServiceKey::tcp(vip(0))).expect("service 0");
        let pick = |port| director.pick_server(id, &client(port)).expect("a server").address();
        let seen: std::collections::BTreeSet<_> = (1000..1100).map(pick).collect();
        assert_eq!(seen.len(), servers);
    }
}

#[cfg(feature = "serde")]
#[test]
fn the_table_index_is_text_where_it_is_not_the_usual() {
    let mut config = config(MH, 1, &[1]);
    let text = serde_json::to_string(&config).expect("JSON");
    assert!(!text.contains("mh_table_index"), "{text}");
    config.services[0].mh_table_index = 16;
    let text = serde_json::to_string(&config).expect("JSON");
    assert!(text.contains(r#""mh_table_index":16"#), "{text}");
    assert_eq!(serde_json::from_str::<Config>(&text).expect("a config"), config);
}
