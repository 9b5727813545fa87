//! Random scripts: the actions of an administrator and of clients, one step after another.

use std::net::{Ipv4Addr, SocketAddr};

use proptest::collection::vec;
use proptest::prelude::*;
use vsched::SchedulerKind;
use vsched::config::{Family, Forwarding, KernelRules, RealServer, ServiceKey, VirtualService};

/// Services and server addresses that a script names.
pub const SERVICES: usize = 3;
/// Addresses of servers, the same in each service.
pub const SERVERS: usize = 7;

/// Weights that a script takes its weights from. What is hard for one scheduler is not for another.
const PALETTES: [[u32; 6]; 6] = [
    [1, 0, 2, 3, 4, 6],
    [7, 0, 7, 7, 7, 7],
    // Close to what an active connection weighs against an inactive one.
    [256, 0, 257, 1, 255, 258],
    [1, 0, 65535, 2, 65534, 32768],
    // Huge, with a huge divisor in common.
    [1 << 28, 0, 1 << 30, 3 << 28, 5 << 28, 7 << 28],
    [1, 0, i32::MAX as u32, 2, i32::MAX as u32 - 1, 1 << 30],
];

/// Upper and lower thresholds.
const LIMITS: [(u32, u32); 10] =
    [(0, 0), (0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 3), (4, 1), (5, 2)];

/// A script and the ground it runs on.
#[derive(Debug, Clone)]
pub struct Script {
    /// Which kernels to follow.
    pub generation: KernelRules,
    /// Seed of the random schedulers.
    pub seed: u64,
    /// Index of the palette of weights.
    pub palette: usize,
    /// All services are persistent, for so many seconds.
    pub persistent: Option<u32>,
    /// The steps. All begin from an empty config.
    pub steps: Vec<Step>,
}

/// What a server is to be, as indices.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    address: usize,
    weight: usize,
    limits: usize,
    forwarding: bool,
}

/// What a service is to be.
#[derive(Debug, Clone)]
pub struct ServiceSpec {
    /// Index of its key.
    pub service: usize,
    /// Its scheduler.
    pub scheduler: Option<SchedulerKind>,
    /// Its servers; of two with one address the first counts.
    pub servers: Vec<Spec>,
}

/// One step. Services and leases are indices; steps that are not possible are refused.
#[derive(Debug, Clone)]
pub enum Step {
    /// A new service.
    AddService(usize, Option<SchedulerKind>),
    /// A service's scheduler is set, perhaps to what it is.
    EditService(usize, Option<SchedulerKind>),
    /// A service's scheduler is changed and changed back.
    AwayAndBack(usize, Option<SchedulerKind>),
    /// A service goes.
    DeleteService(usize),
    /// All services go.
    Clear,
    /// A new server.
    AddServer(usize, Spec),
    /// A new description of a server.
    EditServer(usize, Spec),
    /// A server is described as it is.
    SameServer(usize, usize),
    /// A server goes.
    DeleteServer(usize, usize),
    /// This config is applied.
    Apply(Vec<ServiceSpec>),
    /// The running config is applied, its services and servers in another order.
    ApplySame(usize),
    /// The running config is applied with this service as here.
    ApplyOne(ServiceSpec),
    /// The clock ticks.
    Tick,
    /// A decision only.
    Pick(usize),
    /// A decision without the servers at these addresses (bits).
    Retry(usize, u8),
    /// A decision for a service that is gone.
    PickStale(usize),
    /// A connection; UDP or TCP.
    Connect {
        /// Service.
        service: usize,
        /// UDP opens inactive.
        udp: bool,
    },
    /// A connection to a server by name, whatever its load.
    Open {
        /// Service.
        service: usize,
        /// Place in the list.
        place: usize,
        /// How it counts.
        active: bool,
    },
    /// So many inactive connections to a server that an active one weighs about as much.
    Crowd {
        /// Service.
        service: usize,
        /// Place in the list.
        place: usize,
        /// How many.
        count: usize,
    },
    /// An open connection becomes active or inactive.
    Update(usize, bool),
    /// An open connection ends.
    Close(usize),
}

