//! `ties: rotate` as a literal walk: of the least loaded servers the first after the one picked last.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

use proptest::collection::vec;
use proptest::prelude::*;
use vsched::config::{Command, KernelRules, RealServer, ServiceKey, Sharing, Ties, VirtualService};
use vsched::{
    Activity, Config, Director, Flow, Holder, Lease, SchedulerKind, ServerId, ServerState,
};
use vsched_property::cases;

const KINDS: [SchedulerKind; 4] =
    [SchedulerKind::Lc, SchedulerKind::Wlc, SchedulerKind::Sed, SchedulerKind::Nq];
/// The last is too high for an index.
const WEIGHTS: [u32; 7] = [1, 1, 2, 4, 0, 3, 100_000];

#[derive(Debug, Clone)]
enum Step {
    Pick,
    /// A decision without so many of the servers from this place on.
    Retry(usize, usize),
    Connect(bool),
    Open(usize, bool),
    Close(usize),
    Add(usize),
    Remove(usize),
    Weigh(usize, usize),
    Hold(usize, bool),
    Scheduler(usize),
    Ties(bool),
}

fn step(weights: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => Just(Step::Pick),
        6 => (any::<usize>(), 1usize..5).prop_map(|(at, count)| Step::Retry(at, count)),
        12 => any::<bool>().prop_map(Step::Connect),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(at, active)| Step::Open(at, active)),
        10 => any::<usize>().prop_map(Step::Close),
        2 => (0..weights).prop_map(Step::Add),
        2 => any::<usize>().prop_map(Step::Remove),
        2 => (any::<usize>(), 0..weights).prop_map(|(at, weight)| Step::Weigh(at, weight)),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(at, up)| Step::Hold(at, up)),
        1 => (0..KINDS.len()).prop_map(Step::Scheduler),
        1 => prop_oneof![1 => Just(false), 3 => Just(true)].prop_map(Step::Ties),
    ]
}

/// Where a rotation is: at the server picked last, or before the first of the list.
type Cursor = Option<SocketAddr>;

struct Twin {
    kind: SchedulerKind,
    rules: KernelRules,
    rotates: bool,
    /// The newest first.
    list: Vec<(SocketAddr, u32)>,
    counts: HashMap<SocketAddr, (u64, u64)>,
    down: HashMap<SocketAddr, bool>,
    cursor: Cursor,
    retries: Cursor,
}

impl Twin {
    fn load(&self, server: SocketAddr, weight: u32) -> (u128, u128) {
        let (active, inactive) = self.counts.get(&server).copied().unwrap_or_default();
        let (active, inactive) = (u128::from(active), u128::from(inactive));
        let overhead = match self.rules {
            KernelRules::A => 256 * active + inactive,
            _ => 257 * active + inactive,
        };
        match self.kind {
            SchedulerKind::Lc => (overhead, 1),
            SchedulerKind::Wlc => (overhead, weight.into()),
            SchedulerKind::Nq if active == 0 => (0, 1),
            _ => (active + 1, weight.into()),
        }
    }

    fn pick(&mut self, tried: &[SocketAddr]) -> Option<SocketAddr> {
        let cursor = if tried.is_empty() { self.cursor } else { self.retries };
        let at = |last| self.list.iter().position(|(server, _)| *server == last);
        let start = cursor.filter(|_| self.rotates).and_then(at).map_or(0, |at| at + 1);
        let (before, after) = self.list.split_at(start);
        let may = |(server, weight): &&(SocketAddr, u32)| {
            *weight > 0 && !tried.contains(server) && !self.down.contains_key(server)
        };
        let mut best: Option<(SocketAddr, (u128, u128))> = None;
        for (server, weight) in after.iter().chain(before).filter(may) {
            let (load, share) = self.load(*server, *weight);
            if best.is_none_or(|(_, (held, of))| held * share > load * of) {
                best = Some((*server, (load, share)));
            }
        }
        let found = best.map(|(server, _)| server);
        if self.rotates && found.is_some() {
            if tried.is_empty() { self.cursor = found } else { self.retries = found }
        }
        found
    }

