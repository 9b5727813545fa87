//! Invalid configs are rejected with the expected error texts.
#![cfg(feature = "serde")]

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Instant;

use vsched::SchedulerKind;
use vsched::config::{
    Config, Family, MAX_SERVERS, MAX_SERVICES, RealServer, ServiceKey, VirtualService,
};

/// Every problem of a config as text, in order.
fn problems(config: &Config) -> Vec<String> {
    match config.validate() {
        Ok(()) => Vec::new(),
        Err(error) => error.problems().iter().map(ToString::to_string).collect(),
    }
}

fn read(json: &str) -> Config {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// Configs of one service with these fields, and the only problem, which the service's path precedes.
const SERVICES: &[(&str, &str)] = &[
    (r#""key": "tcp 10.1.0.1:0""#, "port: 0, which stands for every port, needs persistence"),
    (
        r#""key": "udp [fd00::1]:0", "one_packet": true"#,
        "port: 0, which stands for every port, needs persistence",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "one_packet": true"#,
        "one_packet: tcp is neither udp nor a firewall mark",
    ),
    (
        r#""key": "sctp 10.1.0.1:80", "one_packet": true"#,
        "one_packet: sctp is neither udp nor a firewall mark",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "persistence": {"timeout": 0}"#,
        "persistence: timeout: 0 is outside 1 to 2678400",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "persistence": {"timeout": 2678401}"#,
        "persistence: timeout: 2678401 is outside 1 to 2678400",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "persistence": {"timeout": 4294967295}"#,
        "persistence: timeout: 4294967295 is outside 1 to 2678400",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "persistence": {"netmask": 64}"#,
        "persistence: netmask: 64 is an IPv6 prefix length; an IPv4 service takes a mask such as 255.255.255.0",
    ),
    (
        r#""key": "fwmark 7", "persistence": {"netmask": 64}"#,
        "persistence: netmask: 64 is an IPv6 prefix length; an IPv4 service takes a mask such as 255.255.255.0",
    ),
    (
        r#""key": "tcp [fd00::1]:80", "persistence": {"netmask": "255.255.255.0"}"#,
        "persistence: netmask: 255.255.255.0 is an IPv4 mask; an IPv6 service takes a prefix length, 1 to 128",
    ),
    (
        r#""key": "fwmark 7 inet6", "persistence": {"netmask": "255.255.255.0"}"#,
        "persistence: netmask: 255.255.255.0 is an IPv4 mask; an IPv6 service takes a prefix length, 1 to 128",
    ),
    (
        r#""key": "tcp [fd00::1]:80", "persistence": {"netmask": 0}"#,
        "persistence: netmask: 0 is outside 1 to 128",
    ),
    (
        r#""key": "tcp [fd00::1]:80", "persistence": {"netmask": 129}"#,
        "persistence: netmask: 129 is outside 1 to 128",
    ),
    (
        r#""key": "udp 10.1.0.1:80", "persistence_engine": """#,
        r#"persistence_engine: "" is not 1 to 15 printable ASCII characters without blanks"#,
    ),
    (
        r#""key": "udp 10.1.0.1:80", "persistence_engine": "sixteen-letters!""#,
        r#"persistence_engine: "sixteen-letters!" is not 1 to 15 printable ASCII characters without blanks"#,
    ),
    (
        r#""key": "udp 10.1.0.1:80", "persistence_engine": "s ip""#,
        r#"persistence_engine: "s ip" is not 1 to 15 printable ASCII characters without blanks"#,
    ),
    (
        r#""key": "udp 10.1.0.1:80", "persistence_engine": "sip\u0000""#,
        r#"persistence_engine: "sip\0" is not 1 to 15 printable ASCII characters without blanks"#,
    ),
    (
        r#""key": "udp 10.1.0.1:80", "persistence_engine": "süß""#,
        r#"persistence_engine: "süß" is not 1 to 15 printable ASCII characters without blanks"#,
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "ejection": {"interval": 0}"#,
        "ejection: interval: 0 is outside 1 to 2678400",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "ejection": {"interval": 2678401}"#,
        "ejection: interval: 2678401 is outside 1 to 2678400",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "ejection": {"base_time": 0}"#,
        "ejection: base_time: 0 is outside 1 to 2678400",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "ejection": {"base_time": 2678401}"#,
        "ejection: base_time: 2678401 is outside 1 to 2678400",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "ejection": {"max_time": 0}"#,
        "ejection: max_time: 0 is outside 1 to 2678400",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "ejection": {"max_time": 2678401}"#,
        "ejection: max_time: 2678401 is outside 1 to 2678400",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "ejection": {"trials": 0}"#,
        "ejection: trials: 0 is outside 1 to 65535",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "ejection": {"trials": 65536}"#,
        "ejection: trials: 65536 is outside 1 to 65535",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "ejection": {"failures": 65536}"#,
        "ejection: failures: 65536 is outside 0 to 65535",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "ejection": {"max_share": 101}"#,
        "ejection: max_share: 101 is outside 0 to 100",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "ejection": {"outliers": {"factor": 0}}"#,
        "ejection: outliers: factor: 0 is outside 1 to 1000000",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "ejection": {"outliers": {"factor": 1000001}}"#,
        "ejection: outliers: factor: 1000001 is outside 1 to 1000000",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "ejection": {"outliers": {"least_servers": 1}}"#,
        "ejection: outliers: least_servers: 1 is outside 2 to 1048576",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "ejection": {"outliers": {"least_servers": 1048577}}"#,
        "ejection: outliers: least_servers: 1048577 is outside 2 to 1048576",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "ejection": {"outliers": {"least_outcomes": 0}}"#,
        "ejection: outliers: least_outcomes: 0 is outside 1 to 4294967295",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "slow_start": {"duration": 0}"#,
        "slow_start: duration: 0 is outside 1 to 2678400",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "slow_start": {"duration": 2678401}"#,
        "slow_start: duration: 2678401 is outside 1 to 2678400",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "slow_start": {"aggression": 0}"#,
        "slow_start: aggression: 0 is outside 1 to 10000",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "slow_start": {"aggression": 10001}"#,
        "slow_start: aggression: 10001 is outside 1 to 10000",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "slow_start": {"least": 0}"#,
        "slow_start: least: 0 is outside 1 to 100",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "slow_start": {"least": 101}"#,
        "slow_start: least: 101 is outside 1 to 100",
    ),
    (r#""key": "tcp 10.1.0.1:80", "spill_over": 99"#, "spill_over: 99 is outside 100 to 1000"),
    (r#""key": "tcp 10.1.0.1:80", "spill_over": 1001"#, "spill_over: 1001 is outside 100 to 1000"),
    (
        r#""key": "tcp 10.1.0.1:80", "panic_threshold": 101"#,
        "panic_threshold: 101 is outside 0 to 100",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "scheduler": "rr", "spill_over": 140"#,
        "spill_over: this is for schedulers that share connections by weight, rr does not",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "scheduler": "none", "spill_over": 140"#,
        "spill_over: this is for schedulers that share connections by weight, none does not",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "scheduler": "mh", "slow_start": {}"#,
        "slow_start: this is for schedulers that share connections by weight, mh does not",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "scheduler": "none", "slow_start": {}"#,
        "slow_start: this is for schedulers that share connections by weight, none does not",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "scheduler": "wrr", "ties": "rotate""#,
        "ties: rotate is for schedulers lc, wlc, sed and nq, this one is wrr",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "scheduler": "none", "ties": "rotate""#,
        "ties: rotate is for schedulers lc, wlc, sed and nq, this one is none",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "scheduler": "wlc", "sharing": "chunks-16""#,
        "sharing: chunks-16 is for schedulers rr and wrr, this one is wlc: exact or per-worker",
    ),
    (
        r#""key": "tcp 10.1.0.1:80", "scheduler": "none", "sharing": "chunks-1""#,
        "sharing: chunks-1 is for schedulers rr and wrr, this one is none: exact or per-worker",
    ),
    (
        r#""key": "tcp [fe80::1%3]:80""#,
        "address: scope id 3 is not 0; addresses here have no scope",
    ),
    (
        r#""key": "tcp [::ffff:10.1.0.1]:80""#,
        "address: ::ffff:10.1.0.1 is an IPv4 address in IPv6 form; write 10.1.0.1",
    ),
];

#[test]
fn services_are_checked() {
    for (fields, problem) in SERVICES {
        let config = read(&format!(r#"{{"services": [{{{fields}}}]}}"#));
        let key = config.services[0].key;
        assert_eq!(problems(&config), [format!("service {key}: {problem}")], "{fields}");
    }
}

/// Service, fields of its only server, and the only problem, which the server's path precedes.
const SERVERS: &[(&str, &str, &str)] = &[
    (
        "tcp 10.1.0.1:80",
        r#""address": "10.9.0.1:80", "weight": 2147483648"#,
        "weight: 2147483648 is more than 2147483647",
    ),
    (
        "tcp 10.1.0.1:80",
        r#""address": "10.9.0.1:80", "weight": 4294967295"#,
        "weight: 4294967295 is more than 2147483647",
    ),
    (
        "tcp 10.1.0.1:80",
        r#""address": "10.9.0.1:80", "thresholds": {"upper": 3, "lower": 4}"#,
        "thresholds: lower: 4 is more than 3, the upper threshold",
    ),
    (
        "tcp 10.1.0.1:80",
        r#""address": "10.9.0.1:80", "thresholds": {"lower": 1}"#,
        "thresholds: lower: 1 is more than 0, the upper threshold",
    ),
    (
        "tcp 10.1.0.1:80",
        r#""address": "10.9.0.1:80", "thresholds": {"upper": 2147483648}"#,
        "thresholds: upper: 2147483648 is more than 2147483647, the limit of kernel rules B",
    ),
    (
        "tcp 10.1.0.1:80",
        r#""address": "0.0.0.0:80""#,
        "address: 0.0.0.0 is the unspecified address, not unicast",
    ),
    (
        "tcp 10.1.0.1:80",
        r#""address": "224.0.0.1:80""#,
        "address: 224.0.0.1 is a multicast address, not unicast",
    ),
    (
        "tcp 10.1.0.1:80",
        r#""address": "239.255.255.255:80""#,
        "address: 239.255.255.255 is a multicast address, not unicast",
    ),
    (
        "tcp 10.1.0.1:80",
        r#""address": "255.255.255.255:80""#,
        "address: 255.255.255.255 is the broadcast address, not unicast",
    ),
    (
        "tcp [fd00::1]:80",
        r#""address": "[::]:80""#,
        "address: :: is the unspecified address, not unicast",
    ),
    (
        "tcp [fd00::1]:80",
        r#""address": "[ff0e::1]:80""#,
        "address: ff0e::1 is a multicast address, not unicast",
    ),
    (
        "tcp [fd00::1]:80",
        r#""address": "[fe80::1]:80""#,
        "address: fe80::1 is a link-local address, not unicast",
    ),
    (
        "tcp [fd00::1]:80",
        r#""address": "[febf::1]:80""#,
        "address: febf::1 is a link-local address, not unicast",
    ),
    (
        "tcp [fd00::1]:80",
        r#""address": "[fd09::1%2]:80""#,
        "address: scope id 2 is not 0; addresses here have no scope",
    ),
    (
        "tcp [fd00::1]:80",
        r#""address": "[::ffff:10.9.0.1]:80""#,
        "address: ::ffff:10.9.0.1 is an IPv4 address in IPv6 form; write 10.9.0.1",
    ),
    (
        "tcp 10.1.0.1:80",
        r#""address": "[fd09::1]:80", "forwarding": "route""#,
        "address: an IPv6 server of an IPv4 service needs a tunnel or, in a proxy, masquerading",
    ),
    (
        "tcp [fd00::1]:80",
        r#""address": "10.9.0.1:80""#,
        "address: an IPv4 server of an IPv6 service needs a tunnel or, in a proxy, masquerading",
    ),
    (
        "fwmark 7 inet6",
        r#""address": "10.9.0.1:80""#,
        "address: an IPv4 server of an IPv6 service needs a tunnel or, in a proxy, masquerading",
    ),
    (
        "fwmark 7",
        r#""address": "[fd09::1]:80", "forwarding": "local""#,
        "address: an IPv6 server of an IPv4 service needs a tunnel or, in a proxy, masquerading",
    ),
    (
        "tcp 10.1.0.1:80",
        r#""address": "10.9.0.1:80", "forwarding": {"tunnel": {"type": "gue", "port": 0}}"#,
        "forwarding: tunnel: port: 0 is outside 1 to 65535",
    ),
    (
        "tcp 10.1.0.1:80",
        r#""address": "10.9.0.1:80", "forwarding": {"tunnel": {"type": "gre", "checksum": "remote"}}"#,
        "forwarding: tunnel: checksum: remote is possible for gue only, gre takes none or full",
    ),
];

#[test]
fn servers_are_checked() {
    for (service, fields, problem) in SERVERS {
        let config = read(&format!(
            r#"{{"services": [{{"key": "{service}", "servers": [{{{fields}}}]}}]}}"#
        ));
        let address = config.services[0].servers[0].address;
        let expected = format!("service {service}: server {address}: {problem}");
        assert_eq!(problems(&config), [expected], "{fields}");
    }
}

/// Other fields of a config, and all problems.
const CONFIGS: &[(&str, &[&str])] = &[
    (r#""timeouts": {"tcp": 0}"#, &["timeouts: tcp: 0 is outside 1 to 2678400"]),
    (
        r#""timeouts": {"tcp_fin": 2678401, "udp": 4294967295}"#,
        &[
            "timeouts: tcp_fin: 2678401 is outside 1 to 2678400",
            "timeouts: udp: 4294967295 is outside 1 to 2678400",
        ],
    ),
    (
        r#""daemons": [{"role": "master", "interface": ""}]"#,
        &[r#"daemon master: interface: "" is not 1 to 15 bytes without blanks, `/` and `:`"#],
    ),
    (
        r#""daemons": [{"role": "backup", "interface": "sixteen-letters!"}]"#,
        &[
            r#"daemon backup: interface: "sixteen-letters!" is not 1 to 15 bytes without blanks, `/` and `:`"#,
        ],
    ),
    (
        r#""daemons": [{"role": "master", "interface": "eth 0"}, {"role": "backup", "interface": "eth/0"}]"#,
        &[
            r#"daemon master: interface: "eth 0" is not 1 to 15 bytes without blanks, `/` and `:`"#,
            r#"daemon backup: interface: "eth/0" is not 1 to 15 bytes without blanks, `/` and `:`"#,
        ],
    ),
    (
        r#""daemons": [{"role": "master", "interface": "eth0"}, {"role": "master", "interface": "eth1"}]"#,
        &["daemon master: daemons[1] is a second master beside daemons[0]"],
    ),
    (
        r#""daemons": [{"role": "backup", "interface": "eth0"}, {"role": "master", "interface": "eth0"}, {"role": "backup", "interface": "eth0"}]"#,
        &["daemon backup: daemons[2] is a second backup beside daemons[0]"],
    ),
    (
        r#""daemons": [{"role": "master", "interface": "eth0", "max_len": 0}]"#,
        &["daemon master: max_len: 0 is outside 1 to 65507"],
    ),
    (
        r#""daemons": [{"role": "master", "interface": "eth0", "max_len": 65508}]"#,
        &["daemon master: max_len: 65508 is outside 1 to 65507"],
    ),
    (
        r#""daemons": [{"role": "master", "interface": "eth0", "group": "10.0.0.1"}]"#,
        &["daemon master: group: 10.0.0.1 is not a multicast address"],
    ),
    (
        r#""daemons": [{"role": "master", "interface": "eth0", "group": "fd00::1"}]"#,
        &["daemon master: group: fd00::1 is not a multicast address"],
    ),
    (
        r#""daemons": [{"role": "backup", "interface": "eth0", "port": 0, "ttl": 0}]"#,
        &[
            "daemon backup: port: 0 is outside 1 to 65535",
            "daemon backup: ttl: 0 is outside 1 to 255",
        ],
    ),
    (
        r#""services": [{"key": "tcp 10.1.0.1:80"}, {"key": "udp 10.1.0.1:80"}, {"key": "tcp 10.1.0.1:80"}]"#,
        &["service tcp 10.1.0.1:80: services[2] is services[0] once more"],
    ),
    (
        r#""services": [{"key": "fwmark 7"}, {"key": "fwmark 7 inet6"}, {"key": "fwmark 7 inet"}]"#,
        &["service fwmark 7: services[2] is services[0] once more"],
    ),
    (
        r#""services": [{"key": "tcp 10.1.0.1:80", "servers": [{"address": "10.9.0.1:80", "weight": 2},
         {"address": "10.9.0.1:81"}, {"address": "10.9.0.1:80"}, {"address": "10.9.0.1:80"}]}]"#,
        &[
            "service tcp 10.1.0.1:80: server 10.9.0.1:80: servers[2] is servers[0] once more",
            "service tcp 10.1.0.1:80: server 10.9.0.1:80: servers[3] is servers[0] once more",
        ],
    ),
    (
        r#""daemons": [{"role": "master", "interface": "eth0"}], "services": [{"key": "tcp 10.1.0.1:80",
         "servers": [{"address": "[fd09::1]:80", "forwarding": {"tunnel": {"type": "ipip"}}}]}]"#,
        &[
            "service tcp 10.1.0.1:80: server [fd09::1]:80: address: an IPv6 server of an IPv4 service cannot be synchronized by daemons",
        ],
    ),
];

#[test]
fn configs_are_checked() {
    for (fields, expected) in CONFIGS {
        assert_eq!(problems(&read(&format!("{{{fields}}}"))), *expected, "{fields}");
    }
}

/// What looks odd and is allowed, because the kernel takes it and it means something.
const ALLOWED: &[&str] = &[
    "",
    r#""kernel_rules": "A", "services": [{"key": "tcp 10.1.0.1:80", "servers": [{"address": "10.9.0.1:80", "thresholds": {"upper": 4294967295}}]}]"#,
    r#""services": [{"key": "tcp 10.1.0.1:0", "persistence": {}}]"#,
    r#""services": [{"key": "tcp 224.0.0.9:80"}, {"key": "tcp 0.0.0.0:80"}, {"key": "tcp [fe80::1]:80"}]"#,
    r#""services": [{"key": "fwmark 4294967295", "one_packet": true, "persistence": {"timeout": 2678400, "netmask": "255.0.255.0"}}]"#,
    r#""services": [{"key": "tcp [fd00::1]:80", "persistence": {"netmask": 1}}, {"key": "tcp [fd00::1]:81", "persistence": {"netmask": 128}}]"#,
    r#""services": [{"key": "tcp 10.1.0.1:80", "scheduler": "none", "flags": ["flag-3"], "persistence_engine": "sip", "servers": [
        {"address": "0.0.0.1:80"}, {"address": "240.0.0.1:80"}, {"address": "127.0.0.1:0", "weight": 0}, {"address": "127.0.0.1:80", "weight": 2147483647},
        {"address": "[fd09::1]:80", "forwarding": {"tunnel": {"type": "gre", "checksum": "full"}}},
        {"address": "10.9.0.1:80", "forwarding": "bypass", "thresholds": {"upper": 2147483647, "lower": 2147483647}}]}]"#,
    r#""services": [{"key": "tcp [fd00::1]:80", "servers": [{"address": "[::1]:80"}, {"address": "[fec0::1]:80"}, {"address": "[64:ff9b::1.2.3.4]:80"}]}]"#,
    r#""services": [
        {"key": "fwmark 1", "ejection": {"failures": 0, "interval": 1, "base_time": 1, "max_time": 1, "max_share": 0, "trials": 1,
            "outliers": {"factor": 1, "least_outcomes": 1, "least_servers": 2}}, "slow_start": {"duration": 1, "aggression": 1, "least": 1}},
        {"key": "fwmark 2", "ejection": {"failures": 65535, "interval": 2678400, "base_time": 2678400, "max_time": 2678400, "max_share": 100, "trials": 65535,
            "outliers": {"factor": 1000000, "least_outcomes": 4294967295, "least_servers": 1048576}}, "slow_start": {"duration": 2678400, "aggression": 10000, "least": 100}},
        {"key": "fwmark 3", "spill_over": 100, "panic_threshold": 0, "servers": [{"address": "10.9.0.1:80", "priority": 0}]},
        {"key": "fwmark 4", "spill_over": 1000, "panic_threshold": 100, "servers": [{"address": "10.9.0.1:80", "priority": 255}]},
        {"key": "fwmark 5", "scheduler": "none", "ejection": {"max_time": 1}, "panic_threshold": 50, "ties": "kernel"}]"#,
    r#""timeouts": {"tcp": 1, "tcp_fin": 2678400}, "daemons": [{"role": "backup", "interface": "fifteen-letters"},
        {"role": "master", "interface": "br0.7", "sync_id": 255, "max_len": 65507, "group": "ff02::5", "port": 1, "ttl": 255}]"#,
];

