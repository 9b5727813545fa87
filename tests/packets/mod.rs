//! Reads the files of `tests/data/protocol`.

pub(crate) mod plane;
pub(crate) mod walks;

use vsched::config::{Forwarding, Tunnel};
use vsched::protocol::{Direction, SctpChunks, SctpState, TcpFlags, TcpState};

pub(crate) fn read(name: &str) -> String {
    let path = format!("{}/tests/data/protocol/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The lines of a file that say something.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

pub(crate) fn flags(text: &str) -> TcpFlags {
    let one = |name| match name {
        "SYN" => TcpFlags::SYN,
        "FIN" => TcpFlags::FIN,
        "ACK" => TcpFlags::ACK,
        "RST" => TcpFlags::RST,
        "none" => TcpFlags::default(),
        other => panic!("{other}: no flag"),
    };
    text.split('+').map(one).fold(TcpFlags::default(), |all, flag| all | flag)
}

pub(crate) fn chunks(text: &str) -> SctpChunks {
    let one = |name| match name {
        "DATA" => SctpChunks::DATA,
        "INIT" => SctpChunks::INIT,
        "INIT-ACK" => SctpChunks::INIT_ACK,
        "SACK" => 3,
        "HEARTBEAT" => 4,
        "HEARTBEAT-ACK" => 5,
        "ABORT" => SctpChunks::ABORT,
        "SHUTDOWN" => SctpChunks::SHUTDOWN,
        "SHUTDOWN-ACK" => SctpChunks::SHUTDOWN_ACK,
        "ERROR" => SctpChunks::ERROR,
        "COOKIE-ECHO" => SctpChunks::COOKIE_ECHO,
        "COOKIE-ACK" => SctpChunks::COOKIE_ACK,
        "ECNE" => 12,
        "CWR" => 13,
        "SHUTDOWN-COMPLETE" => SctpChunks::SHUTDOWN_COMPLETE,
        "AUTH" => 15,
        "ASCONF" => 193,
        other => panic!("{other}: no chunk"),
    };
    let mut types = text.split('+').map(one);
    SctpChunks::new(types.next().expect("a chunk"), types.next())
}

pub(crate) fn direction(letter: &str) -> Direction {
    match letter {
        "C" | "I" => Direction::Client,
        "S" => Direction::Server,
        other => panic!("{other}: no direction"),
    }
}

pub(crate) fn tcp_state(name: &str) -> TcpState {
    *TcpState::ALL.iter().find(|state| state.name() == name).unwrap_or_else(|| panic!("{name}"))
}

pub(crate) fn sctp_state(name: &str) -> SctpState {
    *SctpState::ALL.iter().find(|state| state.name() == name).unwrap_or_else(|| panic!("{name}"))
}

pub(crate) fn method(name: &str) -> Forwarding {
    match name {
        "masq" => Forwarding::Masq,
        "route" => Forwarding::Route,
        "tunnel" => Forwarding::Tunnel(Tunnel::default()),
        "local" => Forwarding::Local,
        "bypass" => Forwarding::Bypass,
        other => panic!("{other}: no method"),
    }
}
