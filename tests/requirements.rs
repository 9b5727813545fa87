//! The requirements listed for hosts are right: for three laboratories word for word, for all other
//! cases by their commands, and checks of a host's files find what is missing.

#[path = "requirements/details.rs"]
mod details;
#[path = "requirements/host.rs"]
mod host;

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use host::Tree;
use vsched::Config;
use vsched::requirements::{Action, Answer, Need, Requirements, Role, Site};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn site() -> Site {
    Site::default().with_director(ip("192.168.5.5")).with_interface("eth0")
}

fn requirements(rules: &str) -> Requirements {
    rules.parse::<Config>().expect("rules").requirements_at(&site())
}

/// The commands that one host needs.
fn commands(rules: &str, role: Role) -> Vec<String> {
    requirements(rules).of(role).commands().map(str::to_owned).collect()
}

fn server(text: &str) -> Role {
    Role::RealServer(ip(text))
}

/// The section of docs/lvs.md under this heading: its blocks of commands.
fn blocks(heading: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lvs.md");
    let text = fs::read_to_string(path).expect("the document");
    let section = text.split("\n## ").find(|section| section.starts_with(heading));
    let blocks = section.expect("the section").split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().expect("its end").to_owned()).collect()
}

const LABORATORIES: [&str; 3] = ["LVS-NAT", "LVS-DR", "LVS-TUN"];

#[test]
fn the_document_has_the_commands_of_the_three_laboratories() {
    for heading in LABORATORIES {
        let blocks = blocks(heading);
        let [rules, director, servers] = &blocks[..] else {
            panic!("{heading} has {} blocks of commands", blocks.len());
        };
        let wanted = |role| commands(rules, role).join("\n") + "\n";
        assert_eq!(*director, wanted(Role::Director), "{heading}");
        for address in ["192.168.5.11", "192.168.5.12"] {
            assert_eq!(*servers, wanted(server(address)), "{heading}: {address}");
        }
        let roles = requirements(rules).roles();
        assert_eq!(roles, [Role::Director, server("192.168.5.11"), server("192.168.5.12")]);
    }
}

#[test]
fn the_texts_of_the_three_laboratories_are_these() {
    for heading in LABORATORIES {
        let name = heading.to_ascii_lowercase();
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/data/requirements/{name}.txt"));
        let printed = requirements(&blocks(heading)[0]).to_string();
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert!(printed == expected, "{} should be\n{printed}", path.display());
    }
}

#[test]
fn a_text_pasted_into_a_shell_runs_what_is_required_and_nothing_else() {
    for heading in LABORATORIES {
        let all = requirements(&blocks(heading)[0]);
        let text = all.to_string();
        let run = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        assert!(run.eq(all.commands()), "{text}");
        assert!(text.lines().any(|line| line.starts_with("# sysctl -w net.ipv4.vs.")), "{text}");
    }
}

/// One service on VIP with one server on RIP, by ipvsadm's options.
fn one(vip: &str, rip: &str, options: &str) -> String {
    format!("-A -t {vip} -s rr\n-a -t {vip} -r {rip} {options}")
}

const VIP4: &str = "192.0.2.1:80";
const VIP6: &str = "[2001:db8::1]:80";
const RIP4: &str = "192.168.5.11:80";
const RIP6: &str = "[2001:db8:5::11]:80";

