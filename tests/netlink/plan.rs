//! Plans describe their steps correctly, leave unrelated services untouched, and at no moment leave
//! a service without an eligible server.

use std::time::Duration;

use vsched::config::{Config, Observed, RealServer, ServiceKey, VirtualService};
use vsched::error::{ApplyError, GuardrailError, ServiceLoss};
use vsched::netlink::plan::{
    Action, Drain, Ended, Guardrails, Ownership, Phase, Plan, PlanError, Policy, Removal, Violation,
};
use vsched::{ApplyPolicy, Director};

fn config(rules: &str) -> Config {
    rules.parse().expect("rules")
}

/// What runs, as a kernel would tell it.
fn runs(rules: &str) -> Observed {
    Observed::from(&config(rules))
}

fn plan(found: &str, wanted: &str, policy: &Policy) -> String {
    Plan::new(config(wanted), &runs(found), policy).expect("a plan").to_string()
}

fn immediate() -> Policy {
    Policy::default().with_removal(Removal::Immediate)
}

const TWO: &str = "-A -t 10.0.0.1:80 -s wlc
    -a -t 10.0.0.1:80 -r 10.0.1.1 -m -w 1
    -a -t 10.0.0.1:80 -r 10.0.1.2 -m -w 2";

/// What runs, what is wanted, the plan with the default policy.
const CASES: &[(&str, &str, &str)] = &[
    ("", "", ""),
    (TWO, TWO, ""),
    // Another order is the same.
    (
        TWO,
        "-A -t 10.0.0.1:80 -s wlc
         -a -t 10.0.0.1:80 -r 10.0.1.2 -m -w 2
         -a -t 10.0.0.1:80 -r 10.0.1.1 -m -w 1",
        "",
    ),
    (
        "",
        TWO,
        "new services: add service tcp 10.0.0.1:80 (wanted)
new services: add server 10.0.1.1:80 masq weight 1 to tcp 10.0.0.1:80 (wanted)
new services: add server 10.0.1.2:80 masq weight 2 to tcp 10.0.0.1:80 (wanted)
new services: edit service tcp 10.0.0.1:80: scheduler none -> wlc (has its servers)
",
    ),
    // Its owner is unknown.
    (TWO, "", ""),
    (
        TWO,
        "-A -t 10.0.0.1:80 -s rr -p 60
         -a -t 10.0.0.1:80 -r 10.0.1.1 -m -w 3
         -a -t 10.0.0.1:80 -r 10.0.1.3 -g -w 1 -x 9 -y 4
         -a -t 10.0.0.1:80 -r 10.0.1.4 -i --tun-type gue --tun-port 7 -w 0",
        "edit services: edit service tcp 10.0.0.1:80: scheduler wlc -> rr persistence 60 s (has other settings; refuses new connections for a moment)
grow: add server 10.0.1.3:80 route weight 1 thresholds 9/4 to tcp 10.0.0.1:80 (wanted)
grow: add server 10.0.1.4:80 tunnel gue port 7 weight 0 to tcp 10.0.0.1:80 (wanted)
modify: edit server 10.0.1.1:80 of tcp 10.0.0.1:80: weight 1 -> 3 (described otherwise)
shrink: quiesce server 10.0.1.2:80 of tcp 10.0.0.1:80 (leaves)
drain: wait for server 10.0.1.2:80 of tcp 10.0.0.1:80, at most 300 s (leaves)
delete servers: delete server 10.0.1.2:80 of tcp 10.0.0.1:80 (not wanted)
",
    ),
    // A drain that an earlier plan began goes on; one that is wanted again ends with one edit.
    (
        "-A -t 10.0.0.1:80 -s wlc
         -a -t 10.0.0.1:80 -r 10.0.1.1 -m -w 1
         -a -t 10.0.0.1:80 -r 10.0.1.2 -m -w 0
         -a -t 10.0.0.1:80 -r 10.0.1.3 -m -w 0",
        TWO,
        "grow: edit server 10.0.1.2:80 of tcp 10.0.0.1:80: weight 0 -> 2 (described otherwise)
drain: wait for server 10.0.1.3:80 of tcp 10.0.0.1:80, at most 300 s (leaves)
delete servers: delete server 10.0.1.3:80 of tcp 10.0.0.1:80 (not wanted)
",
    ),
    // Hashing schedulers without fallback refuse the clients of a server that drains.
    (
        "-A -t 10.0.0.1:80 -s sh
         -a -t 10.0.0.1:80 -r 10.0.1.1 -m
         -a -t 10.0.0.1:80 -r 10.0.1.2 -m",
        "-A -t 10.0.0.1:80 -s sh
         -a -t 10.0.0.1:80 -r 10.0.1.1 -m",
        "edit services: edit service tcp 10.0.0.1:80: flags none -> sh-fallback (falls back while it drains)
shrink: quiesce server 10.0.1.2:80 of tcp 10.0.0.1:80 (leaves)
drain: wait for server 10.0.1.2:80 of tcp 10.0.0.1:80, at most 300 s (leaves)
delete servers: delete server 10.0.1.2:80 of tcp 10.0.0.1:80 (not wanted)
restore: edit service tcp 10.0.0.1:80: flags sh-fallback -> none (is done with that)
",
    ),
    (
        "-A -t 10.0.0.1:80 -s rr
         -a -t 10.0.0.1:80 -r 10.0.1.1 -m
         -a -t 10.0.0.1:80 -r 10.0.1.2 -m",
        "-A -t 10.0.0.1:80 -s mh -b mh-port
         -a -t 10.0.0.1:80 -r 10.0.1.1 -m",
        "edit services: edit service tcp 10.0.0.1:80: scheduler rr -> mh flags none -> mh-fallback,mh-port (has other settings; refuses new connections for a moment)
shrink: quiesce server 10.0.1.2:80 of tcp 10.0.0.1:80 (leaves)
drain: wait for server 10.0.1.2:80 of tcp 10.0.0.1:80, at most 300 s (leaves)
delete servers: delete server 10.0.1.2:80 of tcp 10.0.0.1:80 (not wanted)
restore: edit service tcp 10.0.0.1:80: flags mh-fallback,mh-port -> mh-port (is done with that)
",
    ),
    // The same taken up by the next plan.
    (
        "-A -t 10.0.0.1:80 -s sh -b sh-fallback
         -a -t 10.0.0.1:80 -r 10.0.1.1 -m
         -a -t 10.0.0.1:80 -r 10.0.1.2 -m -w 0",
        "-A -t 10.0.0.1:80 -s sh
         -a -t 10.0.0.1:80 -r 10.0.1.1 -m",
        "drain: wait for server 10.0.1.2:80 of tcp 10.0.0.1:80, at most 300 s (leaves)
delete servers: delete server 10.0.1.2:80 of tcp 10.0.0.1:80 (not wanted)
restore: edit service tcp 10.0.0.1:80: flags sh-fallback -> none (is done with that)
",
    ),
    // One that the operator quiesces stays; that its clients are refused is said.
    (
        "-A -t 10.0.0.1:80 -s mh
         -a -t 10.0.0.1:80 -r 10.0.1.1 -m
         -a -t 10.0.0.1:80 -r 10.0.1.2 -m",
        "-A -t 10.0.0.1:80 -s mh
         -a -t 10.0.0.1:80 -r 10.0.1.1 -m
         -a -t 10.0.0.1:80 -r 10.0.1.2 -m -w 0",
        "shrink: quiesce server 10.0.1.2:80 of tcp 10.0.0.1:80 (described otherwise; refuses the clients hashed to it)
",
    ),
];

