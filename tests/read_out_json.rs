//! What a director reports, as JSON: every field of every type, by name.
#![cfg(feature = "serde")]

mod common;

use std::time::Duration;

use common::flow;
use serde_json::{Value, json, to_value};
use vsched::config::{
    ObservedServer, ObservedService, Rates, RealServer, Remembered, ServerCounts, Statistics,
};
use vsched::{
    Applied, Bar, Config, Director, Holder, Item, Outcome, ServerHealth, ServerState, Worker,
};

const RULES: &str = "
    -A -t 10.1.0.1:1000 -s lblc -p 300 -M 255.255.255.0
    -a -t 10.1.0.1:1000 -r 10.9.0.1:80 -m -w 3 -x 9 -y 4
    -a -t 10.1.0.1:1000 -r 10.9.0.2:80 -i --tun-type gue --tun-port 6080 -w 0
    -A -f 7 -6 -s rr
";
const SERVICE: &str = "tcp 10.1.0.1:1000";
const SERVER: &str = "10.9.0.1:80";

/// With one connection to the first server, which has reported what it did.
fn director() -> (Director, Worker) {
    let config: Config = RULES.parse().expect("rules");
    let director = Director::new(&config).expect("valid");
    let service = director.service(SERVICE).expect("it runs");
    let worker = director.worker();
    director.tick(Duration::from_secs(1));
    let lease = worker.connect(service, &flow(1)).expect("one is eligible").into_lease();
    let latency = Some(Duration::from_nanos(1_500_999));
    worker.report(lease.server(), Outcome::Done, latency).expect("it runs");
    worker.report(lease.server(), Outcome::Failed, None).expect("it runs");
    worker.report(lease.server(), Outcome::Abandoned, None).expect("it runs");
    (director, worker)
}

fn json(value: impl serde::Serialize) -> Value {
    to_value(value).expect("all keys are texts")
}

fn statistics(connections: u64) -> Value {
    json!({
        "connections": connections, "packets_in": 0, "packets_out": 0, "bytes_in": 0,
        "bytes_out": 0, "refused": 0,
    })
}

fn rates() -> Value {
    json!({ "connections": 0, "packets_in": 0, "packets_out": 0, "bytes_in": 0, "bytes_out": 0 })
}

#[test]
fn an_observed_config_is_a_config_with_figures() {
    let (director, _worker) = director();
    let expected = json!({
        "kernel_rules": "B",
        "seed": 0,
        "services": [
            {
                "key": "tcp 10.1.0.1:1000",
                "scheduler": "lblc",
                "persistence": { "timeout": 300, "netmask": "255.255.255.0" },
                "statistics": statistics(1),
                "rates": rates(),
                "remembered": { "entries": 1, "capacity": 16384, "refused": 0 },
                "templates": { "entries": 1, "capacity": 16384, "refused": 0 },
                "panics": false,
                "servers": [
                    {
                        "address": "10.9.0.2:1000",
                        "forwarding": { "tunnel": { "type": "gue", "port": 6080, "checksum": "none" } },
                        "weight": 0,
                        "thresholds": { "upper": 0, "lower": 0 },
                        "effective_weight": 0,
                        "counts":
                            { "active": 0, "inactive": 0, "persistent": 0, "overloaded": false },
                        "state": "up",
                        "health": {
                            "state": "up", "ejected": false, "done": 0, "failed": 0,
                            "abandoned": 0, "consecutive_failures": 0, "recent_done": 0,
                            "recent_failed": 0, "latency_us": null,
                        },
                        "statistics": statistics(0),
                        "rates": rates(),
                    },
                    {
                        "address": "10.9.0.1:80",
                        "forwarding": "masq",
                        "weight": 3,
                        "thresholds": { "upper": 9, "lower": 4 },
                        "effective_weight": 3,
                        "counts":
                            { "active": 1, "inactive": 0, "persistent": 1, "overloaded": false },
                        "state": "up",
                        "health": {
                            "state": "up", "ejected": false, "done": 1, "failed": 1,
                            "abandoned": 1, "consecutive_failures": 1, "recent_done": 1,
                            "recent_failed": 1, "latency_us": 1500,
                        },
                        "statistics": statistics(1),
                        "rates": rates(),
                    },
                ],
            },
            {
                "key": "fwmark 7 inet6",
                "scheduler": "rr",
                "statistics": statistics(0),
                "rates": rates(),
                "remembered": null,
                "templates": null,
                "panics": false,
                "servers": [],
            },
        ],
    });
    assert_eq!(json(director.observe()), expected);
}

