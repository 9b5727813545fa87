//! Listings and saved rules, with names in place of numbers if wanted.

use vsched::config::listing::{Listing, View};
use vsched::config::{Observed, SyncDaemon, SyncRole, Timeouts};

use super::names::Names;

/// Width of a service's name before statistics, and the maximum for an IPv4 service anywhere.
const SERVICE: usize = 33;
/// Width of a server's name, and the maximum for an IPv4 server.
const SERVER: usize = 28;
const SERVER_MARK: &str = "  -> ";

/// The text of a listing.
pub(crate) fn listing(listing: &Listing<'_>, view: View, names: Option<&Names>) -> String {
    let text = listing.to_string();
    match names {
        None => text,
        Some(names) => {
            let mut protocol = None;
            text.lines().map(|line| named(line, view, names, &mut protocol) + "\n").collect()
        }
    }
}

fn named(line: &str, view: View, names: &Names, protocol: &mut Option<&'static str>) -> String {
    let word = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
    if let Some(server) = line.strip_prefix(SERVER_MARK) {
        let address = word(server);
        let name = names.name(&address, *protocol);
        // Titles and the like: nothing to name.
        if !address.contains(|c: char| c.is_ascii_digit()) {
            return line.to_owned();
        }
        let name = if address.starts_with('[') { name } else { first(&name, SERVER) };
        let rest = server.get(SERVER.max(address.len())..).unwrap_or_default();
        return format!("{SERVER_MARK}{name:<SERVER$}{rest}");
    }
    *protocol = match word(line).as_str() {
        "TCP" => Some("tcp"),
        "UDP" => Some("udp"),
        "SCTP" => Some("sctp"),
        "FWM" => None,
        _ => return line.to_owned(),
    };
    let (mark, rest) = line.split_at_checked("SCTP ".len()).unwrap_or((line, ""));
    if protocol.is_none() {
        return line.to_owned();
    }
    let address = word(rest);
    let name = format!("{mark}{}", names.name(&address, *protocol));
    let name = if address.starts_with('[') { name } else { first(&name, SERVICE) };
    let old = mark.len() + address.len();
    match view {
        View::Statistics | View::Rates => {
            format!("{name:<SERVICE$}{}", line.get(SERVICE.max(old)..).unwrap_or_default())
        }
        _ => format!("{name}{}", line.get(old..).unwrap_or_default()),
    }
}

fn first(text: &str, count: usize) -> String {
    text.chars().take(count).collect()
}

/// The rules as lines of commands.
pub(crate) fn rules(observed: &Observed, names: Option<&Names>) -> String {
    let text = observed.config().to_rules().to_string();
    let Some(names) = names else { return text };
    let mut named = String::new();
    for line in text.lines() {
        let (mut protocol, mut before) = (None, "");
        let mut words = Vec::new();
        for word in line.split(' ') {
            match before {
                "-t" => protocol = Some("tcp"),
                "-u" => protocol = Some("udp"),
                "--sctp-service" => protocol = Some("sctp"),
                _ => {}
            }
            words.push(match before {
                "-t" | "-u" | "--sctp-service" | "-r" => names.name(word, protocol),
                _ => word.to_owned(),
            });
            before = word;
        }
        named += &words.join(" ");
        named.push('\n');
    }
    named
}

/// The connection timeouts.
pub(crate) fn timeouts(timeouts: &Timeouts) -> String {
    let seconds = [timeouts.tcp, timeouts.tcp_fin, timeouts.udp].map(Option::unwrap_or_default);
    let [tcp, tcp_fin, udp] = seconds;
    format!("Timeout (tcp tcpfin udp): {tcp} {tcp_fin} {udp}\n")
}

/// The daemons, one per line.
pub(crate) fn daemons(daemons: &[SyncDaemon]) -> String {
    let mut text = String::new();
    for daemon in daemons {
        let role = match daemon.role {
            SyncRole::Master => "master",
            SyncRole::Backup => "backup",
        };
        let SyncDaemon { interface, sync_id, .. } = daemon;
        text += &format!("{role} sync daemon (mcast={interface}, syncid={sync_id}");
        for (name, value) in [
            ("maxlen", daemon.max_len.map(|value| value.to_string())),
            ("group", daemon.group.map(|value| value.to_string())),
            ("port", daemon.port.map(|value| value.to_string())),
            ("ttl", daemon.ttl.map(|value| value.to_string())),
        ] {
            if let Some(value) = value {
                text += &format!(", {name}={value}");
            }
        }
        text += ")\n";
    }
    text
}
