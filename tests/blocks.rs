//! Directors that share their state in a block of memory.

mod common;

use std::collections::BTreeMap;

use vsched::config::Thresholds;
use vsched::error::{ApplyError, BlockError};
use vsched::{
    Block, BlockLimits, Config, Director, Holder, Lease, Reclaimed, Refused, SchedulerKind,
    ServerState, ServiceId, Worker,
};

use common::{flow, rip, server, server_id, service};

/// Some directors on one block, each with a worker, as processes would have them.
struct World {
    directors: Vec<(Director, Worker)>,
    block: Block,
}

fn limits() -> BlockLimits {
    BlockLimits::new(64, 64).with_owners(8)
}

impl World {
    fn new(config: &Config, count: usize) -> Self {
        let block = Block::anonymous(&limits()).expect("memory");
        let directors = (0..count).map(|_| {
            let director = Director::in_block(config, &block);
            let director = director.expect("a config that can be shared");
            let worker = director.worker();
            (director, worker)
        });
        World { directors: directors.collect(), block }
    }

    fn service(&self, config: &Config) -> ServiceId {
        self.directors[0].0.service_by_key(&config.services[0].key).expect("it runs")
    }

    fn worker(&self, n: usize) -> &Worker {
        &self.directors[n % self.directors.len()].1
    }
}

fn config(kind: SchedulerKind, weights: &[u32]) -> Config {
    let servers = (1..).zip(weights).map(|(n, weight)| server(n, *weight));
    Config::new().with_service(service(0, kind).with_servers(servers.collect()))
}

/// All schedulers whose state can be shared.
fn kinds() -> impl Iterator<Item = SchedulerKind> {
    let kept = [SchedulerKind::Lblc, SchedulerKind::Lblcr];
    SchedulerKind::ALL.iter().copied().filter(move |kind| !kept.contains(kind))
}

/// Whoever picks: the sequence over all directors is that of one.
#[test]
fn directors_pick_as_one() {
    for kind in kinds() {
        let config = config(kind, &[3, 1, 2, 0, 1]);
        let one = Director::new(&config).expect("a valid config");
        let service = one.service_by_key(&config.services[0].key).expect("it runs");
        let worker = one.worker();
        let world = World::new(&config, 3);
        let shared = world.service(&config);
        let mut held: Vec<(Lease, (usize, Lease))> = Vec::new();
        let mut picked = 0;
        for n in 0..200usize {
            let flow = flow(n as u32 % 17);
            let expected = worker.connect(service, &flow);
            let found = world.worker(n).connect(shared, &flow);
            let (expected, found) = match (expected, found) {
                (Ok(expected), Ok(found)) => (expected, found),
                // It hashes to the quiesced one.
                (expected, found) => {
                    assert_eq!(found.err(), expected.err(), "{kind:?} {n}");
                    continue;
                }
            };
            picked += 1;
            assert_eq!(found.address(), expected.address(), "{kind:?} {n}");
            held.push((expected.into_lease(), (n, found.into_lease())));
            if n % 3 == 2 {
                let (expected, found) = held.swap_remove(n * 7 % held.len());
                worker.close(expected).expect("open");
                let (n, found) = found;
                world.worker(n).close(found).expect("open");
            }
        }
        // Beyond the weights, ovf refuses.
        let least = if kind == SchedulerKind::Ovf { 10 } else { 100 };
        assert!(picked > least, "{kind:?}: {picked}");
    }
}

fn tally(
    addresses: impl Iterator<Item = std::net::SocketAddr>,
) -> BTreeMap<std::net::SocketAddr, u32> {
    let mut tally = BTreeMap::new();
    addresses.for_each(|address| *tally.entry(address).or_default() += 1);
    tally
}

/// 12 connections of 8 directors to 3 servers: 4 each.
#[test]
fn least_connections_are_of_all() {
    for kind in [SchedulerKind::Lc, SchedulerKind::Wlc, SchedulerKind::Sed, SchedulerKind::Nq] {
        for servers in [3, 40] {
            let config = common::config(kind, servers, &[1]);
            let world = World::new(&config, 8);
            let service = world.service(&config);
            let leases: Vec<_> = (0..4 * usize::from(servers))
                .map(|n| world.worker(n).connect(service, &flow(n as u32)).expect("one is up"))
                .collect();
            let tally = tally(leases.iter().map(|connection| connection.address()));
            assert!(
                tally.len() == usize::from(servers) && tally.values().all(|n| *n == 4),
                "{tally:?}"
            );
        }
    }
}

