//! A host as a tree of files that meets all requirements of a laboratory; the tests then remove
//! each one in turn.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use vsched::requirements::Role;

/// For [`Tree::change`]: a folder instead of the file.
pub(crate) const FOLDER: &str = "/";

/// A tree of files below the folder for temporary ones, gone with the value.
pub(crate) struct Tree(PathBuf);

impl Tree {
    /// Paths that end in `/` are folders. `{…}` in a text is an address as the kernel prints it.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("vsched-requirements-{}-{number}", std::process::id());
        let tree = Tree(std::env::temp_dir().join(name));
        fs::create_dir_all(&tree.0).expect("a folder");
        for (path, text) in files {
            tree.write(path, text);
        }
        tree
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn write(&self, path: &str, text: &str) {
        let full = self.0.join(path);
        if path.ends_with('/') {
            return fs::create_dir_all(full).expect("a folder");
        }
        fs::create_dir_all(full.parent().expect("a folder above")).expect("a folder");
        fs::write(full, native(text)).expect("a file");
    }

    /// Another text for a file, or the file or folder gone.
    pub(crate) fn change(&self, path: &str, text: Option<&str>) {
        let full = self.0.join(path);
        match text {
            Some(FOLDER) => {
                fs::remove_file(&full).expect("a file");
                fs::create_dir(full).expect("a folder");
            }
            Some(text) => self.write(path, text),
            None if full.is_dir() => fs::remove_dir_all(full).expect("a folder"),
            None => fs::remove_file(full).expect("a file"),
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The kernel prints addresses as the machine's own 32-bit numbers.
fn native(text: &str) -> String {
    let mut parts = text.split('{');
    let mut all = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (address, rest) = part.split_once('}').expect("a closing brace");
        let ip: std::net::Ipv4Addr = address.parse().expect("an address");
        all += &format!("{:08X}{rest}", u32::from_ne_bytes(ip.octets()));
    }
    all
}

pub(crate) fn role(name: &str) -> Role {
    match name {
        "director" => Role::Director,
        address => Role::RealServer(address.parse().expect("an address")),
    }
}

type Files = &'static [(&'static str, &'static str)];
/// A path, its other text or none, and what is said then.
type Changes = &'static [(&'static str, Option<&'static str>, &'static str)];

/// Laboratory, host, its files, and what to take away.
pub(crate) const CASES: &[(&str, &str, Files, Changes)] = &[
    ("LVS-NAT", "director", NAT_DIRECTOR, NAT_DIRECTOR_CHANGES),
    ("LVS-NAT", "192.168.5.11", NAT_SERVER, NAT_SERVER_CHANGES),
    ("LVS-DR", "director", DR_DIRECTOR, DR_DIRECTOR_CHANGES),
    ("LVS-DR", "192.168.5.11", DR_SERVER, DR_SERVER_CHANGES),
    ("LVS-TUN", "192.168.5.11", TUN_SERVER, TUN_SERVER_CHANGES),
];

const TRIE: &str = "proc/net/fib_trie";
const ROUTE: &str = "proc/net/route";
const TCP: &str = "proc/net/tcp";
const TCP6: &str = "proc/net/tcp6";
const ROUTES: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
    eth0\t{192.168.5.0}\t{0.0.0.0}\t0001\t0\t0\t0\t{255.255.255.0}\t0\t0\t0\n";
/// The first two are down, and up but rejecting.
const ROUTES_VIA_DIRECTOR: &str = "eth0\t{0.0.0.0}\t{192.168.5.254}\t0002\t0\t0\t0\t{0.0.0.0}\t0\t0\t0\n\
    eth0\t{0.0.0.0}\t{192.168.5.254}\t0203\t0\t0\t0\t{0.0.0.0}\t0\t0\t0\n\
    eth0\t{0.0.0.0}\t{192.168.5.5}\t0003\t0\t0\t0\t{0.0.0.0}\t0\t0\t0\n\
    eth0\t{192.168.5.0}\t{0.0.0.0}\t0001\t0\t0\t0\t{255.255.255.0}\t0\t0\t0\n";
const ROUTES_VIA_OTHER: &str = "eth0\t{0.0.0.0}\t{192.168.5.254}\t0003\t0\t0\t0\t{0.0.0.0}\t0\t0\t0\n\
    eth0\t{0.0.0.0}\t{192.168.5.5}\t0003\t0\t0\t100\t{0.0.0.0}\t0\t0\t0\n";
const ROUTES_TO_ONE_BY_GATEWAY: &str = "eth0\t{192.168.5.0}\t{0.0.0.0}\t0001\t0\t0\t0\t{255.255.255.0}\t0\t0\t0\n\
    eth0\t{192.168.5.12}\t{192.168.5.1}\t0007\t0\t0\t0\t{255.255.255.255}\t0\t0\t0\n";
const ROUTE_TO_ONE: &str =
    "eth0\t{192.168.5.12}\t{0.0.0.0}\t0005\t0\t0\t0\t{255.255.255.255}\t0\t0\t0\n";