#[test]
fn plans_say_what_they_do() {
    for (found, wanted, expected) in CASES {
        assert_eq!(plan(found, wanted, &Policy::default()), *expected, "from {found} to {wanted}");
    }
}

#[test]
fn plans_lead_where_they_should() {
    for (found, wanted, _) in CASES {
        for policy in [Policy::default(), immediate()] {
            let policy = policy.with_ownership(Ownership::All);
            let plan = Plan::new(config(wanted), &runs(found), &policy);
            let Ok(plan) = plan else { continue };
            let mut state = config(found);
            plan.steps().iter().for_each(|step| carry_out(&step.action, &mut state));
            let again = Plan::new(config(wanted), &Observed::from(&state), &policy);
            assert_eq!(again.expect("a plan").to_string(), "", "from {found} to {wanted}");
        }
    }
}

#[test]
fn what_a_kernel_cannot_tell_is_not_compared() {
    let mut wanted = config(TWO);
    wanted.seed = 7;
    wanted.expire_quiescent_template = true;
    wanted.services[0].affinity.capacity = 5;
    let plan = Plan::new(wanted.clone(), &runs(TWO), &Policy::default()).expect("a plan");
    assert!(plan.is_empty(), "{plan}");
    let mut mh = config("-A -t 10.0.0.1:80 -s mh");
    let found = Observed::from(&mh);
    mh.services[0].mh_table_index = 17;
    assert!(Plan::new(mh.clone(), &found, &Policy::default()).expect("a plan").is_empty());
}