#[test]
fn every_tunnel_has_its_device_on_the_server() {
    const GUE: &str = "-i --tun-type gue --tun-port 5555";
    const GRE: &str = "-i --tun-type gre";
    const GRE_SUM: &str = "-i --tun-type gre --tun-csum";
    let create4 = "ip link add ipvsgre type gre local 192.168.5.11 icsum";
    let create6 = "ip link add ipvsgre6 type ip6gre local 2001:db8:5::11 icsum";
    let (fou4, fou6) = ("ip fou add port 5555 gue", "ip -6 fou add port 5555 gue");
    let any = "ip -6 tunnel change ip6tnl0 mode any";
    type Case<'a> = (&'a str, &'a str, &'a str, &'a [&'a str], &'a str);
    let cases: &[Case<'_>] = &[
        (VIP4, RIP4, "-i", &["modprobe ipip"], "tunl0"),
        (VIP6, RIP4, "-i", &["modprobe sit"], "sit0"),
        (VIP4, RIP6, "-i", &["modprobe ip6_tunnel", any], "ip6tnl0"),
        (VIP6, RIP6, "-i", &["modprobe ip6_tunnel"], "ip6tnl0"),
        (VIP4, RIP4, GUE, &["modprobe fou", "modprobe ipip", fou4], "tunl0"),
        (VIP6, RIP4, GUE, &["modprobe fou", "modprobe sit", fou4], "sit0"),
        (VIP4, RIP6, GUE, &["modprobe fou6", "modprobe ip6_tunnel", fou6, any], "ip6tnl0"),
        (VIP6, RIP6, GUE, &["modprobe fou6", "modprobe ip6_tunnel", fou6], "ip6tnl0"),
        (VIP4, RIP4, GRE, &["modprobe ip_gre"], "gre0"),
        (VIP6, RIP4, GRE, &["modprobe ip_gre"], "gre0"),
        (VIP4, RIP6, GRE, &["modprobe ip6_gre"], "ip6gre0"),
        (VIP6, RIP6, GRE, &["modprobe ip6_gre"], "ip6gre0"),
        (VIP4, RIP4, GRE_SUM, &["modprobe ip_gre", create4], "ipvsgre"),
        (VIP6, RIP6, GRE_SUM, &["modprobe ip6_gre", create6], "ipvsgre6"),
    ];
    for (vip, rip, options, first, device) in cases {
        let mut wanted: Vec<String> = first.iter().map(|line| (*line).to_owned()).collect();
        wanted.push(format!("ip link set {device} up"));
        wanted.extend(if *vip == VIP4 {
            [
                format!("sysctl -w net.ipv4.conf.{device}.rp_filter=2"),
                "sysctl -w net.ipv4.conf.all.arp_ignore=1".to_owned(),
                "sysctl -w net.ipv4.conf.all.arp_announce=2".to_owned(),
                format!("ip address replace 192.0.2.1/32 dev {device}"),
            ]
            .to_vec()
        } else {
            vec![format!(
                "ip -6 address replace 2001:db8::1/128 dev {device} nodad preferred_lft 0"
            )]
        });
        let role = if *rip == RIP4 { server("192.168.5.11") } else { server("2001:db8:5::11") };
        let rules = one(vip, rip, options);
        assert_eq!(commands(&rules, role), wanted, "{rules}");
        // The director packs by itself.
        let director = commands(&rules, Role::Director);
        assert_eq!(director.len(), 3, "{rules}: {director:?}");
    }
}

#[test]
fn ipv6_forwards_and_routes_by_its_own_settings() {
    let rules = one(VIP6, RIP6, "-m");
    let all = rules.parse::<Config>().expect("rules").requirements();
    let of = |role| all.of(role).commands().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        of(Role::Director)[2..],
        [
            "sysctl -w net.ipv6.conf.all.forwarding=1",
            "ip -6 address replace 2001:db8::1/128 dev $DEV preferred_lft 0",
        ]
    );
    assert_eq!(of(server("2001:db8:5::11")), ["ip -6 route replace default via $DIP6"]);
    let direct = commands(&one(VIP6, RIP6, "-g"), server("2001:db8:5::11"));
    assert_eq!(direct, ["ip -6 address replace 2001:db8::1/128 dev lo nodad preferred_lft 0"]);
}

