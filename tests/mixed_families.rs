//! A proxy masquerades between address families; no kernel does, and what speaks of kernels says so.

mod common;

use std::net::{IpAddr, SocketAddr};

use common::flow;
use vsched::config::{Config, RealServer, ServiceKey};
use vsched::{Director, SchedulerKind};

const SIX: &str = "-A -t [2001:db8::1]:80 -s rr\n\
                   -a -t [2001:db8::1]:80 -r 10.9.0.1:80 -m -w 1\n\
                   -a -t [2001:db8::1]:80 -r [2001:db8::9]:80 -m -w 1\n";
const FOUR: &str = "-A -t 10.1.0.1:80 -s rr\n\
                    -a -t 10.1.0.1:80 -r [2001:db8::9]:8080 -m -w 2\n\
                    -a -t 10.1.0.1:80 -r 10.9.0.1:80 -m -w 1\n";

fn other(config: &Config) -> SocketAddr {
    config.services[0].servers[0].address
}

#[test]
fn every_scheduler_picks_servers_of_both_families() {
    for (text, kind) in [SIX, FOUR]
        .into_iter()
        .flat_map(|text| SchedulerKind::ALL.iter().map(move |kind| (text, *kind)))
    {
        let mut config: Config = text.parse().expect("rules");
        config.services[0].scheduler = Some(kind);
        // Some have one server for all these clients.
        config.services[0].servers.truncate(1);
        let director = Director::new(&config).expect("valid");
        let service = director.service_by_key(&config.services[0].key).expect("it runs");
        let worker = director.worker();
        let found = (0..64).find_map(|n| worker.connect(service, &flow(n)).ok());
        let connection = found.unwrap_or_else(|| panic!("{kind:?}: no server"));
        assert_eq!(connection.address(), other(&config), "{kind:?}");
        drop(connection);
        assert_eq!(
            director
                .counts(
                    common::server_id(&director, &config.services[0].key, other(&config))
                        .expect("it runs")
                )
                .expect("it runs")
                .active,
            0
        );
    }
}

#[test]
fn texts_say_it_and_read_it_back() {
    for text in [SIX, FOUR] {
        let config: Config = text.parse().expect("rules");
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.to_rules().complete().to_string(), text);
        let json = serde_json::to_string(&config).expect("json");
        assert_eq!(serde_json::from_str::<Config>(&json).expect("a config"), config);
    }
}

#[test]
fn requirements_say_what_a_kernel_takes() {
    for text in [SIX, FOUR] {
        let config: Config = text.parse().expect("rules");
        let of_it = |ip: IpAddr| ip == other(&config).ip();
        let told: Vec<String> = config
            .requirements()
            .iter()
            .filter(|it| {
                it.origins
                    .iter()
                    .any(|origin| origin.server.is_some_and(|server| of_it(server.ip())))
            })
            .map(|it| it.reason.clone())
            .collect();
        let kernel = "Linux has no masquerading between IPv4 and IPv6, so no kernel can run the service: use a \
                      tunnel, or a server of the service's own family.";
        assert!(told.iter().any(|reason| reason == kernel), "{told:#?}");
        // What a kernel would need, a proxy does not.
        assert!(
            told.iter()
                .all(|reason| !reason.contains("default route") && !reason.contains("Replies")),
            "{told:#?}"
        );
    }
}

#[test]
fn other_methods_need_one_family() {
    let mut config: Config = SIX.parse().expect("rules");
    config.services[0].servers[0] = RealServer::new(other(&config));
    let key: ServiceKey = config.services[0].key;
    assert_eq!(
        config.validate().expect_err("direct routing").to_string(),
        format!(
            "service {key}: server 10.9.0.1:80: address: an IPv4 server of an IPv6 service needs a tunnel or, in a proxy, masquerading"
        )
    );
}