#[test]
fn services_of_others_are_left_alone() {
    let others = format!("{TWO}\n-A -u 10.0.0.9:53\n-a -u 10.0.0.9:53 -r 10.0.2.1 -m\n-A -f 7");
    let key: ServiceKey = "udp 10.0.0.9:53".parse().expect("a key");
    let policy = |ownership| immediate().with_ownership(ownership);
    let matching = Ownership::Matching(std::sync::Arc::new(|key| key.port() == Some(53)));
    for (ownership, deleted, foreign) in [
        (Ownership::Wanted, 0, 2),
        (Ownership::Keys(vec![key]), 1, 1),
        (matching, 1, 1),
        (Ownership::All, 2, 0),
    ] {
        let plan = Plan::new(config(TWO), &runs(&others), &policy(ownership)).expect("a plan");
        assert_eq!((plan.steps().len(), plan.foreign().len()), (deleted, foreign), "{plan}");
    }
}

#[test]
fn removals_at_once_tell_what_they_break() {
    let mut found = runs(TWO);
    // The newest server is the first of the list.
    let counts = &mut found.services[0].servers[0].counts;
    (counts.active, counts.inactive) = (3, 4);
    let one = config("-A -t 10.0.0.1:80 -s wlc\n-a -t 10.0.0.1:80 -r 10.0.1.1 -m -w 1");
    let plan = Plan::new(one.clone(), &found, &immediate()).expect("a plan");
    let wanted = "delete servers: delete server 10.0.1.2:80 of tcp 10.0.0.1:80 (not wanted; 7 connections stall)\n";
    assert_eq!(plan.to_string(), wanted);
    let policy = immediate().with_ownership(Ownership::All);
    let plan = Plan::new(Config::default(), &found, &policy).expect("a plan");
    let wanted =
        "delete services: delete service tcp 10.0.0.1:80 (not wanted; 7 connections are reset)\n";
    assert_eq!(plan.to_string(), wanted);
}

/// A hashing scheduler comes before the servers wake up that it hashes clients to.
#[test]
fn a_hashing_scheduler_waits_for_servers_that_wake_up() {
    let found = "-A -t 10.0.0.1:80 -s wlc
        -a -t 10.0.0.1:80 -r 10.0.1.1 -m -w 3
        -a -t 10.0.0.1:80 -r 10.0.1.5 -m -w 0";
    let wanted = "-A -t 10.0.0.1:80 -s sh\n-a -t 10.0.0.1:80 -r 10.0.1.5 -m -w 1";
    assert_eq!(
        plan(found, wanted, &immediate()),
        "edit services: edit service tcp 10.0.0.1:80: scheduler wlc -> sh flags none -> sh-fallback (has other settings; refuses new connections for a moment)
grow: edit server 10.0.1.5:80 of tcp 10.0.0.1:80: weight 0 -> 1 (described otherwise)
delete servers: delete server 10.0.1.1:80 of tcp 10.0.0.1:80 (not wanted)
restore: edit service tcp 10.0.0.1:80: flags sh-fallback -> none (is done with that)
"
    );
}

#[test]
fn services_drain_before_they_go() {
    let drain = Drain::default().with_deadline(Duration::from_secs(9)).with_until(Ended::Active);
    let removal = Removal::Drain(drain);
    let policy = Policy::default().with_ownership(Ownership::All).with_removal(removal);
    let plan = Plan::new(Config::default(), &runs(TWO), &policy).expect("a plan");
    let phases: Vec<Phase> = plan.steps().iter().map(|step| step.phase).collect();
    use Phase::{DeleteServices, Drain as Wait, Shrink};
    assert_eq!(phases, [Shrink, Shrink, Wait, Wait, DeleteServices]);
    let waits =
        |action: &Action| matches!(action, Action::AwaitDrain { drain: d, .. } if *d == drain);
    assert_eq!(plan.steps().iter().filter(|step| waits(&step.action)).count(), 2);
}

