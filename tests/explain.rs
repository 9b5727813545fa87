//! `Director::explain` names the very pick that follows, says why, and changes nothing.

mod common;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use common::{Random, flow, rip, server, vip};
use vsched::config::{
    Command, Ejection, Persistence, PickReason, SchedulerFlags, ServiceKey, Setting, Sharing, Ties,
    VirtualService,
};
use vsched::{
    Activity, Bar, Config, Director, Flow, Holder, Outcome, Refused, SchedulerKind, ServerState,
    ServiceId,
};

fn running(config: &Config) -> (Director, ServiceId) {
    let director = Director::new(config).expect("valid");
    let service = director.service_by_key(&config.services[0].key).expect("it runs");
    (director, service)
}

fn reason(director: &Director, service: ServiceId, flow: &Flow) -> PickReason {
    director.explain(service, flow).expect("it runs").pick.expect("a server").reason
}

/// A service of every kind: each scheduler, few and many servers, and what else decides.
fn configs() -> impl Iterator<Item = Config> {
    let kinds = SchedulerKind::ALL.iter().copied();
    let sized = kinds.flat_map(|kind| [(kind, 3), (kind, 40)]);
    let sharings = [Sharing::Exact, Sharing::PerWorker, Sharing::Chunks(3)];
    let persistences = [None, Some(Persistence::new(60))];
    sized.flat_map(move |(kind, count)| {
        let mut configs = Vec::new();
        for sharing in sharings {
            if matches!(sharing, Sharing::Chunks(_)) && !matches!(kind.name(), "rr" | "wrr") {
                continue;
            }
            for persistence in persistences {
                let mut config = common::config(kind, count, &[1, 2, 1, 0, 3]);
                let service = &mut config.services[0];
                service.sharing = sharing;
                service.persistence = persistence;
                if matches!(kind.name(), "lc" | "wlc" | "sed" | "nq") {
                    let mut other = config.clone();
                    other.services[0].ties = Ties::Rotate;
                    configs.push(other);
                }
                if matches!(kind.name(), "sh" | "mh") {
                    let mut other = config.clone();
                    other.services[0].flags = SchedulerFlags::FLAG_1;
                    configs.push(other);
                }
                let mut tiers = config.clone();
                for server in tiers.services[0].servers.iter_mut().skip(1).step_by(3) {
                    server.priority = 1;
                }
                configs.push(tiers);
                configs.push(config);
            }
        }
        configs
    })
}

#[test]
fn what_is_explained_is_what_is_picked_next() {
    let (mut picked, mut refused) = (0, 0);
    for (seed, config) in (0..).zip(configs()) {
        let (director, service) = running(&config);
        let VirtualService { key, scheduler, sharing, .. } = config.services[0].clone();
        let worker = director.worker();
        let mut random = Random(seed);
        let mut leases = Vec::new();
        for step in 0..150 {
            let servers = director.servers(service).expect("it runs");
            let (id, observed) = servers[random.below(servers.len() as u64) as usize].clone();
            match random.below(8) {
                0 => {
                    let (states, holders) = (ServerState::ALL, Holder::ALL);
                    let state = states[random.below(3) as usize];
                    // Nearly all are up, or picks become dull.
                    let state = if random.below(3) == 0 { state } else { ServerState::Up };
                    let holder = holders[random.below(3) as usize];
                    director.set_state(id, holder, state).expect("it runs");
                }
                1 => {
                    let weight = [0, 1, 1, 2, 5][random.below(5) as usize];
                    let upper = [0, 0, 1, 3][random.below(4) as usize];
                    let server = observed.server.with_weight(weight).with_thresholds(upper, 0);
                    let edit = Command::EditServer { service: key, server };
                    director.execute(&edit).expect("it runs");
                }
                2..=4 => leases.push(worker.open(id, Activity::Active).expect("it runs")),
                _ => drop(leases.pop().map(|lease| worker.close(lease).expect("it is open"))),
            }
            let client = flow(random.below(12) as u32);
            let before = director.observe();
            let told = director.explain(service, &client).expect("it runs");
            assert_eq!(director.explain(service, &client).as_ref(), Some(&told), "{scheduler:?}");
            assert_eq!(director.observe(), before, "{scheduler:?}");
            let pick = match sharing {
                Sharing::Exact => worker.pick_server_excluding(service, &client, &[]),
                _ => director.pick_server(service, &client),
            };
            let pick = pick.map(|pick| (pick.server(), pick.address()));
            let explained = told.pick.map(|next| (next.server, next.address));
            assert_eq!(explained, pick, "step {step}: {:?}\n{told}", config.services[0].settings());
            *if pick.is_ok() { &mut picked } else { &mut refused } += 1;
            if let (Ok(next), None) = (told.pick, config.services[0].persistence) {
                let row = told.servers.iter().find(|row| row.id == next.server).expect("listed");
                // lblc alone stays with an overloaded server.
                let stays =
                    next.reason == PickReason::Remembered && row.bar == Some(Bar::Overloaded);
                let standby = next.reason == PickReason::Standby && row.bar == Some(Bar::Standby);
                assert!(row.bar.is_none() || stays || standby, "{told}");
            }
        }
    }
    assert!(picked > 10_000 && refused > 100, "{picked} {refused}");
}