#[test]
fn thresholds_hold_over_all() {
    // Beyond the weights, ovf refuses.
    for kind in kinds().filter(|kind| *kind != SchedulerKind::Ovf) {
        let mut config = config(kind, &[1, 1]);
        config.services[0].servers[0].thresholds = Thresholds::new(4, 0);
        config.services[0].servers[1].thresholds = Thresholds::new(3, 0);
        let world = World::new(&config, 3);
        let service = world.service(&config);
        let mut leases = Vec::new();
        let refused = loop {
            match world.worker(leases.len()).connect(service, &flow(leases.len() as u32)) {
                Ok(connection) => leases.push(connection),
                Err(why) => break why,
            }
        };
        let hashes = [SchedulerKind::Sh, SchedulerKind::Dh, SchedulerKind::Mh].contains(&kind);
        assert!(hashes || refused == Refused::AllOverloaded, "{kind:?}: {refused:?}");
        assert!(
            leases.len() >= 3 && (hashes && leases.len() <= 7 || leases.len() == 7),
            "{kind:?}"
        );
        if !hashes {
            for n in 0..3 {
                let again = world.worker(n).connect(service, &flow(0)).err();
                assert_eq!(again, Some(refused), "{kind:?}");
            }
        }
        drop(leases);
        assert!(world.worker(0).connect(service, &flow(0)).is_ok(), "{kind:?}");
    }
}

#[test]
fn a_state_is_obeyed_by_all() {
    for kind in kinds() {
        let config = config(kind, &[2, 1]);
        let key = config.services[0].key;
        let world = World::new(&config, 3);
        let service = world.service(&config);
        let id = server_id(&world.directors[0].0, &key, rip(1)).expect("it runs");
        for (_, director) in world.directors.iter().map(|(director, worker)| (worker, director)) {
            assert_eq!(server_id(director, &key, rip(1)), Some(id), "ids are the same");
        }
        let set = |n: usize, holder, state| {
            world.directors[n].0.set_state(id, holder, state).expect("it runs")
        };
        let takes = |n: usize| {
            (0..30).any(|client| {
                world.worker(n).pick_server(service, &flow(client)).expect("one is up").server()
                    == id
            })
        };
        set(1, Holder::HealthChecker, ServerState::Down);
        set(2, Holder::Administrator, ServerState::Draining);
        assert!((0..3).all(|n| !takes(n)), "{kind:?}");
        assert!(
            world
                .directors
                .iter()
                .all(|(director, _)| director.state(id) == Some(ServerState::Down))
        );
        // A reload undoes nothing, nor does a newcomer.
        world.directors[0].0.apply(&config).expect("a valid config");
        let late = Director::in_block(&config, &world.block).expect("room");
        assert_eq!(late.state(id), Some(ServerState::Down));
        // Each releases what it holds: another process may do it in the same name.
        set(0, Holder::HealthChecker, ServerState::Up);
        assert_eq!(late.state(id), Some(ServerState::Draining));
        assert!((0..3).all(|n| !takes(n)), "{kind:?}");
        set(1, Holder::Administrator, ServerState::Up);
        assert!(
            world.directors.iter().all(|(director, _)| director.state(id) == Some(ServerState::Up))
        );
    }
}

/// An owner that has gone gives back what it held, and a lease of it closes nothing.
#[test]
fn what_an_owner_held_is_given_back() {
    let config = config(SchedulerKind::Wlc, &[1, 1]);
    let mut world = World::new(&config, 3);
    let service = world.service(&config);
    let mut leases: Vec<Lease> = (0..9)
        .map(|n| world.worker(n).connect(service, &flow(0)).expect("one is up").into_lease())
        .collect();
    let open = |world: &World| {
        let observed = world.directors[0].0.observe();
        observed.services[0].servers.iter().map(|server| server.counts.active).sum::<u32>()
    };
    assert_eq!(open(&world), 9);
    let (director, worker) = world.directors.pop().expect("three");
    let dead = director.owner().expect("it is in a block");
    drop((director, worker));
    assert_eq!(open(&world), 6);
    assert_eq!(world.block.reclaim(dead), Err(BlockError::NoOwner), "it left by itself");
    // One that is declared dead without leaving.
    let dead = world.directors[1].0.owner().expect("it is in a block");
    assert_eq!(world.block.reclaim(dead), Ok(Reclaimed::All));
    assert_eq!(open(&world), 3);
    for n in [0, 2, 3, 5, 6, 8] {
        let (mine, whose) = (n % 3 == 0, &mut leases[n]);
        assert_eq!(world.directors[0].1.close_in_place(whose).is_ok(), mine, "{n}");
    }
    assert_eq!(open(&world), 0);
}