#[test]
fn rails_hold() {
    let quiesced = TWO.replace("-w 1", "-w 0").replace("-w 2", "-w 0");
    let refusal =
        |wanted: &str, policy: &Policy| match Plan::new(config(wanted), &runs(TWO), policy) {
            Err(PlanError::Guardrails(error)) => error.violations().to_vec(),
            other => panic!("{other:?}"),
        };
    let key = "tcp 10.0.0.1:80".to_owned();
    let default = Policy::default();
    assert_eq!(refusal(&quiesced, &default), [Violation::Closes(key.clone())]);
    assert_eq!(refusal("-A -t 10.0.0.1:80 -s wlc", &default), [Violation::Closes(key.clone())]);
    let guardrails = Guardrails::default().with_most_deleted(49);
    let careful = Policy::default().with_guardrails(guardrails);
    let one = "-A -t 10.0.0.1:80 -s wlc\n-a -t 10.0.0.1:80 -r 10.0.1.1 -m -w 1";
    let broken = refusal(one, &careful);
    let [Violation::Deletes { servers: 1, of: 2, most: 49, losses, .. }] = &*broken else {
        panic!("{broken:?}")
    };
    let [ServiceLoss { service, servers, removed: false, .. }] = &**losses else {
        panic!("{losses:?}")
    };
    assert_eq!((service, &**servers), (&key, &["10.0.1.2:80".parse().expect("an address")][..]));
    assert_eq!(
        broken[0].to_string(),
        "1 of 2 servers (50 %) would be removed, at most 49 % may be; most_deleted 50 would allow \
         it: service tcp 10.0.0.1:80: 10.0.1.2:80"
    );
    let all = Policy::default().with_ownership(Ownership::All).with_guardrails(guardrails);
    let whole = refusal("", &all);
    assert!(whole[0].to_string().ends_with("tcp 10.0.0.1:80 as a whole: 10.0.1.2:80, 10.0.1.1:80"));
    let forced = Guardrails::default().with_may_close_services(true);
    let forced = Policy::default().with_guardrails(forced);
    assert!(Plan::new(config(&quiesced), &runs(TWO), &forced).is_ok());
    // One that is closed already may be.
    assert!(Plan::new(config(&quiesced), &runs(&quiesced), &default).is_ok());
}

/// One set of guardrails: what a director refuses, a plan for a kernel of which all is ours refuses
/// too, and for the same reasons.
#[test]
fn rails_are_those_of_a_director() {
    let mut seed = 1_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut random_config = || {
        let mut rules = String::new();
        for service in 1..=3 {
            if random(4) == 0 {
                continue;
            }
            rules += &format!("-A -t 10.0.0.{service}:80\n");
            for server in (1..=4).filter(|_| random(2) > 0).collect::<Vec<_>>() {
                let weight = random(2);
                rules += &format!("-a -t 10.0.0.{service}:80 -r 10.0.1.{server} -m -w {weight}\n");
            }
        }
        config(&rules)
    };
    let violations = |error: GuardrailError| {
        let mut violations = error.violations().to_vec();
        for violation in &mut violations {
            if let Violation::Deletes { losses, .. } = violation {
                losses.iter_mut().for_each(|loss| loss.servers.sort());
            }
        }
        violations
    };
    let (mut refused, mut closed) = (0, 0);
    for round in 0..2000 {
        let (runs, wanted) = (random_config(), random_config());
        let most_deleted = [0, 33, 50, 75, 100][round % 5];
        let guardrails = Guardrails::default()
            .with_may_close_services(round % 2 == 0)
            .with_most_deleted(most_deleted);
        let (ownership, removal) = (Ownership::All, Removal::Immediate);
        let policy = Policy::default()
            .with_ownership(ownership)
            .with_removal(removal)
            .with_guardrails(guardrails);
        let plan = Plan::new(wanted.clone(), &Observed::from(&runs), &policy);
        let director = Director::new(&runs).expect("a valid config");
        let applied = director.apply_with(&wanted, &ApplyPolicy::new(guardrails));
        match (plan, applied) {
            (Ok(_), Ok(_)) => {}
            (Err(PlanError::Guardrails(plan)), Err(ApplyError::Guardrails(director))) => {
                let plan = violations(plan);
                refused += 1;
                closed += usize::from(matches!(plan[0], Violation::Closes(_)));
                assert_eq!(plan, violations(director), "{runs:?} -> {wanted:?}");
            }
            other => panic!("{other:?}: {runs:?} -> {wanted:?}"),
        }
    }
    assert!(refused > 500 && refused < 1500 && closed > 100, "{refused} refused, {closed} closed");
}

#[test]
fn invalid_configs_have_no_plan() {
    let mut wanted = config(TWO);
    wanted.services[0].servers[0].weight = u32::MAX;
    let refused = Plan::new(wanted.clone(), &Observed::default(), &Policy::default());
    assert!(matches!(refused, Err(PlanError::Invalid(_))), "{refused:?}");
}