#[test]
fn a_mark_needs_a_rule_that_sets_it() {
    for (family, tables, address) in [
        ("", "iptables", "ip address replace $VIP/32 dev eth0"),
        (" -6", "ip6tables", "ip -6 address replace $VIP/128 dev eth0 preferred_lft 0"),
    ] {
        let mark = format!(
            "{tables} -t mangle -A PREROUTING -d $VIP -p tcp --dport $PORT -j MARK --set-mark 7"
        );
        let found = commands(&format!("-A -f 7{family} -s rr"), Role::Director);
        assert_eq!(found, ["modprobe ip_vs", "modprobe ip_vs_rr", address, &mark]);
    }
    let found = commands("-A -f 7 -s rr\n-a -f 7 -r 192.168.5.11 -g", server("192.168.5.11"));
    assert_eq!(found[2], "ip address replace $VIP/32 dev lo");
}

#[test]
fn a_server_both_masqueraded_and_direct_routes_by_source() {
    let rules = one(VIP4, RIP4, "-m") + "\n" + &one("192.0.2.2:80", RIP4, "-g");
    let found = commands(&rules, server("192.168.5.11"));
    assert_eq!(
        found[3..],
        [
            "ip route replace default via 192.168.5.5 table 100",
            "ip rule add from 192.168.5.11 lookup 100",
        ]
    );
}

#[test]
fn each_thing_is_said_once_and_names_all_who_ask() {
    let service = |n: u8| one(&format!("192.0.2.{n}:80"), RIP4, "-g");
    let rules: Vec<String> = (1..=9).map(service).collect();
    let all = requirements(&rules.join("\n"));
    let count = all.of(Role::Director).commands().count();
    assert_eq!(count, 2 + 9, "two modules, nine addresses");
    let ignore = all.iter().find(|item| item.reason.contains("does not answer ARP"));
    assert_eq!(ignore.expect("arp_ignore").origins.len(), 9);
    let text = all.to_string();
    assert!(text.contains(
        "# Required by tcp 192.0.2.1:80, tcp 192.0.2.2:80, tcp 192.0.2.3:80 and 6 more:\n#   IPVS"
    ));
    let all = all.of(server("192.168.5.11"));
    let mut commands: Vec<&str> = all.commands().collect();
    commands.sort_unstable();
    let count = commands.len();
    commands.dedup();
    assert_eq!(commands.len(), count, "{all}");
}

#[test]
fn advice_is_for_the_case_that_it_names() {
    let advised = |rules: &str| -> Vec<String> {
        let all = requirements(rules);
        let all = all.iter().filter(|item| item.need == Need::Advised);
        let line = |action: &Action| match action {
            Action::Run(commands) => commands.join("; "),
            Action::Look(command) => command.clone(),
            _ => "know".to_owned(),
        };
        all.map(|item| line(&item.action)).collect()
    };
    const DRAINS: [&str; 2] =
        ["sysctl -w net.ipv4.vs.conn_reuse_mode=1", "sysctl -w net.ipv4.vs.expire_nodest_conn=1"];
    let with = |more: &[&str]| -> Vec<String> {
        DRAINS.iter().chain(more).map(|line| (*line).to_owned()).collect()
    };
    let conntrack = "sysctl -w net.ipv4.vs.conntrack=1";
    assert_eq!(advised("-A -t 192.0.2.1:80 -s rr"), DRAINS);
    assert_eq!(advised(&one(VIP4, RIP4, "-m")), with(&[conntrack]));
    assert_eq!(
        advised(&one("192.0.2.1:21", "192.168.5.11:21", "-m")),
        with(&[conntrack, "modprobe ip_vs_ftp"])
    );
    assert_eq!(advised(&one(VIP4, RIP4, "-g")), with(&["know"]));
    for (rip, options, size) in [
        (RIP4, "-i", 1492),
        (RIP6, "-i", 1492),
        (RIP4, "-i --tun-type gue --tun-port 9", 1504),
        (RIP4, "-i --tun-type gue --tun-port 9 --tun-remcsum", 1512),
        (RIP4, "-i --tun-type gre", 1496),
        (RIP4, "-i --tun-type gre --tun-csum", 1500),
    ] {
        let address = if rip == RIP4 { "192.168.5.11" } else { "2001:db8:5::11" };
        let look = format!("ping -M do -s {size} {address}");
        assert_eq!(advised(&one(VIP4, rip, options)), with(&[&look, "know"]), "{options}");
    }
    assert_eq!(
        advised("-A -t 192.0.2.1:80 -s rr -p 60"),
        with(&["sysctl -w net.ipv4.vs.expire_quiescent_template=1"])
    );
    assert_eq!(
        advised("-A -t 192.0.2.1:80 -s sh -b sh-port")[0],
        "ipvsadm -E -t 192.0.2.1:80 -s sh -b sh-fallback,sh-port"
    );
    assert_eq!(advised("-A -t 192.0.2.1:80 -s sh -b sh-fallback"), DRAINS);
    let quiesced = requirements("-A -t 192.0.2.1:80 -s sh\n-a -t 192.0.2.1:80 -r 10.0.0.1 -m -w 0");
    assert!(quiesced.to_string().contains("A server of this service has weight 0"));
}

