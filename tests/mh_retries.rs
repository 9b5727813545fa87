//! mh picks correctly where its own slots give no answer: retries, the fallback, servers of another
//! family.

mod common;

use common::{config, flow, rip, service, vip};
use vsched::config::{Config, Forwarding, RealServer, SchedulerFlags, ServiceKey, Tunnel};
use vsched::{Director, SchedulerKind, Tried};

const SERVERS: u16 = 120;

/// Each server has two slots of 251 or three: for some clients no probe hits a given one.
fn crowded(flags: SchedulerFlags) -> Config {
    let mut config = config(SchedulerKind::Mh, SERVERS, &[1]);
    config.services[0].mh_table_index = 8;
    config.services[0].flags = flags;
    config
}

#[test]
fn a_retry_ends_at_a_server_that_no_probe_hits() {
    for flags in [SchedulerFlags::default(), SchedulerFlags::FLAG_1] {
        let director = Director::new(&crowded(flags)).expect("a valid config");
        let (worker, key) = (director.worker(), ServiceKey::tcp(vip(0)));
        let id = director.service_by_key(&key).expect("it runs");
        let mut tried = Tried::<{ SERVERS as usize }>::new();
        for n in 2..=SERVERS {
            tried
                .try_push(common::server_id(&director, &key, rip(n)).expect("it runs"))
                .expect("room");
        }
        for client in 0..300 {
            let pick = worker.pick_server_excluding(id, &flow(client), tried.as_slice());
            assert_eq!(pick.map(|pick| pick.address()), Ok(rip(1)), "{client}");
        }
    }
}

/// The kernel refuses a client if no probe leads to a server, and so does the fallback. A quiesced
/// server keeps its slots.
#[test]
fn the_fallback_ends_with_its_probes() {
    let mut config = crowded(SchedulerFlags::FLAG_1);
    let director = Director::new(&config).expect("a valid config");
    config.services[0].servers.iter_mut().skip(1).for_each(|server| server.weight = 0);
    director.apply(&config).expect("a valid config");
    let id = director.service_for(&flow(0)).expect("it runs");
    let pick = |client| director.pick_server(id, &flow(client)).map(|pick| pick.address());
    let found: Vec<_> = (0..300).map(pick).collect();
    assert!(found.iter().flatten().all(|address| *address == rip(1)));
    assert!((200..297).contains(&found.iter().flatten().count()), "some are refused");
}

/// Of an IPv6 server of an IPv4 service the kernel reads the first word: an IPv4 server with that
/// address has the same slots.
#[test]
fn an_ipv6_server_counts_by_its_first_word() {
    let with = |address: &str| {
        let tunnel = Forwarding::Tunnel(Tunnel::Ipip {});
        let address = address.parse().expect("an address");
        let others = (1..=4).map(|n| RealServer::new(rip(n)).with_forwarding(tunnel));
        let servers =
            std::iter::once(RealServer::new(address).with_forwarding(tunnel)).chain(others);
        let service = service(0, SchedulerKind::Mh).with_servers(servers.collect());
        let config = Config::new().with_service(service);
        let director = Director::new(&config).expect("a valid config");
        let id = director.service_for(&flow(0)).expect("it runs");
        let pick = |client| director.pick_server(id, &flow(client)).expect("a server").address();
        let places: Vec<Option<u16>> =
            (0..500).map(pick).map(|found| (1..=4).find(|n| rip(*n) == found)).collect();
        assert!(places.contains(&None), "it has slots, too");
        places
    };
    let word = with("198.51.100.7:80");
    for address in ["[c633:6407::]:80", "[c633:6407:1:2:3:4:5:6]:80", "[c633:6407::7]:80"] {
        assert_eq!(with(address), word, "{address}");
    }
    assert_ne!(with("[c633:6408::]:80"), word);
}
