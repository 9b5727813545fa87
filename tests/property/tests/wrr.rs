//! wrr equals the literal walk on long lists and with extreme weights.

use std::net::{Ipv4Addr, SocketAddr};

use proptest::collection::vec;
use proptest::prelude::*;
use vsched::config::{Command, Config, RealServer, ServiceKey, VirtualService};
use vsched::{Activity, Director, Flow, SchedulerKind};
use vsched_property::cases;
use vsched_property::twins::{Answer, Seen, Twin, Way};

/// What happens between picks.
#[derive(Debug, Clone)]
enum Event {
    Picks(usize),
    /// The server at this place has its only connection from now on.
    Fill(usize),
    /// The server at this place gets another weight.
    Weight(usize, u32),
}

fn weights() -> impl Strategy<Value = Vec<u32>> {
    let extreme =
        prop::sample::select(vec![0, 1, 2, 3, 65534, 65535, i32::MAX as u32 - 1, i32::MAX as u32]);
    let near = (i32::MAX as u32 - 40)..=i32::MAX as u32;
    let multiple = (0u32..2000).prop_map(|times| times << 20);
    prop_oneof![
        vec(extreme, 1..40),
        vec(near, 1..40),
        vec(prop_oneof![Just(1), Just(65535)], 2..20),
        vec(0u32..=100, 1..1000),
        vec(prop_oneof![20 => Just(0u32), 1 => 1u32..60], 1..1000),
        vec(multiple, 1..1000),
        (1usize..1000, any::<u16>()).prop_map(|(count, weight)| vec![u32::from(weight); count]),
    ]
}

fn events(weights: &[u32]) -> impl Strategy<Value = Vec<Event>> + use<> {
    let count = weights.len();
    let weights = weights.to_vec();
    let event = prop_oneof![
        4 => (1usize..300).prop_map(Event::Picks),
        3 => (0..count).prop_map(Event::Fill),
        1 => (0..count, prop::sample::select(weights))
            .prop_map(|(place, weight)| Event::Weight(place, weight)),
    ];
    vec(event, 1..24)
}

fn address(place: usize) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from(0x0a01_0000 + place as u32), 80))
}

/// A director whose servers stand in this order, each full with one connection.
fn director(key: ServiceKey, weights: &[u32], bound_last: bool) -> Director {
    let mut service = VirtualService::new(key).with_scheduler(SchedulerKind::Wrr);
    for (place, weight) in weights.iter().enumerate().rev() {
        let server = RealServer::new(address(place));
        service.servers.push(server.with_weight(*weight).with_thresholds(1, 0));
    }
    let director = Director::new(&Config::default()).expect("an empty config is valid");
    if bound_last {
        let services = vec![service];
        let config = Config::new().with_services(services);
        director.apply(&config).expect("the config is valid");
    } else {
        director.execute(&Command::AddService(service.settings())).expect("it is new");
        for server in service.servers {
            let add = Command::AddServer { service: key, server };
            director.execute(&add).expect("it is new");
        }
    }
    director
}

fn run(weights: &[u32], bound_last: bool, events: &[Event]) {
    let key = ServiceKey::tcp(SocketAddr::from(([10, 0, 0, 1], 80)));
    let director = director(key, weights, bound_last);
    let seen = |(name, weight): (usize, &u32)| Seen {
        name,
        weight: *weight,
        active: 0,
        inactive: 0,
        overloaded: false,
        last_weight: *weight,
        place: 0,
    };
    let mut list: Vec<Seen> = weights.iter().enumerate().map(seen).collect();
    let bind = |list: &[Seen]| Twin::bind(SchedulerKind::Wrr, list).expect("it has a twin");
    let mut twin = if bound_last {
        bind(&list)
    } else {
        let mut twin = bind(&[]);
        (0..list.len()).rev().for_each(|place| twin.changed(&list[place..]));
        twin
    };
    let worker = director.worker();
    let id = director.service_by_key(&key).expect("it runs");
    for event in events {
        match *event {
            Event::Picks(count) => {
                for _ in 0..count {
                    let wanted = match twin.pick(&list, Default::default(), Way::default()) {
                        Answer::Exactly(wanted) => wanted,
                        Answer::TooLong => return,
                    };
                    let pick = worker.pick_server(id, &Flow::default()).ok();
                    assert_eq!(pick.map(|pick| pick.address()), wanted.map(address));
                }
            }
            Event::Fill(place) => {
                if !list[place].overloaded {
                    list[place].overloaded = true;
                    let server = vsched_property::server_id(&director, &key, address(place))
                        .expect("it runs");
                    // Stays counted: the lease is dropped.
                    drop(worker.open(server, Activity::Active).expect("it is not full"));
                }
            }
            Event::Weight(place, weight) => {
                list[place].weight = weight;
                let server = RealServer::new(address(place)).with_weight(weight);
                let server = server.with_thresholds(1, 0);
                let edit = Command::EditServer { service: key, server };
                director.execute(&edit).expect("it runs");
                twin.changed(&list);
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(1200))]

    #[test]
    fn long_lists_and_extreme_weights(
        (weights, events) in weights().prop_flat_map(|weights| {
            let events = events(&weights);
            (Just(weights), events)
        }),
        bound_last in any::<bool>(),
    ) {
        run(&weights, bound_last, &events);
    }
}

/// Whole cycles, and a heavy server that is full: the twin walks down all its levels.
#[test]
fn extremes_by_hand() {
    let full = |place| [Event::Picks(3), Event::Fill(place), Event::Picks(9)];
    for bound_last in [false, true] {
        run(&[65535, 1, 1], bound_last, &[Event::Picks(140_000)]);
        run(&[1, 65535], bound_last, &full(1));
        run(&[65535, 1, 65534], bound_last, &full(0));
        run(&[1 << 30, 3 << 29, 1 << 29, 0], bound_last, &full(1));
        run(&[i32::MAX as u32; 1000], bound_last, &[Event::Picks(2500)]);
    }
}
