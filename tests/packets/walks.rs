//! Connections, packet by packet: `tests/data/protocol/walks*.txt`.

use std::collections::BTreeSet;

use vsched::Activity;
use vsched::config::Timeouts;
use vsched::protocol::{SctpConnection, TcpConnection, TcpTable, UdpState};

use super::{chunks, direction, flags, lines, method, read};

/// A connection of any protocol.
#[derive(Clone)]
enum Walker {
    Tcp(TcpConnection, TcpTable),
    Sctp(SctpConnection),
    Udp,
}

impl Walker {
    /// `tcp masq normal`.
    fn new(head: &str) -> Self {
        let words: Vec<&str> = head.split(' ').collect();
        let forwarding = method(words[1]);
        match (words[0], words[2]) {
            ("tcp", "normal") => Walker::Tcp(TcpConnection::new(forwarding), TcpTable::Normal),
            ("tcp", "secure") => Walker::Tcp(TcpConnection::new(forwarding), TcpTable::Secure),
            ("sctp", _) => Walker::Sctp(SctpConnection::new(forwarding)),
            ("udp", _) => Walker::Udp,
            _ => panic!("{head}: no such walk"),
        }
    }

    /// State, activity and timeout after a packet, and the table's cell that was asked.
    fn packet(&mut self, side: &str, event: &str) -> (String, Activity, u32, String) {
        let (timeouts, from) = (Timeouts::default(), direction(side));
        match self {
            Walker::Tcp(connection, table) => {
                let cell = format!("{:?} {connection:?} {side} {event}", table);
                let name = connection.packet_by(*table, from, flags(event)).name();
                let seconds = connection.timeout_seconds(&timeouts);
                (name.to_owned(), connection.activity(), seconds, cell)
            }
            Walker::Sctp(association) => {
                let cell = format!("{association:?} {side} {event}");
                let name = association.packet(from, chunks(event)).name();
                (name.to_owned(), association.activity(), association.timeout_seconds(), cell)
            }
            Walker::Udp => {
                let state = UdpState::default();
                let (activity, seconds) = (state.activity(), state.timeout_seconds(&timeouts));
                (state.name().to_owned(), activity, seconds, "udp".to_owned())
            }
        }
    }
}

/// What a file of walks contains.
#[derive(Default)]
pub(crate) struct Walked {
    pub(crate) walks: usize,
    pub(crate) packets: usize,
    /// Every connection and packet that met.
    pub(crate) met: BTreeSet<String>,
}

/// Runs every walk of a file.
pub(crate) fn run(file: &str) -> Walked {
    let mut walked = Walked::default();
    for line in lines(&read(file)) {
        let (head, rest) = line.split_once(": ").expect("a head");
        let mut walker = Walker::new(head);
        for step in rest.split("; ") {
            let words: Vec<&str> = step.split(' ').collect();
            let (state, activity, seconds, pair) = walker.packet(words[0], words[1]);
            walked.met.insert(pair);
            walked.packets += 1;
            let Some(seen) = words.get(3..) else { continue };
            let (name, active) = (seen[0], seen[1] == "active");
            assert_eq!((&*state, activity == Activity::Active), (name, active), "{step} of {line}");
            if let Some(left) = seen.get(2) {
                // What is left of the timeout a moment after the packet.
                let left: u32 = left.parse().expect("seconds");
                assert!(left <= seconds && seconds <= left + 2, "{step} of {line}: {seconds}");
            }
        }
        walked.walks += 1;
    }
    walked
}

/// Every connection and packet that can meet if `sides` send `events`. A connection begins with a
/// client's packet that is neither a RST nor an ABORT.
pub(crate) fn reachable(head: &str, sides: &[&str], events: &[&str]) -> BTreeSet<String> {
    let (mut met, mut waiting) = (BTreeSet::new(), vec![(Walker::new(head), true)]);
    while let Some((walker, first)) = waiting.pop() {
        for side in sides {
            for event in events {
                if first && (*side == "S" || ["RST", "ABORT"].contains(event)) {
                    continue;
                }
                let mut next = walker.clone();
                let (.., pair) = next.packet(side, event);
                if met.insert(pair) {
                    waiting.push((next, false));
                }
            }
        }
    }
    met
}