/// Old and new configs side by side: each version has its own sequence, and the new one goes on where the
/// old one was.
#[test]
fn each_version_has_its_sequence() {
    for kind in [SchedulerKind::Rr, SchedulerKind::Wrr] {
        let (old, new) = (config(kind, &[1, 2, 3]), config(kind, &[1, 2, 3, 2]));
        let world = World::new(&old, 4);
        let service = world.service(&old);
        let one = Director::new(&old).expect("a valid config");
        let alone = one.service_by_key(&old.services[0].key).expect("it runs");
        let next_of_one =
            |worker: &Worker| worker.pick_server(alone, &flow(0)).expect("up").address();
        let next = |n: usize| world.worker(n).pick_server(service, &flow(0)).expect("up").address();
        let worker = one.worker();
        for n in 0..17 {
            assert_eq!(next(n), next_of_one(&worker), "{kind:?} {n}");
        }
        // Two of four go over, one after the other.
        let copy = Director::new(&old).expect("a valid config");
        let copied = copy.service_by_key(&old.services[0].key).expect("it runs");
        let other = copy.worker();
        (0..17).for_each(|_| _ = other.pick_server(copied, &flow(0)));
        copy.apply(&new).expect("a valid config");
        world.directors[0].0.apply(&new).expect("a valid config");
        world.directors[1].0.apply(&new).expect("a valid config");
        for n in 0..40 {
            let expected = other.pick_server(copied, &flow(0)).expect("up").address();
            assert_eq!(next(n % 2), expected, "{kind:?} new {n}");
            assert_eq!(next(2 + n % 2), next_of_one(&worker), "{kind:?} old {n}");
        }
        // Back: the old version has gone on meanwhile.
        world.directors[0].0.apply(&old).expect("a valid config");
        for n in 0..10 {
            assert_eq!(next([0, 2, 3][n % 3]), next_of_one(&worker), "{kind:?} back {n}");
        }
    }
}

/// Slots are free again once no owner has the server and no connection is open.
#[test]
fn servers_come_and_go() {
    let all = common::config(SchedulerKind::Lc, 60, &[1]);
    let world = World::new(&all, 2);
    let service = world.service(&all);
    let lease = world.worker(0).connect(service, &flow(0)).expect("up").into_lease();
    let others = {
        let servers = (100..150).map(|n| server(n, 1)).collect();
        Config::new().with_service(common::service(0, SchedulerKind::Lc).with_servers(servers))
    };
    let tick = |n: usize| {
        // It no longer looks at an old table.
        let _ = world.worker(n).service_for(&flow(0));
        world.directors[n].0.tick(std::time::Duration::from_secs(1));
    };
    let [a, b] = [&world.directors[0].0, &world.directors[1].0];
    let full = a.apply(&others).expect_err("60 and 50");
    assert!(matches!(full, ApplyError::Full { what: "servers", limit: 64, .. }), "{full}");
    assert_eq!(a.observe().services[0].servers.len(), 60, "nothing has changed");
    a.apply(&Config::new()).expect("a valid config");
    tick(0);
    assert!(a.apply(&others).is_err(), "the other has them");
    b.apply(&Config::new()).expect("a valid config");
    (0..2).for_each(tick);
    a.apply(&others).expect("all are free but one");
    b.apply(&others).expect("the same");
    world.worker(0).close(lease).expect("open, wherever its server is");
}

#[test]
fn what_cannot_be_shared_is_refused() {
    use vsched::config::Sharing;
    let plain = config(SchedulerKind::Wlc, &[1, 1]);
    let world = World::new(&plain, 1);
    type Edit = fn(&mut vsched::config::VirtualService);
    let edits: [(&str, Edit); 3] = [
        ("scheduler", |service| service.scheduler = Some(SchedulerKind::Lblc)),
        ("sharing", |service| service.sharing = Sharing::PerWorker),
        ("sharing", |service| {
            service.scheduler = Some(SchedulerKind::Rr);
            service.sharing = Sharing::Chunks(1);
        }),
    ];
    for (setting, edit) in edits {
        let mut config = plain.clone();
        edit(&mut config.services[0]);
        let error = world.directors[0].0.apply(&config).expect_err(setting).to_string();
        assert!(error.contains(&format!("`{setting}`")), "{error}");
        assert_eq!(world.directors[0].0.config().services, plain.services);
    }
}

