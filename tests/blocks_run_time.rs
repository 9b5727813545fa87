//! What is so of servers at run time, of directors that share their state in a block: ejections, slow start, tiers,
//! panic, weights that were set, statistics.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use vsched::config::{Ejection, SlowStart, VirtualService};
use vsched::{
    Block, BlockLimits, Config, Director, Holder, Outcome, SchedulerKind, ServerId, ServerState,
    ServiceId, Worker,
};

use common::{Random, flow, rip, server, server_id, service};

struct Process {
    director: Director,
    worker: Worker,
    service: ServiceId,
}

impl Process {
    fn of(director: Director, config: &Config) -> Self {
        let worker = director.worker();
        let service = director.service_by_key(&config.services[0].key).expect("it runs");
        Process { director, worker, service }
    }

    fn alone(config: &Config) -> Self {
        Process::of(Director::new(config).expect("a valid config"), config)
    }

    fn in_block(config: &Config, block: &Block) -> Self {
        let director = Director::in_block(config, block);
        Process::of(director.expect("a config that can be shared"), config)
    }

    fn tick(&self, seconds: u64) {
        self.director.tick(Duration::from_secs(seconds));
    }

    fn server(&self, n: u16) -> ServerId {
        let services = self.director.config().services;
        server_id(&self.director, &services[0].key, rip(n)).expect("it runs")
    }

    fn pick(&self, n: u32) -> Result<SocketAddr, vsched::Refused> {
        self.worker.pick_server(self.service, &flow(n)).map(|pick| pick.address())
    }

    fn weights(&self) -> Vec<u32> {
        let servers = self.director.servers(self.service).expect("it runs");
        servers.iter().map(|(_, server)| server.effective_weight).collect()
    }

    fn configured(&self) -> Vec<u32> {
        self.director.config().services[0].servers.iter().map(|server| server.weight).collect()
    }

    fn state(&self, n: u16) -> ServerState {
        self.director.state(self.server(n)).expect("it runs")
    }
}

fn block() -> Block {
    Block::anonymous(&BlockLimits::new(64, 8).with_owners(8)).expect("memory")
}

fn of(service: VirtualService) -> Config {
    Config::new().with_service(service)
}

fn four(kind: SchedulerKind) -> VirtualService {
    service(0, kind).with_servers((1..=4).map(|n| server(n, u32::from(n))).collect())
}

type Shape = fn(VirtualService) -> VirtualService;

/// Configs whose servers' effective weights, states or limits change at run time.
fn shaped() -> Vec<(&'static str, Shape)> {
    vec![
        ("plain", |service| service),
        ("slow start", |service| service.with_slow_start(SlowStart::default().with_duration(20))),
        ("ejection", |service| {
            let ejection =
                Ejection::default().with_failures(2).with_base_time(7).with_max_share(50);
            service.with_ejection(ejection)
        }),
        ("ejection and slow start", |service| {
            let ejection =
                Ejection::default().with_failures(2).with_base_time(7).with_max_share(50);
            service.with_ejection(ejection).with_slow_start(SlowStart::default().with_duration(5))
        }),
        ("tiers", |mut service| {
            service.servers[2].priority = 1;
            service.servers[3].priority = 2;
            service
        }),
        ("spill-over", |mut service| {
            service.servers[3].priority = 1;
            service.with_spill_over(140)
        }),
        ("panic", |service| service.with_panic_threshold(60)),
    ]
}

