//! Our own error texts must mean the same as the real program's.

/// The beginning of what the real program says, and what ours says of the same option.
const VALUES: &[(&str, &[&str], &[&str])] = &[
    ("illegal virtual server address", &["tcp-service", "udp-service", "sctp-service"], ADDRESS),
    ("illegal real server address", &["real-server"], ADDRESS),
    ("invalid fwmark value `", &["fwmark-service"], &["illegal firewall mark"]),
    ("illegal ipv6 netmask", &["netmask"], &["illegal netmask: expected a prefix length"]),
    (
        "illegal virtual server persistent mask",
        &["netmask"],
        &["illegal netmask: expected one such as"],
    ),
    ("invalid timeout value `", &["persistent"], &["illegal timeout"]),
    ("invalid scheduler flag `", &["sched-flags"], FLAG),
    ("incompatible scheduler flag `", &["sched-flags"], FLAG),
    ("illegal weight", &["weight"], &["illegal weight"]),
    ("illegal u_threshold", &["u-threshold"], &["illegal upper threshold"]),
    ("illegal l_threshold", &["l-threshold"], &["illegal lower threshold"]),
    ("illegal tunnel type", &["tun-type"], &["illegal tunnel type"]),
    ("illegal tunnel port", &["tun-port"], &["illegal tunnel port"]),
];
const ADDRESS: &[&str] = &[
    "illegal address",
    "illegal port",
    "host names are not looked up",
    "service names are not looked up",
];
const FLAG: &[&str] = &["is no flag of scheduler"];

/// The same of what does not fit together.
const FITS: &[(&str, &str)] = &[
    ("Zero port specified for non-persistent service", "takes every port and needs -p"),
    ("One-Packet Scheduling is only for UDP", "one-packet scheduling needs a UDP"),
    ("Different address family is allowed only for tunneling", "of the other address family"),
    ("Tunnel options conflict with forward method", "tunnel options need tunneling"),
    ("You need to supply the 'tun-port' option for the 'gue'", "a gue tunnel needs --tun-port"),
    (
        "The option 'tun-csum' conflicts with the 'tun-nocsum'",
        "`--tun-csum': conflict: `--tun-nocsum`",
    ),
    (
        "The option 'tun-remcsum' conflicts with the 'tun-csum'",
        "`--tun-remcsum': conflict: `--tun-csum`",
    ),
    (
        "The option 'tun-remcsum' conflicts with the 'tun-nocsum'",
        "`--tun-remcsum': conflict: `--tun-nocsum`",
    ),
    ("Illegal 'tun-port' option with the 'gre' tunnel type", "a gre tunnel has no port"),
    ("Illegal 'tun-remcsum' option with the 'gre'", "a gre tunnel has no remote checksum"),
    ("Illegal 'tun-port' option with the 'ipip' tunnel type", "an ipip tunnel has no port"),
    ("Illegal 'tun-nocsum' option with the 'ipip'", "an ipip tunnel has no checksum"),
    ("Illegal 'tun-csum' option with the 'ipip'", "an ipip tunnel has no checksum"),
    ("Illegal 'tun-remcsum' option with the 'ipip'", "an ipip tunnel has no checksum"),
];

/// True if line for line both say the same, be it in other words.
pub(super) fn same(real: &str, ours: &str) -> bool {
    let (real, ours): (Vec<&str>, Vec<&str>) = (real.lines().collect(), ours.lines().collect());
    real.len() == ours.len() && real.iter().zip(&ours).all(|(real, ours)| means(real, ours))
}

fn means(real: &str, ours: &str) -> bool {
    let quoted = real.split_once('`').and_then(|(_, rest)| rest.rsplit_once('\''));
    let value = |(said, options, phrases): &(&str, &[&str], &[&str])| {
        real.starts_with(said)
            && options.iter().any(|option| ours.starts_with(&format!("--{option} `")))
            && phrases.iter().any(|phrase| ours.contains(phrase))
            && quoted.is_none_or(|(word, _)| ours.contains(word))
    };
    real == ours
        || VALUES.iter().any(value)
        || FITS.iter().any(|(said, phrase)| real.starts_with(said) && ours.contains(phrase))
}
