//! Names and user data: labels that stand where keys and addresses do, and that no decision depends on.

mod common;

use common::{config, flow, rip, vip};
use vsched::config::{Command, Config, Name, ServiceKey, VirtualService};
use vsched::error::Refusal;
use vsched::{Director, SchedulerKind, ServiceId, metrics};

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn key(n: u16) -> ServiceKey {
    ServiceKey::tcp(vip(n))
}

/// Two services, `web` with servers `a`, `b`, `c` and `api` without.
fn named(kind: SchedulerKind) -> Config {
    let mut config = config(kind, 3, &[1, 2, 3]);
    config.services[0].name = Some(name("web"));
    for (server, text) in config.services[0].servers.iter_mut().zip(["a", "b", "c"]) {
        server.name = Some(name(text));
        server.user_data = u64::from(server.address.port()) << 40 | u64::from(text.as_bytes()[0]);
    }
    config.services.push(VirtualService::new(key(1)).with_name(name("api")));
    config
}

fn refused(config: &Config) -> String {
    config.validate().expect_err("a name twice").to_string()
}

#[test]
fn names_are_found_and_follow_every_change() {
    let director = Director::new(&named(SchedulerKind::Wrr)).expect("valid");
    let by_key = |n| director.service_by_key(&key(n)).expect("it runs");
    assert_eq!(director.service("web"), Ok(by_key(0)));
    assert_eq!(director.service("api"), Ok(by_key(1)));
    let second = director.server_by_address(by_key(0), rip(2)).expect("it runs");
    assert_eq!(director.server(by_key(0), "b"), Ok(second));
    assert_eq!(director.server(by_key(0), &rip(2).to_string()), Ok(second));
    let (key_text, unknown) = (key(0).to_string(), director.server(by_key(0), "d"));
    let unknown = unknown.expect_err("no server");
    assert_eq!(unknown.to_string(), format!("service {key_text}: server d: no such server"));
    assert_eq!((unknown.service(), unknown.server()), (&*key_text, "d"));
    assert_eq!(unknown.refusal(), Refusal::NoServer);
    let deleted = director.server(ServiceId::from_raw([9, 9]), "b").expect_err("no service");
    assert_eq!(deleted.to_string(), "service 9.9: no such service");
    assert_eq!(deleted.refusal(), Refusal::NoService);
    assert_eq!(
        director.service("nobody-has-it").expect_err("no service").to_string(),
        "service nobody-has-it: no such service"
    );

    // The two exchange their names in one change.
    let mut config = director.config();
    config.services[0].name = Some(name("api"));
    config.services[1].name = Some(name("web"));
    director.apply(&config).expect("valid");
    assert_eq!(director.service("web"), Ok(by_key(1)));
    assert_eq!(director.service("api"), Ok(by_key(0)));
    director.execute(&Command::DeleteService(key(1))).expect("it runs");
    assert!(director.service("web").is_err());
    director
        .execute(&Command::EditService(config.services[0].settings().with_servers(())))
        .expect("it runs");
    let mut settings = config.services[0].settings();
    settings.name = None;
    director.execute(&Command::EditService(settings)).expect("it runs");
    assert!(director.service("api").is_err());
    assert_eq!(director.config().service("api"), None);
}

#[test]
fn a_name_is_given_once() {
    let mut config = named(SchedulerKind::Rr);
    config.services[1].name = Some(name("web"));
    assert_eq!(
        refused(&config),
        format!("service {}: name: web is also the name of service {}", key(1), key(0))
    );
    config.services[1].name = None;
    config.services[0].servers[2].name = Some(name("a"));
    let server = format!(
        "service {}: server {}: name: a is also the name of server {}",
        key(0),
        rip(3),
        rip(1)
    );
    assert_eq!(refused(&config), server);

    let director = Director::new(&named(SchedulerKind::Rr)).expect("valid");
    let before = director.observe();
    let taken = VirtualService::new(key(2)).with_name(name("api")).settings();
    let add = director.execute(&Command::AddService(taken.clone())).expect_err("taken");
    assert_eq!(
        add.to_string(),
        format!("service {}: name: api is also the name of service {}", key(2), key(1))
    );
    let third = named(SchedulerKind::Rr).services[0].servers[2].clone().with_name(name("a"));
    let edit = director.execute(&Command::EditServer { service: key(0), server: third.clone() });
    assert_eq!(edit.expect_err("taken").to_string(), server);
    let mut fourth = third;
    fourth.address = rip(4);
    assert!(
        director.execute(&Command::AddServer { service: key(0), server: fourth.clone() }).is_err()
    );
    assert_eq!(director.observe(), before);
    // In another service it is another name.
    director.execute(&Command::AddServer { service: key(1), server: fourth }).expect("free there");
    // Its own name is no other's.
    let own = director.config().services[0].servers[0].clone();
    director.execute(&Command::EditServer { service: key(0), server: own }).expect("its own");
}

