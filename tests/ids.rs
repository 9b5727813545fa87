//! Ids survive conversion to plain numbers, and refusals name the right reason.

mod common;

use common::{config, flow, rip, service, vip};
use vsched::config::ServiceKey;
use vsched::{
    Activity, ConnectionError, Director, Refused, SchedulerKind, ServerId, ServiceId, Tried,
};

#[test]
fn ids_come_back_from_their_numbers() {
    let mut config = config(SchedulerKind::Rr, 3, &[1]);
    config.services.push(service(1, SchedulerKind::Rr));
    let director = Director::new(&config).expect("a valid config");
    let worker = director.worker();
    let key = ServiceKey::tcp(vip(0));
    let mut seen = Vec::new();
    for n in 1..=3 {
        let server = common::server_id(&director, &key, rip(n)).expect("it runs");
        let again = ServerId::from_raw(server.to_raw());
        assert_eq!(again, server);
        let lease = worker.open(again, Activity::Active).expect("it runs");
        assert_eq!(director.counts(server).map(|counts| counts.active), Some(1));
        worker.close(lease).expect("an open lease");
        seen.push(server.to_raw());
    }
    for n in 0..2 {
        let id = director.service_by_key(&ServiceKey::tcp(vip(n))).expect("it runs");
        let again = ServiceId::from_raw(id.to_raw());
        assert_eq!(again, id);
        assert_eq!(worker.pick_server(again, &flow(1)).is_ok(), n == 0);
        seen.push(id.to_raw());
    }
    let [slot, generation] = seen[0];
    assert_eq!(ServerId::from_raw([slot, generation]).to_raw(), [slot, generation]);
    seen[..3].sort_unstable();
    assert!(seen[0] != seen[1] && seen[1] != seen[2] && seen[3] != seen[4], "{seen:?}");
    // Any numbers will do.
    for raw in [[slot, generation.wrapping_add(1)], [u32::MAX; 2], [0; 2], [1000, generation]] {
        let id = ServerId::from_raw(raw);
        assert_eq!(id.to_raw(), raw);
        assert_eq!(worker.open(id, Activity::Active).err(), Some(ConnectionError::Stale));
        let id = ServiceId::from_raw(raw);
        assert_eq!(id.to_raw(), raw);
        assert_eq!(worker.pick_server_excluding(id, &flow(1), &[]).err(), Some(Refused::NoService));
    }
}

/// The next id of a removed server's slot is stale until another server gets the slot.
#[test]
fn an_id_to_come_is_stale() {
    let config = config(SchedulerKind::Rr, 2, &[1]);
    let director = Director::new(&config).expect("a valid config");
    let worker = director.worker();
    let [slot, generation] =
        common::server_id(&director, &config.services[0].key, rip(2)).expect("it runs").to_raw();
    let mut without = config.clone();
    without.services[0].servers.pop();
    director.apply(&without).expect("a valid config");
    assert!(worker.service_for(&flow(0)).is_some(), "the worker moves on");
    director.tick(std::time::Duration::from_secs(1));
    assert_eq!(director.removed_servers(), 0);
    for generation in [generation, generation.wrapping_add(1), generation.wrapping_add(2)] {
        let id = ServerId::from_raw([slot, generation]);
        assert_eq!(worker.open(id, Activity::Active).err(), Some(ConnectionError::Stale));
        assert!(director.counts(id).is_none_or(|counts| counts.active == 0));
    }
}