const VIP_DR: &str = "Main:\n  +-- 0.0.0.0/0 2 0 2\n           |-- 192.168.5.0\n              \
    /24 link UNICAST\n           |-- 192.168.5.50\n              /32 host LOCAL\n";
const VIP_NAT: &str = "Local:\n           |-- 192.168.4.5\n              /32 host LOCAL\n";
const NO_VIP: &str = "Main:\n           |-- 192.168.5.11\n              /32 host LOCAL\n           \
    |-- 192.168.5.50\n              /32 link BROADCAST\n";
const SOCKETS: &str = "  sl  local_address rem_address   st tx_queue rx_queue\n";
const ANY_80: &str = "   0: {0.0.0.0}:0050 {0.0.0.0}:0000 0A 00000000:00000000 00:00000000\n";
const VIP_80: &str = "   0: {192.168.5.50}:0050 {0.0.0.0}:0000 0A 00000000:00000000 00:00000000\n";
const RIP_80: &str = "   0: {192.168.5.11}:0050 {0.0.0.0}:0000 0A 00000000:00000000 00:00000000\n";
const CONNECTED_80: &str =
    "   0: {192.168.5.50}:0050 {192.168.5.100}:9C40 01 00000000:00000000 00:00000000\n";
const ANY6_80: &str = "   0: 00000000000000000000000000000000:0050 \
    00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000\n";

const MODULES: &str = "proc/modules";
const BOTH: &str = "ip_vs_wrr 16384 0 - Live 0x0\nip_vs 200704 2 ip_vs_wrr, Live 0x0\n";
const ONLY_IP_VS: &str = "ip_vs 200704 2 - Live 0x0\n";
const ONLY_WRR: &str = "ip_vs_wrr 16384 0 - Live 0x0\n";
const NO_WRR: &str = "missing: found module ip_vs_wrr is not loaded; expected module ip_vs_wrr";
const NO_IP_VS: &str = "missing: found module ip_vs is not loaded; expected module ip_vs";

const NAT_DIRECTOR: Files =
    &[(MODULES, BOTH), ("proc/sys/net/ipv4/ip_forward", "1\n"), (TRIE, VIP_NAT)];
const NAT_DIRECTOR_CHANGES: Changes = &[
    (MODULES, Some(ONLY_IP_VS), NO_WRR),
    (MODULES, Some(ONLY_WRR), NO_IP_VS),
    (
        "proc/sys/net/ipv4/ip_forward",
        Some("0\n"),
        "missing: found net.ipv4.ip_forward = 0; expected net.ipv4.ip_forward = 1",
    ),
    ("proc/sys/net/ipv4/ip_forward", None, "unknown: there is no /proc/sys/net/ipv4/ip_forward"),
    (
        "proc/sys/net/ipv4/ip_forward",
        Some("yes"),
        "unknown: /proc/sys/net/ipv4/ip_forward is not a number",
    ),
    (
        "proc/sys/net/ipv4/ip_forward",
        Some(FOLDER),
        "unknown: /proc/sys/net/ipv4/ip_forward: Is a directory (os error 21)",
    ),
    (
        TRIE,
        Some(VIP_DR),
        "missing: found no interface has 192.168.4.5; expected 192.168.4.5 on an interface",
    ),
    (TRIE, None, "unknown: there is no /proc/net/fib_trie"),
];

const NAT_SERVER: Files = &[(ROUTE, ROUTES_VIA_DIRECTOR), (TCP, RIP_80)];
const NAT_SERVER_CHANGES: Changes = &[
    (
        ROUTE,
        Some(ROUTES),
        "missing: found no default route; expected default route via 192.168.5.5",
    ),
    (
        ROUTE,
        Some(ROUTES_VIA_OTHER),
        "missing: found default route via 192.168.5.254; expected default route via 192.168.5.5",
    ),
    (
        TCP,
        Some(VIP_80),
        "missing: found nothing listens on tcp 192.168.5.11:80; expected a socket on tcp \
         192.168.5.11:80 or on every address",
    ),
];

const DR_DIRECTOR: Files = &[
    ("sys/module/ip_vs/", ""),
    ("proc/sys/kernel/osrelease", "6.1.0-test\n"),
    ("lib/modules/6.1.0-test/modules.builtin", "kernel/net/netfilter/ipvs/ip_vs_wrr.ko\n"),
    (MODULES, ""),
    (TRIE, VIP_DR),
    (ROUTE, ROUTES),
];
const DR_DIRECTOR_CHANGES: Changes = &[
    ("sys/module/ip_vs/", None, NO_IP_VS),
    ("lib/modules/6.1.0-test/modules.builtin", Some("kernel/lib/ip_vs_wrr_not.ko\n"), NO_WRR),
    (
        TRIE,
        Some(NO_VIP),
        "missing: found no interface has 192.168.5.50; expected 192.168.5.50 on an interface",
    ),
    (
        ROUTE,
        Some(ROUTES_TO_ONE_BY_GATEWAY),
        "missing: found 192.168.5.12 via 192.168.5.1; expected 192.168.5.12 on a wire of this host",
    ),
    (
        ROUTE,
        Some(ROUTE_TO_ONE),
        "missing: found no route to 192.168.5.11; expected 192.168.5.11 on a wire of this host",
    ),
];