/// By name, at the start as in a reload, and as a type that a host can match.
#[test]
fn chunks_are_refused() {
    use vsched::config::Sharing;
    let mut chunks = config(SchedulerKind::Wrr, &[1, 2]);
    chunks.services[0].sharing = Sharing::Chunks(16);
    let key = chunks.services[0].key.to_string();
    let refused = |error: ApplyError| {
        let ApplyError::Block(BlockError::NotShareable { service, setting }) = &error else {
            panic!("{error}");
        };
        assert_eq!((service, *setting), (&key, "sharing"));
        let expected = format!("service {key}: the state of `sharing` cannot be shared");
        assert!(error.to_string().contains(&expected), "{error}");
    };
    let block = Block::anonymous(&limits()).expect("memory");
    refused(Director::in_block(&chunks, &block).expect_err("chunks"));
    // Nothing of it is left, and the block works.
    let exact = config(SchedulerKind::Wrr, &[1, 2]);
    let director = Director::in_block(&exact, &block).expect("a config that can be shared");
    refused(director.apply(&chunks).expect_err("chunks"));
    assert_eq!(director.config().services, exact.services);
    let service = director.service_by_key(&exact.services[0].key).expect("it runs");
    director.worker().pick_server(service, &flow(0)).expect("two are up");
}

/// A correction changes what the director itself has open; what others have stays.
#[test]
fn counts_are_corrected() {
    let config = config(SchedulerKind::Lc, &[1]);
    let world = World::new(&config, 2);
    let service = world.service(&config);
    let id = server_id(&world.directors[0].0, &config.services[0].key, rip(1)).expect("it runs");
    let open = |n: usize| world.worker(n).connect(service, &flow(0)).expect("up").into_lease();
    let (_lost, kept) = ([open(0), open(0)], open(1));
    let active = |n: usize| world.directors[n].0.counts(id).expect("it runs").active;
    let set = |n: usize, active, inactive| world.directors[n].0.set_counts(id, active, inactive);
    assert_eq!(set(0, 1, 0).expect("it runs").active, 3);
    assert_eq!((active(0), active(1)), (1, 1));
    assert_eq!(set(0, 0, 0).expect("it runs").active, 1);
    assert_eq!(active(0), 1, "the other's");
    assert_eq!(set(0, 3, 2).expect("it runs").active, 1);
    assert_eq!(active(1), 3);
    world.worker(1).close(kept).expect("open");
    assert_eq!(active(1), 2);
    assert_eq!(set(1, u32::MAX, 1), Err(vsched::ConnectionError::Full));
    let owner = world.directors[0].0.owner().expect("in a block");
    assert_eq!(world.block.reclaim(owner), Ok(Reclaimed::All));
    assert_eq!(active(1), 0);
}

/// Versions that nobody uses any more make room for others.
#[test]
fn versions_are_reused() {
    let world = World::new(&config(SchedulerKind::Rr, &[1, 1]), 2);
    for n in 0..1_000 {
        let weights: Vec<u32> = (0..3).map(|at| 1 + (n >> at) % 5).collect();
        let config = config(SchedulerKind::Wrr, &weights);
        let (director, worker) = &world.directors[n as usize % 2];
        director.apply(&config).expect("room for its version");
        let _ = worker.service_for(&flow(0));
    }
}

/// Directors of processes see a block at different addresses.
#[test]
fn blocks_have_names() {
    let folder = std::env::temp_dir().join(format!("vsched-blocks-{}", std::process::id()));
    std::fs::create_dir(&folder).expect("a new folder");
    let path = folder.join("block");
    let blocks =
        [0, 1, 2].map(|_| Block::named(&path, &limits()).expect("a new file, or the same"));
    let config = config(SchedulerKind::Rr, &[1, 1, 1]);
    let directors =
        blocks.each_ref().map(|block| Director::in_block(&config, block).expect("room"));
    let workers = directors.each_ref().map(Director::worker);
    let service = directors[0].service_by_key(&config.services[0].key).expect("it runs");
    let picks =
        (0..9).map(|n| workers[n % 3].pick_server(service, &flow(0)).expect("up").address());
    assert_eq!(picks.collect::<Vec<_>>(), [3, 2, 1, 3, 2, 1, 3, 2, 1].map(rip));
    let others = BlockLimits::new(64, 64).with_owners(9);
    assert!(Block::named(&path, &others).is_err());
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let link = folder.join("link");
        symlink(&path, &link).expect("a link");
        let refused = Block::named(&link, &limits()).err().map(|error| error.to_string());
        assert!(refused.is_some_and(|why| why.starts_with("block: open: ")));
        let mode = |mode| std::fs::Permissions::from_mode(mode);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, mode(0o620)).expect("its owner's");
        let refused = Block::named(&path, &limits()).err().map(|error| error.to_string());
        assert_eq!(refused.as_deref(), Some("block: its file: other users can write it"));
    }
    std::fs::remove_dir_all(&folder).expect("it is there");
}
