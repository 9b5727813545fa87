//! Limits of synchronization daemons.

use super::report::{Path, Problems, Subject, outside};
use crate::config::SyncDaemon;
use crate::error::Quoted;

/// Longest synchronization message: an IPv4 datagram without its headers.
pub(crate) const MAX_MESSAGE: u16 = 65_507;
/// Longest name of a network interface, in bytes.
pub(crate) const MAX_INTERFACE: usize = 15;

pub(super) fn check(daemons: &[SyncDaemon], report: &mut Problems) {
    for (place, daemon) in daemons.iter().enumerate() {
        let role = daemon.role.name();
        let mut item = report.item(Path::Daemon(role));
        let first = daemons.iter().position(|known| known.role == daemon.role);
        if let Some(first) = first.filter(|first| *first != place) {
            item.add_whole(format!("daemons[{place}] is a second {role} beside daemons[{first}]"));
        }
        check_one(daemon, &mut item);
    }
}

fn check_one(daemon: &SyncDaemon, item: &mut Subject<'_>) {
    if !is_interface_name(&daemon.interface) {
        let name = Quoted(&daemon.interface);
        item.add(
            "interface",
            format!("\"{name}\" is not 1 to {MAX_INTERFACE} bytes without blanks, `/` and `:`"),
        );
    }
    if let Some(length) = daemon.max_len.filter(|length| !(1..=MAX_MESSAGE).contains(length)) {
        item.add("max_len", outside(length, 1, MAX_MESSAGE));
    }
    if let Some(group) = daemon.group.filter(|group| !group.is_multicast()) {
        item.add("group", format!("{group} is not a multicast address"));
    }
    if daemon.port == Some(0) {
        item.add("port", outside(0, 1, u16::MAX));
    }
    if daemon.ttl == Some(0) {
        item.add("ttl", outside(0, 1, u8::MAX));
    }
}

/// True if Linux accepts this as the name of a network interface.
fn is_interface_name(name: &str) -> bool {
    (1..=MAX_INTERFACE).contains(&name.len())
        && name != "."
        && name != ".."
        && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/' || c == ':')
}
