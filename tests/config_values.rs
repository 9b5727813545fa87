//! Configs as values: lookups, copies, counts and comparisons give the expected results.
#![cfg(feature = "serde")]

mod common;

use common::{config, rip, server, service, vip};
use vsched::config::diff::{Change, diff};
use vsched::config::rules::Rules;
use vsched::config::{
    Affinity, Command, Config, Ejection, Forwarding, MAX_SERVICES, Observed, Persistence,
    RealServer, SchedulerFlags, ServiceKey, Sharing, SlowStart, Ties, VirtualService,
    mh_table_size,
};
use vsched::error::ApplyError;
use vsched::{Director, SchedulerKind};

#[test]
fn a_service_is_found_by_its_key_and_changed() {
    let mut config = config(SchedulerKind::Rr, 1, &[1]);
    config.services.push(service(1, SchedulerKind::Rr));
    for n in 0..2 {
        let key = ServiceKey::tcp(vip(n));
        assert_eq!(config.service_by_key(&key).map(|service| service.key), Some(key));
        config.service_by_key_mut(&key).expect("it is there").servers.push(server(7 + n, 1));
    }
    let last = |n: usize| config.services[n].servers.last().map(|server| server.address);
    assert_eq!((last(0), last(1)), (Some(rip(7)), Some(rip(8))));
    assert!(config.service_by_key_mut(&ServiceKey::tcp(vip(9))).is_none());
}

#[test]
fn what_is_observed_is_a_config_again() {
    let mut wanted = config(SchedulerKind::Rr, 3, &[1, 2, 3]);
    wanted.services.push(service(1, SchedulerKind::Mh).with_servers(vec![server(9, 4)]));
    wanted.seed = 7;
    let observed = Observed::from(&wanted);
    assert_eq!((&observed.settings, observed.config()), (&wanted.settings(), wanted.clone()));
    let director = Director::new(&wanted).expect("a valid config");
    assert_eq!(director.observe().config(), wanted);
}

#[test]
fn rules_are_walked_in_their_order() {
    let rules: Rules = "-A -t 10.0.0.1:80\n-A -f 7\n-D -f 7".parse().expect("rules");
    let walked: Vec<_> = (&rules).into_iter().collect();
    assert_eq!(walked.len(), 3);
    assert!(walked.iter().zip(rules.iter()).all(|(a, b)| std::ptr::eq(*a, b)));
    assert_eq!(rules.commands().count(), 3);
}

#[test]
fn sharing_is_read_by_each_name() {
    for (name, sharing) in [
        ("exact", Sharing::Exact),
        ("per-worker", Sharing::PerWorker),
        ("chunks-1", Sharing::Chunks(1)),
        ("chunks-64", Sharing::Chunks(64)),
    ] {
        assert_eq!(sharing.to_string(), name);
        let json = serde_json::to_string(&sharing).expect("JSON");
        assert_eq!(json, format!("\"{name}\""));
        assert_eq!(serde_json::from_str::<Sharing>(&json).expect("a sharing"), sharing);
        let config: Config =
            format!("-A -t 10.0.0.1:80 --vsched-sharing {name}").parse().expect("rules");
        assert_eq!(config.services[0].sharing, sharing);
    }
    for name in [
        "other",
        "chunks",
        "chunks-",
        "chunks-0",
        "chunks-65",
        "chunks-300",
        "chunks-+4",
        "chunks-04",
        "chunks-4 ",
    ] {
        assert!(format!("-A -t 10.0.0.1:80 --vsched-sharing '{name}'").parse::<Config>().is_err());
        let error = serde_json::from_str::<Sharing>(&format!("\"{name}\"")).expect_err(name);
        let expected =
            format!("sharing `{name}`: expected exact, per-worker or chunks-1 to chunks-64");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
    for turns in [0, 65, 255] {
        let service = service(0, SchedulerKind::Rr).with_sharing(Sharing::Chunks(turns));
        let error = Config::new().with_service(service).validate().expect_err("outside");
        assert!(
            error.to_string().contains(&format!("sharing: chunks: {turns} is outside 1 to 64")),
            "{error}"
        );
    }
}

/// What is not the default is written, too.
#[test]
fn every_setting_of_a_service_survives_json() {
    for (affinity, sharing) in [
        (Affinity::default().with_capacity(7).with_expiration(8), Sharing::PerWorker),
        (Affinity::default().with_capacity(7), Sharing::Exact),
        (Affinity::default(), Sharing::PerWorker),
        (Affinity::default(), Sharing::Chunks(16)),
        (Affinity::default(), Sharing::Exact),
    ] {
        let kind = match sharing {
            Sharing::Chunks(_) => SchedulerKind::Wrr,
            _ => SchedulerKind::Lblc,
        };
        let service = service(0, kind).with_affinity(affinity).with_sharing(sharing);
        let json = serde_json::to_string(&service).expect("JSON");
        assert_eq!(serde_json::from_str::<VirtualService>(&json).expect("a service"), service);
        assert_eq!(json.contains("affinity"), affinity != Affinity::default());
        assert_eq!(json.contains("sharing"), sharing != Sharing::default());
    }
}

/// Every setting with another value than the default; a service's, then a server's.
type Edits<T> = &'static [(&'static str, fn(&mut T))];
const SETTINGS: Edits<VirtualService> = &[
    ("scheduler", |service| service.scheduler = None),
    ("flags", |service| service.flags = SchedulerFlags::FLAG_3),
    ("mh_table_index", |service| service.mh_table_index = 10),
    ("persistence", |service| service.persistence = Some(Persistence::default())),
    ("persistence_engine", |service| service.persistence_engine = Some("sip".into())),
    ("one_packet", |service| service.one_packet = true),
    ("affinity", |service| service.affinity.capacity = 7),
    ("affinity", |service| service.affinity.expiration = 7),
    ("sharing", |service| service.sharing = Sharing::PerWorker),
    ("ties", |service| service.ties = Ties::Rotate),
    ("ejection", |service| service.ejection = Some(Ejection::default())),
    ("slow_start", |service| service.slow_start = Some(SlowStart::default())),
    ("spill_over", |service| service.spill_over = Some(100)),
    ("panic_threshold", |service| service.panic_threshold = 1),
];
const OF_SERVERS: Edits<RealServer> = &[
    ("forwarding", |server| server.forwarding = Forwarding::Local),
    ("weight", |server| server.weight = 7),
    ("thresholds", |server| server.thresholds.upper = 7),
    ("thresholds", |server| server.thresholds.lower = 7),
    ("priority", |server| server.priority = 7),
];