#[test]
fn reasons() {
    use PickReason::{Fallback, Hash, HighestWeight, LeastLoad, Remembered, Template, Turn};
    for kind in SchedulerKind::ALL {
        let (director, service) = running(&common::config(*kind, 3, &[1]));
        let first = reason(&director, service, &flow(1));
        let name = kind.name();
        match (name, first) {
            ("rr" | "wrr", Turn)
            | ("lc" | "wlc" | "sed" | "nq" | "lblc" | "lblcr", LeastLoad)
            | ("fo" | "ovf", HighestWeight)
            | ("sh" | "dh" | "mh", Hash) => {}
            ("twos" | "p2c", PickReason::Random(draws)) => {
                let next = director.pick_server(service, &flow(1)).expect("three are up");
                assert!(draws.contains(&next.address()), "{name}");
                assert_ne!(reason(&director, service, &flow(1)), first, "{name}");
            }
            (_, other) => panic!("{name}: {other}"),
        }
        let pick = director.pick_server(service, &flow(1)).expect("three are up");
        if let "lblc" | "lblcr" = name {
            assert_eq!(reason(&director, service, &flow(1)), Remembered, "{name}");
        }
        director.set_state(pick.server(), Holder::Host, ServerState::Down).expect("it runs");
        if let "sh" | "dh" | "mh" = name {
            assert_eq!(reason(&director, service, &flow(1)), Fallback, "{name}");
        }
    }
    let mut config = common::config(SchedulerKind::Rr, 3, &[1]);
    config.services[0].persistence = Some(Persistence::default());
    let (director, service) = running(&config);
    assert_eq!(reason(&director, service, &flow(1)), Turn);
    let first = director.pick_server(service, &flow(1)).expect("three are up");
    let told = director.explain(service, &flow(1)).expect("it runs");
    assert_eq!(told.template, Some(first.address()));
    assert_eq!(told.pick.expect("a server").reason, Template);
    // Named, but not to be used: the next one has its turn.
    director.set_state(first.server(), Holder::Host, ServerState::Down).expect("it runs");
    let told = director.explain(service, &flow(1)).expect("it runs");
    assert_eq!(told.template, Some(first.address()));
    assert_eq!(told.pick.expect("a server").reason, Turn);
}

#[test]
fn loads_are_those_that_are_compared() {
    let loads = |name: &str| {
        let kind = name.parse().expect("a scheduler");
        let (director, service) = running(&common::config(kind, 3, &[2, 1, 1]));
        let worker = director.worker();
        let servers = director.servers(service).expect("it runs");
        for (place, activity) in [(2, Activity::Active), (2, Activity::Inactive)] {
            drop(worker.open(servers[place].0, activity).expect("it runs"));
        }
        let told = director.explain(service, &flow(1)).expect("it runs");
        told.servers.iter().rev().map(|server| server.load).collect::<Vec<_>>()
    };
    let some = |loads: [(u64, u32); 3]| loads.map(Some).to_vec();
    assert_eq!(loads("lc"), some([(258, 1), (0, 1), (0, 1)]));
    assert_eq!(loads("wlc"), some([(258, 2), (0, 1), (0, 1)]));
    assert_eq!(loads("twos"), some([(258, 2), (0, 1), (0, 1)]));
    assert_eq!(loads("lblc"), some([(258, 2), (0, 1), (0, 1)]));
    assert_eq!(loads("sed"), some([(2, 2), (1, 1), (1, 1)]));
    assert_eq!(loads("p2c"), some([(2, 2), (1, 1), (1, 1)]));
    assert_eq!(loads("nq"), some([(2, 2), (0, 1), (0, 1)]));
    assert_eq!(loads("rr"), vec![None; 3]);
}