#[test]
fn odd_but_allowed() {
    for fields in ALLOWED {
        assert_eq!(problems(&read(&format!("{{{fields}}}"))), [""; 0], "{fields}");
    }
}

/// Which schedulers can have a setting is the registry's word, or for ties the rotation's.
#[test]
fn some_settings_need_a_scheduler() {
    for kind in SchedulerKind::ALL {
        let name = kind.name();
        let refused = |setting: &str| {
            let service = format!(r#"{{"key": "fwmark 7", "scheduler": "{name}", {setting}}}"#);
            problems(&read(&format!(r#"{{"services": [{service}]}}"#))).len()
        };
        let by_weight = usize::from(!kind.shares_by_weight());
        assert_eq!(refused(r#""spill_over": 140"#), by_weight, "{name}");
        assert_eq!(refused(r#""slow_start": {}"#), by_weight, "{name}");
        let rotates = ["lc", "wlc", "sed", "nq"].contains(&name);
        assert_eq!(refused(r#""ties": "rotate""#), usize::from(!rotates), "{name}");
    }
}

#[test]
fn firewall_mark_0_can_only_be_built_in_rust() {
    for (family, path) in [(Family::Inet, "fwmark 0"), (Family::Inet6, "fwmark 0 inet6")] {
        let config = Config::new().with_service(VirtualService::new(ServiceKey::fwmark(0, family)));
        assert_eq!(
            problems(&config),
            [format!("service {path}: mark: 0 is outside 1 to 4294967295")]
        );
    }
}

#[test]
fn flow_info_can_only_be_built_in_rust() {
    let address = SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 5, 0));
    let service =
        VirtualService::new(ServiceKey::tcp(address)).with_server(RealServer::new(address));
    let config = Config::new().with_service(service);
    assert_eq!(
        problems(&config),
        [
            "service tcp [::1]:80: address: flow info 5 is not 0; addresses here have no flow",
            "service tcp [::1]:80: server [::1]:80: address: flow info 5 is not 0; addresses here have no flow",
        ]
    );
}

#[test]
fn all_problems_are_told_at_once_and_in_order() {
    let config = read(
        r#"{
        "timeouts": {"tcp": 0, "udp": 2678401},
        "daemons": [
            {"role": "master", "interface": "a/b", "max_len": 0, "group": "1.2.3.4", "port": 0, "ttl": 0},
            {"role": "master", "interface": "eth0"}
        ],
        "services": [
            {"key": "tcp 10.1.0.1:0", "one_packet": true, "persistence_engine": " ", "servers": [
                {"address": "0.0.0.0:80", "weight": 4294967295, "thresholds": {"upper": 2147483648, "lower": 2147483649}},
                {"address": "[fe80::1%4]:80", "forwarding": {"tunnel": {"type": "gue", "port": 0}}},
                {"address": "0.0.0.0:80"}
            ]},
            {"key": "udp [::ffff:10.1.0.1]:53", "persistence": {"timeout": 0, "netmask": "255.0.0.0"}, "servers": [
                {"address": "10.9.0.1:53"}
            ]},
            {"key": "tcp 10.1.0.1:0", "persistence": {"netmask": 200}}
        ]}"#,
    );
    let error = config.validate().expect_err("many problems");
    assert_eq!(
        error.to_string(),
        r#"timeouts: tcp: 0 is outside 1 to 2678400
timeouts: udp: 2678401 is outside 1 to 2678400
daemon master: interface: "a/b" is not 1 to 15 bytes without blanks, `/` and `:`
daemon master: max_len: 0 is outside 1 to 65507
daemon master: group: 1.2.3.4 is not a multicast address
daemon master: port: 0 is outside 1 to 65535
daemon master: ttl: 0 is outside 1 to 255
daemon master: daemons[1] is a second master beside daemons[0]
service tcp 10.1.0.1:0: port: 0, which stands for every port, needs persistence
service tcp 10.1.0.1:0: one_packet: tcp is neither udp nor a firewall mark
service tcp 10.1.0.1:0: persistence_engine: " " is not 1 to 15 printable ASCII characters without blanks
service tcp 10.1.0.1:0: server 0.0.0.0:80: address: 0.0.0.0 is the unspecified address, not unicast
service tcp 10.1.0.1:0: server 0.0.0.0:80: weight: 4294967295 is more than 2147483647
service tcp 10.1.0.1:0: server 0.0.0.0:80: thresholds: upper: 2147483648 is more than 2147483647, the limit of kernel rules B
service tcp 10.1.0.1:0: server 0.0.0.0:80: thresholds: lower: 2147483649 is more than 2147483648, the upper threshold
service tcp 10.1.0.1:0: server [fe80::1%4]:80: address: scope id 4 is not 0; addresses here have no scope
service tcp 10.1.0.1:0: server [fe80::1%4]:80: address: fe80::1 is a link-local address, not unicast
service tcp 10.1.0.1:0: server [fe80::1%4]:80: address: an IPv6 server of an IPv4 service cannot be synchronized by daemons
service tcp 10.1.0.1:0: server [fe80::1%4]:80: forwarding: tunnel: port: 0 is outside 1 to 65535
service tcp 10.1.0.1:0: server 0.0.0.0:80: servers[2] is servers[0] once more
service tcp 10.1.0.1:0: server 0.0.0.0:80: address: 0.0.0.0 is the unspecified address, not unicast
service udp [::ffff:10.1.0.1]:53: address: ::ffff:10.1.0.1 is an IPv4 address in IPv6 form; write 10.1.0.1
service udp [::ffff:10.1.0.1]:53: persistence: timeout: 0 is outside 1 to 2678400
service udp [::ffff:10.1.0.1]:53: persistence: netmask: 255.0.0.0 is an IPv4 mask; an IPv6 service takes a prefix length, 1 to 128
service udp [::ffff:10.1.0.1]:53: server 10.9.0.1:53: address: an IPv4 server of an IPv6 service needs a tunnel or, in a proxy, masquerading
service tcp 10.1.0.1:0: services[2] is services[0] once more
service tcp 10.1.0.1:0: persistence: netmask: 200 is an IPv6 prefix length; an IPv4 service takes a mask such as 255.255.255.0"#
    );
    let second = &error.problems()[1];
    assert_eq!(second.path(), "timeouts: udp");
    assert_eq!(second.message(), "2678401 is outside 1 to 2678400");
}

fn server(number: usize) -> RealServer {
    let ip = u32::try_from(number).expect("a small number") + 0x0a00_0001;
    RealServer::new(SocketAddr::from((ip.to_be_bytes(), 80)))
}

#[test]
fn a_hundred_thousand_servers_are_checked_at_once() {
    let key = ServiceKey::tcp(SocketAddr::from(([10, 1, 0, 1], 80)));
    let mut service = VirtualService::new(key);
    service.servers = (0..100_000).map(server).collect();
    let mut config = Config::new().with_service(service);
    let start = Instant::now();
    assert_eq!(config.validate(), Ok(()));
    let whole = start.elapsed();
    // Milliseconds; a quadratic check would take minutes.

    assert!(whole.as_millis() < 2000, "{whole:?}");
    config.services[0].servers.push(server(99_999));
    assert_eq!(
        problems(&config),
        [
            "service tcp 10.1.0.1:80: server 10.1.134.160:80: servers[100000] is servers[99999] once more",
        ]
    );
}

#[test]
fn too_many_servers() {
    let key = ServiceKey::tcp(SocketAddr::from(([10, 1, 0, 1], 80)));
    let mut service = VirtualService::new(key);
    service.servers = (0..=MAX_SERVERS).map(server).collect();
    let mut config = Config::new().with_service(service);
    assert_eq!(
        problems(&config),
        ["service tcp 10.1.0.1:80: servers: 2097151 are more than 2097150"]
    );
    config.services[0].servers.pop();
    assert_eq!(config.validate(), Ok(()));
}

#[test]
fn too_many_services() {
    let services = (1..=MAX_SERVICES)
        .map(|mark| ServiceKey::fwmark(u32::try_from(mark).expect("a mark"), Family::Inet))
        .map(VirtualService::new);
    let mut config = Config::new().with_services(services.collect());
    assert_eq!(config.validate(), Ok(()));
    config.services.push(VirtualService::new(ServiceKey::fwmark(1, Family::Inet6)));
    assert_eq!(problems(&config), ["services: 1048577 are more than 1048576"]);
}

/// The error of an unknown scheduler lists those that this build knows.
fn with_schedulers(expected: &str) -> String {
    let names: Vec<_> = SchedulerKind::ALL.iter().map(|kind| kind.name()).collect();
    expected.replace("SCHEDULERS", &names.join(" "))
}

/// JSON that is no config, and the error.
const BAD_JSON: &[(&str, &str)] = &[
    (
        r#"{"service": []}"#,
        "unknown field `service`, expected one of `kernel_rules`, `seed`, `expire_quiescent_template`, `timeouts`, `daemons`, `services` at line 1 column 10",
    ),
    (r#"{"kernel_rules": "C"}"#, "unknown variant `C`, expected `A` or `B` at line 1 column 20"),
    (
        r#"{"seed": -1}"#,
        "invalid value: integer `-1`, expected a number from 0 to 18446744073709551615, or a text of its digits at line 1 column 11",
    ),
    (
        r#"{"timeouts": {"icmp": 1}}"#,
        "unknown field `icmp`, expected one of `tcp`, `tcp_fin`, `udp` at line 1 column 20",
    ),
    (
        r#"{"timeouts": {"tcp": 4294967296}}"#,
        "invalid value: integer `4294967296`, expected u32 at line 1 column 31",
    ),
    (r#"{"daemons": [{"role": "master"}]}"#, "missing field `interface` at line 1 column 31"),
    (
        r#"{"daemons": [{"role": "slave", "interface": "eth0"}]}"#,
        "unknown variant `slave`, expected `master` or `backup` at line 1 column 29",
    ),
    (
        r#"{"daemons": [{"role": "master", "interface": "eth0", "sync_id": 256}]}"#,
        "invalid value: integer `256`, expected u8 at line 1 column 67",
    ),
    (
        r#"{"daemons": [{"role": "master", "interface": "eth0", "mcast": "224.0.0.81"}]}"#,
        "unknown field `mcast`, expected one of `role`, `interface`, `sync_id`, `max_len`, `group`, `port`, `ttl` at line 1 column 60",
    ),
    (r#"{"services": [{}]}"#, "missing field `key` at line 1 column 16"),
    (
        r#"{"services": [{"key": 7}]}"#,
        "invalid type: integer `7`, expected a string at line 1 column 23",
    ),
    (
        r#"{"services": [{"key": "fwmark 0"}]}"#,
        "service key `fwmark 0`: a firewall mark is a number from 1 to 4294967295 at line 1 column 33",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "nickname": "web"}]}"#,
        "unknown field `nickname`, expected one of `key`, `scheduler`, `flags`, `mh_table_index`, `persistence`, `persistence_engine`, `one_packet`, `affinity`, `sharing`, `ties`, `ejection`, `slow_start`, `spill_over`, `panic_threshold`, `name`, `servers` at line 1 column 51",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "scheduler": "best"}]}"#,
        "service tcp 10.1.0.1:80: unknown scheduler `best`; known: SCHEDULERS at line 1 column 62",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "flags": ["flag-4"]}]}"#,
        "service tcp 10.1.0.1:80: flags: unknown flag `flag-4` for scheduler wlc at line 1 column 62",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "scheduler": "none", "flags": ["sh-port"]}]}"#,
        "service tcp 10.1.0.1:80: flags: unknown flag `sh-port` for scheduler none at line 1 column 84",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "persistence": {"time": 7}}]}"#,
        "unknown field `time`, expected `timeout` or `netmask` at line 1 column 63",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "persistence": {"netmask": "/24"}}]}"#,
        r#"invalid value: string "/24", expected an IPv4 mask such as "255.255.255.0" or an IPv6 prefix length, 1 to 128 at line 1 column 73"#,
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "persistence": {"netmask": 256}}]}"#,
        r#"invalid value: integer `256`, expected an IPv4 mask such as "255.255.255.0" or an IPv6 prefix length, 1 to 128 at line 1 column 71"#,
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "persistence": {"netmask": -1}}]}"#,
        r#"invalid value: integer `-1`, expected an IPv4 mask such as "255.255.255.0" or an IPv6 prefix length, 1 to 128 at line 1 column 70"#,
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "persistence": {"netmask": true}}]}"#,
        r#"invalid type: boolean `true`, expected an IPv4 mask such as "255.255.255.0" or an IPv6 prefix length, 1 to 128 at line 1 column 72"#,
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "servers": [{}]}]}"#,
        "missing field `address` at line 1 column 55",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "servers": [{"address": "10.9.0.1"}]}]}"#,
        "server address `10.9.0.1`: expected a numeric `ADDRESS:PORT`, IPv6 as `[ADDRESS]:PORT` at line 1 column 76",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "servers": [{"address": "10.9.0.1:80", "weigth": 2}]}]}"#,
        "unknown field `weigth`, expected one of `address`, `forwarding`, `weight`, `thresholds`, `priority`, `user_data`, `name` at line 1 column 88",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "servers": [{"address": "10.9.0.1:80", "weight": -1}]}]}"#,
        "invalid value: integer `-1`, expected u32 at line 1 column 92",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "servers": [{"address": "10.9.0.1:80", "thresholds": {"max": 1}}]}]}"#,
        "unknown field `max`, expected `upper` or `lower` at line 1 column 100",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "servers": [{"address": "10.9.0.1:80", "forwarding": "nat"}]}]}"#,
        "unknown variant `nat`, expected one of `masq`, `route`, `tunnel`, `local`, `bypass` at line 1 column 99",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "servers": [{"address": "10.9.0.1:80", "forwarding": "tunnel"}]}]}"#,
        r#"forwarding `tunnel` needs a type: {"tunnel": {"type": "ipip"}} at line 1 column 102"#,
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "servers": [{"address": "10.9.0.1:80", "forwarding": {"tunnel": {}}}]}]}"#,
        "missing field `type` at line 1 column 107",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "servers": [{"address": "10.9.0.1:80", "forwarding": {"tunnel": {"type": "vxlan"}}}]}]}"#,
        "unknown variant `vxlan`, expected one of `ipip`, `gue`, `gre` at line 1 column 121",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "servers": [{"address": "10.9.0.1:80", "forwarding": {"tunnel": {"type": "ipip", "port": 1}}}]}]}"#,
        "unknown field `port`, there are no fields at line 1 column 133",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "servers": [{"address": "10.9.0.1:80", "forwarding": {"tunnel": {"type": "gue"}}}]}]}"#,
        "missing field `port` at line 1 column 121",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "servers": [{"address": "10.9.0.1:80", "forwarding": {"tunnel": {"type": "gue", "port": 1, "csum": 1}}}]}]}"#,
        "unknown field `csum`, expected `port` or `checksum` at line 1 column 143",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "servers": [{"address": "10.9.0.1:80", "forwarding": {"tunnel": {"type": "gre", "port": 1}}}]}]}"#,
        "unknown field `port`, expected `checksum` at line 1 column 132",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80"}], "services": []}"#,
        "duplicate field `services` at line 1 column 53",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "servers": [{"address": "10.9.0.1:80", "forwarding": {"nat": {}}}]}]}"#,
        "unknown field `nat`, expected `tunnel` at line 1 column 100",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "servers": [{"address": "10.9.0.1:80", "forwarding": {}}]}]}"#,
        "missing field `tunnel` at line 1 column 96",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "servers": [{"address": "10.9.0.1:80", "forwarding": {"tunnel": {"type": "ipip"}, "masq": {}}}]}]}"#,
        "unknown field `masq`, expected `tunnel` at line 1 column 129",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "servers": [{"address": "10.9.0.1:80", "forwarding": {"tunnel": {"type": "ipip"}, "tunnel": {"type": "ipip"}}}]}]}"#,
        "duplicate field `tunnel` at line 1 column 131",
    ),
    (
        r#"{"services": [{"key": "tcp 10.1.0.1:80", "servers": [{"address": "10.9.0.1:80", "forwarding": 7}]}]}"#,
        "invalid type: integer `7`, expected the name of a forwarding method or one tunnel at line 1 column 95",
    ),
];

