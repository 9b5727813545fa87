//! The rounds: a process that is killed, one that goes on, and what is left of them.

#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::time::Duration;

use libc::pid_t;
use vsched::config::{Affinity, Ejection, Persistence, ServerHealth, VirtualService};
use vsched::{
    Activity, Block, BlockLimits, Config, Director, Holder, Lease, Outcome, OwnerId, Reclaimed,
    SchedulerKind, ServerState, ServiceId, Worker,
};

use crate::common::{Random, flow, server, server_id, service};

/// What the process does that is killed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Role {
    /// Picks, connects, updates and closes.
    Connects,
    /// Applies one config and another, sets states and weights, and ticks.
    Changes,
    /// Reclaims a process that was killed before.
    Reclaims,
}

const ROLES: [Role; 3] = [Role::Connects, Role::Changes, Role::Reclaims];
/// Microseconds within which the timer kills.
const KILLED_WITHIN: u64 = 3_000;
/// Instructions within which single steps end.
const STEPPED_WITHIN: u64 = 20_000;
/// One round of so many single-steps.
const STEPPED: u64 = 8;
/// Connections that the process which goes on has at most.
const HELD: usize = 5;

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}: {text} is no number")),
        Err(_) => default,
    }
}

/// The configs that processes go back and forth between: the first is this program's.
fn configs() -> [Config; 2] {
    let of = |weights: &[(u16, u32)], kind| {
        let servers = weights.iter().map(|(n, weight)| server(*n, *weight)).collect();
        Config::new()
            .with_service(service(0, SchedulerKind::Wrr).with_servers(servers))
            .with_service(service(1, kind).with_servers(vec![
                server(1, 1).with_thresholds(6, 3),
                server(2, 2),
                server(3, 1),
            ]))
            .with_service(ejecting())
            .with_service(persistent())
    };
    [
        of(&[(1, 1), (2, 2), (3, 3)], SchedulerKind::Wlc),
        of(&[(1, 1), (2, 3), (4, 1), (5, 2)], SchedulerKind::Lc),
    ]
}

/// Of its servers two may be ejected at a time, at the second failure in a row.
fn ejecting() -> VirtualService {
    let ejection = Ejection::default().with_failures(2).with_base_time(1).with_max_time(1);
    let servers = (1..=4).map(|n| server(n, 1)).collect();
    service(2, SchedulerKind::Rr).with_ejection(ejection.with_max_share(50)).with_servers(servers)
}

/// Its templates live for two seconds.
fn persistent() -> VirtualService {
    let servers = (1..=3).map(|n| server(n, n.into())).collect();
    let service = service(3, SchedulerKind::Wrr).with_persistence(Persistence::new(2));
    service.with_affinity(Affinity::default().with_capacity(100)).with_servers(servers)
}

pub(super) fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        println!("killed: test");
        return;
    }
    let (kills, seed) = (number("VSCHED_KILLS", 600), number("VSCHED_SEED", 1));
    let limits = BlockLimits::new(64, 64).with_owners(8).with_addresses(512);
    let block = Block::anonymous(&limits).expect("memory");
    let mut world = World::new(block, seed);
    for round in 0..kills {
        world.round(round);
    }
    println!(
        "{kills} kills, {} of them after single steps (VSCHED_SEED={seed}); reclaimed in the middle \
         of others' changes {} times; deaths with connections open: {}",
        world.stepped, world.tried_again, world.with_connections
    );
    assert!(kills < 100 || world.with_connections > kills / 10, "the deaths say little");
}

struct World {
    block: Block,
    director: Director,
    worker: Worker,
    services: [ServiceId; 4],
    own: Vec<Lease>,
    random: Random,
    stepped: u64,
    tried_again: u64,
    with_connections: u64,
}

impl World {
    fn new(block: Block, seed: u64) -> Self {
        let config = &configs()[0];
        let director = Director::in_block(config, &block).expect("a valid config");
        let worker = director.worker();
        let services = services(&director);
        let own: Vec<Lease> = (0..7)
            .map(|n| worker.connect(services[n % 2], &flow(0)).expect("up").into_lease())
            .collect();
        World {
            block,
            director,
            worker,
            services,
            own,
            random: Random(seed),
            stepped: 0,
            tried_again: 0,
            with_connections: 0,
        }
    }