#[test]
fn a_change_of_any_setting_is_one_edit() {
    let old = config(SchedulerKind::Wlc, 2, &[1, 2]);
    let fields = serde_json::to_value(&old).expect("JSON");
    let service = &fields["services"][0];
    for (field, edit) in SETTINGS {
        let mut new = old.clone();
        edit(&mut new.services[0]);
        let expected = [Change::EditService(new.services[0].settings())];
        assert_eq!(diff(&old, &new), expected, "{field}");
        assert_eq!(diff(&new, &old), [Change::EditService(old.services[0].settings())], "{field}");
        // The setting is written, and nothing else.
        let mut json = serde_json::to_value(&new).expect("JSON")["services"][0].clone();
        assert_ne!(json[field], service[field], "{field}");
        json.as_object_mut().expect("a service").remove(*field);
        let mut before = service.clone();
        before.as_object_mut().expect("a service").remove(*field);
        assert_eq!(json, before, "{field}");
    }
    for (field, edit) in OF_SERVERS {
        let (mut new, key) = (old.clone(), old.services[0].key);
        edit(&mut new.services[0].servers[1]);
        let [before, server] = [&old, &new].map(|config| config.services[0].servers[1].clone());
        assert_eq!(
            diff(&old, &new),
            [Change::EditServer { service: key, before, server }],
            "{field}"
        );
    }
}

#[test]
fn refused_commands_name_what_they_are_about() {
    let director = Director::new(&config(SchedulerKind::Rr, 1, &[1])).expect("a valid config");
    let key = ServiceKey::tcp(vip(0));
    let missing = ServiceKey::tcp(vip(5));
    for (command, service, about) in [
        (Command::AddService(VirtualService::new(key).settings()), key, None),
        (Command::DeleteService(missing), missing, None),
        (Command::AddServer { service: key, server: server(1, 1) }, key, Some(rip(1))),
        (Command::DeleteServer { service: key, server: rip(2) }, key, Some(rip(2))),
    ] {
        let error = director.execute(&command).expect_err("it fits nothing");
        let ApplyError::Command(refused) = &error else { panic!("{error}") };
        assert_eq!((refused.service(), refused.server()), (&*service.to_string(), about));
        assert_eq!(error.to_string(), refused.to_string());
    }
    let twice =
        Config::new().with_services(vec![VirtualService::new(key), VirtualService::new(key)]);
    let invalid = director.apply(&twice).expect_err("not valid");
    let ApplyError::Invalid(problems) = &invalid else { panic!("{invalid}") };
    assert_eq!(invalid.to_string(), problems.to_string());
}