#[test]
fn refusals_say_why() {
    let mut texts: Vec<_> = Refused::ALL.iter().map(Refused::to_string).collect();
    assert!(
        texts.iter().all(|text| text.contains("se") || text.contains("scheduler")),
        "{texts:?}"
    );
    assert_eq!(texts[0], "no such service");
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), Refused::ALL.len());
    for (error, word) in [
        (ConnectionError::Stale, "gone"),
        (ConnectionError::Full, "33554431"),
        (ConnectionError::Overloaded, "overloaded"),
    ] {
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn tried_servers_are_a_set_in_order_up_to_their_number() {
    let id = |n| ServerId::from_raw([n, 0]);
    let mut tried = Tried::<2>::new();
    assert!(tried.is_empty() && tried.as_slice().is_empty());
    for n in [1, 2] {
        assert_eq!(tried.try_push(id(n)), Ok(()));
        assert_eq!(tried.try_push(id(n)), Ok(()), "in the set already");
    }
    assert_eq!((tried.as_slice(), tried.len()), ([id(1), id(2)].as_slice(), 2));
    let full = tried.try_push(id(3)).expect_err("no room");
    assert_eq!((full.limit(), full.to_string().contains("2 servers")), (2, true));
    assert_eq!(tried.as_ref(), [id(1), id(2)]);
    assert_eq!(tried.try_push(id(2)), Ok(()), "in the full set");
    assert!(tried.contains(id(1)) && !tried.contains(id(3)));
    assert_eq!(tried, tried.clone());
    assert!(format!("{tried:?}").matches("ServerId").count() == 2, "{tried:?}");
    tried.clear();
    assert_eq!(tried, Tried::new());
    assert!(Tried::<0>::new().try_push(id(1)).is_err());
}

#[test]
fn ids_are_read_back_from_their_texts() {
    for raw in [[0, 0], [3, 2_654_435_770], [u32::MAX, u32::MAX]] {
        let text = format!("{}.{}", raw[0], raw[1]);
        let (server, service) = (ServerId::from_raw(raw), ServiceId::from_raw(raw));
        assert_eq!((server.to_string(), service.to_string()), (text.clone(), text.clone()));
        assert_eq!(text.parse(), Ok(server));
        assert_eq!(text.parse(), Ok(service));
        assert_eq!(
            format!("{server:?} {service:?}"),
            format!("ServerId({text}) ServiceId({text})")
        );
    }
    for text in
        ["", ".", "3", "3.", ".3", "+3.1", "3.+1", "03.1", "3.01", "3.1.2", "3.1 ", "3.4294967296"]
    {
        let error = text.parse::<ServerId>().expect_err(text);
        assert_eq!(text.parse::<ServiceId>(), Err(error.clone()));
        let expected = format!("id `{text}`: expected two numbers, such as 3.2654435770");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn ids_are_ordered_by_slot_then_generation() {
    let mut ids = [[2, 0], [1, 9], [1, 2]].map(ServerId::from_raw);
    ids.sort();
    assert_eq!(ids.map(ServerId::to_raw), [[1, 2], [1, 9], [2, 0]]);
}

#[test]
fn handles_and_values_say_what_they_are_in_a_log() {
    let config = config(SchedulerKind::Rr, 3, &[1]);
    let director = Director::new(&config).expect("a valid config");
    let worker = director.worker();
    let text = "Director { services: 1, servers: 3, workers: 1, publication: 1 }";
    assert_eq!(format!("{director:?}"), text);
    assert!(director.ptr_eq(&director.clone()));
    assert!(!director.ptr_eq(&Director::new(&config).expect("a valid config")));
    let bare = vsched::Flow::default();
    assert_eq!(format!("{bare:?}"), "Flow");
    assert_eq!(
        format!("{:?}", flow(7).with_fwmark(9).with_key(2)),
        "Flow { protocol: 6, client: 172.16.0.7:40000, destination: 10.1.0.1:1000, fwmark: 9, key: 2 }"
    );
    let service = director.service_by_key(&config.services[0].key).expect("it runs");
    let pick = worker.pick_server_excluding(service, &flow(7), &[]).expect("a server");
    assert_eq!(
        format!("{pick:?}"),
        format!(
            "Pick {{ server: {:?}, address: {}, forwarding: Masq, user_data: 0, persistent: false }}",
            pick.server(),
            pick.address()
        )
    );
}
