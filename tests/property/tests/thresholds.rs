//! The counts and overload mark of one server equal the model's, by both kernel rules.

use std::net::SocketAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use vsched::config::{Command, Config, KernelRules, RealServer, ServiceKey, VirtualService};
use vsched::error::ApplyError;
use vsched::{Activity, ConnectionError, Director, Lease};
use vsched_property::cases;
use vsched_property::load::Load;

#[derive(Debug, Clone)]
enum Event {
    Open(bool),
    Close(prop::sample::Index),
    Update(prop::sample::Index, bool),
    Edit {
        upper: u32,
        lower: u32,
    },
    /// Removed and added again, with these thresholds.
    Away {
        upper: u32,
        lower: u32,
    },
}

fn limits() -> impl Strategy<Value = (u32, u32)> {
    let huge = u32::MAX >> 1;
    let upper = prop_oneof![8 => 0u32..14, 1 => Just(huge)];
    upper.prop_flat_map(|upper| (Just(upper), 0..=upper.min(14)))
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => any::<bool>().prop_map(Event::Open),
        7 => any::<prop::sample::Index>().prop_map(Event::Close),
        2 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(at, to)| Event::Update(at, to)),
        2 => limits().prop_map(|(upper, lower)| Event::Edit { upper, lower }),
        1 => limits().prop_map(|(upper, lower)| Event::Away { upper, lower }),
    ]
}

fn activity(active: bool) -> Activity {
    if active { Activity::Active } else { Activity::Inactive }
}

struct Side {
    director: Director,
    service: ServiceKey,
    load: Load,
    generation: KernelRules,
}

impl Side {
    fn new(generation: KernelRules) -> Side {
        let service = ServiceKey::tcp(SocketAddr::from(([10, 0, 0, 1], 80)));
        let server = RealServer::new(address());
        let services = vec![VirtualService::new(service).with_server(server)];
        let config = Config::new().with_kernel_rules(generation).with_services(services);
        Side {
            director: Director::new(&config).expect("the config is valid"),
            service,
            load: Load::default(),
            generation,
        }
    }

    fn describe(&mut self, upper: u32, lower: u32, away: bool) -> Result<(), ApplyError> {
        let server = RealServer::new(address()).with_thresholds(upper, lower);
        let service = self.service;
        if away {
            let gone = Command::DeleteServer { service, server: server.address };
            self.director.execute(&gone)?;
            self.director.execute(&Command::AddServer { service, server })?;
        } else {
            self.director.execute(&Command::EditServer { service, server })?;
        }
        self.load.limit(upper, lower, self.generation);
        Ok(())
    }
}

fn address() -> SocketAddr {
    SocketAddr::from(([10, 0, 1, 1], 8080))
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn counts_and_marks_are_the_kernels(events in vec(event(), 1..150), a in any::<bool>()) {
        let mut side = Side::new(if a { KernelRules::A } else { KernelRules::B });
        let worker = side.director.worker();
        let mut leases: Vec<Lease> = Vec::new();
        for event in events {
            let server = vsched_property::server_id(&side.director, &side.service, address()).expect("it runs");
            match event {
                Event::Open(active) => {
                    leases.push(worker.open(server, activity(active)).expect("it runs"));
                    side.load.bind(activity(active), side.generation);
                }
                Event::Close(at) if leases.is_empty() => {
                    let _ = at;
                }
                Event::Close(at) => {
                    let lease = leases.swap_remove(at.index(leases.len()));
                    side.load.unbind(lease.activity().expect("an open lease"), side.generation);
                    worker.close(lease).expect("the lease is open");
                }
                Event::Update(at, active) => {
                    let count = leases.len();
                    if let Some(lease) = leases.get_mut(at.index(count.max(1))) {
                        if lease.activity() != Some(activity(active)) {
                            side.load.shift(activity(active));
                        }
                        worker.update(lease, activity(active)).expect("the lease is open");
                    }
                }
                Event::Edit { upper, lower } => {
                    side.describe(upper, lower, false).expect("it runs");
                }
                Event::Away { upper, lower } => {
                    side.describe(upper, lower, true).expect("it runs");
                }
            }
            let server = vsched_property::server_id(&side.director, &side.service, address()).expect("it runs");
            let counts = side.director.counts(server).expect("it runs");
            prop_assert_eq!(
                (counts.active, counts.inactive, counts.overloaded),
                (side.load.active, side.load.inactive, side.load.overloaded)
            );
        }
    }

    /// A lease is closed once. A call with the id of a server that is gone returns an error that says
    /// so.
    #[test]
    fn nothing_counts_on_a_server_that_is_gone(opens in vec(any::<bool>(), 0..6), again in any::<bool>()) {
        let mut side = Side::new(KernelRules::B);
        let worker = side.director.worker();
        let former = vsched_property::server_id(&side.director, &side.service, address()).expect("it runs");
        let open = |active: &bool| worker.open(former, activity(*active)).expect("it runs");
        let leases: Vec<Lease> = opens.iter().map(open).collect();
        let service = side.service;
        side.director.execute(&Command::DeleteServer { service, server: address() }).expect("it runs");
        leases.into_iter().for_each(|lease| worker.close(lease).expect("the lease is open"));
        if again {
            let other = SocketAddr::from(([10, 0, 1, 2], 8080));
            worker.service_for(&Default::default());
            side.director.tick(Default::default());
            let server = RealServer::new(other);
            side.director.execute(&Command::AddServer { service, server }).expect("it is new");
            let stranger = vsched_property::server_id(&side.director, &service, other).expect("it runs");
            prop_assert_eq!(worker.open(former, Activity::Active), Err(ConnectionError::Stale));
            prop_assert_eq!(side.director.counts(former), None);
            prop_assert_eq!(side.director.counts(stranger).map(|counts| counts.active), Some(0));
        } else {
            side.describe(0, 0, false).expect_err("it is gone");
        }
    }
}