#[test]
fn why_none() {
    let (director, service) = running(&common::config(SchedulerKind::Wlc, 3, &[0]));
    let told = director.explain(service, &flow(1)).expect("it runs");
    assert_eq!(told.pick, Err(Refused::AllQuiesced));
    assert!(told.servers.iter().all(|server| server.bar == Some(Bar::Quiesced)));
    director.apply(&Config::default()).expect("valid");
    assert_eq!(director.explain(service, &flow(1)), None);
    // FTP data, which the service does not take.
    let ftp: ServiceKey = "tcp 10.1.0.1:21".parse().expect("a key");
    let mut config = common::config(SchedulerKind::Rr, 1, &[1]);
    config.services[0].key = ftp;
    let (director, service) = running(&config);
    let data = Flow::tcp(rip(9), SocketAddr::new(vip(0).ip(), 2000));
    let told = director.explain(service, &data).expect("it runs");
    assert_eq!(told.pick, Err(Refused::NotScheduled));
}

/// A short list that shows everything that a text says.
#[test]
fn tiers_and_ejections() {
    let mut config = common::config(SchedulerKind::Rr, 3, &[1]);
    config.services[0].servers[2].priority = 1;
    config.services[0].ejection = Some(Ejection::default().with_max_share(100));
    let (director, service) = running(&config);
    let told = || director.explain(service, &flow(1)).expect("it runs");
    let bars = || told().servers.iter().rev().map(|server| server.bar).collect::<Vec<_>>();
    assert_eq!(bars(), [None, None, Some(Bar::Standby)]);
    let worker = director.worker();
    for n in [1, 2] {
        let server =
            common::server_id(&director, &config.services[0].key, rip(n)).expect("it runs");
        for _ in 0..5 {
            worker.report(server, Outcome::Failed, None).expect("it runs");
        }
    }
    assert_eq!(bars(), [Some(Bar::Ejected), Some(Bar::Ejected), Some(Bar::Standby)]);
    assert_eq!(told().pick.map(|pick| pick.reason), Ok(PickReason::Standby));
    director.tick(std::time::Duration::ZERO);
    assert_eq!(bars(), [Some(Bar::Ejected), Some(Bar::Ejected), None]);
    assert_eq!(told().pick.map(|pick| pick.reason), Ok(PickReason::Turn));
    let text = told().to_string();
    assert!(text.contains("ejected (ejector: 5 failures in a row; ejection 1)"), "{text}");
}

fn shown() -> (Director, ServiceId) {
    let mut config = common::config(SchedulerKind::Sed, 4, &[2, 1, 1, 1]);
    config.services[0].servers[0] = server(1, 2).with_thresholds(1, 0);
    config.services[0].servers[1].weight = 0;
    let (director, service) = running(&config);
    let worker = director.worker();
    let servers = director.servers(service).expect("it runs");
    drop(worker.open(servers[3].0, Activity::Active).expect("it runs"));
    let hold = |at: usize, holder, state, reason: &str| {
        let id = servers[at].0;
        director.set_state_because(id, holder, state, reason).expect("it runs");
    };
    hold(1, Holder::HealthChecker, ServerState::Down, "no answer");
    hold(1, Holder::Administrator, ServerState::Draining, "");
    (director, service)
}

