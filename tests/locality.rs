//! lblc and lblcr decide as their definition says, whatever their index makes of it: random connections,
//! states, weights, thresholds, corrections and reloads beside a walk over all servers.

mod common;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{Random, rip, server};
use vsched::config::{Affinity, Family, KernelRules, ServiceKey, VirtualService};
use vsched::{
    Activity, Config, Director, Flow, Holder, Lease, SchedulerKind, ServerId, ServerState, Worker,
};

const KEY: ServiceKey = ServiceKey::fwmark(7, Family::Inet);
/// The most members of a set.
const MOST: usize = 16;

/// A server, in list order.
#[derive(Debug, Clone, Copy)]
struct Server {
    address: SocketAddr,
    weight: u64,
    active: u64,
    inactive: u64,
    overloaded: bool,
    up: bool,
}

impl Server {
    fn has_spare(&self) -> bool {
        self.up && 2 * self.active < self.weight
    }

    fn is_available(&self, tried: &[SocketAddr]) -> bool {
        self.up && self.weight > 0 && !self.overloaded && !tried.contains(&self.address)
    }

    fn overhead(&self, rules: KernelRules) -> u64 {
        let active = if rules == KernelRules::A { 256 } else { 257 };
        active * self.active + self.inactive
    }
}

/// The first of the least loaded.
fn least<'s>(servers: impl Iterator<Item = &'s Server>, rules: KernelRules) -> Option<&'s Server> {
    servers.reduce(|held, next| {
        let lighter = held.overhead(rules) * next.weight > next.overhead(rules) * held.weight;
        if lighter { next } else { held }
    })
}

/// How often each part of the rule decided.
#[derive(Debug, Default)]
struct Seen {
    remembered: u32,
    above_weight_but_nobody_has_spare: u32,
    busy: u32,
    chosen: u32,
    refused: u32,
}

/// The definition, worked out over all servers.
struct Reference {
    kind: SchedulerKind,
    rules: KernelRules,
    /// By destination: lblc's server, lblcr's set from the newest member on.
    memory: HashMap<u32, Vec<SocketAddr>>,
    seen: Seen,
}

impl Reference {
    fn pick(
        &mut self,
        servers: &[Server],
        destination: u32,
        tried: &[SocketAddr],
    ) -> Option<SocketAddr> {
        let by_address = |address| servers.iter().find(|server| server.address == address);
        let memory = self.memory.entry(destination).or_default();
        let known = memory.iter().filter_map(|address| by_address(*address));
        let found = if self.kind == SchedulerKind::Lblc {
            let stays = |server: &&Server| server.up && server.weight > 0;
            let barred = |server: &Server| server.overloaded || tried.contains(&server.address);
            known.filter(stays).find(|server| tried.is_empty() || !barred(server))
        } else {
            least(known.filter(|server| server.is_available(tried)), self.rules)
        };
        let is_above = |server: &Server| server.active > server.weight;
        let has_spare = servers.iter().any(Server::has_spare);
        if let Some(server) = found {
            if !(is_above(server) && has_spare) {
                let count = if is_above(server) {
                    &mut self.seen.above_weight_but_nobody_has_spare
                } else {
                    &mut self.seen.remembered
                };
                *count += 1;
                return Some(server.address);
            }
            self.seen.busy += 1;
        }
        let available = servers.iter().filter(|server| server.is_available(tried));
        let Some(Server { address, .. }) = least(available, self.rules) else {
            self.seen.refused += 1;
            return None;
        };
        self.seen.chosen += 1;
        if self.kind == SchedulerKind::Lblc {
            *memory = vec![*address];
        } else if !memory.contains(address) {
            memory.truncate(MOST - 1);
            memory.insert(0, *address);
        }
        Some(*address)
    }
}

struct World {
    director: Director,
    config: Config,
    worker: Worker,
    reference: Reference,
    leases: Vec<Lease>,
    random: Random,
}

fn flow(destination: u32) -> Flow {
    let client = SocketAddr::from((Ipv4Addr::new(172, 16, 0, 1), 40_000));
    let destination = Ipv4Addr::from_bits(0xcb00_7100 + destination);
    Flow::tcp(client, SocketAddr::from((destination, 80))).with_fwmark(7)
}

impl World {
    fn new(kind: SchedulerKind, rules: KernelRules, count: u16, seed: u64) -> Self {
        let servers = (1..=count).map(|n| server(n, 1 + u32::from(n) % 4)).collect();
        let service = VirtualService::new(KEY).with_affinity(Affinity::default());
        let service = service.with_scheduler(kind).with_servers(servers);
        let config = Config::new().with_kernel_rules(rules).with_service(service);
        let director = Director::new(&config).expect("a valid config");
        let reference = Reference { kind, rules, memory: HashMap::new(), seen: Seen::default() };
        let (worker, leases, random) = (director.worker(), Vec::new(), Random(seed));
        World { director, config, worker, reference, leases, random }
    }

    fn below(&mut self, limit: usize) -> usize {
        self.random.below(limit as u64) as usize
    }