/// Take away what is observed, and turn the servers around: what is left is the config.
#[test]
fn what_is_observed_has_every_setting() {
    let (director, _worker) = director();
    let mut observed = json(director.observe());
    let take = |item: &mut Value, names: &[&str]| {
        let item = item.as_object_mut().expect("an object");
        for name in names {
            assert!(item.remove(*name).is_some(), "{name}");
        }
    };
    for service in observed["services"].as_array_mut().expect("services") {
        take(service, &["statistics", "rates", "remembered", "templates", "panics"]);
        let servers = service["servers"].as_array_mut().expect("servers");
        servers.reverse();
        for server in servers {
            let names = ["effective_weight", "counts", "state", "health", "statistics", "rates"];
            take(server, &names);
        }
    }
    assert_eq!(observed, json(director.config()));
    let read: Config = serde_json::from_value(observed).expect("a config");
    assert_eq!(read, director.config());
}

/// Each type by itself is what it is inside another.
#[test]
fn the_parts_are_texts_of_their_own() {
    let (director, _worker) = director();
    let observed = director.observe();
    let whole = json(&observed);
    let service: &ObservedService = &observed.services[0];
    assert_eq!(json(service), whole["services"][0]);
    let server: &ObservedServer = &service.servers[1];
    let text = &whole["services"][0]["servers"][1];
    assert_eq!(json(server), *text);
    let counts: ServerCounts = server.counts;
    let health: ServerHealth = server.health;
    let (statistics, rates): (Statistics, Rates) = (server.statistics, server.rates);
    assert_eq!(json(counts), text["counts"]);
    assert_eq!(json(health), text["health"]);
    assert_eq!(
        (json(statistics), json(rates)),
        (text["statistics"].clone(), text["rates"].clone())
    );
    let remembered: Option<Remembered> = service.remembered;
    assert_eq!(json(remembered), whole["services"][0]["remembered"]);
    let toml = toml::to_string(&observed).expect("a table of tables");
    assert!(toml.contains("consecutive_failures = 1"), "{toml}");
}

#[test]
fn what_a_change_did_is_text() {
    let (director, _worker) = director();
    let mut config = director.config();
    config.seed = 1;
    config.services[0].servers[0].weight = 0;
    config.services[0].servers[1].weight = 5;
    config.services[0].servers.push(RealServer::new("10.9.0.3:80".parse().expect("an address")));
    config.services.pop();
    let applied: Applied = director.apply(&config).expect("valid");
    let item = |server: &str, item: &Item| {
        let ids = (item.service_id.to_raw(), item.server_id.expect("of a server").to_raw());
        json!({ "service": SERVICE, "server": server, "service_id": ids.0, "server_id": ids.1 })
    };
    let gone = applied.removed[0].service_id.to_raw();
    assert_eq!(
        json(&applied),
        json!({
            "added": [item("10.9.0.3:80", &applied.added[0])],
            "changed": [item("10.9.0.2:1000", &applied.changed[0])],
            "drained": [item(SERVER, &applied.drained[0])],
            "removed": [{
                "service": "fwmark 7 inet6", "server": null, "service_id": gone, "server_id": null,
            }],
            "settings": true,
        })
    );
    let first: &Item = &applied.added[0];
    assert_eq!(json(first), item("10.9.0.3:80", first));
}

#[test]
fn a_removed_server_is_text() {
    let (director, _worker) = director();
    let mut config = director.config();
    config.services[0].servers.remove(0);
    director.apply(&config).expect("valid");
    assert_eq!(
        json(director.removed_with_connections()),
        json!([{ "service": SERVICE, "server": SERVER, "active": 1, "inactive": 0 }])
    );
}

#[test]
fn holds_are_texts() {
    let (director, _worker) = director();
    let key = SERVICE.parse().expect("a key");
    let server =
        common::server_id(&director, &key, SERVER.parse().expect("an address")).expect("it runs");
    let hold = |holder, state, reason| {
        director.set_state_because(server, holder, state, reason).expect("it runs");
    };
    hold(Holder::Administrator, ServerState::Draining, "new \"disk\"\n");
    hold(Holder::HealthChecker, ServerState::Down, "");
    assert_eq!(
        json(director.holds(server)),
        json!([
            { "holder": "administrator", "state": "draining", "reason": "new \"disk\"\n" },
            { "holder": "health-checker", "state": "down", "reason": "" },
        ])
    );
}

/// In every text a thing has one name.
#[test]
fn names_are_those_of_other_texts() {
    for &state in ServerState::ALL {
        assert_eq!(json(state), state.name());
    }
    for &holder in Holder::ALL {
        assert_eq!(json(holder), holder.name());
    }
    for bar in
        [Bar::Quiesced, Bar::Draining, Bar::Down, Bar::Ejected, Bar::Standby, Bar::Overloaded]
    {
        assert_eq!(json(bar), bar.name());
    }
}