/// Only scheduler mh may have a table of another size, and a new service has none until it has its
/// servers.
#[test]
fn a_new_service_is_valid_before_it_has_a_scheduler() {
    let mut wanted = config(SchedulerKind::Mh, 2, &[1]);
    wanted.services[0].mh_table_index = 10;
    let changes = diff(&Config::default(), &wanted);
    let Change::AddService(first) = &changes[0] else { panic!("{changes:?}") };
    assert_eq!(first.scheduler, None);
    let alone = Config::new().with_service(first.clone().with_servers(vec![]));
    alone.validate().expect("a kernel takes it so");
    let Some(Change::EditService(last)) = changes.last() else { panic!("{changes:?}") };
    assert_eq!((last.scheduler, last.mh_table_index), (Some(SchedulerKind::Mh), 10));
    let mut wanted = config(SchedulerKind::Wlc, 2, &[1]);
    let service = &mut wanted.services[0];
    (service.ties, service.spill_over) = (Ties::Rotate, Some(140));
    service.slow_start = Some(SlowStart::default());
    let changes = diff(&Config::default(), &wanted);
    let Change::AddService(first) = &changes[0] else { panic!("{changes:?}") };
    let alone = Config::new().with_service(first.clone().with_servers(vec![]));
    alone.validate().expect("what needs a scheduler comes with it");
    assert_eq!(changes.last(), Some(&Change::EditService(wanted.services[0].settings())));
}

/// Bytes that a scheduler takes beside what all take, for servers of these weights.
fn beside(kind: SchedulerKind, weights: &[u32], table: u8) -> u64 {
    let of = |kind, mh_table_index| {
        let servers = weights.iter().zip(0u32..).map(|(weight, n)| {
            let [_, b, c, d] = n.to_be_bytes();
            vsched::config::RealServer::new(([10, b, c, d], 80).into()).with_weight(*weight)
        });
        let service = service(0, kind).with_mh_table_index(mh_table_index);
        let services = vec![service.with_servers(servers.collect())];
        Config::new().with_services(services).memory()
    };
    of(kind, table) - of(SchedulerKind::Lc, 0)
}

/// 16 bytes a turn of a precomputed rotation, up to as many as are precomputed.
#[test]
fn memory_counts_turns_that_are_precomputed() {
    for count in [0, 1, 7, 1000] {
        assert_eq!(beside(SchedulerKind::Rr, &vec![5; count], 0), 16 * count as u64);
    }
    for (weights, turns) in [
        (&[][..], 0),
        (&[0, 0], 0),
        (&[1], 1),
        (&[4, 2], 3),
        (&[6, 4, 0], 5),
        (&[7, 5], 12),
        (&[(1 << 18) - 1, 1], 1 << 18),
        (&[1 << 18, 1], 0),
    ] {
        assert_eq!(beside(SchedulerKind::Wrr, weights, 0), 16 * turns, "{weights:?}");
    }
    // Of many servers 64 turns each.
    for (last, turns) in [(65, 8192 * 64), (66, 0)] {
        let mut weights = vec![64; 8192];
        weights[..2].copy_from_slice(&[63, last]);
        assert_eq!(beside(SchedulerKind::Wrr, &weights, 0), 16 * turns, "{last}");
    }
}

/// A slot takes two bytes where they hold every position.
#[test]
fn memory_counts_slots_as_wide_as_positions() {
    for (count, width) in [(1, 2), (1 << 16, 2), ((1 << 16) + 1, 4)] {
        let size = u64::from(mh_table_size(17).expect("a size"));
        assert_eq!(beside(SchedulerKind::Mh, &vec![1; count], 17), width * size, "{count}");
    }
}

/// An entry with its share of the marks, to the byte.
#[test]
fn memory_counts_maps_of_addresses() {
    let memory = |kind, capacity, persistence| {
        let affinity = Affinity::default().with_capacity(capacity);
        let mut service = service(0, kind).with_affinity(affinity);
        service.persistence = persistence;
        Config::new().with_service(service).memory()
    };
    for (kind, persistence, entry) in [
        (SchedulerKind::Lblc, None, 24),
        (SchedulerKind::Lblcr, None, 96),
        (SchedulerKind::Lc, Some(Persistence::default()), 48),
    ] {
        for (capacity, entries) in
            [(1, 32), (16, 32), (17, 64), (1 << 16, 1 << 17), (1 << 24, 1 << 25)]
        {
            let beside = memory(kind, capacity, persistence) - memory(SchedulerKind::Lc, 1, None);
            let bytes: u64 = entries * entry + entries / 128;
            // What a collection of a part of many addresses counts.
            let is_collected = kind != SchedulerKind::Lc && capacity > 16_384;
            let counts = if is_collected { 40 << 10 } else { 0 };
            // Pages that begin or end elsewhere, and what finds it all.
            assert_eq!(beside, bytes + bytes.min(8192) + 1024 + counts, "{kind:?} {capacity}");
        }
    }
}

#[test]
fn the_most_services_are_valid_and_one_more_is_not() {
    let service = |n: usize| {
        VirtualService::new(ServiceKey::fwmark(1 + n as u32, vsched::config::Family::Inet))
    };
    let mut config = Config::new().with_services((0..MAX_SERVICES).map(service).collect());
    config.validate().expect("as many as are allowed");
    config.services.push(service(MAX_SERVICES));
    let error = config.validate().expect_err("one too many");
    assert!(error.to_string().contains("services"), "{error}");
}
