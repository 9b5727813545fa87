//! `Director::apply_with` refuses exactly what its guardrails forbid, and a refused change changes
//! nothing.

mod common;

use common::{config, flow, rip, server, service, vip};
use vsched::config::{Guardrails, RealServer, ServiceKey};
use vsched::error::{ApplyError, ServiceLoss, Violation};
use vsched::{Activity, ApplyPolicy, Config, Director, SchedulerKind};

const RR: SchedulerKind = SchedulerKind::Rr;

/// A service's servers: number and weight.
type Servers<'a> = &'a [(u16, u32)];

/// A name, what runs, what is wanted, services closed, servers removed and of how many.
type Case<'a> = (&'a str, &'a [Servers<'a>], &'a [Servers<'a>], &'a [u16], (usize, usize));

/// Services 0, 1, …, each with these servers.
fn services(services: &[Servers]) -> Config {
    let with = |(number, servers): (usize, &Servers)| {
        let servers: Vec<RealServer> =
            servers.iter().map(|(n, weight)| server(*n, *weight)).collect();
        service(number as u16, RR).with_servers(servers)
    };
    Config::new().with_services(services.iter().enumerate().map(with).collect())
}

fn key(number: u16) -> String {
    ServiceKey::tcp(vip(number)).to_string()
}

fn policy(may_close_services: bool, most_deleted: u8) -> ApplyPolicy {
    ApplyPolicy::new(
        Guardrails::default()
            .with_may_close_services(may_close_services)
            .with_most_deleted(most_deleted),
    )
}