/// The key of a service.
pub fn key(service: usize) -> ServiceKey {
    let vip = |port| SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), port));
    match service {
        0 => ServiceKey::tcp(vip(80)),
        1 => ServiceKey::udp(vip(53)),
        _ => ServiceKey::fwmark(7, Family::Inet),
    }
}

/// The address of a server.
pub fn address(server: usize) -> SocketAddr {
    let [high, low] = (server as u16 + 1).to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(10, 0, high + 1, low), 8080))
}

/// Addresses that services remember: more than scripts have, and quick to sweep.
pub const SMALL: u32 = 64;

impl Spec {
    /// The server, with weights from this palette.
    pub fn server(&self, palette: usize) -> RealServer {
        let (upper, lower) = LIMITS[self.limits];
        let forwarding = if self.forwarding { Forwarding::Masq } else { Forwarding::default() };
        RealServer::new(address(self.address))
            .with_weight(PALETTES[palette][self.weight])
            .with_thresholds(upper, lower)
            .with_forwarding(forwarding)
    }
}

impl ServiceSpec {
    /// The service, with weights from this palette.
    pub fn service(&self, palette: usize) -> VirtualService {
        let mut service = VirtualService::new(key(self.service));
        service.affinity.capacity = SMALL;
        service.scheduler = self.scheduler;
        for server in self.servers.iter().map(|spec| spec.server(palette)) {
            if service.servers.iter().all(|known| known.address != server.address) {
                service.servers.push(server);
            }
        }
        service
    }
}

/// Scripts over services of these schedulers, with about so many steps at most.
pub fn scripts(kinds: &'static [SchedulerKind], length: usize) -> impl Strategy<Value = Script> {
    (
        prop_oneof![Just(KernelRules::A), Just(KernelRules::B)],
        any::<u64>(),
        0..PALETTES.len(),
        service(0, kinds),
        vec(step(kinds, SERVERS), 1..length),
        prop_oneof![3 => Just(None), 1 => Just(Some(3)), 1 => Just(Some(20))],
    )
        .prop_map(|(generation, seed, palette, first, mut steps, persistent)| {
            // A first service with servers, or half of the steps would find none.
            steps.insert(0, Step::AddService(0, first.scheduler));
            let adds = first.servers.into_iter().map(|spec| Step::AddServer(0, spec));
            steps.splice(1..1, adds);
            Script { generation, seed, palette, persistent, steps }
        })
}

/// Scripts over one service of so many servers, with about so many steps at most. Most servers are
/// alike at first, and without limits.
pub fn large_scripts(
    kinds: &'static [SchedulerKind],
    servers: impl Strategy<Value = usize>,
    length: usize,
) -> impl Strategy<Value = Script> {
    let script = move |servers: usize| {
        let servers_of = (prop::sample::select(kinds), vec(alike(), servers));
        (scripts(kinds, 2), servers_of, vec(step(kinds, servers), 1..length))
    };
    servers.prop_flat_map(script).prop_map(|(script, (kind, specs), steps)| {
        let at = |(address, spec)| Spec { address, ..spec };
        let servers = specs.into_iter().enumerate().map(at).collect();
        let first = ServiceSpec { service: 0, scheduler: Some(kind), servers };
        // The list stays long: what would end it says the config again instead.
        let stays = |step| match step {
            Step::Apply(_) | Step::ApplyOne(_) | Step::Clear => Step::ApplySame(1),
            Step::DeleteService(service) => Step::ApplySame(service),
            step => step,
        };
        let steps = [Step::ApplyOne(first)].into_iter().chain(steps.into_iter().map(stays));
        Script { steps: steps.collect(), ..script }
    })
}

/// A palette, and services for a config: few keys and addresses, so that two have much in common.
pub fn services() -> impl Strategy<Value = (usize, Vec<ServiceSpec>)> {
    (0..PALETTES.len(), config(SchedulerKind::ALL))
}