    fn remove(&mut self, at: usize) {
        let (gone, _) = self.list.remove(at);
        let heir = at.checked_sub(1).map(|before| self.list[before].0);
        for cursor in [&mut self.cursor, &mut self.retries] {
            if *cursor == Some(gone) {
                *cursor = heir;
            }
        }
    }

    fn restart(&mut self) {
        (self.cursor, self.retries) = (None, None);
    }
}

fn flow() -> Flow {
    let client = SocketAddr::from((Ipv4Addr::new(10, 9, 9, 9), 40000));
    Flow::tcp(client, SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), 80)))
}

fn run(
    kind: usize,
    rules: KernelRules,
    sharing: Sharing,
    weights: &[usize],
    steps: &[Step],
) -> Result<(), TestCaseError> {
    let key: ServiceKey = "tcp 10.0.0.1:80".parse().expect("a key");
    let address = |number: u32| SocketAddr::from((Ipv4Addr::from(0x0a01_0000 + number), 80));
    let mut service = VirtualService::new(key).with_scheduler(KINDS[kind]).with_sharing(sharing);
    service.ties = Ties::Rotate;
    for (number, weight) in (0u32..).zip(weights) {
        service.servers.push(RealServer::new(address(number)).with_weight(WEIGHTS[*weight]));
    }
    let mut twin = Twin {
        kind: KINDS[kind],
        rules,
        rotates: true,
        list: service.servers.iter().rev().map(|it| (it.address, it.weight)).collect(),
        counts: HashMap::new(),
        down: HashMap::new(),
        cursor: None,
        retries: None,
    };
    let mut next = weights.len() as u32;
    let config = Config::new().with_service(service).with_kernel_rules(rules);
    let director = Director::new(&config).expect("valid");
    let worker = director.worker();
    let id = director.service_by_key(&key).expect("it runs");
    let server_id = |server| -> ServerId {
        vsched_property::server_id(&director, &key, server).expect("it runs")
    };
    let edit = |change: &dyn Fn(&mut VirtualService)| {
        let mut config = director.config();
        change(&mut config.services[0]);
        director.apply(&config).expect("valid");
    };
    let mut leases: Vec<(Lease, SocketAddr, bool)> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let place = |at: usize| at.checked_rem(twin.list.len());
        match *step {
            Step::Pick => {
                let picked = worker.pick_server(id, &flow()).map(|pick| pick.address()).ok();
                prop_assert_eq!(picked, twin.pick(&[]), "step {}: {:?}", number, step);
            }
            Step::Retry(at, count) => {
                let Some(at) = place(at) else { continue };
                let tried: Vec<SocketAddr> =
                    twin.list.iter().cycle().skip(at).take(count).map(|(it, _)| *it).collect();
                let ids: Vec<ServerId> = tried.iter().map(|it| server_id(*it)).collect();
                let picked = worker.pick_server_excluding(id, &flow(), &ids);
                let picked = picked.map(|pick| pick.address()).ok();
                prop_assert_eq!(picked, twin.pick(&tried), "step {}: {:?}", number, step);
            }
            Step::Connect(active) => {
                let pick = worker.pick_server(id, &flow()).ok();
                let picked = pick.map(|pick| pick.address());
                prop_assert_eq!(picked, twin.pick(&[]), "step {}: {:?}", number, step);
                let Some(pick) = pick else { continue };
                let activity = if active { Activity::Active } else { Activity::Inactive };
                let lease = worker.open(pick.server(), activity).expect("it runs");
                leases.push((lease, pick.address(), active));
                let count = twin.counts.entry(pick.address()).or_default();
                if active { count.0 += 1 } else { count.1 += 1 }
            }
            Step::Open(at, active) => {
                let Some((server, _)) = place(at).map(|at| twin.list[at]) else { continue };
                let activity = if active { Activity::Active } else { Activity::Inactive };
                leases.push((
                    worker.open(server_id(server), activity).expect("it runs"),
                    server,
                    active,
                ));
                let count = twin.counts.entry(server).or_default();
                if active { count.0 += 1 } else { count.1 += 1 }
            }
            Step::Close(at) => {
                let Some(at) = at.checked_rem(leases.len()) else { continue };
                let (lease, server, active) = leases.swap_remove(at);
                worker.close(lease).expect("it is open");
                let count = twin.counts.entry(server).or_default();
                if active { count.0 -= 1 } else { count.1 -= 1 }
            }
            Step::Add(weight) => {
                let server = RealServer::new(address(next)).with_weight(WEIGHTS[weight]);
                next += 1;
                director
                    .execute(&Command::AddServer { service: key, server: server.clone() })
                    .expect("it is new");
                twin.list.insert(0, (server.address, server.weight));
            }
            Step::Remove(at) => {
                let Some(at) = place(at) else { continue };
                let server = twin.list[at].0;
                director.execute(&Command::DeleteServer { service: key, server }).expect("it runs");
                twin.remove(at);
            }
            Step::Weigh(at, weight) => {
                let Some(at) = place(at) else { continue };
                let server = RealServer::new(twin.list[at].0).with_weight(WEIGHTS[weight]);
                director
                    .execute(&Command::EditServer { service: key, server: server.clone() })
                    .expect("it runs");
                twin.list[at].1 = server.weight;
            }
            Step::Hold(at, up) => {
                let Some((server, _)) = place(at).map(|at| twin.list[at]) else { continue };
                let state = if up { ServerState::Up } else { ServerState::Down };
                director.set_state(server_id(server), Holder::Host, state).expect("it runs");
                if up {
                    twin.down.remove(&server)
                } else {
                    twin.down.insert(server, true)
                };
            }
            Step::Scheduler(at) => {
                if KINDS[at] != twin.kind {
                    edit(&|service| service.scheduler = Some(KINDS[at]));
                    twin.kind = KINDS[at];
                    twin.restart();
                }
            }
            Step::Ties(rotates) => {
                edit(&|service| service.ties = if rotates { Ties::Rotate } else { Ties::Kernel });
                if !(rotates && twin.rotates) {
                    twin.restart();
                }
                twin.rotates = rotates;
            }
        }
    }
    Ok(())
}

