//! Configs and keys survive conversion to text and back.
#![cfg(feature = "serde")]

use std::net::{Ipv4Addr, SocketAddr};

use vsched::SchedulerKind;
use vsched::config::{
    Config, Family, Forwarding, KernelRules, Netmask, Persistence, RealServer, SchedulerFlags,
    ServiceKey, SyncDaemon, SyncRole, Thresholds, Timeouts, Tunnel, TunnelChecksum, VirtualService,
};

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// Uses every field and every variant, with values at their limits.
fn everything() -> Config {
    let all_flags =
        SchedulerFlags::ALL.into_iter().fold(SchedulerFlags::default(), SchedulerFlags::union);
    let mut plain = VirtualService::new(ServiceKey::tcp(address("192.168.4.5:80")))
        .with_scheduler(SchedulerKind::Wrr);
    plain.flags = all_flags;
    plain.servers = vec![
        RealServer::new(address("192.168.5.11:80")),
        RealServer::new(address("192.168.5.12:8080"))
            .with_forwarding(Forwarding::Masq)
            .with_weight(0)
            .with_thresholds(2_147_483_647, 7),
        RealServer::new(address("192.168.5.13:0")).with_forwarding(Forwarding::Local),
        RealServer::new(address("192.168.5.14:80"))
            .with_forwarding(Forwarding::Bypass)
            .with_weight(2_147_483_647),
    ];
    plain.servers.extend(
        [
            Tunnel::Ipip {},
            Tunnel::Gue { port: 6080, checksum: TunnelChecksum::None },
            Tunnel::Gue { port: 65535, checksum: TunnelChecksum::Full },
            Tunnel::Gue { port: 1, checksum: TunnelChecksum::Remote },
            Tunnel::Gre { checksum: TunnelChecksum::None },
            Tunnel::Gre { checksum: TunnelChecksum::Full },
        ]
        .into_iter()
        .zip(1..)
        .map(|(tunnel, port)| {
            let server = SocketAddr::from(([192, 168, 5, 15], port));
            RealServer::new(server).with_forwarding(Forwarding::Tunnel(tunnel))
        }),
    );
    let mut persistent = VirtualService::new(ServiceKey::udp(address("192.168.4.5:5060")));
    persistent.persistence = Some(
        Persistence::new(2_678_400).with_netmask(Netmask::Inet(Ipv4Addr::new(255, 255, 255, 0))),
    );
    persistent.persistence_engine = Some("sip".to_owned());
    persistent.one_packet = true;
    let mut inet6 = VirtualService::new(ServiceKey::sctp(address("[2001:db8::1]:2905")));
    inet6.persistence = Some(Persistence::new(1).with_netmask(Netmask::Inet6(64)));
    inet6.servers = vec![RealServer::new(address("[2001:db8::2]:2905"))];
    let mut refuses = VirtualService::new(ServiceKey::fwmark(u32::MAX, Family::Inet6));
    refuses.scheduler = None;
    refuses.flags = SchedulerFlags::FLAG_2;
    refuses.persistence = Some(Persistence::default());
    let mut config = Config::new()
        .with_kernel_rules(KernelRules::A)
        .with_seed(i64::MAX.unsigned_abs())
        .with_expire_quiescent_template()
        .with_timeouts(Timeouts::default().with_tcp(900).with_tcp_fin(120).with_udp(300))
        .with_services(vec![
            plain,
            persistent,
            inet6,
            VirtualService::new(ServiceKey::fwmark(7, Family::Inet)),
            refuses,
        ]);
    config.daemons = vec![
        SyncDaemon::new(SyncRole::Master, "eth0")
            .with_sync_id(255)
            .with_max_len(1472)
            .with_group(Ipv4Addr::new(224, 0, 0, 81).into())
            .with_port(8848)
            .with_ttl(1),
        SyncDaemon::new(SyncRole::Backup, "eth1")
            .with_sync_id(0)
            .with_group("ff02::81".parse().expect("a group")),
    ];
    config
}

#[test]
fn everything_survives_json() {
    let config = everything();
    assert_eq!(config.validate(), Ok(()));
    for text in [
        serde_json::to_string(&config).expect("JSON"),
        serde_json::to_string_pretty(&config).expect("JSON"),
    ] {
        assert_eq!(serde_json::from_str::<Config>(&text).expect("a config"), config, "{text}");
        let from_reader: Config = serde_json::from_reader(text.as_bytes()).expect("a config");
        assert_eq!(from_reader, config);
    }
    let value = serde_json::to_value(&config).expect("JSON");
    assert_eq!(serde_json::from_value::<Config>(value).expect("a config"), config);
}