#[test]
fn timeouts_and_daemons() {
    let text = r#"{"timeouts": {"tcp": 100, "udp": 30},
        "daemons": [{"role": "master", "interface": "eth0", "sync_id": 3}], "services": []}"#;
    let wanted: Config = serde_json::from_str(text).expect("a config");
    let mut found = Observed::default();
    found.settings.timeouts = wanted.timeouts;
    found.settings.timeouts.udp = Some(300);
    let plan = |found: &Observed, policy: &Policy| {
        Plan::new(wanted.clone(), found, policy).expect("a plan").to_string()
    };
    let start = "settings: start master daemon on eth0, id 3 (wanted)\n";
    let timeouts = "settings: set timeouts udp 30 s (wanted)\n";
    assert_eq!(plan(&found, &Policy::default()), format!("{timeouts}{start}"));
    found.settings.timeouts.udp = Some(30);
    let mut running = wanted.daemons[0].clone();
    // What the kernel fills in by itself is no difference.
    running.max_len = Some(1472);
    found.settings.daemons = vec![running.clone()];
    assert_eq!(plan(&found, &Policy::default()), "");
    running.sync_id = 4;
    let mut backup = running.clone();
    backup.role = vsched::config::SyncRole::Backup;
    found.settings.daemons = vec![running, backup];
    let stop = "settings: stop master daemon (runs with other settings)\n";
    assert_eq!(plan(&found, &Policy::default()), format!("{stop}{start}"));
    let all = Policy::default().with_ownership(Ownership::All);
    let backup = "settings: stop backup daemon (not wanted)\n";
    assert_eq!(plan(&found, &all), format!("{stop}{start}{backup}"));
}

const SERVERS: usize = 4;

/// Servers of a service by number: absent, or with this weight.
fn side(mut number: usize) -> Vec<Option<u32>> {
    let mut servers = Vec::new();
    for _ in 0..SERVERS {
        servers.push((number % 4).checked_sub(1).map(|weight| weight as u32));
        number /= 4;
    }
    servers
}

fn service(servers: &[Option<u32>]) -> Config {
    let key: ServiceKey = "tcp 10.0.0.1:80".parse().expect("a key");
    let address = |n: usize| format!("10.0.1.{n}:80").parse().expect("an address");
    let server = |(n, weight): (usize, &Option<u32>)| {
        weight.map(|weight| RealServer::new(address(n)).with_weight(weight))
    };
    let servers = servers.iter().enumerate().filter_map(server).collect();
    Config::new().with_service(VirtualService::new(key).with_servers(servers))
}

fn carry_out(action: &Action, config: &mut Config) {
    use vsched::config::Command;
    let command = match action {
        Action::AddService(service) => Command::AddService(service.clone()),
        Action::EditService { service, .. } => Command::EditService(service.clone()),
        Action::DeleteService(key) => Command::DeleteService(*key),
        Action::AddServer { service, server } => {
            Command::AddServer { service: *service, server: server.clone() }
        }
        Action::EditServer { service, server, .. } => {
            Command::EditServer { service: *service, server: server.clone() }
        }
        Action::DeleteServer { service, server } => {
            Command::DeleteServer { service: *service, server: *server }
        }
        _ => return,
    };
    config.execute(&command).expect("a step that fits");
}

fn is_open(config: &Config) -> bool {
    config.services[0].servers.iter().any(|server| server.weight > 0)
}

/// Every transition of four servers, each absent or of weight 0, 1, 2, with an eligible one on both
/// sides: no moment leaves none.
#[test]
fn no_moment_closes_a_service() {
    let mut moments = 0;
    for before in 0..4usize.pow(SERVERS as u32) {
        let before = service(&side(before));
        if !is_open(&before) {
            continue;
        }
        let found = Observed::from(&before);
        for after in 0..4usize.pow(SERVERS as u32) {
            let after = service(&side(after));
            if !is_open(&after) {
                continue;
            }
            for policy in [Policy::default(), immediate()] {
                let plan = Plan::new(after.clone(), &found, &policy).expect("a plan");
                let mut state = before.clone();
                for step in plan.steps().iter() {
                    carry_out(&step.action, &mut state);
                    assert!(is_open(&state), "after `{step}` of\n{plan}");
                    moments += 1;
                }
            }
        }
    }
    assert!(moments > 200_000, "{moments}");
}
