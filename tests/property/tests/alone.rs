//! A single worker of a `per-worker` service decides as all workers of a director together,
//! whatever happened before: two directors, one per kind of sharing, run random scripts, and their
//! answers are compared.

use std::net::{Ipv4Addr, SocketAddr};

use proptest::collection::vec;
use proptest::prelude::*;
use vsched::config::{Command, KernelRules, RealServer, ServiceKey, Sharing, VirtualService};
use vsched::{Activity, Config, Director, Flow, Lease, SchedulerKind, Worker};
use vsched_property::cases;
use vsched_property::twins::is_random;

const LEAST: &[&str] = &["lc", "wlc", "sed", "nq"];
/// Schedulers without rotation or randomness, whose state would start again for each worker.
const STATELESS: &[&str] = &["lc", "wlc", "sed", "nq", "lc", "wlc", "sed", "nq", "fo", "ovf", "sh"];
const WEIGHTS: [u32; 8] = [1, 1, 2, 5, 0, 3, 256, 100_000];
const LIMITS: [(u32, u32); 6] = [(0, 0), (0, 0), (0, 0), (1, 1), (2, 0), (5, 2)];

#[derive(Debug, Clone)]
enum Step {
    Connect(u32),
    /// A server by its place in the list.
    Open(usize, Activity),
    Update(usize, Activity),
    Close(usize),
    CloseMany(usize),
    Edit(usize, usize, usize),
    Remove(usize),
    Return(usize, usize),
    Scheduler(usize),
    Share(Sharing),
    DeleteAndAdd,
    /// Another worker comes and opens so many connections to a server; one of the two goes.
    Company(usize, usize, bool),
    Tick,
}

fn steps(is_stateless: bool) -> impl Strategy<Value = Vec<Step>> {
    let activity = || prop_oneof![Just(Activity::Active), Just(Activity::Inactive)];
    let common = prop_oneof![
        12 => (0u32..9).prop_map(Step::Connect),
        4 => (any::<usize>(), activity()).prop_map(|(server, to)| Step::Open(server, to)),
        4 => (any::<usize>(), activity()).prop_map(|(lease, to)| Step::Update(lease, to)),
        6 => any::<usize>().prop_map(Step::Close),
        1 => (1usize..30).prop_map(Step::CloseMany),
        2 => (any::<usize>(), 0..WEIGHTS.len(), 0..LIMITS.len())
            .prop_map(|(server, weight, limits)| Step::Edit(server, weight, limits)),
        1 => any::<usize>().prop_map(Step::Remove),
        2 => (any::<usize>(), 0..WEIGHTS.len()).prop_map(|(at, weight)| Step::Return(at, weight)),
        2 => any::<usize>().prop_map(Step::Scheduler),
        1 => Just(Step::DeleteAndAdd),
        1 => Just(Step::Tick),
    ];
    if !is_stateless {
        return vec(common, 1..150).boxed();
    }
    let sharing = prop_oneof![Just(Sharing::PerWorker), Just(Sharing::Exact)];
    let more = prop_oneof![
        12 => common,
        1 => sharing.prop_map(Step::Share),
        1 => (any::<usize>(), 0usize..8, any::<bool>())
            .prop_map(|(server, count, stays)| Step::Company(server, count, stays)),
    ];
    vec(more, 1..150).boxed()
}

/// One of the two directors.
struct Side {
    director: Director,
    worker: Worker,
    key: ServiceKey,
    leases: Vec<Lease>,
    is_exact: bool,
    removed: Vec<SocketAddr>,
    seconds: u64,
}

impl Side {
    fn new(scheduler: &str, generation: KernelRules, weights: &[usize], is_exact: bool) -> Self {
        let key: ServiceKey = "tcp 10.0.0.1:80".parse().expect("a key");
        let mut service = VirtualService::new(key);
        service.scheduler = Some(scheduler.parse().expect("a scheduler"));
        service.sharing = if is_exact { Sharing::Exact } else { Sharing::PerWorker };
        for (number, weight) in (0u32..).zip(weights) {
            let address = SocketAddr::from((Ipv4Addr::from(0x0a01_0000 + number), 80));
            service.servers.push(RealServer::new(address).with_weight(WEIGHTS[*weight]));
        }
        let config = Config::new().with_service(service).with_kernel_rules(generation);
        let director = Director::new(&config).expect("valid");
        let (worker, leases, removed) = (director.worker(), Vec::new(), Vec::new());
        Side { director, worker, key, leases, is_exact, removed, seconds: 0 }
    }

    fn service(&self) -> VirtualService {
        self.director.config().services.remove(0)
    }

    fn edit(&self, edit: impl FnOnce(&mut VirtualService)) {
        let mut service = self.service();
        edit(&mut service);
        let config = self.director.config();
        let config = config.with_services(vec![service]);
        self.director.apply(&config).expect("valid");
    }

    fn server(&self, at: usize) -> Option<RealServer> {
        let servers = self.service().servers;
        servers.get(at.checked_rem(servers.len())?).cloned()
    }