    fn servers(&self) -> Vec<Server> {
        let observed = self.director.observe();
        let servers = observed.services[0].servers.iter().map(|it| Server {
            address: it.server.address,
            weight: it.effective_weight.into(),
            active: it.counts.active.into(),
            inactive: it.counts.inactive.into(),
            overloaded: it.counts.overloaded,
            up: it.state == ServerState::Up,
        });
        servers.collect()
    }

    fn id(&self, address: SocketAddr) -> ServerId {
        common::server_id(&self.director, &KEY, address).expect("it runs")
    }

    /// Any server that is configured.
    fn any(&mut self) -> SocketAddr {
        let at = self.below(self.config.services[0].servers.len());
        self.config.services[0].servers[at].address
    }

    fn connect(&mut self, destinations: usize) {
        let destination = self.below(destinations) as u32;
        let tried: Vec<SocketAddr> = match self.below(8) {
            0 => (0..3).map(|_| self.any()).collect(),
            _ => Vec::new(),
        };
        self.connect_to(destination, tried);
    }

    fn connect_to(&mut self, destination: u32, tried: Vec<SocketAddr>) {
        let wanted = self.reference.pick(&self.servers(), destination, &tried);
        let tried: Vec<ServerId> = tried.iter().map(|address| self.id(*address)).collect();
        let service = self.director.service_by_key(&KEY).expect("it runs");
        let found = self.worker.connect_excluding(service, &flow(destination), &tried).ok();
        assert_eq!(found.as_ref().map(|it| it.address()), wanted, "{:?}", self.reference.seen);
        self.leases.extend(found.map(|connection| connection.into_lease()));
    }

    fn close(&mut self) {
        if !self.leases.is_empty() {
            let at = self.below(self.leases.len());
            // Stale if its server's counts were corrected.
            let _ = self.worker.close(self.leases.swap_remove(at));
        }
    }

    /// A change of one server, and of nothing else.
    fn change(&mut self, removed: &mut Vec<vsched::config::RealServer>) {
        let address = self.any();
        let id = self.id(address);
        match self.below(6) {
            0 | 1 => {
                let states = [ServerState::Up, ServerState::Draining, ServerState::Down];
                let state = states[self.below(3)];
                self.director.set_state(id, Holder::Administrator, state).expect("it runs");
            }
            2 => {
                let weight = self.below(6) as u32;
                self.director.set_weight(id, weight).expect("it runs");
                self.configured(address).weight = weight;
            }
            3 => {
                let (active, inactive) = (self.below(8) as u32, self.below(300) as u32);
                self.director.set_counts(id, active, inactive).expect("few");
            }
            4 => {
                let upper = self.below(9) as u32;
                let server = self.configured(address);
                server.thresholds.upper = upper;
                self.director.apply(&self.config).expect("a valid config");
            }
            _ => {
                let servers = &mut self.config.services[0].servers;
                if servers.len() > 4 && removed.len() < 3 {
                    let at = servers.iter().position(|server| server.address == address);
                    removed.push(servers.remove(at.expect("it is configured")));
                } else {
                    servers.extend(removed.pop());
                }
                self.director.apply(&self.config).expect("a valid config");
            }
        }
    }

    fn configured(&mut self, address: SocketAddr) -> &mut vsched::config::RealServer {
        let servers = &mut self.config.services[0].servers;
        servers.iter_mut().find(|server| server.address == address).expect("it is configured")
    }
}

/// Few servers are scanned; many have an index of one row of keys, or of two.
const COUNTS: [(u16, usize); 5] = [(5, 4000), (33, 4000), (40, 4000), (100, 3000), (1100, 800)];

#[test]
fn every_pick_is_what_the_definition_says() {
    for kind in [SchedulerKind::Lblc, SchedulerKind::Lblcr] {
        for (rules, (count, steps)) in
            [KernelRules::A, KernelRules::B].into_iter().flat_map(|it| COUNTS.map(|c| (it, c)))
        {
            let mut world = World::new(kind, rules, count, u64::from(count));
            let mut removed = Vec::new();
            // By turns more connections open than close, up to some on every server, and fewer.
            let full = 3 * usize::from(count) + 20;
            let mut fills = true;
            for _ in 0..steps {
                fills =
                    if fills { world.leases.len() < full } else { world.leases.len() < full / 4 };
                let (opens, change) = (if fills { 70 } else { 25 }, world.below(40) == 0);
                match world.below(100) {
                    _ if change => world.change(&mut removed),
                    n if n < opens => world.connect(1 + usize::from(count) / 3),
                    n if n < opens + 5 && !world.leases.is_empty() => {
                        let at = world.below(world.leases.len());
                        let lease = &mut world.leases[at];
                        let _ = world.worker.update(lease, Activity::Inactive);
                    }
                    _ => world.close(),
                }
            }
            let seen = &world.reference.seen;
            assert!(seen.remembered > 100 && seen.busy > 20 && seen.chosen > 50, "{seen:?}");
        }
    }
}