fn scheduler(kinds: &'static [SchedulerKind]) -> impl Strategy<Value = Option<SchedulerKind>> {
    prop_oneof![
        12 => prop::sample::select(kinds).prop_map(Some),
        1 => Just(None),
    ]
}

fn alike() -> impl Strategy<Value = Spec> {
    let usual = Spec { address: 0, weight: 0, limits: 0, forwarding: false };
    prop_oneof![6 => Just(usual), 1 => spec(1)]
}

fn spec(servers: usize) -> impl Strategy<Value = Spec> {
    (0..servers, 0..PALETTES[0].len(), 0..LIMITS.len(), any::<bool>()).prop_map(
        |(address, weight, limits, forwarding)| Spec { address, weight, limits, forwarding },
    )
}

fn service(service: usize, kinds: &'static [SchedulerKind]) -> impl Strategy<Value = ServiceSpec> {
    (scheduler(kinds), vec(spec(SERVERS), 0..=SERVERS))
        .prop_map(move |(scheduler, servers)| ServiceSpec { service, scheduler, servers })
}

fn config(kinds: &'static [SchedulerKind]) -> impl Strategy<Value = Vec<ServiceSpec>> {
    prop::sample::subsequence((0..SERVICES).collect::<Vec<_>>(), 0..=SERVICES)
        .prop_flat_map(move |keys| {
            keys.into_iter().map(|at| service(at, kinds)).collect::<Vec<_>>()
        })
        .prop_shuffle()
}

/// The first service is the usual one, so that scripts dwell.
fn place() -> impl Strategy<Value = usize> {
    prop_oneof![6 => Just(0usize), 1 => 0..SERVICES]
}

fn step(kinds: &'static [SchedulerKind], servers: usize) -> impl Strategy<Value = Step> {
    let lease = || any::<prop::sample::Index>().prop_map(|index| index.index(1 << 16));
    prop_oneof![
        1 => (place(), scheduler(kinds)).prop_map(|(at, kind)| Step::AddService(at, kind)),
        1 => (place(), scheduler(kinds)).prop_map(|(at, kind)| Step::EditService(at, kind)),
        1 => (place(), scheduler(kinds)).prop_map(|(at, kind)| Step::AwayAndBack(at, kind)),
        1 => place().prop_map(Step::DeleteService),
        6 => (place(), spec(servers)).prop_map(|(at, spec)| Step::AddServer(at, spec)),
        4 => (place(), spec(servers)).prop_map(|(at, spec)| Step::EditServer(at, spec)),
        2 => (place(), 0..servers).prop_map(|(at, server)| Step::SameServer(at, server)),
        3 => (place(), 0..servers).prop_map(|(at, server)| Step::DeleteServer(at, server)),
        1 => config(kinds).prop_map(Step::Apply),
        1 => (0..servers).prop_map(Step::ApplySame),
        2 => (place(), service(0, kinds)).prop_map(|(at, service)| {
            Step::ApplyOne(ServiceSpec { service: at, ..service })
        }),
        1 => prop_oneof![7 => Just(Step::Tick), 1 => Just(Step::Clear)],
        12 => place().prop_map(Step::Pick),
        1 => lease().prop_map(Step::PickStale),
        4 => (place(), any::<u8>()).prop_map(|(at, tried)| Step::Retry(at, tried)),
        16 => (place(), any::<bool>()).prop_map(|(service, udp)| Step::Connect { service, udp }),
        2 => (place(), 0..servers, any::<bool>())
            .prop_map(|(service, place, active)| Step::Open { service, place, active }),
        1 => (place(), 0..servers, 254usize..260)
            .prop_map(|(service, place, count)| Step::Crowd { service, place, count }),
        4 => (lease(), any::<bool>()).prop_map(|(lease, active)| Step::Update(lease, active)),
        10 => lease().prop_map(Step::Close),
    ]
}