#[test]
fn json_that_is_no_config() {
    for (json, expected) in BAD_JSON {
        let error = serde_json::from_str::<Config>(json).expect_err(json);
        assert_eq!(error.to_string(), with_schedulers(expected), "{json}");
    }
}

/// TOML that is no config, and the error.
const BAD_TOML: &[(&str, &str)] = &[
    (
        "service = []",
        r#"TOML parse error at line 1, column 1
  |
1 | service = []
  | ^^^^^^^
unknown field `service`, expected one of `kernel_rules`, `seed`, `expire_quiescent_template`, `timeouts`, `daemons`, `services`"#,
    ),
    (
        "[timeouts]\nicmp = 1",
        r#"TOML parse error at line 2, column 1
  |
2 | icmp = 1
  | ^^^^
unknown field `icmp`, expected one of `tcp`, `tcp_fin`, `udp`"#,
    ),
    (
        "[[daemons]]\nrole = 'master'\ninterface = 'eth0'\nmtu = 1500",
        r#"TOML parse error at line 4, column 1
  |
4 | mtu = 1500
  | ^^^
unknown field `mtu`, expected one of `role`, `interface`, `sync_id`, `max_len`, `group`, `port`, `ttl`"#,
    ),
    (
        "[[services]]\nscheduler = 'rr'",
        r#"TOML parse error at line 1, column 1
  |
1 | [[services]]
  | ^^^^^^^^^^^^
missing field `key`"#,
    ),
    (
        "[[services]]\nkey = 'tcp 10.1.0.1:80'\nscheduler = 'best'",
        r#"TOML parse error at line 1, column 1
  |
1 | [[services]]
  | ^^^^^^^^^^^^
service tcp 10.1.0.1:80: unknown scheduler `best`; known: SCHEDULERS"#,
    ),
    (
        "[[services]]\nkey = 'tcp 10.1.0.1:80'\nscheduler = 'wrr'\nweight = 1",
        r#"TOML parse error at line 4, column 1
  |
4 | weight = 1
  | ^^^^^^
unknown field `weight`, expected one of `key`, `scheduler`, `flags`, `mh_table_index`, `persistence`, `persistence_engine`, `one_packet`, `affinity`, `sharing`, `ties`, `ejection`, `slow_start`, `spill_over`, `panic_threshold`, `name`, `servers`"#,
    ),
    (
        "[[services]]\nkey = 'tcp 10.1.0.1:80'\npersistence = { netmask = '24' }",
        r#"TOML parse error at line 3, column 27
  |
3 | persistence = { netmask = '24' }
  |                           ^^^^
invalid value: string "24", expected an IPv4 mask such as "255.255.255.0" or an IPv6 prefix length, 1 to 128"#,
    ),
    (
        "[[services]]\nkey = 'tcp 10.1.0.1:80'\n[[services.servers]]\naddress = '10.9.0.1:80'\nweight = -1",
        r#"TOML parse error at line 5, column 10
  |
5 | weight = -1
  |          ^^
invalid value: integer `-1`, expected u32"#,
    ),
    (
        "[[services]]\nkey = 'tcp 10.1.0.1:80'\n[[services.servers]]\naddress = '10.9.0.1:80'\nforwarding = { tunnel = { type = 'ipip', port = 1 } }",
        r#"TOML parse error at line 5, column 25
  |
5 | forwarding = { tunnel = { type = 'ipip', port = 1 } }
  |                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^
unknown field `port`, there are no fields"#,
    ),
];

#[test]
fn toml_that_is_no_config() {
    for (text, expected) in BAD_TOML {
        let error = toml::from_str::<Config>(text).expect_err(text);
        assert_eq!(error.to_string().trim_end(), with_schedulers(expected), "{text}");
    }
}