/// Opens and closes at random, to destinations below 100.
fn churn(director: &Director, seed: u64, most: usize, stop: &AtomicBool) {
    let (worker, mut random, mut leases) = (director.worker(), Random(seed), Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let flow = flow(random.below(100) as u32);
        let connection = worker.service_for(&flow).and_then(|id| worker.connect(id, &flow).ok());
        leases.extend(connection.map(|connection| connection.into_lease()));
        if leases.len() > most || random.below(2) == 0 && !leases.is_empty() {
            let at = random.below(leases.len() as u64) as usize;
            if random.below(4) == 0 {
                let _ = worker.update(&mut leases[at], Activity::Inactive);
            }
            let _ = worker.close(leases.swap_remove(at));
        }
    }
    // What is open stays counted.
}

/// Threads open and close while servers are held, edited, removed and added; when they are done every pick
/// is what the definition says.
#[test]
fn after_a_storm_picks_are_what_the_definition_says() {
    for kind in [SchedulerKind::Lblc, SchedulerKind::Lblcr] {
        for count in [13, 33, 100, 1100] {
            let mut world = World::new(kind, KernelRules::B, count, u64::from(count));
            let (director, stop) = (world.director, AtomicBool::new(false));
            let mut edited = world.config.clone();
            edited.services[0].servers.truncate(usize::from(count) - 3);
            edited.services[0].servers.iter_mut().step_by(2).for_each(|server| server.weight = 1);
            edited.services[0].servers.iter_mut().step_by(5).for_each(|it| it.thresholds.upper = 3);
            let configs = [&edited, &world.config];
            thread::scope(|scope| {
                for seed in 0..3 {
                    let (director, stop) = (&director, &stop);
                    let most = usize::from(count) / 4;
                    scope.spawn(move || churn(director, seed, most, stop));
                }
                for round in 0..150_usize {
                    director.apply(configs[round % 2]).expect("a valid config");
                    let state = [ServerState::Down, ServerState::Up][round / 3 % 2];
                    for n in 1..10 {
                        let id = common::server_id(&director, &KEY, rip(n)).expect("it runs");
                        director.set_state(id, Holder::Host, state).expect("it runs");
                    }
                    thread::yield_now();
                }
                stop.store(true, Ordering::Relaxed);
            });
            world.director = director;
            world.worker = world.director.worker();
            // Destinations that no thread has used.
            for pick in 0..4 * u32::from(count).min(400) {
                world.connect_to(1000 + pick / 4, Vec::new());
            }
            let destinations = u32::from(count).min(400);
            for _ in 0..10 {
                (0..destinations).for_each(|n| world.connect_to(1000 + n, Vec::new()));
            }
            let seen = &world.reference.seen;
            assert!(seen.chosen > 10 && seen.remembered > 10 && seen.busy > 0, "{count}: {seen:?}");
        }
    }
}

/// All servers above their weight, and none with weight to spare: the case in which every hit asks.
#[test]
fn a_hit_under_load_stays_until_a_server_has_spare_weight() {
    for kind in [SchedulerKind::Lblc, SchedulerKind::Lblcr] {
        for count in [13_u16, 33, 64, 65, 700] {
            let mut world = World::new(kind, KernelRules::B, count, 1);
            for n in 1..=count {
                world.director.set_counts(world.id(rip(n)), 5, 0).expect("few");
            }
            for _ in 0..3 * count {
                world.connect(usize::from(count));
            }
            assert!(world.reference.seen.above_weight_but_nobody_has_spare > u32::from(count) / 2);
            assert_eq!(world.reference.seen.busy, 0);
            // The last in the list, of weight 2: it has spare weight without connections only.
            let last = world.id(rip(1));
            for (active, asked) in [(1, false), (0, true), (1, false)] {
                world.director.set_counts(last, active, 0).expect("few");
                let before = world.reference.seen.busy;
                for _ in 0..20 {
                    world.connect(usize::from(count));
                    world.director.set_counts(last, active, 0).expect("few");
                }
                assert_eq!(world.reference.seen.busy > before, asked, "{kind:?} {count} {active}");
            }
            // Held, it has none to spare.
            world.director.set_counts(last, 0, 0).expect("few");
            let states = [ServerState::Draining, ServerState::Down, ServerState::Up];
            for (state, asked) in states.into_iter().zip([false, false, true]) {
                world.director.set_state(last, Holder::Host, state).expect("it runs");
                let before = world.reference.seen.busy;
                for _ in 0..20 {
                    world.connect(usize::from(count));
                    world.director.set_counts(last, 0, 0).expect("few");
                }
                assert_eq!(world.reference.seen.busy > before, asked, "{kind:?} {count} {state:?}");
            }
            // More weight: the reload counts anew.
            world.director.set_counts(last, 3, 0).expect("few");
            for (weight, asked) in [(2, false), (7, true), (6, false)] {
                world.director.set_weight(last, weight).expect("it runs");
                let before = world.reference.seen.busy;
                for _ in 0..20 {
                    world.connect(usize::from(count));
                    world.director.set_counts(last, 3, 0).expect("few");
                }
                assert_eq!(world.reference.seen.busy > before, asked, "{kind:?} {count} {weight}");
            }
        }
    }
}