/// No command can load it.
#[test]
fn a_scheduler_that_linux_does_not_have_is_told() {
    for kind in vsched::SchedulerKind::ALL.iter().filter(|kind| !kind.in_linux()) {
        let name = kind.name();
        let all = requirements(&format!("-A -t 10.0.0.1:80 -s {name}"));
        assert!(!all.to_string().contains(&format!("ip_vs_{name}")), "{all}");
        let told = format!(
            "# Required by tcp 10.0.0.1:80:\n#   Linux has no scheduler {name}, so no kernel can run \
             the service: choose another one.\n"
        );
        assert!(all.to_string().contains(&told), "{all}");
    }
}

/// Each setting once, with every service that has it.
#[test]
fn settings_that_linux_does_not_have_are_told() {
    for (service, server, what) in [
        ("--vsched-ties rotate", "", "rotation of ties (ties)"),
        ("--vsched-ejection failures=5", "", "ejection (ejection)"),
        ("--vsched-slow-start duration=5", "", "slow start (slow_start)"),
        ("--vsched-spill-over 100", "", "spill-over (spill_over)"),
        ("--vsched-panic-threshold 100", "", "panic threshold (panic_threshold)"),
        ("", "--vsched-priority 1", "priorities (priority)"),
    ] {
        let all = requirements(&format!(
            "-A -t 10.0.0.1:80 {service}\n-A -t 10.0.0.2:80 {service}\n\
             -a -t 10.0.0.1:80 -r 10.0.0.9 -m {server}"
        ));
        let told =
            format!("#   Linux has no {what}, so no kernel can run the service: leave it out.\n");
        assert_eq!(all.to_string().matches(&told).count(), 1, "{all}");
    }
    let all = requirements("-A -t 10.0.0.1:80 --vsched-sharing per-worker --vsched-ties kernel");
    assert!(!all.to_string().contains("Linux has no"), "{all}");
}

#[test]
fn a_config_without_services_needs_nothing() {
    assert!(requirements("").is_empty());
    assert_eq!(requirements("").to_string(), "");
    assert!(!requirements(&one(VIP4, RIP4, "-m")).is_empty());
}

#[test]
fn what_holds_and_what_is_missing_is_told_host_by_host() {
    for (heading, role, host, changes) in host::CASES {
        let all = requirements(&blocks(heading)[0]).of(host::role(role));
        let required = |tree: &Tree| {
            let findings = all.check_in(tree.path());
            let answers = findings.into_iter().filter(|f| f.requirement.need == Need::Required);
            answers.filter(|f| f.answer != Answer::Holds).map(|f| f.answer.to_string()).collect()
        };
        let tree = Tree::new(host);
        let wrong: Vec<String> = required(&tree);
        assert!(wrong.is_empty(), "{heading}, {role}: {wrong:?}");
        let mut named = 0;
        for (path, text, answer) in *changes {
            let tree = Tree::new(host);
            tree.change(path, *text);
            let wrong: Vec<String> = required(&tree);
            assert_eq!(wrong, [*answer], "{heading}, {role}: {path}");
            named += 1;
        }
        let checked = all.iter().filter(|item| item.need == Need::Required);
        assert!(named >= checked.count(), "{heading}, {role}: each one is missing once");
    }
}

