//! Four workers pick, open and close while configs and states of servers change: no count is lost, and no
//! pick returns anything stale.

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use common::{Random, rip, server, service};
use vsched::config::Affinity;
use vsched::{
    Activity, Config, Director, Flow, Holder, Lease, SchedulerKind, ServerState, ServiceId, Worker,
};

const RELOADS: usize = 10_000;
const WORKERS: u64 = 4;
const SERVICES: u16 = 3;
const SERVERS: u16 = 8;
/// Leases a worker holds at most.
const HELD: usize = 64;

/// What one version of the config gives every server; 0 = quiesced or not there.
type Weights = [[u32; SERVERS as usize]; SERVICES as usize];

struct Version {
    config: Config,
    weights: Weights,
    /// Servers that are held down once the config runs.
    down: [[bool; SERVERS as usize]; SERVICES as usize],
}

fn version(random: &mut Random) -> Version {
    let mut weights = Weights::default();
    let mut services = Vec::new();
    for n in 0..SERVICES {
        let kind = SchedulerKind::ALL[random.below(SchedulerKind::ALL.len() as u64) as usize];
        let mut servers = Vec::new();
        for at in 0..SERVERS {
            if random.below(3) > 0 {
                let weight = random.below(4) as u32;
                let upper = [0, 0, 40, 90][random.below(4) as usize];
                weights[usize::from(n)][usize::from(at)] = weight;
                servers.push(server(n * 100 + at, weight).with_thresholds(upper, upper / 2));
            }
        }
        // Small, because many a version makes new maps.
        let affinity = Affinity::default().with_capacity(64);
        services.push(service(n, kind).with_servers(servers).with_affinity(affinity));
    }
    let down = weights.map(|servers| servers.map(|_| random.below(5) == 0));
    Version { config: Config::new().with_services(services), weights, down }
}

struct Storm {
    director: Director,
    versions: Vec<Version>,
    /// Index of the latest version whose `apply` has begun, and of that has returned.
    begun: AtomicUsize,
    returned: AtomicUsize,
    stop: AtomicBool,
}

impl Storm {
    /// One pick; its server must be available in a config that was current during it.
    fn checked_pick(&self, worker: &Worker, at: u16, id: ServiceId) -> (Option<Lease>, bool) {
        let oldest = self.returned.load(Ordering::SeqCst);
        let pick = worker.pick_server(id, &Flow::default());
        let newest = self.begun.load(Ordering::SeqCst);
        let Ok(pick) = pick else {
            return (None, oldest != newest);
        };
        let place = (0..SERVERS)
            .position(|n| rip(at * 100 + n) == pick.address())
            .expect("a server of this service");
        let (current, n) = (&self.versions[oldest..=newest], usize::from(at));
        // While a reload is under way, a pick may go by the weights of one version and the states of
        // another.
        let up = oldest != newest || !current[0].down[n][place];
        assert!(
            up && current.iter().any(|version| version.weights[n][place] > 0),
            "server {} of service {at} picked in versions {oldest} to {newest}",
            pick.address()
        );
        let activity = if place % 2 == 0 { Activity::Active } else { Activity::Inactive };
        // Stale is possible: removed and swept since the pick.
        (worker.open(pick.server(), activity).ok(), oldest != newest)
    }

    fn set_states(&self, version: &Version) {
        for ((n, service), down) in (0..).zip(&version.config.services).zip(&version.down) {
            let id = self.director.service_by_key(&service.key).expect("it runs");
            for (server, observed) in self.director.servers(id).expect("it runs") {
                let known = |place: &u16| rip(n * 100 + place) == observed.server.address;
                let place = (0..SERVERS).find(known).expect("a server of this service");
                let down = down[usize::from(place)];
                let state = if down { ServerState::Down } else { ServerState::Up };
                if observed.state != state {
                    let set = self.director.set_state(server, Holder::HealthChecker, state);
                    assert_eq!(set, Ok(state));
                }
            }
        }
    }

    /// Picks, opens, updates and closes at random until told to stop. Returns opens and overlaps.
    fn work(&self, worker: &Worker, ids: &[ServiceId], seed: u64) -> (usize, usize) {
        let mut random = Random(seed);
        let mut held: Vec<Lease> = Vec::new();
        let (mut opened, mut overlaps) = (0, 0);
        while !self.stop.load(Ordering::SeqCst) {
            let at = random.below(u64::from(SERVICES)) as u16;
            let (lease, overlap) = self.checked_pick(worker, at, ids[usize::from(at)]);
            overlaps += usize::from(overlap);
            opened += usize::from(lease.is_some());
            held.extend(lease);
            if held.len() > HELD || (!held.is_empty() && random.below(2) == 0) {
                let chosen = random.below(held.len() as u64) as usize;
                if random.below(2) == 0 {
                    let other = match held[chosen].activity() {
                        Some(Activity::Active) => Activity::Inactive,
                        _ => Activity::Active,
                    };
                    worker.update(&mut held[chosen], other).expect("a held lease is open");
                }
                let lease = held.swap_remove(chosen);
                worker.close(lease).expect("a held lease is open");
            }
        }
        for lease in held {
            worker.close(lease).expect("a held lease is open");
        }
        (opened, overlaps)
    }
}

#[test]
fn counts_are_exact_and_picks_current_through_ten_thousand_reloads() {
    let mut random = Random(42);
    let versions: Vec<Version> = (0..=RELOADS).map(|_| version(&mut random)).collect();
    let director = Director::new(&versions[0].config).expect("a valid config");
    let ids: Vec<ServiceId> = (0..SERVICES)
        .map(|n| director.service(&format!("tcp {}", common::vip(n))).expect("it runs"))
        .collect();
    let storm = Storm {
        director: director.clone(),
        versions,
        begun: AtomicUsize::new(0),
        returned: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
    };
    storm.set_states(&storm.versions[0]);
    let (opened, overlaps) = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|seed| {
                let (storm, ids) = (&storm, &ids);
                scope.spawn(move || storm.work(&storm.director.worker(), ids, seed))
            })
            .collect();
        for (at, version) in storm.versions.iter().enumerate().skip(1) {
            storm.begun.store(at, Ordering::SeqCst);
            storm.director.apply(&version.config).expect("a valid config");
            storm.set_states(version);
            storm.returned.store(at, Ordering::SeqCst);
        }
        storm.stop.store(true, Ordering::SeqCst);
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker"))
            .fold((0, 0), |(opened, overlaps), (more, also)| (opened + more, overlaps + also))
    });
    assert!(opened > RELOADS, "only {opened} connections opened");
    assert!(overlaps > 100, "only {overlaps} picks met a reload");
    // Bring every server back that may still hold a slot, and look at its counts.
    let all = (0..SERVICES).map(|n| {
        service(n, SchedulerKind::Rr)
            .with_servers((0..SERVERS).map(|at| server(n * 100 + at, 1)).collect())
    });
    director.apply(&Config::new().with_services(all.collect())).expect("valid");
    for service in director.observe().services {
        for server in service.servers {
            let counts = (server.counts.active, server.counts.inactive);
            assert_eq!(counts, (0, 0), "{} {}", service.settings.key, server.server.address);
        }
    }
    director.apply(&Config::default()).expect("an empty config");
    assert_eq!(director.removed_servers(), 0, "every slot is free again");
}