fn sharing() -> impl Strategy<Value = Sharing> {
    prop_oneof![Just(Sharing::Exact), Just(Sharing::PerWorker)]
}

fn rules() -> impl Strategy<Value = KernelRules> {
    prop_oneof![Just(KernelRules::A), Just(KernelRules::B)]
}

fn weights(sizes: impl Strategy<Value = usize>) -> impl Strategy<Value = (Vec<usize>, Vec<Step>)> {
    let kinds = prop_oneof![3 => Just(1), 3 => Just(WEIGHTS.len() - 1), 1 => Just(WEIGHTS.len())];
    (kinds, sizes).prop_flat_map(|(kinds, size)| (vec(0..kinds, size), vec(step(kinds), 1..120)))
}

proptest! {
    #![proptest_config(cases(3000))]

    #[test]
    fn few_and_many_servers(
        kind in 0..KINDS.len(),
        (rules, sharing) in (rules(), sharing()),
        (weights, steps) in weights(prop_oneof![0usize..6, 10usize..20, 60usize..70]),
    ) {
        run(kind, rules, sharing, &weights, &steps)?;
    }
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn rows_of_nodes(
        kind in 0..KINDS.len(),
        (rules, sharing) in (rules(), sharing()),
        (weights, steps) in weights(2040usize..2060),
    ) {
        run(kind, rules, sharing, &weights, &steps)?;
    }
}
