//! Words in any order: the example exits with one of its statuses and never panics.

use super::worker::ours;

const LINES: u32 = 1500;
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "-A", "-E", "-D", "-C", "-R", "-S", "-a", "-e", "-d", "-L", "-l", "-Z", "--set", "-h", "-v",
    "--start-daemon", "--stop-daemon", "-t", "-u", "--sctp-service", "-f", "-6", "-s", "-p", "-M",
    "-r", "-m", "-i", "-g", "-w", "-x", "-y", "-o", "-b", "-n", "-c", "-X", "--pe", "--stats",
    "--rate", "--timeout", "--daemon", "--thresholds", "--persistent-conn", "--nosort", "--tun-info",
    "--tun-type", "--tun-port", "--tun-csum", "--syncid", "--mcast-group", "--mcast-interface",
    "10.0.0.1:80", "10.0.0.2:http", "web", "real:http", "[2001:db8::1]:80", "::1", "[", "]:", "[]:1",
    "[\u{e9}]:x", ":", "::", ":::", "1", "80", "-1", "4294967295", "99999999999999999999", "rr", "sh",
    "sh-port,,flag-1", ",", "none", "an-\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}", "sip", "gue",
    "master", "backup", "eth0", "224.0.0.1", "ff02::1", "0.0.0.0", "", "-", "--", "-=", "--=", "-\u{e9}",
    "--\u{e9}=\u{e9}", "-t=", "--weight=", "-w\u{e9}", "-Ln", "-nL", "-p=", "-mw2", "\n", "\t", "\0", "#",
];
/// What a line may begin with, so that not all of them end there.
const FIRST: usize = 17;

pub(super) fn run() -> i32 {
    let mut seed: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut draw = |limit: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % limit as u64) as usize
    };
    let mut seen = [0; 256];
    for _ in 0..LINES {
        let line = |draw: &mut dyn FnMut(usize) -> usize| {
            let mut words = vec![WORDS[draw(FIRST)].to_owned()];
            words.extend((0..draw(9)).map(|_| WORDS[draw(WORDS.len())].to_owned()));
            words
        };
        let words = line(&mut draw);
        let input = [line(&mut draw).join(" "), line(&mut draw).join(" ")].join("\n");
        let (status, ..) = ours("ipvsadm", &words, &input);
        assert!([0, 1, 2, 255].contains(&status), "{words:?}: {status}");
        seen[status as usize] += 1;
    }
    assert!([0, 2, 255].iter().all(|status| seen[*status] > 20), "{seen:?}");
    0
}
