//! Problems of a kernel are reported before anything is changed.

use std::fs;

use vsched::config::{Config, KernelRules, RealServer};
use vsched::netlink::{Finding, Namespace, Options, Preflight, Request};

use crate::guest::{part, shell};
use crate::objects::everything;
use crate::sync::{config, ipvs, key};

fn preflight(wanted: &Config) -> Preflight {
    Preflight::new(wanted, &Options::default()).expect("answers")
}

fn obstacles(preflight: &Preflight) -> Vec<String> {
    let obstacles = preflight.findings().iter().filter(|finding| finding.is_obstacle());
    obstacles.map(Finding::to_string).collect()
}

pub(crate) fn without_ipvs() {
    let found = preflight(&everything());
    assert_eq!(found.findings(), [Finding::NoIpvs]);
    assert_eq!(found.to_string(), "this kernel has no IPVS: load it with `modprobe ip_vs`\n");
}

pub(crate) fn permission() {
    let part = part(&["unshare", "-U", "-r", "-n"], "unprivileged_preflight").status();
    assert!(part.expect("a part").success());
}

pub(crate) fn unprivileged() {
    let found = preflight(&everything());
    assert_eq!(found.findings(), [Finding::NoPermission]);
    assert!(found.to_string().contains("CAP_NET_ADMIN"), "{found}");
}

/// All that this kernel has, and what it has not; and nothing is there afterwards.
pub(crate) fn missing() {
    let found = preflight(&everything());
    assert_eq!(obstacles(&found), [""; 0]);
    assert!(!found.findings().contains(&Finding::Unprobed));
    assert!(found.info().version.is_some());
    let mut wanted = config(
        "-A -t 10.0.0.1:80 -s twos
         -A -t 10.0.0.2:80 -s twos
         -A -t 10.0.0.3:80 -s rr
         -A -u 10.0.0.4:5060 -s rr -p 60 --pe sip
         -A -t 10.0.0.5:80 -s p2c",
    );
    wanted.services[3].persistence_engine = Some("nosuch".into());
    let missing = [
        "service tcp 10.0.0.5:80: scheduler: Linux has no p2c",
        "service tcp 10.0.0.1:80: this kernel has no scheduler twos: load it with `modprobe \
         ip_vs_twos`",
        "service udp 10.0.0.4:5060: this kernel has no persistence engine nosuch: load it with \
         `modprobe ip_vs_pe_nosuch`",
    ];
    assert_eq!(obstacles(&preflight(&wanted)), missing);
    let mut ipvs = ipvs();
    assert_eq!(ipvs.read().expect("a reading").observed.services, []);
    // With services beside it, too, and among them one with the mark that is asked with.
    let busy = "-A -f 4294967134 -6 -s rr\n-A -t 10.0.0.9:80 -s rr\n-a -t 10.0.0.9:80 -r 10.9.0.1";
    let requests = crate::objects::building(&config(busy));
    assert_eq!(ipvs.kernel().execute(&requests).expect("answers"), []);
    let before = ipvs.read().expect("a reading");
    assert_eq!(obstacles(&preflight(&wanted)), missing);
    assert_eq!(ipvs.read().expect("a reading"), before);
}

/// As what a server with that threshold tells, which really is added here.
pub(crate) fn generation() {
    let mut ipvs = ipvs();
    let from_nothing = ipvs.generation().expect("answers");
    assert_eq!(ipvs.read().expect("a reading").observed.services, []);
    let rules = config("-A -t 10.0.0.1:80 -s rr\n-A -f 7 -6 -s rr");
    let requests = crate::objects::building(&rules);
    assert_eq!(ipvs.kernel().execute(&requests).expect("answers"), []);
    let before = ipvs.read().expect("a reading");
    let from_service = ipvs.generation().expect("answers");
    assert_eq!(ipvs.read().expect("a reading"), before);
    let unlimited = RealServer::new(([10, 9, 0, 1], 80).into()).with_thresholds(1 << 31, 0);
    let added =
        ipvs.kernel().execute_one(&Request::add_server(&key("tcp 10.0.0.1:80"), &unlimited));
    let generation = if added.is_ok() { KernelRules::A } else { KernelRules::B };
    assert_eq!((from_nothing, from_service), (Some(generation), Some(generation)));
    let other = match generation {
        KernelRules::A => KernelRules::B,
        _ => KernelRules::A,
    };
    for (config, told) in [(generation, 0), (other, 1)] {
        let found = preflight(&Config::new().with_kernel_rules(config));
        let differs = |finding: &&Finding| matches!(finding, Finding::Generation { .. });
        assert_eq!(found.findings().iter().filter(differs).count(), told, "{found}");
    }
}

pub(crate) fn settings() {
    let persistent = config("-A -t 10.0.0.1:80 -s rr -p 60");
    let plain = config("-A -t 10.0.0.1:80 -s rr");
    let found = |wanted: &Config, options: &Options| -> Vec<(&'static str, u32)> {
        let found = Preflight::new(wanted, options).expect("answers");
        let setting = |finding: &Finding| match finding {
            Finding::Setting { name, value, .. } => {
                Some((name.strip_prefix("net.ipv4.vs.").expect("a name of IPVS"), *value))
            }
            _ => None,
        };
        found.findings().iter().filter_map(setting).collect()
    };
    let here = Options::default();
    let template = ("expire_quiescent_template", 0);
    assert_eq!(found(&plain, &here), []);
    assert_eq!(found(&persistent, &here), [template]);
    let set = |name: &str, value: &str| {
        fs::write(format!("/proc/sys/net/ipv4/vs/{name}"), value).expect("set");
    };
    set("expire_nodest_conn", "1");
    set("conn_reuse_mode", "0");
    let (nodest, reuse) = (("expire_nodest_conn", 1), ("conn_reuse_mode", 0));
    assert_eq!(found(&persistent, &here), [nodest, template, reuse]);
    // Another namespace has its own.
    assert!(shell("ip netns add settings"));
    let there = Namespace::at("/run/netns/settings");
    let there = Options::default().with_namespace(there);
    assert_eq!(found(&plain, &there), []);
    set("conn_reuse_mode", "1");
    set("expire_quiescent_template", "1");
    if fs::metadata("/proc/sys/net/ipv4/vs/conntrack").is_ok() {
        set("conntrack", "1");
        assert_eq!(found(&persistent, &here), [nodest, ("conntrack", 1)]);
    }
}