#[test]
fn ipv6_is_read_from_files_of_its_own() {
    const ADDRESSES: &str = "proc/net/if_inet6";
    const ROUTES: &str = "proc/net/ipv6_route";
    const NONE: &str = "00000000000000000000000000000000";
    const DIRECTOR: &str = "20010db8000500000000000000000005";
    let default = |gateway: &str, metric: &str, flags: &str| {
        format!("{NONE} 00 {NONE} 00 {gateway} {metric} 00000001 00000000 {flags}     eth0\n")
    };
    let reject = default(NONE, "ffffffff", "00200200");
    let (best, other) =
        (default(DIRECTOR, "00000010", "00000003"), default(NONE, "00000400", "00000001"));
    let vip = |flags: &str, name: &str| {
        format!("20010db8000000000000000000000001 01 80 00 {flags} {name:>8}\n")
    };
    let answers = |options: &str, told: bool, files: &[(&str, &str)]| -> Vec<String> {
        let config: Config = one(VIP6, RIP6, options).parse().expect("rules");
        let site =
            if told { Site::default().with_director(ip("2001:db8:5::5")) } else { Site::default() };
        let all = config.requirements_at(&site).of(server("2001:db8:5::11"));
        let findings = all.check_in(Tree::new(files).path());
        findings.iter().map(|finding| finding.answer.to_string()).collect()
    };
    // Down, and up but rejecting.
    let (down, rejects) =
        (default(NONE, "00000001", "00000002"), default(NONE, "00000001", "00000203"));
    let routed = reject.clone() + &down + &rejects + &best + &other;
    let masq = |told, routes: &str| answers("-m", told, &[(ROUTES, routes)])[0].clone();
    assert_eq!(masq(true, &routed), "holds");
    assert_eq!(
        masq(false, &routed),
        "unknown: the default route is via 2001:db8:5::5; the director's address is not told"
    );
    assert_eq!(
        masq(true, &other),
        "missing: found default route without a gateway; expected default route via 2001:db8:5::5"
    );
    assert_eq!(
        masq(true, &reject),
        "missing: found no default route; expected default route via 2001:db8:5::5"
    );
    let direct = |addresses: &str, routes: &str| {
        answers("-g", true, &[(ADDRESSES, addresses), (ROUTES, routes)])[..2].to_vec()
    };
    assert_eq!(direct(&vip("80", "lo"), &reject), ["holds", "holds"]);
    assert_eq!(
        direct(&vip("80", "eth0"), &best),
        [
            "missing: found 2001:db8::1 on eth0; expected 2001:db8::1 on lo",
            "missing: found default route via 2001:db8:5::5; expected a default route past the \
             director, or none"
        ]
    );
    let untold = answers("-g", false, &[(ADDRESSES, &vip("80", "lo")), (ROUTES, &best)]);
    let unknown =
        "unknown: the default route is via 2001:db8:5::5; the director's address is not told";
    assert_eq!(untold[..2], ["holds", unknown]);
    assert_eq!(
        direct(&vip("c8", "eth0"), &other)[0],
        "missing: found another host has 2001:db8::1, so eth0 does not use it; expected \
         2001:db8::1 on lo"
    );
}