#[test]
fn picks_return_user_data_and_labels_change_no_decision() {
    for kind in SchedulerKind::ALL.iter().copied() {
        let labeled = Director::new(&named(kind)).expect("valid");
        let mut bare = named(kind);
        for service in &mut bare.services {
            service.name = None;
            service.servers.iter_mut().for_each(|it| (it.name, it.user_data) = (None, 0));
        }
        let plain = Director::new(&bare).expect("valid");
        let data = |address| {
            let config = labeled.config();
            config.services[0]
                .servers
                .iter()
                .find(|it| it.address == address)
                .map(|it| it.user_data)
        };
        let of = |director: &Director| director.service_by_key(&key(0)).expect("it runs");
        let (worker, twin) = (labeled.worker(), plain.worker());
        let mut config = named(kind);
        for round in 0..5 {
            for n in 0..7 {
                let pick = worker.pick_server_excluding(of(&labeled), &flow(n), &[]);
                let same = twin.pick_server_excluding(of(&plain), &flow(n), &[]);
                assert_eq!(
                    pick.as_ref().map(|it| it.address()),
                    same.as_ref().map(|it| it.address()),
                    "{kind:?}"
                );
                if let Ok(pick) = pick {
                    assert_eq!(Some(pick.user_data()), data(pick.address()), "{kind:?}");
                    assert_eq!(same.expect("the same").user_data(), 0);
                }
            }
            // A change of labels alone: no scheduler starts over, no server loses its state.
            let ids = labeled.servers(of(&labeled)).expect("it runs");
            for (n, server) in config.services[0].servers.iter_mut().enumerate() {
                server.user_data = server.user_data.wrapping_mul(3) + round;
                server.name = Some(name(&format!("x{round}-{n}")));
                if round == 3 {
                    let edit = Command::EditServer { service: key(0), server: server.clone() };
                    labeled.execute(&edit).expect("valid");
                }
            }
            let applied = labeled.apply(&config).expect("valid");
            assert_eq!(applied.changed.len(), if round == 3 { 0 } else { 3 });
            let after = labeled.servers(of(&labeled)).expect("it runs");
            assert!(ids.iter().map(|it| it.0).eq(after.iter().map(|it| it.0)));
        }
    }
}

#[test]
fn a_server_is_read_by_its_id() {
    let director = Director::new(&named(SchedulerKind::Wlc)).expect("valid");
    let service = director.service("web").expect("it runs");
    let worker = director.worker();
    let open: Vec<_> =
        (0..20).map(|n| worker.connect(service, &flow(n)).expect("a server")).collect();
    for (id, observed) in director.servers(service).expect("it runs") {
        assert_eq!(director.observe_server(id), Some(observed));
    }
    let (first, _) = director.servers(service).expect("it runs")[0].clone();
    let observed = director.observe_server(first).expect("it runs");
    assert_eq!(observed.server.name, Some(name("c")));
    assert!(observed.counts.active > 0);
    director.execute(&Command::DeleteServer { service: key(0), server: rip(3) }).expect("it runs");
    assert_eq!(director.observe_server(first), None, "removed, though it has connections");
    drop(open);
}

#[test]
fn metrics_have_names_as_labels() {
    let director = Director::new(&named(SchedulerKind::Rr)).expect("valid");
    let text = director.metrics(&metrics::Options::new().with_servers());
    let service =
        format!("vsched_service_connections_total{{service=\"{}\",name=\"web\"}} 0", key(0));
    let server = format!(
        "vsched_server_connections_total{{service=\"{}\",name=\"web\",server=\"{}\",server_name=\"b\"}} 0",
        key(0),
        rip(2)
    );
    assert!(text.lines().any(|line| line == service), "{text}");
    assert!(text.lines().any(|line| line == server), "{text}");
}

#[test]
fn texts_that_are_no_names() {
    let long = "a".repeat(254);
    for text in [
        "",
        " ",
        "a b",
        "10.0.0.1",
        "10.0.0.1:80",
        "::1",
        "[::1]:80",
        "a:80",
        "7",
        "ä",
        "a\u{202e}",
        "a,b",
        "\"",
        &long,
    ] {
        let error = text.parse::<Name>().expect_err(text).to_string();
        assert!(error.starts_with("name `") && error.contains("1 to 253 ASCII letters"), "{error}");
    }
    for text in ["a", "7a", "-a", "@home", "ns/pod-1", "a".repeat(253).as_str(), "10.0.0.1.example"]
    {
        assert_eq!(name(text).to_string(), text);
    }
}