#[test]
fn everything_survives_toml() {
    let config = everything();
    for text in
        [toml::to_string(&config).expect("TOML"), toml::to_string_pretty(&config).expect("TOML")]
    {
        assert_eq!(toml::from_str::<Config>(&text).expect("a config"), config, "{text}");
    }
}

#[test]
fn every_scheduler_survives() {
    for scheduler in SchedulerKind::ALL {
        let mut service =
            VirtualService::new(ServiceKey::fwmark(1, Family::Inet)).with_scheduler(*scheduler);
        for flag in SchedulerFlags::ALL {
            service.flags = service.flags.union(flag);
            let json = serde_json::to_string(&service).expect("JSON");
            assert_eq!(serde_json::from_str::<VirtualService>(&json).expect("a service"), service);
            assert!(json.contains(&format!(r#""scheduler":"{}""#, scheduler.name())), "{json}");
        }
    }
}

#[test]
fn defaults_are_those_of_ipvsadm() {
    let config: Config = serde_json::from_str(
        r#"{"services": [{
            "key": "tcp 192.168.4.5:80",
            "persistence": {},
            "servers": [{"address": "192.168.5.11:80"}, {"address": "192.168.5.12:80", "thresholds": {"upper": 5}}]
        }],
        "daemons": [{"role": "master", "interface": "eth0"}]}"#,
    )
    .expect("a config");
    assert_eq!(config.kernel_rules, KernelRules::B);
    assert_eq!((config.seed, config.timeouts), (0, Timeouts::default()));
    let daemon = &config.daemons[0];
    assert_eq!((daemon.sync_id, daemon.max_len, daemon.group), (0, None, None));
    assert_eq!((daemon.port, daemon.ttl), (None, None));
    let service = &config.services[0];
    assert_eq!(service.scheduler, Some(SchedulerKind::Wlc));
    assert_eq!(service.persistence, Some(Persistence::new(360)));
    assert!(
        service.flags.is_empty() && !service.one_packet && service.persistence_engine.is_none()
    );
    let [first, second] = &service.servers[..] else { panic!("two servers") };
    assert_eq!(*first, RealServer::new(address("192.168.5.11:80")));
    assert_eq!((first.forwarding, first.weight), (Forwarding::Route, 1));
    assert_eq!(first.thresholds, Thresholds::new(0, 0));
    assert_eq!(second.thresholds, Thresholds::new(5, 0));

    let empty = Config::default();
    assert_eq!(serde_json::from_str::<Config>("{}").expect("a config"), empty);
    assert_eq!(toml::from_str::<Config>("").expect("a config"), empty);
}

#[test]
fn the_text_of_a_plain_config() {
    let service = VirtualService::new(ServiceKey::tcp(address("192.168.4.5:80")))
        .with_server(RealServer::new(address("192.168.5.11:80")));
    let config = Config::new().with_service(service);
    assert_eq!(
        serde_json::to_string(&config).expect("JSON"),
        r#"{"kernel_rules":"B","seed":0,"services":[{"key":"tcp 192.168.4.5:80","scheduler":"wlc","#
            .to_owned()
            + r#""servers":[{"address":"192.168.5.11:80","forwarding":"route","weight":1,"thresholds":{"upper":0,"lower":0}}]}]}"#
    );
}

#[test]
fn toml_as_people_write_it() {
    let config: Config = toml::from_str(
        r#"
        kernel_rules = "A"
        timeouts = { tcp = 900 }

        [[daemons]]
        role = "backup"
        interface = "eth0"
        group = "224.0.0.82"

        [[services]]
        key = "udp [2001:db8::1]:53"
        scheduler = "wrr"
        persistence = { timeout = 60, netmask = 64 }
        one_packet = true

        [[services.servers]]
        address = "[2001:db8::11]:53"
        forwarding = "masq"
        weight = 2

        [[services.servers]]
        address = "192.168.5.12:53"
        forwarding = { tunnel = { type = "gue", port = 6080, checksum = "remote" } }

        [[services]]
        key = "fwmark 7 inet6"
        scheduler = "none"
        "#,
    )
    .expect("a config");
    let tunnel = Tunnel::Gue { port: 6080, checksum: TunnelChecksum::Remote };
    let mut dns = VirtualService::new(ServiceKey::udp(address("[2001:db8::1]:53")))
        .with_scheduler(SchedulerKind::Wrr)
        .with_server(
            RealServer::new(address("[2001:db8::11]:53"))
                .with_forwarding(Forwarding::Masq)
                .with_weight(2),
        )
        .with_server(
            RealServer::new(address("192.168.5.12:53")).with_forwarding(Forwarding::Tunnel(tunnel)),
        );
    dns.persistence = Some(Persistence::new(60).with_netmask(Netmask::Inet6(64)));
    dns.one_packet = true;
    let mut marked = VirtualService::new(ServiceKey::fwmark(7, Family::Inet6));
    marked.scheduler = None;
    assert_eq!(config.services, [dns, marked]);
    assert_eq!(config.kernel_rules, KernelRules::A);
    assert_eq!(config.timeouts.tcp, Some(900));
    assert_eq!(config.daemons[0].role, SyncRole::Backup);
}

