//! Random scripts of states, outcomes, ticks and reloads against a naive model: who holds what survives
//! everything, no pick finds a server that is down, and no more servers are ejected than may be.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use vsched::config::{Ejection, RealServer, ServiceKey, Sharing, SlowStart, VirtualService};
use vsched::{
    Config, Director, Flow, Holder, Outcome, SchedulerKind, ServerId, ServerState, Worker,
};
use vsched_property::cases;

const SERVERS: u8 = 8;

#[derive(Debug, Clone)]
enum Step {
    Hold(u8, Holder, ServerState),
    Report(u8, Outcome, u8),
    Tick(u16),
    /// Removes a server that is configured, adds one that is not.
    Toggle(u8),
    Weight(u8, u32),
    /// The same config once more.
    Reload,
    Eject(Option<(u32, u8)>),
    Panic(u8),
    Priority(u8, u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let server = || 0..SERVERS;
    let holder = select(vec![Holder::Administrator, Holder::HealthChecker, Holder::Host]);
    let state = select(ServerState::ALL.to_vec());
    let outcome = prop_oneof![3 => Just(Outcome::Failed), 1 => Just(Outcome::Done)];
    let ejection = proptest::option::weighted(0.8, (0..5u32, 0..=100u8));
    vec(
        prop_oneof![
            4 => (server(), holder, state).prop_map(|(n, holder, state)| Step::Hold(n, holder, state)),
            6 => (server(), outcome, 1..6u8).prop_map(|(n, outcome, times)| Step::Report(n, outcome, times)),
            3 => (0..40u16).prop_map(Step::Tick),
            2 => server().prop_map(Step::Toggle),
            1 => (server(), 0..4u32).prop_map(|(n, weight)| Step::Weight(n, weight)),
            1 => Just(Step::Reload),
            1 => ejection.prop_map(Step::Eject),
            1 => (0..=100u8).prop_map(Step::Panic),
            1 => (server(), 0..3u8).prop_map(|(n, priority)| Step::Priority(n, priority)),
        ],
        1..60,
    )
}

fn address(n: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 0, 1, n), 80))
}

fn key() -> ServiceKey {
    ServiceKey::tcp(SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), 80)))
}

/// The model beside the crate.
struct World {
    director: Director,
    worker: Worker,
    config: Config,
    holds: BTreeMap<u8, BTreeMap<Holder, ServerState>>,
    clock: u64,
}

impl World {
    fn new(kind: SchedulerKind, sharing: Sharing) -> Self {
        let mut service = VirtualService::new(key()).with_scheduler(kind).with_sharing(sharing);
        service.servers = (0..SERVERS / 2).map(|n| RealServer::new(address(n))).collect();
        if kind.shares_by_weight() {
            service.slow_start = Some(SlowStart::default());
        }
        let config = Config::new().with_service(service);
        let director = Director::new(&config).expect("valid");
        let worker = director.worker();
        World { director, worker, config, holds: BTreeMap::new(), clock: 0 }
    }

    fn service(&mut self) -> &mut VirtualService {
        &mut self.config.services[0]
    }

    fn id(&self, n: u8) -> Option<ServerId> {
        vsched_property::server_id(&self.director, &key(), address(n))
    }