/// What is refused: services closed, servers removed and of how many.
fn verdict(runs: &Config, wanted: &Config, policy: &ApplyPolicy) -> (Vec<String>, (usize, usize)) {
    let director = Director::new(runs).expect("a valid config");
    let (mut closed, mut deleted) = (Vec::new(), (0, 0));
    match director.apply_with(wanted, policy) {
        Ok(_) => assert_eq!(director.config().services, wanted.services),
        Err(ApplyError::Guardrails(error)) => {
            assert_eq!(director.config(), *runs, "nothing has changed");
            for violation in error.violations() {
                match violation {
                    Violation::Closes(service) => closed.push(service.clone()),
                    Violation::Deletes { servers, of, most, losses, .. } => {
                        assert_eq!(*most, policy.guardrails.most_deleted);
                        let lost = losses.iter().map(|loss| loss.servers.len()).sum::<usize>();
                        assert_eq!(lost, *servers, "all are named");
                        deleted = (*servers, *of);
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert!(!error.violations().is_empty());
        }
        Err(other) => panic!("{other}"),
    }
    (closed, deleted)
}

#[test]
fn the_default_refuses_more_than_half_of_all_servers_and_closed_services() {
    let two: Servers = &[(1, 1), (2, 1)];
    let four: Servers = &[(1, 1), (2, 1), (3, 1), (4, 1)];
    let one: Servers = &[(1, 1)];
    let cases: &[Case] = &[
        ("nothing runs", &[], &[two], &[], (0, 0)),
        ("equal", &[two, two], &[two, two], &[], (0, 0)),
        ("emptied, 1 server", &[one], &[], &[], (1, 1)),
        ("emptied, 6 servers", &[two, four], &[], &[], (6, 6)),
        ("emptied, services without servers", &[&[], &[]], &[], &[], (0, 0)),
        ("1 of 2", &[two], &[one], &[], (0, 0)),
        ("2 of 4 with their service", &[two, two], &[two], &[], (0, 0)),
        ("2 of 4, one in each service", &[two, two], &[one, one], &[], (0, 0)),
        ("3 of 4", &[four], &[one], &[], (3, 4)),
        ("3 of 4 in one service, 3 of 8 in all", &[four, four], &[one, four], &[], (0, 0)),
        ("a service and half of another", &[four, two], &[two], &[], (4, 6)),
        ("a service and a quarter of another", &[four, two], &[&four[1..]], &[], (0, 0)),
        ("all replaced, 1 of 1", &[one], &[&[(9, 1)]], &[], (1, 1)),
        ("all replaced by more", &[two], &[&[(5, 1), (6, 1), (7, 1), (8, 1)]], &[], (2, 2)),
        ("half replaced", &[two], &[&[(1, 1), (9, 1)]], &[], (0, 0)),
        ("added to", &[one], &[four, four], &[], (0, 0)),
        ("a service stays without servers", &[four, one], &[four, &[]], &[1], (0, 0)),
        ("the only service stays without", &[two], &[&[]], &[0], (2, 2)),
        ("all quiesced", &[two], &[&[(1, 0), (2, 0)]], &[0], (0, 0)),
        ("one quiesced", &[two], &[&[(1, 0), (2, 1)]], &[], (0, 0)),
        ("only the quiesced one stays", &[&[(1, 0), (2, 1)]], &[&[(1, 0)]], &[0], (0, 0)),
        ("replaced by a quiesced one", &[two, two], &[two, &[(9, 0)]], &[1], (0, 0)),
        ("closed before", &[&[(1, 0)], two], &[&[], two], &[], (0, 0)),
        ("opened again", &[&[(1, 0)], two], &[one, two], &[], (0, 0)),
        ("both closed", &[two, two], &[&[(1, 0)], &[(2, 0)]], &[0, 1], (0, 0)),
    ];
    for (name, runs, wanted, closed, deleted) in cases {
        let closed: Vec<String> = closed.iter().map(|number| key(*number)).collect();
        let (runs, wanted) = (services(runs), services(wanted));
        assert_eq!(verdict(&runs, &wanted, &ApplyPolicy::default()), (closed, *deleted), "{name}");
        let off = ApplyPolicy::new(Guardrails::OFF);
        assert_eq!(verdict(&runs, &wanted, &off), (vec![], (0, 0)), "{name}: off");
        let director = Director::new(&runs).expect("a valid config");
        director.apply(&wanted).expect("the bare call refuses nothing");
    }
}

#[test]
fn the_limit_is_a_percentage_of_all_servers() {
    let runs = config(RR, 1000, &[1]);
    for (most, removed, refused) in [
        (0, 0, false),
        (0, 1, true),
        (1, 10, false),
        (1, 11, true),
        (50, 500, false),
        (50, 501, true),
        (99, 990, false),
        (99, 991, true),
        (100, 1000, false),
        (255, 1000, false),
    ] {
        let mut wanted = runs.clone();
        wanted.services[0].servers.truncate(1000 - removed);
        let (closed, deleted) = verdict(&runs, &wanted, &policy(true, most));
        let expected = if refused { (removed, 1000) } else { (0, 0) };
        assert_eq!((closed, deleted), (vec![], expected), "{removed} of 1000, at most {most} %");
    }
    // The two guardrails are independent.
    let closed = verdict(&runs, &services(&[&[]]), &policy(false, 100));
    assert_eq!(closed, (vec![key(0)], (0, 0)));
}

#[test]
fn after_a_refusal_everything_runs_on() {
    for wanted in [Config::default(), services(&[&[], &[(9, 1)]]), services(&[&[(1, 0), (9, 0)]])] {
        let runs = config(RR, 3, &[1]);
        let director = Director::new(&runs).expect("a valid config");
        let worker = director.worker();
        let id = director.service_by_key(&ServiceKey::tcp(vip(0))).expect("service 0");
        let pick = || worker.pick_server(id, &flow(1)).expect("three servers").address();
        let lease = worker.connect(id, &flow(1)).expect("three servers").into_lease();
        assert_eq!(pick(), rip(2));
        let refused = director.apply_with(&wanted, &ApplyPolicy::default());
        assert!(matches!(refused, Err(ApplyError::Guardrails(_))), "{refused:?}");
        assert_eq!(director.config(), runs);
        assert_eq!(director.counts(lease.server()).map(|counts| counts.active), Some(1));
        assert_eq!([pick(), pick()], [rip(1), rip(3)], "the rotation goes on");
        assert_eq!(director.removed_servers(), 0);
        // The same policy still takes what it allows, and told so, the director takes the rest.
        let applied = director.apply_with(&config(RR, 2, &[1]), &ApplyPolicy::default());
        assert_eq!(applied.expect("a third").removed.len(), 1);
        director.apply_with(&wanted, &ApplyPolicy::new(Guardrails::OFF)).expect("forced");
        assert_eq!(director.config().services, wanted.services);
    }
}

#[test]
fn a_config_that_breaks_limits_is_told_before_what_it_removes() {
    let director = Director::new(&config(RR, 3, &[1])).expect("a valid config");
    let mut bad = services(&[&[(9, 1)]]);
    bad.services[0].servers[0].thresholds.lower = 7;
    let refused = director.apply_with(&bad, &ApplyPolicy::default());
    assert!(matches!(refused, Err(ApplyError::Invalid(_))), "{refused:?}");
}

#[test]
fn the_text_names_what_would_go_the_share_the_limit_and_what_allows_it() {
    let text = |runs: &Config, wanted: &Config| {
        let director = Director::new(runs).expect("a valid config");
        let refused = director.apply_with(wanted, &ApplyPolicy::default());
        refused.expect_err("refused").to_string()
    };
    let two: Servers = &[(1, 1), (2, 1)];
    assert_eq!(
        text(&services(&[two, &[(3, 1)]]), &services(&[&[]])),
        "service tcp 10.1.0.1:1000: has eligible servers and would have none; may_close_services \
         would allow it\n\
         3 of 3 servers (100 %) would be removed, at most 50 % may be; most_deleted 100 would \
         allow it: service tcp 10.1.0.1:1000: 10.9.0.1:80, 10.9.0.2:80; \
         service tcp 10.1.0.1:1001 as a whole: 10.9.0.3:80"
    );
    // Long lists are cut, and the share is rounded up.
    let many: Vec<(u16, u32)> = (1..=201).map(|number| (number, 1)).collect();
    assert_eq!(
        text(&services(&[&many]), &services(&[&many[..100]])),
        "101 of 201 servers (51 %) would be removed, at most 50 % may be; most_deleted 51 would \
         allow it: service tcp 10.1.0.1:1000: 10.9.0.101:80, 10.9.0.102:80, 10.9.0.103:80, \
         10.9.0.104:80, 10.9.0.105:80 and 96 more"
    );
    let emptied = text(&services(&vec![two; 1000]), &Config::default());
    assert!(emptied.ends_with("; and servers of 995 more services"), "{emptied}");
    assert!(emptied.len() < 1000, "{} bytes", emptied.len());
}

#[test]
fn an_error_has_its_figures_as_data() {
    let director = Director::new(&services(&[&[(1, 1), (2, 1)]])).expect("a valid config");
    let refused = director.apply_with(&Config::default(), &policy(false, 0));
    let Err(ApplyError::Guardrails(error)) = refused else { panic!("{refused:?}") };
    let [Violation::Deletes { servers: 2, of: 2, most: 0, losses, .. }] = error.violations() else {
        panic!("{error:?}")
    };
    let [ServiceLoss { service, servers, removed: true, .. }] = &**losses else {
        panic!("{error:?}")
    };
    assert_eq!((service, servers), (&key(0), &vec![rip(1), rip(2)]));
}

/// Connections of a removed server are none of the policy's business, and a removed server is none
/// of those that run.
#[test]
fn removed_servers_that_still_count_are_not_part_of_the_share() {
    let director = Director::new(&config(RR, 4, &[1])).expect("a valid config");
    let worker = director.worker();
    let service = director.service_by_key(&ServiceKey::tcp(vip(0))).expect("service 0");
    for (server, _) in director.servers(service).expect("it runs") {
        let _lease = worker.open(server, Activity::Active).expect("it runs");
    }
    director.apply_with(&config(RR, 2, &[1]), &ApplyPolicy::default()).expect("half");
    assert_eq!(director.removed_servers(), 2);
    director.apply_with(&config(RR, 1, &[1]), &ApplyPolicy::default()).expect("1 of 2");
    let refused = director.apply_with(&Config::default(), &ApplyPolicy::default());
    assert!(refused.expect_err("1 of 1").to_string().starts_with("1 of 1 servers"));
}