#[test]
fn key_texts_both_ways() {
    for (text, key) in [
        ("tcp 192.168.4.5:80", ServiceKey::tcp(address("192.168.4.5:80"))),
        ("tcp 192.168.4.5:0", ServiceKey::tcp(address("192.168.4.5:0"))),
        ("udp [2001:db8::1]:53", ServiceKey::udp(address("[2001:db8::1]:53"))),
        ("sctp 10.0.0.1:2905", ServiceKey::sctp(address("10.0.0.1:2905"))),
        ("sctp [::]:65535", ServiceKey::sctp(address("[::]:65535"))),
        ("fwmark 7", ServiceKey::fwmark(7, Family::Inet)),
        ("fwmark 7 inet6", ServiceKey::fwmark(7, Family::Inet6)),
        ("fwmark 4294967295", ServiceKey::fwmark(u32::MAX, Family::Inet)),
    ] {
        assert_eq!(key.to_string(), text);
        assert_eq!(text.parse(), Ok(key));
        let quoted = format!("\"{text}\"");
        assert_eq!(serde_json::to_string(&key).expect("JSON"), quoted);
        assert_eq!(serde_json::from_str::<ServiceKey>(&quoted).expect("a key"), key);
    }
}

#[test]
fn keys_may_be_spelled_loosely() {
    for (text, key) in [
        ("  tcp\t192.168.4.5:80 ", "tcp 192.168.4.5:80"),
        ("udp [2001:0DB8:0::1]:053", "udp [2001:db8::1]:53"),
        ("fwmark 007", "fwmark 7"),
        ("fwmark 7 inet", "fwmark 7"),
        // An escape in JSON: the key cannot be borrowed from the text.
        ("\u{9}fwmark 7 inet6", "fwmark 7 inet6"),
    ] {
        let read: ServiceKey = text.parse().expect(text);
        assert_eq!(read.to_string(), key);
        let json = serde_json::to_string(text).expect("JSON");
        assert_eq!(serde_json::from_str::<ServiceKey>(&json).expect("a key"), read);
    }
}

#[test]
fn bad_keys() {
    const NUMERIC: &str = "expected a numeric `ADDRESS:PORT`, IPv6 as `[ADDRESS]:PORT`";
    const PARTS: &str = "expected `PROTOCOL ADDRESS:PORT` or `fwmark MARK`";
    const MARK: &str = "a firewall mark is a number from 1 to 4294967295";
    for (text, expected) in [
        ("", PARTS),
        ("tcp", PARTS),
        ("fwmark 7 inet6 now", PARTS),
        ("192.168.4.5:80", PARTS),
        ("TCP 192.168.4.5:80", "expected `tcp`, `udp`, `sctp` or `fwmark`"),
        ("icmp 192.168.4.5:80", "expected `tcp`, `udp`, `sctp` or `fwmark`"),
        ("tcp 192.168.4.5", NUMERIC),
        ("tcp 192.168.4.5:65536", NUMERIC),
        ("tcp 192.168.4.256:80", NUMERIC),
        ("tcp www.example.com:80", NUMERIC),
        ("tcp 2001:db8::1:80", NUMERIC),
        ("tcp [2001:db8::1]", NUMERIC),
        ("tcp [192.168.4.5]:80", NUMERIC),
        ("tcp 192.168.4.5:80 inet", "nothing may follow the address and port"),
        ("fwmark 0", MARK),
        ("fwmark -1", MARK),
        ("fwmark 4294967296", MARK),
        ("fwmark 0x7", MARK),
        ("fwmark 7 ipv6", "expected `inet` or `inet6` after the mark"),
    ] {
        let error = text.parse::<ServiceKey>().expect_err(text);
        assert_eq!(error.to_string(), format!("service key `{text}`: {expected}"));
    }
}