#[test]
fn a_text_for_people() {
    let (director, service) = shown();
    let told = director.explain(service, &flow(1)).expect("it runs");
    assert_eq!(
        told.to_string(),
        "tcp 10.1.0.1:1000, sed\n\
         next: 10.9.0.4:80, the least load\n\
         10.9.0.4:80: weight 1, 0 active, 0 inactive, load 1\n\
         10.9.0.3:80: weight 1, 0 active, 0 inactive, load 1, down (administrator, \
         health-checker: no answer)\n\
         10.9.0.2:80: weight 0, 0 active, 0 inactive, quiesced\n\
         10.9.0.1:80: weight 2, 1 active, 0 inactive, load 2/2, overloaded\n"
    );
    let mut config = director.config();
    config.services[0].sharing = Sharing::PerWorker;
    director.apply(&config).expect("valid");
    let text = director.explain(service, &flow(1)).expect("it runs").to_string();
    assert!(text.starts_with("tcp 10.1.0.1:1000, sed, per worker: as for a caller without one\n"));
    config.services[0].scheduler = Some(SchedulerKind::Rr);
    config.services[0].sharing = Sharing::Chunks(16);
    director.apply(&config).expect("valid");
    let told = director.explain(service, &flow(1)).expect("it runs");
    let first = "tcp 10.1.0.1:1000, rr, chunks-16: as for a caller without a worker\n";
    assert!(told.to_string().starts_with(first), "{told}");
    #[cfg(feature = "serde")]
    assert_eq!(serde_json::to_value(&told).expect("plain data")["sharing"], "chunks-16");
}

#[cfg(feature = "serde")]
#[test]
fn a_text_for_programs() {
    let (director, service) = shown();
    let told = director.explain(service, &flow(1)).expect("it runs");
    let text = serde_json::to_value(&told).expect("plain data");
    assert_eq!(text["service"], "tcp 10.1.0.1:1000");
    assert_eq!(text["scheduler"], "sed");
    assert_eq!(text["next"], "10.9.0.4:80");
    assert_eq!(text["reason"], "least-load");
    assert_eq!(text["refused"], serde_json::Value::Null);
    let down = &text["servers"][1];
    assert_eq!((&down["state"], &down["bar"]), (&"down".into(), &"down".into()));
    assert_eq!(down["holds"][1]["holder"], "health-checker");
    assert_eq!(down["holds"][1]["reason"], "no answer");
    assert_eq!(text["servers"][3]["load"], "2/2");
    assert_eq!(text["servers"][0]["eligible"], true);
}

/// As long as nothing is picked, the next pick stays the same however often the service is compiled again:
/// under schedulers with a rotation, which is in the middle of its cycle, and without one.
#[test]
fn an_explanation_beside_reloads_says_the_same() {
    for (kind, ties) in [
        (SchedulerKind::Rr, Ties::default()),
        (SchedulerKind::Wrr, Ties::default()),
        (SchedulerKind::Wlc, Ties::Rotate),
        (SchedulerKind::Wlc, Ties::default()),
    ] {
        // The last of many that are published together, whose rotations follow one after the other.
        let others = (1..60).map(|n| common::service(n, kind).with_servers(vec![server(1, 1)]));
        let last = common::config(kind, 5, &[3, 1, 2]).services.remove(0);
        let mut config: Config = Config::new().with_services(others.chain([last]).collect());
        config.services.iter_mut().for_each(|service| service.ties = ties);
        let director = Director::new(&config).expect("valid");
        let service = director.service_by_key(&config.services[59].key).expect("it runs");
        for n in 0..2 {
            director.pick_server(service, &flow(n)).expect("all are up");
        }
        let expected = director.explain(service, &flow(9));
        let (stop, explained) = (AtomicBool::new(false), AtomicU32::new(0));
        thread::scope(|scope| {
            let reader = || {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(director.explain(service, &flow(9)), expected);
                    explained.fetch_add(1, Ordering::Relaxed);
                }
            };
            let readers = [scope.spawn(reader), scope.spawn(reader)];
            let failed = || readers.iter().any(|reader| reader.is_finished());
            let enough = |seed| seed >= 1000 && explained.load(Ordering::Relaxed) >= 20_000;
            for seed in (1..).take_while(|seed| !enough(*seed) && !failed()) {
                director.execute(&Command::Set(Setting::Seed(seed))).expect("valid");
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}