    fn round(&mut self, round: u64) {
        let role = ROLES[(round % 3) as usize];
        let seed = self.random.next();
        // One that is dead already, for others to reclaim.
        let corpse = (role == Role::Reclaims).then(|| {
            let before = self.start(seed | 1, move |child| child.connect_for(12));
            wait_for_end(before);
            self.owner_of(before).expect("it ended without leaving")
        });
        let goes_on = self.start(seed ^ 2 | 1, |child| child.connect_for(u64::MAX));
        resume(goes_on);
        let dies = self.start(seed, move |child| match role {
            Role::Connects => child.connect_for(u64::MAX),
            Role::Changes => child.change(),
            Role::Reclaims => child.reclaim(corpse.expect("one that is dead")),
        });
        if round.is_multiple_of(STEPPED) {
            self.stepped += 1;
            step(dies, 1 + self.random.below(STEPPED_WITHIN));
        } else {
            resume(dies);
            std::thread::sleep(Duration::from_micros(self.random.below(KILLED_WITHIN)));
        }
        kill(dies);
        let what = format!("round {round}, {role:?}");
        let before = self.open();
        if self.random.below(2) == 0 {
            let (gone, goes_on) = (self.owner_of(dies), self.owner_of(goes_on));
            let running = |owner: Option<OwnerId>| owner.and_then(|it| self.block.is_running(it));
            assert!(running(gone) != Some(true) && running(goes_on) != Some(false), "{what}");
            let _ = self.block.reclaim_dead();
        }
        for dead in self.owner_of(dies).into_iter().chain(corpse) {
            self.reclaim(dead, &what);
        }
        self.with_connections += u64::from(self.open() != before);
        kill(goes_on);
        if let Some(owner) = self.owner_of(goes_on) {
            self.reclaim(owner, &what);
        }
        self.check(&what);
    }