/// Whichever director is told of a state or an outcome, and whichever picks: after each has ticked, they pick as
/// one that is told of everything.
#[test]
fn directors_are_shaped_as_one() {
    for kind in [SchedulerKind::Wrr, SchedulerKind::Rr, SchedulerKind::Wlc, SchedulerKind::Mh] {
        let is_weighted = matches!(kind, SchedulerKind::Wrr | SchedulerKind::Wlc);
        for (name, shape) in shaped() {
            if !is_weighted && (name.contains("slow start") || name == "spill-over") {
                continue;
            }
            let config = of(shape(four(kind)));
            let (one, block) = (Process::alone(&config), block());
            let others: Vec<Process> = (0..3).map(|_| Process::in_block(&config, &block)).collect();
            let mut random = Random(7);
            let mut now = 1;
            for step in 0..300 {
                let by = &others[random.below(3) as usize];
                let server = 1 + random.below(4) as u16;
                match random.below(8) {
                    0 => {
                        let states = [ServerState::Up, ServerState::Draining, ServerState::Down];
                        let state = states[random.below(3) as usize];
                        let holder =
                            [Holder::Host, Holder::HealthChecker][random.below(2) as usize];
                        let set =
                            |it: &Process| it.director.set_state(it.server(server), holder, state);
                        let (expected, found) = (set(&one), set(by));
                        assert_eq!(found, expected, "{kind:?} {name} {step}");
                    }
                    1..4 => {
                        let outcomes = [Outcome::Done, Outcome::Failed, Outcome::Failed];
                        let outcome = outcomes[random.below(3) as usize];
                        for it in [&one, by] {
                            it.worker.report(it.server(server), outcome, None).expect("it runs");
                        }
                    }
                    _ => now += random.below(3),
                }
                // Twice: what the one that decides does at its tick, the others see at theirs.
                for _ in 0..2 {
                    [&one].into_iter().chain(&others).for_each(|it| it.tick(now));
                }
                for (n, it) in others.iter().enumerate() {
                    assert_eq!(it.weights(), one.weights(), "{kind:?} {name} {step} {n}");
                    let states = |it: &Process| (1..=4).map(|n| it.state(n)).collect::<Vec<_>>();
                    assert_eq!(states(it), states(&one), "{kind:?} {name} {step} {n}");
                }
                for n in 0..5 {
                    let by = &others[random.below(3) as usize];
                    let flow = random.below(100) as u32;
                    assert_eq!(by.pick(flow), one.pick(flow), "{kind:?} {name} {step} {n}");
                }
            }
        }
    }
}

/// The failure that reaches the limit may be any director's; all obey at once.
#[test]
fn an_ejection_is_obeyed_at_once() {
    let config = of(four(SchedulerKind::Rr).with_ejection(Ejection::default().with_failures(3)));
    let block = block();
    let [a, b] = [Process::in_block(&config, &block), Process::in_block(&config, &block)];
    for it in [&a, &b, &a] {
        it.worker.report(it.server(2), Outcome::Failed, None).expect("it runs");
    }
    for n in 0..20 {
        assert!([&a, &b].iter().all(|it| it.pick(n) != Ok(rip(2))));
    }
    let health = b.director.health(b.server(2)).expect("it runs");
    assert!(health.ejected && health.consecutive_failures == 3);
}

/// When the director that decides ends, another one goes on: the ejected server comes back.
#[test]
fn an_ejection_ends_without_the_one_that_began_it() {
    let ejection = Ejection::default().with_failures(1).with_base_time(10).with_trials(1);
    let config = of(four(SchedulerKind::Rr).with_ejection(ejection));
    let block = block();
    let [a, b] = [Process::in_block(&config, &block), Process::in_block(&config, &block)];
    [&a, &b].iter().for_each(|it| it.tick(1));
    b.worker.report(b.server(2), Outcome::Failed, None).expect("it runs");
    [&a, &b].iter().for_each(|it| it.tick(5));
    drop(a);
    // It does not know since when, and counts from its next tick on.
    b.tick(20);
    assert_eq!(b.state(2), ServerState::Down);
    b.tick(31);
    assert_eq!(b.state(2), ServerState::Up);
    // On trial: one connection. The director that decides ends in the middle of it.
    let c = Process::in_block(&config, &block);
    assert_eq!(opened(&c), 1);
    drop(b);
    c.tick(32);
    assert_eq!(opened(&c), 3);
}

/// How many of twelve connections go to the second server. They stay open until all are.
fn opened(it: &Process) -> usize {
    let open = (0..12).map(|n| it.worker.connect(it.service, &flow(n)).expect("one is up"));
    let open: Vec<_> = open.collect();
    open.iter().filter(|connection| connection.address() == rip(2)).count()
}

/// A director that never ticks, such as that of a master process, does not keep the others from deciding.
#[test]
fn one_that_ticks_decides() {
    let ejection = Ejection::default().with_failures(1).with_base_time(10);
    let config = of(four(SchedulerKind::Rr).with_ejection(ejection));
    let block = block();
    let [master, a] = [Process::in_block(&config, &block), Process::in_block(&config, &block)];
    a.worker.report(a.server(2), Outcome::Failed, None).expect("it runs");
    assert_eq!(master.state(2), ServerState::Down);
    for second in 1..10 {
        a.tick(second);
    }
    assert_eq!(a.state(2), ServerState::Down);
    a.tick(12);
    assert_eq!((a.state(2), master.state(2)), (ServerState::Up, ServerState::Up));
}

