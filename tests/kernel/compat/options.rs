//! Commands and options as the random lines spell them, with good and bad values. Written
//! independently of the program's own table, so that a mistake there is detected.

/// What follows an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    /// One of the first, or, for once, of the second.
    Value(&'static [&'static str], &'static [&'static str]),
    /// The same, or nothing.
    Maybe(&'static [&'static str], &'static [&'static str]),
}

use Takes::{Maybe, Nothing, Value};

#[derive(Debug)]
pub(super) struct Opt {
    pub(super) short: Option<char>,
    pub(super) long: &'static str,
    pub(super) takes: Takes,
}

const fn opt(short: char, long: &'static str, takes: Takes) -> Opt {
    Opt { short: Some(short), long, takes }
}

const fn long(long: &'static str, takes: Takes) -> Opt {
    Opt { short: None, long, takes }
}

#[rustfmt::skip]
const ADDRESSES: Takes = Value(
    &["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:0", "10.0.0.3", "web:http", "[2001:db8::1]:80", "2001:db8::3"],
    &[
        "10.0.0.300:80", "10.0.0.1:65536", "10.0.0.1:-1", "10.0.0.1:80x", "10.0.0.1:", ":80", "80", "''",
        "[::1", "[::1]", "[::1]x", "[::1]:", "[::1]:x", "[10.0.0.1]:x", "::1:80", "nosuch:80", "web:nosuch",
        "10.1:80", "0x0a.0.0.1:80", "010.0.0.1:+80", "10.0.0.1:080", "10.0.0.1:80:80", "10.0.0.1.:80",
        "0:80", "224.0.0.1:80", "[ff02::1]:80", "[::ffff:10.0.0.1]:80", "web", "six:80", "[web]:80", "*:80",
        "-1", "--", "-", "1.2.3.4.5:6", "2001:db8::g", "[fe80::1%eth0]:80", "=10.0.0.1:80", "10.0.0.1é:80", "[2001:db8::1]:http", "[2001:db8::1]:nosuch",
    ],
);
#[rustfmt::skip]
const SERVERS: Takes = Value(
    &["10.9.0.1", "10.9.0.2:8080", "10.9.0.1:80", "real:http", "[2001:db8::9]:80", "2001:db8::a"],
    &[
        "10.0.0.300", "10.9.0.1:65536", "10.9.0.1:-1", "10.9.0.1:x", "10.9.0.1:", "80", "''", "[::9", "[::9]",
        "[::9]:x", "[10.9.0.1]:80", "nosuch", "real:nosuch", "real", "two", "six", "real:tftp", "10.9.1",
        "0.0.0.0", "224.0.0.1", "255.255.255.255", "127.0.0.1", "[ff02::1]:80", "[::]:80", "-1", "-", "0x0a090001",
    ],
);
const MARKS: Takes = Value(
    &["1", "2", "3", "+2", "02"],
    &["0", "x", "-0", "''", "4294967296", "99999999999999999999", "1x", "0x1", "1.5", "--"],
);
const NUMBERS: Takes = Value(
    &["0", "1", "3", "+7", "10", "2147483647"],
    &["-1", "-0", "x", "''", "2147483648", "5x", "0x5", "007", "99999999999999999999", "--", "5-"],
);

/// Commands; help is told in other words.
pub(super) const COMMANDS: &[Opt] = &[
    opt('A', "add-service", Nothing),
    opt('E', "edit-service", Nothing),
    opt('D', "delete-service", Nothing),
    opt('a', "add-server", Nothing),
    opt('e', "edit-server", Nothing),
    opt('d', "delete-server", Nothing),
    opt('C', "clear", Nothing),
    opt('L', "list", Nothing),
    opt('l', "list", Nothing),
    opt('Z', "zero", Nothing),
    opt('S', "save", Nothing),
    opt('R', "restore", Nothing),
    long("set", Nothing),
    long("start-daemon", DAEMON),
    long("stop-daemon", DAEMON),
];
const DAEMON: Takes = Value(&["master", "backup"], &["x", "''", "Master", "masterx", "--"]);