    /// Starts a process, which is stopped before it joins the block unless it is to be stepped.
    fn start(&self, seed: u64, act: impl FnOnce(&mut Child)) -> pid_t {
        // SAFETY: this program has one thread.
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "fork: {}", std::io::Error::last_os_error());
        if child > 0 {
            wait_for_stop(child);
            return child;
        }
        // SAFETY: of this process alone.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
        }
        // SAFETY: it stops this process until the parent lets it go on.
        let stop = || unsafe { libc::raise(libc::SIGSTOP) };
        // Some die as they join.
        let joins = seed.is_multiple_of(4);
        if joins {
            stop();
        }
        let mut child = Child::new(&self.block, seed);
        if !joins {
            stop();
        }
        act(&mut child);
        // SAFETY: it ends without leaving, as if it had been killed.
        unsafe { libc::_exit(0) }
    }

    fn owner_of(&self, process: pid_t) -> Option<OwnerId> {
        let owners = self.block.owners();
        owners.into_iter().find(|(_, of)| *of == process as u32).map(|(owner, _)| owner)
    }

    /// Until all is given back: others go on meanwhile.
    fn reclaim(&mut self, owner: OwnerId, what: &str) {
        for _ in 0..1_000 {
            match self.block.reclaim(owner) {
                // Another has done it.
                Err(_) | Ok(Reclaimed::All) => return,
                Ok(Reclaimed::AllBut(_)) => self.tried_again += 1,
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        panic!("{what}: what {owner:?} held is not given back");
    }

    fn open(&self) -> BTreeMap<(usize, std::net::SocketAddr), (u32, u32)> {
        let observed = self.director.observe();
        let of = |(n, service): (usize, &vsched::config::ObservedService)| {
            let servers = service.servers.iter();
            let counts = servers.map(move |server| {
                let counts = server.counts;
                ((n, server.server.address), (counts.active, counts.inactive))
            });
            counts.collect::<Vec<_>>()
        };
        observed.services.iter().enumerate().flat_map(of).collect()
    }

    /// All that is left is this program's own.
    fn check(&mut self, what: &str) {
        let mut expected: BTreeMap<_, (u32, u32)> =
            self.open().into_keys().map(|key| (key, (0, 0))).collect();
        for lease in &self.own {
            let (n, address) = self.place_of(lease);
            expected.entry((n, address)).or_default().0 += 1;
        }
        assert_eq!(self.open(), expected, "{what}");
        let owners: Vec<_> = self.block.owners().into_iter().map(|(_, process)| process).collect();
        assert_eq!(owners, [std::process::id()], "{what}: owners");
        // Nobody else holds a server down, and changes are possible: nobody has the claim.
        for server in self.director.servers(self.services[0]).into_iter().flatten() {
            let set = self.director.set_state(server.0, Holder::Host, ServerState::Up);
            assert_eq!(set, Ok(ServerState::Up), "{what}");
        }
        self.tick();
        // Weights that were set at run time stay where the config is the same.
        for service in &configs()[0].services {
            for server in &service.servers {
                let id = server_id(&self.director, &service.key, server.address);
                let set = self.director.set_weight(id.expect("it runs"), server.weight);
                set.unwrap_or_else(|error| panic!("{what}: {error}"));
            }
        }
        let [first, second] = configs();
        self.director.apply(&second).unwrap_or_else(|error| panic!("{what}: {error}"));
        self.director.apply(&first).unwrap_or_else(|error| panic!("{what}: {error}"));
        let _ = self.worker.service_for(&flow(0));
        self.tick();
        self.check_ejections(what);
        self.check_templates(what);
        // One cycle of the rotation gives each server its weight.
        let picks = (0..6).map(|_| {
            let pick = self.worker.pick_server(self.services[0], &flow(0)).expect("one is up");
            pick.address()
        });
        let mut turns = BTreeMap::new();
        picks.for_each(|address| *turns.entry(address).or_insert(0) += 1);
        let weights: Vec<i32> = turns.into_values().collect();
        assert_eq!(weights, [1, 2, 3], "{what}: a cycle");
        // The own connections move on, so that all servers see some.
        let n = self.random.below(self.own.len() as u64) as usize;
        let lease = self.own.swap_remove(n);
        self.worker.close(lease).unwrap_or_else(|error| panic!("{what}: {error}"));
        let service = self.services[n % 2];
        let connection = self.worker.connect(service, &flow(n as u32)).expect("one is up");
        self.own.push(connection.into_lease());
    }

    fn tick(&self) {
        self.director.tick(self.director.now() + Duration::from_secs(2));
    }

    /// Ejections end, and then there is a place for each that may be ejected.
    fn check_ejections(&mut self, what: &str) {
        let servers = self.director.servers(self.services[2]).expect("it runs");
        let servers: Vec<_> = servers.into_iter().map(|(id, _)| id).collect();
        let of = |id| -> ServerHealth { self.director.health(id).expect("it runs") };
        let ejected = || servers.iter().filter(|id| of(**id).ejected).count();
        for server in &servers {
            let set = self.director.set_state(*server, Holder::Host, ServerState::Up);
            set.unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        (0..3).for_each(|_| self.tick());
        assert_eq!(ejected(), 0, "{what}: ejections end");
        for server in servers.iter().chain(&servers) {
            self.worker.report(*server, Outcome::Failed, None).expect("it runs");
        }
        assert_eq!(ejected(), 2, "{what}: places");
        for server in &servers {
            self.worker.report(*server, Outcome::Done, None).expect("it runs");
        }
        (0..3).for_each(|_| self.tick());
        assert_eq!(ejected(), 0, "{what}: ejections end");
    }

    /// No template is left, as the dead hold none, and there is room for as many as before.
    fn check_templates(&mut self, what: &str) {
        let remembered = || {
            let service = self.director.observe().services.remove(3);
            service.templates.expect("it is persistent")
        };
        // One that a connection held when it was over has lived for a minute more.
        (0..2).for_each(|_| self.director.tick(self.director.now() + Duration::from_secs(61)));
        assert_eq!(remembered().entries, 0, "{what}: templates");
        for client in 0..100 {
            let pick = self.worker.pick_server(self.services[3], &flow(client)).expect("one is up");
            let again = self.worker.pick_server(self.services[3], &flow(client));
            assert_eq!(again.map(|it| it.address()), Ok(pick.address()), "{what}: {client}");
        }
        let remembered = remembered();
        assert_eq!((remembered.entries, remembered.refused), (100, 0), "{what}: templates");
    }

    fn place_of(&self, lease: &Lease) -> (usize, std::net::SocketAddr) {
        let found = self.services.iter().enumerate().find_map(|(n, service)| {
            let mut servers = self.director.servers(*service).into_iter().flatten();
            servers.find(|(id, _)| *id == lease.server()).map(|(_, at)| (n, at.server.address))
        });
        found.expect("a configured server")
    }
}

fn services(director: &Director) -> [ServiceId; 4] {
    let keys = [0, 1, 2, 3].map(|n| configs()[0].services[n].key);
    keys.map(|key| director.service_by_key(&key).expect("it runs"))
}

/// A process that is to be killed.
struct Child {
    block: Block,
    director: Director,
    worker: Worker,
    services: [ServiceId; 4],
    random: Random,
    held: Vec<Lease>,
}

impl Child {
    fn new(block: &Block, seed: u64) -> Self {
        let director = Director::in_block(&configs()[0], block).expect("a valid config");
        let worker = director.worker();
        let services = services(&director);
        let (random, held) = (Random(seed), Vec::with_capacity(2 * HELD));
        Child { block: block.clone(), director, worker, services, random, held }
    }

    fn connect_for(&mut self, rounds: u64) {
        for n in 0..rounds {
            let service = self.services[(n % 4) as usize];
            let client = self.random.below(20) as u32;
            if let Ok(connection) = self.worker.connect(service, &flow(client)) {
                self.held.push(connection.into_lease());
            }
            let at = self.random.below(self.held.len().max(1) as u64) as usize;
            if let Some(lease) = self.held.get_mut(at) {
                let _ = self.worker.update(lease, Activity::Inactive);
            }
            if self.held.len() > HELD {
                let lease = self.held.swap_remove(at);
                let outcomes = [Outcome::Failed, Outcome::Failed, Outcome::Done];
                let outcome = outcomes[self.random.below(3) as usize];
                let _ = self.worker.close_with(lease, outcome, None);
            }
        }
    }

    fn change(&mut self) {
        let mut now = Duration::from_secs(1);
        for n in 0u64.. {
            self.connect_for(3);
            let config = &configs()[(n % 2) as usize];
            self.director.apply(config).expect("a valid config");
            let services = self.services;
            let states = [ServerState::Up, ServerState::Draining, ServerState::Down];
            let servers = self.director.servers(services[self.random.below(4) as usize]);
            for (id, _) in servers.into_iter().flatten() {
                let state = states[self.random.below(3) as usize];
                let _ = self.director.set_state(id, Holder::Host, state);
                let _ = self.worker.report(id, Outcome::Failed, None);
                if self.random.below(4) == 0 {
                    let _ = self.director.set_weight(id, self.random.below(5) as u32);
                }
                let _ = self.director.set_state(id, Holder::Host, ServerState::Up);
            }
            now += Duration::from_secs(1);
            self.director.tick(now);
        }
    }

    fn reclaim(&mut self, corpse: OwnerId) {
        let _ = self.block.reclaim(corpse);
        self.connect_for(u64::MAX);
    }
}

fn wait_for_stop(process: pid_t) {
    let mut status = 0;
    // SAFETY: `status` is an int to write to.
    let found = unsafe { libc::waitpid(process, &mut status, 0) };
    assert!(found == process && libc::WIFSTOPPED(status), "the child has ended: it said why");
}

fn resume(process: pid_t) {
    // SAFETY: a child of this program that is traced and stopped.
    unsafe { libc::ptrace(libc::PTRACE_CONT, process, 0, 0) };
}

fn wait_for_end(process: pid_t) {
    resume(process);
    let mut status = 0;
    // SAFETY: `status` is an int to write to.
    let found = unsafe { libc::waitpid(process, &mut status, 0) };
    assert!(found == process && libc::WIFEXITED(status), "the child was stopped");
}

fn step(process: pid_t, instructions: u64) {
    for _ in 0..instructions {
        let mut status = 0;
        // SAFETY: a child of this program that is traced and stopped; `status` is an int to write to.
        unsafe {
            libc::ptrace(libc::PTRACE_SINGLESTEP, process, 0, 0);
            libc::waitpid(process, &mut status, 0);
        }
        if !libc::WIFSTOPPED(status) {
            return;
        }
    }
}

fn kill(process: pid_t) {
    let mut status = 0;
    // SAFETY: a child of this program; `status` is an int to write to.
    unsafe {
        libc::kill(process, libc::SIGKILL);
        libc::waitpid(process, &mut status, 0);
    }
}
