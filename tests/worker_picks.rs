//! In services shared `per-worker`, every pick of lc, wlc, sed and nq goes to a server with the least load
//! that the worker goes by, through everything that changes loads, servers and workers.

mod common;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use common::{Random, config, flow, rip, server_id};
use vsched::config::{KernelRules, ServiceKey, Sharing, Thresholds};
use vsched::{Activity, Config, Director, Holder, Lease, SchedulerKind, ServerState, Worker};

const SCHEDULERS: [SchedulerKind; 4] =
    [SchedulerKind::Lc, SchedulerKind::Wlc, SchedulerKind::Sed, SchedulerKind::Nq];
/// Scanned; indexed in one row, in two.
const SIZES: [u16; 3] = [5, 40, 70];
/// With a common multiple for 32-bit keys, without one, and past exact keys.
const WEIGHTS: [&[u32]; 3] = [&[1, 2, 3, 4], &[7, 11, 13, 17, 0], &[1, 3, 100_000]];

struct Open {
    server: SocketAddr,
    activity: Activity,
    /// The worker that counts it; none once that has gone.
    owner: Option<u64>,
    lease: Lease,
}

/// What the test knows of a director.
struct Model {
    director: Director,
    config: Config,
    workers: Vec<(u64, Worker)>,
    open: Vec<Open>,
    down: Vec<SocketAddr>,
    /// How many workers there have been.
    begun: u64,
    /// Among how many workers the connections of no worker are divided.
    shares: u32,
}

impl Model {
    fn new(kind: SchedulerKind, servers: u16, weights: &[u32]) -> Self {
        let mut config = config(kind, servers, weights).with_kernel_rules(KernelRules::B);
        config.services[0].sharing = Sharing::PerWorker;
        let director = Director::new(&config).expect("a valid config");
        let (workers, open, down) = (Vec::new(), Vec::new(), Vec::new());
        Model { director, config, workers, open, down, begun: 0, shares: 1 }
    }

    fn key(&self) -> ServiceKey {
        self.config.services[0].key
    }

    fn begin_worker(&mut self) {
        self.workers.push((self.begun, self.director.worker()));
        self.begun += 1;
        self.share();
    }

    /// As `Sharing::PerWorker` documents it.
    fn share(&mut self) {
        let (living, before) = (self.workers.len().max(1) as u32, self.shares);
        if living.min(before) == 1 || living >= 2 * before || 2 * living <= before {
            self.shares = living;
        }
    }

    /// The load per weight that the worker goes by, as a fraction; none if the server is unavailable.
    fn load(&self, worker: u64, server: &vsched::config::RealServer) -> Option<(u128, u128)> {
        let id = server_id(&self.director, &self.key(), server.address)?;
        let overloaded = self.director.counts(id).expect("it runs").overloaded;
        if overloaded || server.weight == 0 || self.down.contains(&server.address) {
            return None;
        }
        let sum = |of: &dyn Fn(Option<u64>) -> bool| {
            let here = self.open.iter().filter(|it| it.server == server.address && of(it.owner));
            here.fold((0, 0), |(active, total), it| {
                (active + u128::from(it.activity == Activity::Active), total + 1)
            })
        };
        let (active, total) = if self.shares == 1 {
            sum(&|_| true)
        } else {
            let (own, common) =
                (sum(&|owner| owner == Some(worker)), sum(&|owner| owner.is_none()));
            (own.0 + common.0 / u128::from(self.shares), own.1 + common.1 / u128::from(self.shares))
        };
        let weight = u128::from(server.weight);
        Some(match self.config.services[0].scheduler.expect("a scheduler") {
            SchedulerKind::Lc => (256 * active + total, 1),
            SchedulerKind::Wlc => (256 * active + total, weight),
            SchedulerKind::Nq if active == 0 => (0, 1),
            _ => (active + 1, weight),
        })
    }