    fn configured(&self) -> impl Iterator<Item = (u8, RealServer, ServerId)> + '_ {
        let of =
            |n| self.config.services[0].servers.iter().find(move |it| it.address == address(n));
        (0..SERVERS).filter_map(move |n| Some((n, of(n)?.clone(), self.id(n)?)))
    }

    fn held(&self, n: u8) -> ServerState {
        let states = self.holds.get(&n).into_iter().flat_map(BTreeMap::values);
        states.copied().max().unwrap_or_default()
    }

    /// Out on purpose.
    fn is_out(&self, n: u8) -> bool {
        let holds = self.holds.get(&n).into_iter().flatten();
        holds.clone().any(|(holder, state)| {
            *state == ServerState::Draining
                || (*holder, *state) == (Holder::Administrator, ServerState::Down)
        })
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Hold(n, holder, state) => {
                if let Some(id) = self.id(n) {
                    let result = self.director.set_state(id, holder, state).expect("it runs");
                    self.holds.entry(n).or_default().insert(holder, state);
                    assert!(result >= self.held(n), "{result:?}");
                }
            }
            Step::Report(n, outcome, times) => {
                let Some(id) = self.id(n) else { return };
                for _ in 0..times {
                    self.worker.report(id, outcome, None).expect("it runs");
                    self.check();
                }
            }
            Step::Tick(seconds) => {
                self.clock += u64::from(seconds);
                self.director.tick(Duration::from_secs(self.clock));
            }
            Step::Toggle(n) => {
                let servers = &mut self.service().servers;
                match servers.iter().position(|server| server.address == address(n)) {
                    Some(place) => _ = servers.remove(place),
                    None => servers.push(RealServer::new(address(n))),
                }
                self.apply();
            }
            Step::Weight(n, weight) => self.edit(n, |server| server.weight = weight),
            Step::Priority(n, priority) => self.edit(n, |server| server.priority = priority),
            Step::Reload => {
                let before = self.states();
                self.apply();
                assert_eq!(self.states(), before, "a reload without a change");
            }
            Step::Eject(rule) => {
                self.service().ejection = rule.map(|(failures, max_share)| {
                    Ejection::default()
                        .with_failures(failures)
                        .with_max_share(max_share)
                        .with_base_time(20)
                        .with_max_time(50)
                });
                self.apply();
            }
            Step::Panic(threshold) => {
                self.service().panic_threshold = threshold;
                self.apply();
            }
        }
    }

    fn edit(&mut self, n: u8, change: impl FnOnce(&mut RealServer)) {
        let servers = &mut self.service().servers;
        if let Some(server) = servers.iter_mut().find(|server| server.address == address(n)) {
            change(server);
            self.apply();
        }
    }

    fn apply(&mut self) {
        self.director.apply(&self.config).expect("valid");
    }

    fn states(&self) -> Vec<ServerState> {
        self.configured().filter_map(|(_, _, id)| self.director.state(id)).collect()
    }

    /// What always holds.
    fn check(&self) {
        let observed = self.director.observe();
        let panics = observed.services[0].panics;
        let mut ejected = 0;
        let mut up = BTreeSet::new();
        for (n, server, id) in self.configured() {
            let health = self.director.health(id).expect("it runs");
            let state = self.director.state(id).expect("it runs");
            ejected += usize::from(health.ejected);
            let expected = match self.held(n) {
                _ if health.ejected => ServerState::Down,
                ServerState::Down if panics && !self.is_out(n) => ServerState::Up,
                held => held,
            };
            assert_eq!(state, expected, "server {n}");
            let holds = self.director.holds(id).expect("it runs");
            let by_ejector = holds.iter().any(|hold| hold.holder == Holder::Ejector);
            assert!(by_ejector || !health.ejected, "server {n}: {holds:?}");
            if state == ServerState::Up && server.weight > 0 {
                up.insert(server.address);
            }
        }
        let share = self.config.services[0].ejection.map_or(0, |rule| rule.max_share);
        let count = self.config.services[0].servers.len();
        assert!(ejected * 100 <= count * usize::from(share), "{ejected} of {count}, {share} %");
        let service = self.director.service_by_key(&key()).expect("it runs");
        for client in 0..12u8 {
            let from = SocketAddr::from((Ipv4Addr::new(10, 1, 0, client), 4000));
            let flow = Flow::tcp(from, SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), 80)));
            let pick = self.worker.pick_server(service, &flow).map(|pick| pick.address());
            match pick {
                Ok(server) => assert!(up.contains(&server), "{server} of {up:?}"),
                // sh, dh and mh refuse clients of quiesced servers, as a kernel.
                Err(_) => {
                    let kind = self.config.services[0].scheduler.map_or("", SchedulerKind::name);
                    assert!(up.is_empty() || ["sh", "dh", "mh"].contains(&kind), "{up:?}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn states_and_ejections(
        kind in select(SchedulerKind::ALL.to_vec()),
        sharing in select(vec![Sharing::Exact, Sharing::PerWorker]),
        steps in steps(),
    ) {
        let mut world = World::new(kind, sharing);
        for step in &steps {
            world.step(step);
            world.check();
        }
        // Nobody fails any more: at the latest after the longest time everyone is back.
        for n in 0..SERVERS {
            world.step(&Step::Report(n, Outcome::Done, 1));
        }
        for _ in 0..2 {
            world.step(&Step::Tick(60));
        }
        let ejected = world.configured().filter(|(_, _, id)| {
            world.director.health(*id).is_some_and(|health| health.ejected)
        });
        prop_assert_eq!(ejected.count(), 0);
    }
}
