//! Persistence of directors that share their state in a block: one template for a client, whoever made it.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use vsched::config::{Affinity, Persistence};
use vsched::error::{ApplyError, BlockError};
use vsched::{
    Activity, Block, BlockLimits, Config, Director, Holder, Lease, SchedulerKind, ServerState,
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

    fn in_block(config: &Config, block: &Block) -> Self {
        let director = Director::in_block(config, block);
        Process::of(director.expect("a config that can be shared"), config)
    }

    fn tick(&self, seconds: u64) {
        self.director.tick(Duration::from_secs(seconds));
    }

    fn open(&self, client: u32) -> Result<(SocketAddr, Lease), vsched::Refused> {
        let connection = self.worker.connect(self.service, &flow(client))?;
        Ok((connection.address(), connection.into_lease()))
    }

    fn pick(&self, client: u32) -> SocketAddr {
        self.worker.pick_server(self.service, &flow(client)).expect("one is up").address()
    }

    fn templates(&self) -> u32 {
        let observed = self.director.observe().services.remove(0);
        observed.templates.expect("it is persistent").entries
    }

    fn persistent(&self) -> Vec<u32> {
        let observed = self.director.observe().services.remove(0);
        observed.servers.iter().map(|server| server.counts.persistent).collect()
    }
}

fn block() -> Block {
    let limits = BlockLimits::new(64, 8).with_owners(8).with_addresses(4096);
    Block::anonymous(&limits).expect("memory")
}

fn config(kind: SchedulerKind, timeout: u32) -> Config {
    let servers = (1..=4).map(|n| server(n, u32::from(n))).collect();
    let persistent = service(0, kind).with_persistence(Persistence::new(timeout));
    Config::new().with_service(
        persistent.with_affinity(Affinity::default().with_capacity(1000)).with_servers(servers),
    )
}

/// Connections come and go, time passes, servers are held, counts are corrected: three directors decide, and know
/// of as many templates, as one.
#[test]
fn directors_remember_as_one() {
    for kind in [SchedulerKind::Wrr, SchedulerKind::Wlc, SchedulerKind::Sh] {
        let (config, block) = (config(kind, 100), block());
        let one = Process::of(Director::new(&config).expect("a valid config"), &config);
        let others: Vec<Process> = (0..3).map(|_| Process::in_block(&config, &block)).collect();
        let mut random = Random(11);
        let (mut now, mut held) = (0, Vec::new());
        for step in 0..3000 {
            let what = format!("{kind:?} {step}");
            let n = random.below(3) as usize;
            let by = &others[n];
            match random.below(20) {
                0..9 => {
                    let client = random.below(60) as u32;
                    match (one.open(client), by.open(client)) {
                        (Ok((expected, lease)), Ok((found, other))) => {
                            assert_eq!(found, expected, "{what}");
                            held.push((lease, n, other));
                        }
                        (expected, found) => assert_eq!(found.err(), expected.err(), "{what}"),
                    }
                }
                9..16 if !held.is_empty() => {
                    let at = random.below(held.len() as u64) as usize;
                    let (mut lease, n, mut other) = held.swap_remove(at);
                    if random.below(2) == 0 {
                        let _ = one.worker.update(&mut lease, Activity::Inactive);
                        let _ = others[n].worker.update(&mut other, Activity::Inactive);
                    }
                    one.worker.close(lease).expect("open");
                    others[n].worker.close(other).expect("open");
                }
                16 => {
                    let server = rip(1 + random.below(4) as u16);
                    let states = [
                        ServerState::Up,
                        ServerState::Up,
                        ServerState::Draining,
                        ServerState::Down,
                    ];
                    let state = states[random.below(4) as usize];
                    for it in [&one, by] {
                        let id = server_id(&it.director, &config.services[0].key, server);
                        let set = it.director.set_state(id.expect("it runs"), Holder::Host, state);
                        set.expect("it runs");
                    }
                }
                _ => {
                    now += random.below(40);
                    [&one].into_iter().chain(&others).for_each(|it| it.tick(now));
                    for it in &others {
                        assert_eq!(it.templates(), one.templates(), "{what}");
                        assert_eq!(it.persistent(), one.persistent(), "{what}");
                    }
                }
            }
        }
    }
}

