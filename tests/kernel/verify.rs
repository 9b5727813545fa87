//! Verification finds every difference between the wanted and the running state, however little it
//! reads.

use vsched::config::Config;
use vsched::netlink::plan::Policy;
use vsched::netlink::{Ipvs, Namespace, Request};

use crate::guest::shell;
use crate::objects::running;
use crate::sync::{config, ipvs, key};

pub(crate) const WANTED: &str = "-A -t 10.0.0.1:80 -s wlc
    -a -t 10.0.0.1:80 -r 10.9.0.1 -m -w 1 -x 9 -y 3
    -a -t 10.0.0.1:80 -r 10.9.0.2 -g -w 2
    -A -u 10.0.0.1:53 -s rr
    -a -u 10.0.0.1:53 -r 10.9.0.1:5353 -m
    -A -f 7 -s rr
    -a -f 7 -r 10.9.0.1:0 -g
    -A -t 10.0.0.2:80 -s rr
    -A -t 10.0.0.3:80 -s rr
    -a -t 10.0.0.3:80 -r 10.9.0.1 -i --tun-type gue --tun-port 6080
    -A -t 10.0.0.4:80 -s rr
    -a -t 10.0.0.4:80 -r 10.9.0.1 -i
    -a -t 10.0.0.4:80 -r [fd00::1]:80 -i
    -A -t [fd00::9]:80 -s rr
    -a -t [fd00::9]:80 -r [fd00::1]:80 -m";

/// Rules that make a difference, and rules that take it back.
pub(crate) const DIFFERENCES: &[(&str, &str)] = &[
    (
        "-e -t 10.0.0.1:80 -r 10.9.0.1 -m -w 4 -x 9 -y 3",
        "-e -t 10.0.0.1:80 -r 10.9.0.1 -m -w 1 -x 9 -y 3",
    ),
    (
        "-e -t 10.0.0.1:80 -r 10.9.0.1 -m -w 1 -x 8 -y 3",
        "-e -t 10.0.0.1:80 -r 10.9.0.1 -m -w 1 -x 9 -y 3",
    ),
    (
        "-e -t 10.0.0.1:80 -r 10.9.0.1 -m -w 1 -x 9 -y 2",
        "-e -t 10.0.0.1:80 -r 10.9.0.1 -m -w 1 -x 9 -y 3",
    ),
    ("-e -t 10.0.0.1:80 -r 10.9.0.2 -m -w 2", "-e -t 10.0.0.1:80 -r 10.9.0.2 -g -w 2"),
    ("-e -t 10.0.0.1:80 -r 10.9.0.2 -i -w 2", "-e -t 10.0.0.1:80 -r 10.9.0.2 -g -w 2"),
    ("-a -t 10.0.0.1:80 -r 10.9.0.3 -m", "-d -t 10.0.0.1:80 -r 10.9.0.3"),
    ("-d -t 10.0.0.1:80 -r 10.9.0.2", "-a -t 10.0.0.1:80 -r 10.9.0.2 -g -w 2"),
    (
        "-d -t 10.0.0.1:80 -r 10.9.0.1\n-a -t 10.0.0.1:80 -r 10.9.0.1:81 -m -w 1 -x 9 -y 3",
        "-d -t 10.0.0.1:80 -r 10.9.0.1:81\n-a -t 10.0.0.1:80 -r 10.9.0.1 -m -w 1 -x 9 -y 3",
    ),
    // Lists of IPv4 servers pass these over.
    ("-a -t 10.0.0.1:80 -r [fd00::1]:80 -i", "-d -t 10.0.0.1:80 -r [fd00::1]:80"),
    ("-a -f 7 -r [fd00::1]:0 -i", "-d -f 7 -r [fd00::1]:0"),
    ("-a -t 10.0.0.2:80 -r [fd00::1]:80 -i", "-d -t 10.0.0.2:80 -r [fd00::1]:80"),
    ("-a -t 10.0.0.2:80 -r 10.9.0.3 -g", "-d -t 10.0.0.2:80 -r 10.9.0.3"),
    ("-d -f 7 -r 10.9.0.1:0", "-a -f 7 -r 10.9.0.1:0 -g"),
    ("-e -u 10.0.0.1:53 -r 10.9.0.1:5353 -m -w 0", "-e -u 10.0.0.1:53 -r 10.9.0.1:5353 -m"),
    // The kind of a tunnel is in none of them.
    (
        "-e -t 10.0.0.3:80 -r 10.9.0.1 -i --tun-type gue --tun-port 6081",
        "-e -t 10.0.0.3:80 -r 10.9.0.1 -i --tun-type gue --tun-port 6080",
    ),
    ("-e -t 10.0.0.4:80 -r [fd00::1]:80 -i -w 3", "-e -t 10.0.0.4:80 -r [fd00::1]:80 -i"),
    ("-e -t [fd00::9]:80 -r [fd00::1]:80 -m -w 3", "-e -t [fd00::9]:80 -r [fd00::1]:80 -m"),
    ("-E -t 10.0.0.1:80 -s rr", "-E -t 10.0.0.1:80 -s wlc"),
    ("-D -t 10.0.0.2:80", "-A -t 10.0.0.2:80 -s rr"),
];

pub(crate) fn change(ipvs: &mut Ipvs, rules: &str) {
    let rules: vsched::config::rules::Rules = rules.parse().expect("rules");
    let requests: Vec<Request> = rules.commands().filter_map(Request::from_command).collect();
    assert_eq!(ipvs.kernel().execute(&requests).expect("answers"), []);
}

pub(crate) fn runs(ipvs: &mut Ipvs, wanted: &Config) -> bool {
    ipvs.runs(wanted, &Policy::default()).expect("a reading")
}

pub(crate) fn differences() {
    let wanted = config(WANTED);
    running(&wanted);
    let mut ipvs = ipvs();
    assert!(runs(&mut ipvs, &wanted));
    for (difference, back) in DIFFERENCES {
        change(&mut ipvs, difference);
        assert!(!runs(&mut ipvs, &wanted), "{difference}");
        change(&mut ipvs, back);
        assert!(runs(&mut ipvs, &wanted), "{back}");
    }
    // What others have makes no difference, even if there is more of it than of ours.
    for port in 1..50 {
        change(&mut ipvs, &format!("-A -t 10.0.1.1:{port} -s rr"));
    }
    assert!(runs(&mut ipvs, &wanted));
}

/// All that is read is in one namespace.
pub(crate) fn elsewhere() {
    assert!(shell("ip netns add red && ip -n red link set lo up"));
    let here = config(WANTED);
    let mut there = here.clone();
    there.services[0].servers[0] = here.services[0].servers[0].clone().with_weight(5);
    assert_eq!(there.services[0].key, key("tcp 10.0.0.1:80"));
    running(&here);
    let mut own = ipvs();
    let mut other = Ipvs::open_in(Namespace::at("/run/netns/red")).expect("IPVS there");
    assert!(!runs(&mut other, &here));
    let _ = other.sync(there.clone(), &Policy::default()).expect("in sync");
    assert_eq!([runs(&mut own, &here), runs(&mut own, &there)], [true, false]);
    assert_eq!([runs(&mut other, &here), runs(&mut other, &there)], [false, true]);
}