/// A weight set by one director is every director's after a tick, unless its config has another one.
#[test]
fn weights_are_set_for_all() {
    let config = of(four(SchedulerKind::Wrr));
    let block = block();
    let [a, b] = [Process::in_block(&config, &block), Process::in_block(&config, &block)];
    a.director.set_weight(a.server(1), 0).expect("it runs");
    b.tick(1);
    assert_eq!((a.configured(), b.configured()), (vec![0, 2, 3, 4], vec![0, 2, 3, 4]));
    // The latest, whoever sets it.
    b.director.set_weight(b.server(1), 9).expect("it runs");
    a.tick(2);
    assert_eq!(a.configured(), [9, 2, 3, 4]);
    // One that comes later with the same config, and one with another.
    let c = Process::in_block(&config, &block);
    assert_eq!(c.configured(), [9, 2, 3, 4]);
    let mut other = config.clone();
    other.services[0].servers[0].weight = 5;
    let d = Process::in_block(&other, &block);
    d.tick(3);
    assert_eq!(d.configured(), [5, 2, 3, 4]);
    // Set back.
    c.director.set_weight(c.server(1), 1).expect("it runs");
    [&a, &b, &d].iter().for_each(|it| it.tick(4));
    assert_eq!((a.configured(), b.configured()), (vec![1, 2, 3, 4], vec![1, 2, 3, 4]));
    assert_eq!(d.configured(), [5, 2, 3, 4]);
    // A config that is applied where the weight was set ends it.
    a.director.set_weight(a.server(2), 8).expect("it runs");
    b.tick(5);
    a.director.apply(&config).expect("a valid config");
    [&a, &b].iter().for_each(|it| it.tick(6));
    assert_eq!(a.configured(), [1, 2, 3, 4]);
    assert_eq!(Process::in_block(&config, &block).configured(), [1, 2, 3, 4]);
}

/// Statistics are of all, once each has ticked or ended; who is asked knows its own at once.
#[test]
fn statistics_are_of_all() {
    let config = of(four(SchedulerKind::Rr));
    let block = block();
    let [a, b] = [Process::in_block(&config, &block), Process::in_block(&config, &block)];
    let totals = |it: &Process| {
        let observed = it.director.observe().services.remove(0);
        let of_servers = observed.servers.iter().map(|server| server.statistics.connections);
        (observed.statistics.connections, of_servers.sum::<u64>(), observed.statistics.refused)
    };
    let connect = |it: &Process, count: u32| {
        for n in 0..count {
            drop(it.worker.connect(it.service, &flow(n)));
        }
    };
    connect(&a, 10);
    connect(&b, 7);
    assert_eq!((totals(&a), totals(&b)), ((10, 10, 0), (7, 7, 0)));
    a.tick(1);
    assert_eq!((totals(&a), totals(&b)), ((10, 10, 0), (17, 17, 0)));
    connect(&a, 1);
    for n in 1..=4 {
        let set = a.director.set_state(a.server(n), Holder::Host, ServerState::Down);
        set.expect("it runs");
    }
    connect(&b, 3);
    assert_eq!((totals(&a), totals(&b)), ((11, 11, 0), (17, 17, 3)));
    // A dropped director adds the rest.
    drop(b);
    assert_eq!(totals(&a), (18, 18, 3));
    let c = Process::in_block(&config, &block);
    assert_eq!(totals(&c), (17, 17, 3));
    drop(a);
    assert_eq!(totals(&c), (18, 18, 3));
    // A server that leaves and comes back begins again.
    c.director.apply(&Config::new()).expect("a valid config");
    (2..5).for_each(|n| c.tick(n));
    c.director.apply(&config).expect("a valid config");
    let c = Process::of(c.director.clone(), &config);
    assert_eq!(totals(&c), (0, 0, 0));
}

/// Who holds a server is known to all after a tick.
#[test]
fn holds_are_known_to_all() {
    let config = of(four(SchedulerKind::Rr));
    let block = block();
    let [a, b] = [Process::in_block(&config, &block), Process::in_block(&config, &block)];
    let (holder, down) = (Holder::Administrator, ServerState::Down);
    a.director.set_state_because(a.server(3), holder, down, "disk").expect("it runs");
    b.tick(1);
    let holds = |it: &Process| it.director.holds(it.server(3)).expect("it runs");
    assert_eq!(holds(&a)[0].reason, "disk");
    assert_eq!((holds(&b)[0].holder, holds(&b)[0].state), (holder, down));
    b.director.set_state(b.server(3), holder, ServerState::Up).expect("it runs");
    a.tick(2);
    assert!(holds(&a).is_empty() && holds(&b).is_empty());
    assert!((0..8).any(|n| a.pick(n) == Ok(rip(3))));
}