/// A template is not over while any director has a connection open through it, and then it is.
#[test]
fn a_template_is_held_by_any() {
    let (config, block) = (config(SchedulerKind::Rr, 10), block());
    let [a, b] = [Process::in_block(&config, &block), Process::in_block(&config, &block)];
    let tick = |seconds| [&a, &b].iter().for_each(|it| it.tick(seconds));
    tick(1);
    let (address, first) = a.open(1).expect("one is up");
    let (also, second) = b.open(1).expect("one is up");
    assert_eq!(also, address);
    tick(50);
    a.worker.close(first).expect("open");
    tick(200);
    assert_eq!((a.templates(), a.pick(1), b.pick(1)), (1, address, address));
    b.worker.close(second).expect("open");
    tick(1000);
    assert_eq!((a.templates(), b.templates()), (0, 0));
}

/// What a director held that ended without a word holds no template any more.
#[test]
fn a_template_is_not_held_by_the_dead() {
    let (config, block) = (config(SchedulerKind::Rr, 10), block());
    let [a, b] = [Process::in_block(&config, &block), Process::in_block(&config, &block)];
    let (address, _lost) = b.open(1).expect("one is up");
    let owner = b.director.owner().expect("of a block");
    std::mem::forget(b);
    a.tick(100);
    assert_eq!((a.templates(), a.pick(1)), (1, address));
    let _ = block.reclaim(owner).expect("it is there");
    a.tick(1000);
    assert_eq!(a.templates(), 0);
    // The next owner in its place does not hold it either.
    let c = Process::in_block(&config, &block);
    let (_, lease) = a.open(2).expect("one is up");
    a.worker.close(lease).expect("open");
    a.tick(2000);
    assert_eq!((a.templates(), c.templates()), (0, 0));
}

/// Addresses that there is no room for: the config is refused, and nothing has changed.
#[test]
fn maps_are_full() {
    let block = block();
    let mut config = config(SchedulerKind::Rr, 10);
    let a = Process::in_block(&config, &block);
    let before = a.director.config();
    let mut more = config.services[0].clone();
    more.key = service(1, SchedulerKind::Rr).key;
    more.affinity.capacity = 3000;
    let wanted = config.clone().with_service(more.clone());
    match a.director.apply(&wanted) {
        Err(ApplyError::Block(BlockError::AddressesFull { service, needed, room })) => {
            assert_eq!((service, needed), (more.key.to_string(), 3000));
            assert!((2048..=3072).contains(&room), "{room}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(a.director.config(), before);
    // What is left, and what a service leaves.
    more.affinity.capacity = 2000;
    config.services.push(more.clone());
    a.director.apply(&config).expect("room");
    let b = Process::in_block(&config, &block);
    config.services.pop();
    [&a, &b].iter().for_each(|it| _ = it.director.apply(&config).expect("a valid config"));
    for second in 1..4 {
        [&a, &b].iter().for_each(|it| it.tick(second));
        [&a, &b].iter().for_each(|it| _ = it.pick(1));
    }
    more.key = service(2, SchedulerKind::Rr).key;
    config.services.push(more);
    a.director.apply(&config).expect("room");
    // Without any room.
    let none = Block::anonymous(&BlockLimits::new(64, 8)).expect("memory");
    assert!(matches!(
        Director::in_block(&config, &none),
        Err(ApplyError::Block(BlockError::AddressesFull { room: 0, .. }))
    ));
    let many = BlockLimits::new(64, 8).with_owners(33).with_addresses(1);
    let limit = BlockError::Limit { what: "owners", value: 33, most: 32 };
    assert_eq!(many.size(), Err(limit));
}

/// A server's slot that gets another server: templates do not lead there.
#[test]
fn a_template_does_not_name_the_next_server() {
    let (first, block) = (config(SchedulerKind::Rr, 1000), block());
    let a = Process::in_block(&first, &block);
    let clients: Vec<u32> = (0..20).filter(|client| a.pick(*client) == rip(2)).collect();
    assert!(!clients.is_empty());
    let mut without = first.clone();
    without.services[0].servers.remove(1);
    a.director.apply(&without).expect("a valid config");
    let mut second = without.clone();
    second.services[0].servers.push(server(9, 0));
    for n in 1..4 {
        let _ = a.pick(100);
        a.tick(n);
    }
    a.director.apply(&second).expect("a valid config");
    for client in clients {
        assert_ne!(a.pick(client), rip(9));
    }
}