    fn connect(&mut self, at: usize, step: u32, context: &str) {
        let (number, worker) = &self.workers[at];
        let loads: BTreeMap<SocketAddr, (u128, u128)> = self.config.services[0]
            .servers
            .iter()
            .filter_map(|server| Some((server.address, self.load(*number, server)?)))
            .collect();
        let service = self.director.service_by_key(&self.key()).expect("it runs");
        let Ok(connection) = worker.connect(service, &flow(step)) else {
            assert!(loads.is_empty(), "{context} {step}: refused, {loads:?}");
            return;
        };
        let picked = connection.address();
        let (load, weight) = *loads.get(&picked).expect("an available server");
        for (server, (other, by)) in &loads {
            assert!(
                load * by <= other * weight,
                "{context} {step}: {picked} has {load}/{weight}, {server} {other}/{by}"
            );
        }
        let (server, lease) = (picked, connection.into_lease());
        self.open.push(Open { server, activity: Activity::Active, owner: Some(*number), lease });
    }

    fn set_state(&mut self, server: SocketAddr) {
        let Some(id) = server_id(&self.director, &self.key(), server) else { return };
        let state = match self.down.iter().position(|it| *it == server) {
            Some(at) => {
                self.down.swap_remove(at);
                ServerState::Up
            }
            None => {
                self.down.push(server);
                ServerState::Down
            }
        };
        self.director.set_state(id, Holder::Host, state).expect("it runs");
    }

    fn reload(&mut self, random: &mut Random, kind: SchedulerKind, size: u16, weights: &[u32]) {
        let mut config = config(kind, size, weights).with_kernel_rules(KernelRules::B);
        let service = &mut config.services[0];
        service.sharing = Sharing::PerWorker;
        match random.below(4) {
            0 => service.servers.retain(|_| random.below(3) > 0),
            1 => {
                for server in service.servers.iter_mut().step_by(3) {
                    server.thresholds = Thresholds::new(1 + random.below(4) as u32, 0);
                }
            }
            2 => service.servers.iter_mut().for_each(|it| it.weight = weights[0]),
            _ => {}
        }
        if config != self.config {
            self.director.apply(&config).expect("a valid config");
            self.shares = self.workers.len().max(1) as u32;
        }
        self.config = config;
    }
}

fn every_pick_has_the_least_load(kind: SchedulerKind, size: u16, weights: &[u32], seed: u64) {
    let mut random = Random(seed);
    let context = format!("{kind:?} {size} {weights:?} {seed}");
    let mut model = Model::new(kind, size, weights);
    for step in 0..500 {
        if model.workers.is_empty() {
            model.begin_worker();
        }
        let at = random.below(model.workers.len() as u64) as usize;
        match random.below(60) {
            0..30 => model.connect(at, step, &context),
            30..44 if !model.open.is_empty() => {
                let it = random.below(model.open.len() as u64) as usize;
                let open = model.open.swap_remove(it);
                model.workers[at].1.close(open.lease).expect("an open lease");
            }
            44..48 if !model.open.is_empty() => {
                let it = random.below(model.open.len() as u64) as usize;
                let Open { activity, lease, .. } = &mut model.open[it];
                *activity = [Activity::Active, Activity::Inactive][random.below(2) as usize];
                model.workers[at].1.update(lease, *activity).expect("an open lease");
            }
            48..52 => model.set_state(rip(1 + random.below(size.into()) as u16)),
            52 | 53 if model.workers.len() < 5 => model.begin_worker(),
            54 | 55 => {
                let (gone, worker) = model.workers.swap_remove(at);
                drop(worker);
                let owned = model.open.iter_mut().filter(|it| it.owner == Some(gone));
                owned.for_each(|it| it.owner = None);
                model.share();
            }
            56 => model.reload(&mut random, kind, size, weights),
            _ => {}
        }
    }
}

#[test]
fn every_pick_of_a_worker_has_the_least_load_it_goes_by() {
    for kind in SCHEDULERS {
        for size in SIZES {
            for weights in WEIGHTS {
                (0..6).for_each(|seed| every_pick_has_the_least_load(kind, size, weights, seed));
            }
        }
    }
}