#[rustfmt::skip]
pub(super) const OPTIONS: &[Opt] = &[
    opt('t', "tcp-service", ADDRESSES),
    opt('u', "udp-service", ADDRESSES),
    long("sctp-service", ADDRESSES),
    opt('f', "fwmark-service", MARKS),
    opt('6', "ipv6", Nothing),
    opt('s', "scheduler", Value(
        &["rr", "wrr", "wlc", "sh", "mh"],
        &["none", "''", "bogus", "averyveryverylongname", "RR", "rr,", "lblcr", "-1"])),
    opt('b', "sched-flags", Value(
        &["sh-port", "mh-fallback", "flag-1", "flag-1,flag-2", "mh-port,mh-fallback"],
        &["''", ",flag-1", "flag-1,", "flag-1,,flag-3", "bogus", "sh-port,bogus", "Flag-1", "flag-4", ",", "flag-3"])),
    opt('p', "persistent", Maybe(
        &["300", "+60", "1", "2678400"], &["0", "2678401", "x", "''", "-5", "5x", "4294967297"])),
    opt('M', "netmask", Value(
        &["255.255.255.0", "64", "128", "255.255.255.255"],
        &["x", "''", "0", "129", "-1", "1", "255.255.255.256", "255.0.255.0", "0.0.0.0", "+48", "48x", "0xffff0000", "300", "::1"])),
    long("pe", Value(&["sip", "''"], &["bogus", "averyveryverylongname", "SIP", "sip,"])),
    opt('o', "ops", Nothing),
    opt('r', "real-server", SERVERS),
    opt('m', "masquerading", Nothing),
    opt('i', "ipip", Nothing),
    opt('g', "gatewaying", Nothing),
    opt('w', "weight", NUMBERS),
    opt('x', "u-threshold", NUMBERS),
    opt('y', "l-threshold", NUMBERS),
    long("tun-type", Value(&["ipip", "gue", "gre"], &["x", "''", "GUE", "gue,", "ip"])),
    long("tun-port", Value(&["1", "6080", "65535"], &["0", "65536", "-1", "x", "''", "5x"])),
    long("tun-nocsum", Nothing),
    long("tun-csum", Nothing),
    long("tun-remcsum", Nothing),
    opt('n', "numeric", Nothing),
    opt('c', "connection", Nothing),
    opt('X', "exact", Nothing),
    long("stats", Nothing),
    long("rate", Nothing),
    long("thresholds", Nothing),
    long("persistent-conn", Nothing),
    long("tun-info", Nothing),
    long("nosort", Nothing),
    long("sort", Nothing),
    long("timeout", Nothing),
    long("daemon", Nothing),
    long("mcast-interface", Value(&["eth0", "lo"], &["''", "nosuch", "averyveryverylongname", "-"])),
    long("syncid", Value(&["0", "7", "255"], &["256", "-1", "x", "''", "1x"])),
    long("sync-maxlen", Value(&["1400", "65507"], &["0", "65508", "x", "''", "-5"])),
    long("mcast-group", Value(
        &["224.1.2.3", "ff02::1"],
        &["10.0.0.1", "::1", "x", "''", "224.1.2", "224.1.2.3.4", "ff02::g", "240.0.0.1", "239.255.255.255", "ff02::1%eth0", "224.1.2.3:5", ":"])),
    long("mcast-port", Value(&["99", "65535"], &["0", "65536", "x", "''"])),
    long("mcast-ttl", Value(&["1", "255"], &["0", "256", "x", "''"])),
];

/// Words that are no options, and options that are none or get what they do not take.
#[rustfmt::skip]
pub(super) const STRAY: &[&str] = &[
    "foo", "''", "-", "--", "--bogus", "-q", "-nq", "-q5", "--sched", "--weigh", "--ops=1", "-o=1", "-n=", "--numeric=",
    "-A", "-L", "-h", "-v", "--help", "-R", "--start-daemon", "--set", "-mq", "--bogus=5", "-?", "--usage", "5", "--weight=", "-=", "--=",
    "é", "-é", "--é", "-wé", "-=5", "--=5", "-L=", "--list=", "-6", "--ipv6=", "-p=5",
];
/// What the program may be called by.
pub(super) const NAMES: &[&str] = &["/usr/sbin/ipvsadm", "./ipvsadm", "other", "sbin/-x"];

pub(super) fn named(long: &str) -> &'static Opt {
    let mut all = COMMANDS.iter().chain(OPTIONS);
    all.find(|opt| opt.long == long).unwrap_or_else(|| panic!("no option {long}"))
}