    fn run(&mut self, step: &Step, schedulers: &[&str]) -> Option<SocketAddr> {
        let flow = |client: u32| {
            let client = SocketAddr::from((Ipv4Addr::from(0x0a09_0000 + client), 4000));
            Flow::tcp(client, SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), 80)))
        };
        match step {
            Step::Connect(client) => {
                let service = self.director.service_by_key(&self.key)?;
                let connection = self.worker.connect(service, &flow(*client)).ok()?;
                let address = connection.address();
                self.leases.push(connection.into_lease());
                return Some(address);
            }
            Step::Open(at, activity) => {
                let server = vsched_property::server_id(
                    &self.director,
                    &self.key,
                    self.server(*at)?.address,
                )?;
                self.leases.push(self.worker.open(server, *activity).expect("it runs"));
            }
            Step::Update(at, activity) => {
                let at = at.checked_rem(self.leases.len())?;
                self.worker.update(&mut self.leases[at], *activity).expect("it is open");
            }
            Step::Close(at) => {
                let at = at.checked_rem(self.leases.len())?;
                self.worker.close(self.leases.swap_remove(at)).expect("it is open");
            }
            Step::CloseMany(count) => {
                let from = self.leases.len().saturating_sub(*count);
                for lease in self.leases.drain(from..) {
                    self.worker.close(lease).expect("it is open");
                }
            }
            Step::Edit(at, weight, limits) => {
                let (upper, lower) = LIMITS[*limits];
                let server = self.server(*at)?.with_weight(WEIGHTS[*weight]);
                let server = server.with_thresholds(upper, lower);
                let command = Command::EditServer { service: self.key, server };
                self.director.execute(&command).expect("it runs");
            }
            Step::Remove(at) => {
                let server = self.server(*at)?.address;
                let command = Command::DeleteServer { service: self.key, server };
                self.director.execute(&command).expect("it runs");
                self.removed.push(server);
            }
            Step::Return(at, weight) => {
                let at = at.checked_rem(self.removed.len())?;
                let server = RealServer::new(self.removed.swap_remove(at));
                let server = server.with_weight(WEIGHTS[*weight]);
                let command = Command::AddServer { service: self.key, server };
                self.director.execute(&command).expect("it is gone");
            }
            Step::Scheduler(at) => {
                let name = schedulers[at % schedulers.len()];
                self.edit(|service| service.scheduler = Some(name.parse().expect("a scheduler")));
            }
            Step::Share(sharing) if !self.is_exact => {
                self.edit(|service| service.sharing = *sharing);
            }
            Step::Share(_) => {}
            Step::DeleteAndAdd => {
                let service = self.service();
                let command = Command::DeleteService(self.key);
                self.director.execute(&command).expect("it runs");
                let config = self.director.config();
                let config = config.with_services(vec![service]);
                self.director.apply(&config).expect("valid");
            }
            Step::Company(at, count, stays) => {
                let mut other = self.director.worker();
                let server = vsched_property::server_id(
                    &self.director,
                    &self.key,
                    self.server(*at)?.address,
                )?;
                let open = |_| other.open(server, Activity::Active).expect("it runs");
                self.leases.extend((0..*count).map(open));
                if *stays {
                    std::mem::swap(&mut self.worker, &mut other);
                }
            }
            Step::Tick => {
                self.seconds += 1;
                self.director.tick(std::time::Duration::from_secs(self.seconds));
            }
        }
        None
    }
}

fn same(
    schedulers: &[&str],
    generation: KernelRules,
    weights: &[usize],
    steps: &[Step],
) -> Result<(), TestCaseError> {
    let side = |is_exact| Side::new(schedulers[0], generation, weights, is_exact);
    let (mut exact, mut per_worker) = (side(true), side(false));
    for (number, step) in steps.iter().enumerate() {
        let answers = (exact.run(step, schedulers), per_worker.run(step, schedulers));
        prop_assert_eq!(answers.0, answers.1, "step {}: {:?}", number, step);
    }
    Ok(())
}

fn weights() -> impl Strategy<Value = Vec<usize>> {
    let light = prop_oneof![Just(0..1usize), Just(0..WEIGHTS.len() - 1), Just(0..WEIGHTS.len())];
    let sizes = prop_oneof![1usize..6, 10usize..20, 60usize..70];
    (light, sizes).prop_flat_map(|(range, size)| vec(range, size))
}

fn generations() -> impl Strategy<Value = KernelRules> {
    prop_oneof![Just(KernelRules::A), Just(KernelRules::B)]
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn where_connections_decide(
        first in 0..LEAST.len(),
        generation in generations(),
        weights in weights(),
        steps in steps(true),
    ) {
        let mut schedulers = STATELESS.to_vec();
        schedulers.swap(0, first);
        same(&schedulers, generation, &weights, &steps)?;
    }

    #[test]
    fn under_any_scheduler(
        first in any::<proptest::sample::Index>(),
        generation in generations(),
        weights in weights(),
        steps in steps(false),
    ) {
        // But not by chance: which random number is the next is each worker's own affair.
        let kinds = SchedulerKind::ALL.iter().filter(|kind| !is_random(**kind));
        let mut schedulers: Vec<_> = kinds.map(|kind| kind.name()).collect();
        let first = first.index(schedulers.len());
        schedulers.swap(0, first);
        same(&schedulers, generation, &weights, &steps)?;
    }
}