#[test]
fn sockets_are_those_of_the_protocol() {
    let answer = |option: &str, files: &[(&str, &str)]| {
        let rules =
            format!("-A {option} 192.0.2.1:53 -s rr\n-a {option} 192.0.2.1:53 -r 10.0.0.1:54 -m");
        let all = requirements(&rules).of(server("10.0.0.1"));
        all.check_in(Tree::new(files).path()).pop().expect("the socket").answer.to_string()
    };
    const LISTENS: &str = "  0: {10.0.0.1}:0036 {0.0.0.0}:0000 0A 0\n";
    const UNCONNECTED: &str = "  0: {0.0.0.0}:0036 {0.0.0.0}:0000 07 0\n";
    const MAPPED: &str = "  0: {0.0.0.0}{0.0.0.0}{0.0.255.255}{10.0.0.1}:0036 \
        {0.0.0.0}{0.0.0.0}{0.0.0.0}{0.0.0.0}:0000 0A 0\n";
    let listens6 = |address: &str, port: &str| {
        let (ip, none) =
            (address.parse::<std::net::Ipv6Addr>().expect("an address"), "0".repeat(32));
        let words = ip.octets();
        let words = words.chunks(4).map(|word| u32::from_ne_bytes(word.try_into().expect("four")));
        let ip: String = words.map(|word| format!("{word:08X}")).collect();
        let text = format!("  0: {ip}:{port} {none}:0000 0A 0\n");
        let config: Config = one(VIP6, RIP6, "-m").parse().expect("rules");
        let all = config.requirements_at(&site()).of(server("2001:db8:5::11"));
        let tree = Tree::new(&[("proc/net/tcp6", &text)]);
        all.check_in(tree.path()).pop().expect("the socket").answer == Answer::Holds
    };
    for (address, port, holds) in [
        ("2001:db8:5::11", "0050", true),
        ("::", "0050", true),
        ("2001:db8:5::11", "0051", false),
        ("2001:db8:5::12", "0050", false),
    ] {
        assert_eq!(listens6(address, port), holds, "{address} {port}");
    }
    let (tcp, tcp6, udp) = ("proc/net/tcp", "proc/net/tcp6", "proc/net/udp");
    assert_eq!(answer("-t", &[(tcp, LISTENS), (udp, "")]), "holds");
    assert_eq!(answer("-t", &[(tcp, ""), (tcp6, MAPPED)]), "holds");
    assert_eq!(answer("-u", &[(tcp, ""), (udp, UNCONNECTED)]), "holds");
    let missing = answer("-u", &[(tcp, UNCONNECTED), (udp, LISTENS)]);
    assert!(missing.starts_with("missing: found nothing listens on udp 10.0.0.1:54;"), "{missing}");
    assert_eq!(answer("--sctp-service", &[]), "unknown: sockets of SCTP are not read");
}

#[cfg(feature = "serde")]
#[test]
fn requirements_are_data() {
    let all = requirements(&one(VIP4, RIP4, "-m")).of(server("192.168.5.11"));
    let json = serde_json::to_value(&all).expect("JSON");
    assert_eq!(
        json[0],
        serde_json::json!({
            "role": { "real_server": "192.168.5.11" },
            "need": "required",
            "origins": [{ "service": "tcp 192.0.2.1:80", "server": "192.168.5.11:80" }],
            "reason": json[0]["reason"],
            "action": { "run": ["ip route replace default via 192.168.5.5"] },
            "check": { "default_route": { "via": "192.168.5.5", "family": "inet" } },
        })
    );
    let finding = &all.check_in(Tree::new(&[]).path())[0];
    let json = serde_json::to_value(finding).expect("JSON");
    assert_eq!(json["answer"]["unknown"]["why"], "there is no /proc/net/route");
}

#[test]
fn nothing_can_be_read_of_an_empty_tree() {
    let tree = Tree::new(&[]);
    let findings = requirements(&blocks("LVS-TUN")[0]).check_in(tree.path());
    assert!(findings.len() > 20);
    for finding in findings {
        assert!(matches!(finding.answer, Answer::Unknown { .. }), "{finding}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn this_host_answers() {
    for heading in LABORATORIES {
        let all = requirements(&blocks(heading)[0]);
        let findings = all.check_local();
        assert_eq!(findings.len(), all.iter().count());
        let known = findings.iter().filter(|f| !matches!(f.answer, Answer::Unknown { .. }));
        assert!(known.count() > 0, "{heading}");
    }
}