const CONF: [&str; 4] = [
    "proc/sys/net/ipv4/conf/all/arp_ignore",
    "proc/sys/net/ipv4/conf/all/arp_announce",
    "proc/sys/net/ipv4/conf/eth0/arp_ignore",
    "proc/sys/net/ipv4/conf/eth0/arp_announce",
];
const LO_IGNORES: &str = "proc/sys/net/ipv4/conf/lo/arp_ignore";

// Set on the wire's interface, which is as good as on all; the tunnel's speaks no ARP, eth1 is down.
const DR_SERVER: Files = &[
    (CONF[0], "0\n"),
    (CONF[1], "2\n"),
    (CONF[2], "1\n"),
    (CONF[3], "0\n"),
    (LO_IGNORES, "1\n"),
    ("proc/sys/net/ipv4/conf/tunl0/arp_ignore", "0\n"),
    ("proc/sys/net/ipv4/conf/default/arp_ignore", "0\n"),
    ("sys/class/net/eth0/flags", "0x1003\n"),
    ("sys/class/net/lo/flags", "0x9\n"),
    ("sys/class/net/tunl0/flags", "0xc1\n"),
    ("proc/sys/net/ipv4/conf/eth1/arp_ignore", "0\n"),
    ("sys/class/net/eth1/flags", "0x1002\n"),
    (TRIE, VIP_DR),
    (ROUTE, ROUTES_VIA_OTHER),
    (TCP, ANY_80),
];
const DR_SERVER_CHANGES: Changes = &[
    (
        CONF[2],
        Some("0\n"),
        "missing: found arp_ignore of eth0 = 0; expected arp_ignore of eth0 = 1 or 2",
    ),
    (
        CONF[2],
        Some("8\n"),
        "missing: found arp_ignore of eth0 = 8; expected arp_ignore of eth0 = 1 or 2",
    ),
    (
        CONF[1],
        Some("1\n"),
        "missing: found arp_announce of eth0 = 1; expected arp_announce of eth0 = 2",
    ),
    (CONF[1], None, "unknown: there is no /proc/sys/net/ipv4/conf/all/arp_announce"),
    (
        TRIE,
        Some(NO_VIP),
        "missing: found no interface has 192.168.5.50; expected 192.168.5.50 on an interface",
    ),
    (
        ROUTE,
        Some(ROUTES_VIA_DIRECTOR),
        "missing: found default route via 192.168.5.5; expected a default route past the director, \
         or none",
    ),
    (
        TCP,
        Some(CONNECTED_80),
        "missing: found nothing listens on tcp 192.168.5.50:80; expected a socket on tcp \
         192.168.5.50:80 or on every address",
    ),
];

const TUNNEL_FLAGS: &str = "sys/class/net/tunl0/flags";
const FILTERS: [&str; 2] =
    ["proc/sys/net/ipv4/conf/all/rp_filter", "proc/sys/net/ipv4/conf/tunl0/rp_filter"];
const TUN_SERVER: Files = &[
    ("sys/module/ipip/", ""),
    (MODULES, ""),
    (CONF[0], "1\n"),
    (CONF[1], "2\n"),
    (CONF[2], "0\n"),
    (CONF[3], "0\n"),
    (FILTERS[0], "1\n"),
    (FILTERS[1], "2\n"),
    ("sys/class/net/eth0/flags", "0x1003\n"),
    (TUNNEL_FLAGS, "0xc1\n"),
    (TRIE, VIP_DR),
    (ROUTE, ROUTES),
    (TCP, SOCKETS),
    (TCP6, ANY6_80),
    (TCP, VIP_80),
];
const TUN_SERVER_CHANGES: Changes = &[
    ("sys/module/ipip/", None, "missing: found module ipip is not loaded; expected module ipip"),
    (TUNNEL_FLAGS, Some("0x80\n"), "missing: found tunl0 is down; expected tunl0 is up"),
    (
        FILTERS[1],
        Some("0\n"),
        "missing: found rp_filter of tunl0 and all = 1; expected rp_filter of tunl0 and all = 2 or 0",
    ),
    (
        CONF[0],
        Some("0\n"),
        "missing: found arp_ignore of eth0 = 0; expected arp_ignore of eth0 = 1 or 2",
    ),
    (
        CONF[1],
        Some("0\n"),
        "missing: found arp_announce of eth0 = 0; expected arp_announce of eth0 = 2",
    ),
    (
        TRIE,
        Some(NO_VIP),
        "missing: found no interface has 192.168.5.50; expected 192.168.5.50 on an interface",
    ),
    (
        ROUTE,
        Some(ROUTES_VIA_DIRECTOR),
        "missing: found default route via 192.168.5.5; expected a default route past the director, \
         or none",
    ),
    (TCP, Some(SOCKETS), "unknown: a socket listens on [::]:80, perhaps for IPv6 only"),
];
