//! The laboratories of LVS tutorials work from an empty kernel: a client, a director and two real
//! servers, configured in several ways, with requests sent over the wire.

mod hosts;

pub(crate) use hosts::{Built, DR, Host, Lab, NAT, SERVERS, TUN, ask_part, check_part, here};

use std::collections::BTreeSet;
use std::net::SocketAddr;

use vsched::netlink::Ipvs;
use vsched::netlink::plan::Policy;
use vsched::{Director, Flow};

use hosts::config;

/// The command lines as they are typed, one at a time.
fn typed(built: &Built<'_>) {
    let listed = built.director.shell(built.lab.rules);
    if built.lab.rules.contains("-Ln") {
        assert!(listed.contains("TCP  192.168.5.50:80 wrr\n"), "{listed}");
        assert!(
            listed.contains("\n  -> 192.168.5.11:80              Route   2      0 "),
            "{listed}"
        );
    }
}

/// What a director in this process chooses, which binds the scheduler when all servers are there.
fn in_process(lab: &Lab) -> String {
    let config = config(lab.rules);
    let director = Director::new(&config).expect("a director");
    let service = director.service(&format!("tcp {}:80", lab.address)).expect("the service");
    let worker = director.worker();
    let vip: SocketAddr = format!("{}:80", lab.address).parse().expect("an address");
    let mut picks = Vec::new();
    let mut open = Vec::new();
    for port in 40000..40004 {
        let client = SocketAddr::new(lab.client.parse().expect("an address"), port);
        let connection = worker.connect(service, &Flow::tcp(client, vip)).expect("a server");
        let address = connection.address().ip().to_string();
        picks.push(address.rsplit('.').next().unwrap_or_default().to_owned());
        open.push(connection);
    }
    picks.join(" ")
}

/// Builds a laboratory, configures it, and hears the transcript. `then` is what else is to be shown.
pub(crate) fn run(lab: &Lab, configure: fn(&Built<'_>), transcript: &str, then: fn(&Built<'_>)) {
    let built = Built::new(lab);
    assert_eq!(built.ask(1, 1), "-", "without rules nobody answers");
    configure(&built);
    assert_eq!(built.ask(4, 10), transcript);
    then(&built);
}

/// The rules applied whole, the scheduler bound last: nothing to do the second time.
fn synced(built: &Built<'_>) {
    let mut ipvs = Ipvs::open_in(built.director.namespace()).expect("IPVS");
    let wanted = config(built.lab.rules);
    let report = ipvs.sync(wanted.clone(), &Policy::default()).expect("in sync");
    assert!(report.requests() > 0);
    assert_eq!(ipvs.sync(wanted.clone(), &Policy::default()).expect("in sync").requests(), 0);
}

/// Every laboratory once more, by `sync`: it answers as a director in this process chooses.
pub(crate) fn by_sync() {
    // Names of namespaces are the whole kernel's, and short, for the interfaces named after them.
    let again = [Lab { name: "n", ..NAT }, Lab { name: "d", ..DR }, Lab { name: "t", ..TUN }];
    for lab in &again {
        run(lab, synced, &in_process(lab), |_| {});
        // The wires of one laboratory are in the way of the next.
        here("ip link delete wire4\nip link delete wire5");
    }
}

pub(crate) fn nat() {
    assert_eq!(in_process(&NAT), "12 11 12 11");
    run(&NAT, typed, "12 11 12 11", |lab| {
        lab.director.shell("sysctl -w net.ipv4.ip_forward=0");
        assert_eq!(lab.director.missing(lab.lab, "director"), ["net.ipv4.ip_forward = 0"]);
        assert_eq!(lab.ask(1, 1), "-", "replies are not passed on");
        lab.director.shell("sysctl -w net.ipv4.ip_forward=1");
        assert_ne!(lab.ask(1, 10), "-");
    });
}

pub(crate) fn dr() {
    assert_eq!(in_process(&DR), "11 12 11 11");
    run(&DR, typed, "12 11 11 12", |lab| {
        let director = lab.hardware_address(&lab.director);
        assert_eq!(lab.who_has(), BTreeSet::from([director.clone()]));
        let server = lab.server("11");
        for setting in ["arp_ignore", "arp_announce"] {
            server.shell(&format!("sysctl -w net.ipv4.conf.all.{setting}=0"));
        }
        let missing = server.missing(lab.lab, SERVERS[0]);
        assert_eq!(missing, ["arp_ignore of eth0 = 0", "arp_announce of eth0 = 0"]);
        assert_eq!(lab.who_has(), BTreeSet::from([director, lab.hardware_address(server)]));
    });
}

pub(crate) fn tun() {
    assert_eq!(in_process(&TUN), "11 12 11 11");
    run(&TUN, typed, "12 11 11 12", |lab| {
        for (host, _) in lab.hosts().skip(1) {
            host.shell("sysctl -w net.ipv4.conf.tunl0.rp_filter=1");
        }
        let missing = lab.server("12").missing(lab.lab, SERVERS[1]);
        assert_eq!(missing, ["rp_filter of tunl0 and all = 1"]);
        assert_eq!(lab.ask(1, 1), "-", "clients' packets pass for forged");
        for (host, _) in lab.hosts().skip(1) {
            host.shell("sysctl -w net.ipv4.conf.tunl0.rp_filter=2");
        }
        assert_ne!(lab.ask(1, 10), "-");
    });
}
