//! Connection states, timeouts and rules equal the documented tables and a kernel's recorded
//! behavior: `tests/data/protocol`.

mod packets;

use std::collections::BTreeMap;

use packets::plane::Plane;
use packets::walks::{self, Walked};
use packets::{chunks, direction, flags, lines, method, read, sctp_state, tcp_state};
use vsched::Activity;
use vsched::config::Timeouts;
use vsched::protocol::{
    Context, Direction, SctpChunks, SctpConnection, SctpState, TcpConnection, TcpFlags, TcpState,
    TcpTable, UdpState, Verdict, schedules_sctp, schedules_tcp, schedules_udp,
};

/// One table of a file: its name, the names of its columns, its rows.
struct Table {
    name: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

fn tables(file: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for line in lines(&read(file)) {
        if let Some(name) = line.strip_prefix("= ") {
            tables.push(Table { name: name.to_owned(), columns: Vec::new(), rows: Vec::new() });
            continue;
        }
        let table = tables.last_mut().expect("a name before a table");
        let cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        let cells: Vec<String> = cells.collect();
        if table.columns.is_empty() {
            table.columns = cells;
        } else if !cells[0].starts_with("---") {
            assert_eq!(cells.len(), table.columns.len(), "{line}");
            table.rows.push(cells);
        }
    }
    tables
}

/// The state behind each two-letter name, from the rows' labels `NONE (NO)`.
fn abbreviations<S>(tables: &[Table], state: fn(&str) -> S) -> BTreeMap<String, S> {
    let label = |row: &Vec<String>| {
        let (name, short) = row[0].split_once(" (").expect("a label");
        (short.trim_end_matches(')').to_owned(), state(name))
    };
    tables[0].rows.iter().map(label).collect()
}

#[test]
fn tcp_moves_as_the_tables_say() {
    let tables = tables("tcp.txt");
    let short = abbreviations(&tables, tcp_state);
    assert_eq!(short.len(), TcpState::ALL.len());
    let mut cells = 0;
    for table in &tables {
        let kind = match table.name.as_str() {
            "normal" => TcpTable::Normal,
            "secure" => TcpTable::Secure,
            other => panic!("{other}: no table"),
        };
        for row in &table.rows {
            let from = tcp_state(row[0].split(' ').next().expect("a name"));
            for (column, cell) in table.columns.iter().zip(row).skip(1) {
                let (side, event) = column.split_once('-').expect("a side");
                let mut connection = TcpConnection::restore(from, side == "I");
                let to = connection.packet_by(kind, direction(side), flags(event));
                assert_eq!(to, short[cell], "{} {} {column}", table.name, row[0]);
                assert_eq!((connection.state(), connection.no_output()), (to, side == "I"));
                if kind == TcpTable::Normal {
                    let mut usual = TcpConnection::restore(from, side == "I");
                    assert_eq!(usual.packet(direction(side), flags(event)), to);
                }
                cells += 1;
            }
        }
    }
    assert_eq!(cells, 2 * 11 * 12);
}

#[test]
fn sctp_moves_as_the_tables_say() {
    let tables = tables("sctp.txt");
    let short = abbreviations(&tables, sctp_state);
    assert_eq!(short.len(), SctpState::ALL.len());
    let mut cells = 0;
    for table in &tables {
        let (side, no_output) = match table.name.as_str() {
            "client" => (Direction::Client, false),
            "server" => (Direction::Server, false),
            "no reply" => (Direction::Client, true),
            other => panic!("{other}: no table"),
        };
        for row in &table.rows {
            let from = sctp_state(row[0].split(' ').next().expect("a name"));
            for (column, cell) in table.columns.iter().zip(row).skip(1) {
                let mut association = SctpConnection::restore(from, no_output);
                let to = association.packet(side, chunks(column));
                assert_eq!(to, short[cell], "{} {} {column}", table.name, row[0]);
                assert_eq!((association.state(), association.no_output()), (to, no_output));
                cells += 1;
            }
        }
    }
    assert_eq!(cells, 3 * 14 * 10);
}

#[test]
fn states_count_and_expire_as_listed() {
    let timeouts = Timeouts::default();
    let (mut tcp, mut sctp) = (0, 0);
    for line in lines(&read("states.txt")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let activity = if words[2] == "active" { Activity::Active } else { Activity::Inactive };
        let seconds: u32 = words[3].parse().expect("seconds");
        let found = match words[0] {
            "tcp" => {
                tcp += 1;
                let state = tcp_state(words[1]);
                (state.activity(), state.timeout_seconds(&timeouts))
            }
            "sctp" => {
                sctp += 1;
                let state = sctp_state(words[1]);
                (state.activity(), state.timeout_seconds())
            }
            _ => (UdpState::Normal.activity(), UdpState::Normal.timeout_seconds(&timeouts)),
        };
        assert_eq!(found, (activity, seconds), "{line}");
    }
    assert_eq!((tcp, sctp), (TcpState::ALL.len(), SctpState::ALL.len()));
}

#[test]
fn three_timeouts_are_configurable_and_zero_leaves_the_kernels() {
    let set = Timeouts::default().with_tcp(7).with_tcp_fin(8).with_udp(9);
    let zero = Timeouts::default().with_tcp(0).with_tcp_fin(0).with_udp(0);
    for &state in TcpState::ALL {
        let kernel = state.timeout_seconds(&Timeouts::default());
        let wanted = match state {
            TcpState::Established => 7,
            TcpState::FinWait => 8,
            _ => kernel,
        };
        assert_eq!(state.timeout_seconds(&set), wanted);
        assert_eq!(state.timeout_seconds(&zero), kernel);
    }
    assert_eq!(UdpState::Normal.timeout_seconds(&set), 9);
    assert_eq!(UdpState::Normal.timeout_seconds(&zero), 300);
}

#[test]
fn walks_end_as_documented() {
    assert_eq!(walks::run("walks.txt").walks, 8);
}

#[test]
fn a_kernel_walked_the_same_way_through_every_cell_that_packets_reach() {
    let walked = walks::run("walks-6.1.176.txt");
    let tcp = ["SYN", "FIN", "ACK", "RST"];
    let tables = tables("sctp.txt");
    let sctp: Vec<&str> = tables[0].columns.iter().skip(1).map(String::as_str).collect();
    let mut cells = 0;
    for head in ["tcp masq normal", "tcp route normal", "tcp masq secure", "tcp route secure"] {
        cells += covered(&walked, head, &tcp);
    }
    assert_eq!(cells, 172);
    for head in ["sctp masq normal", "sctp route normal"] {
        cells += covered(&walked, head, &sctp);
    }
    assert_eq!(cells, 172 + 338);
    println!("{} walks, {} packets, {cells} cells", walked.walks, walked.packets);
}

fn covered(walked: &Walked, head: &str, events: &[&str]) -> usize {
    let sides: &[&str] = if head.contains("masq") { &["C", "S"] } else { &["C"] };
    let cells = walks::reachable(head, sides, events);
    let missing: Vec<_> = cells.difference(&walked.met).collect();
    assert!(missing.is_empty(), "{head}: {missing:?}");
    cells.len()
}

#[test]
fn every_method_but_masq_begins_without_output() {
    for name in ["masq", "route", "tunnel", "local", "bypass"] {
        let masq = name == "masq";
        let mut connection = TcpConnection::new(method(name));
        assert_eq!(connection.no_output(), !masq);
        assert_eq!(SctpConnection::new(method(name)).no_output(), !masq);
        assert_eq!(connection.activity(), Activity::Inactive);
        connection.packet(Direction::Client, TcpFlags::SYN);
        connection.packet(Direction::Client, TcpFlags::ACK);
        let mut seen = connection;
        let alone = connection.packet(Direction::Client, TcpFlags::FIN);
        assert_eq!(alone, if masq { TcpState::CloseWait } else { TcpState::FinWait }, "{name}");
        // Once the server has been seen, the methods are alike, whatever its packet was.
        seen.packet(Direction::Server, TcpFlags::ACK);
        assert!(!seen.no_output());
        assert_eq!(seen.packet(Direction::Client, TcpFlags::FIN), TcpState::CloseWait, "{name}");
        let mut reset = TcpConnection::new(method(name));
        assert_eq!(reset.packet(Direction::Server, TcpFlags::default()), TcpState::Close);
        assert!(!reset.no_output());
    }
}

#[test]
fn the_first_of_rst_syn_fin_ack_decides() {
    let single = [TcpFlags::RST, TcpFlags::SYN, TcpFlags::FIN, TcpFlags::ACK];
    for byte in 0..=255 {
        let first = single.into_iter().find(|flag| TcpFlags(byte).has(*flag));
        for &state in TcpState::ALL {
            for side in [Direction::Client, Direction::Server] {
                let to = TcpConnection::restore(state, false).packet(side, TcpFlags(byte));
                let wanted = first.map_or(TcpState::Close, |flag| {
                    TcpConnection::restore(state, false).packet(side, flag)
                });
                assert_eq!(to, wanted, "{byte:#x}");
            }
        }
    }
}

#[test]
fn chunks_without_a_column_are_data_and_an_abort_behind_a_cookie_counts() {
    let next =
        |state, chunks| SctpConnection::restore(state, false).packet(Direction::Client, chunks);
    let columns = [1, 2, 6, 7, 8, 9, 10, 11, 14];
    for &state in SctpState::ALL {
        for first in 0..=255 {
            let alone = next(state, SctpChunks::one(first));
            if !columns.contains(&first) {
                assert_eq!(alone, next(state, SctpChunks::one(SctpChunks::DATA)), "{first}");
            }
            for second in 0..=255 {
                let aborts = (first == 10 || first == 11) && second == SctpChunks::ABORT;
                let abort = next(state, SctpChunks::one(SctpChunks::ABORT));
                let both = next(state, SctpChunks::new(first, Some(second)));
                assert_eq!(both, if aborts { abort } else { alone }, "{first} {second}");
            }
        }
    }
}

#[test]
fn some_packets_ask_for_a_server() {
    for byte in 0..=255 {
        let (syn, rst) = (byte & 2 != 0, byte & 4 != 0);
        assert_eq!(schedules_tcp(40000, TcpFlags(byte), false), syn && !rst);
        assert_eq!(schedules_tcp(40000, TcpFlags(byte), true), !rst);
        assert!(!schedules_tcp(20, TcpFlags(byte), true));
        let chunks = SctpChunks::one(byte);
        assert_eq!(schedules_sctp(40000, chunks, false), byte == SctpChunks::INIT);
        assert_eq!(schedules_sctp(40000, chunks, true), byte != SctpChunks::ABORT);
        assert!(!schedules_sctp(20, chunks, true));
    }
    assert!(schedules_udp(40000) && !schedules_udp(20));
}

#[test]
fn sctp_tuples_are_used_again_once_closed() {
    let init = SctpChunks::one(SctpChunks::INIT);
    for &state in SctpState::ALL {
        for mode in 0..4 {
            let context = Context::default().with_conn_reuse_mode(mode);
            let association = SctpConnection::restore(state, true);
            let again = mode != 0 && state == SctpState::Closed;
            let wanted = if again { Verdict::Reschedule } else { Verdict::Forward };
            assert_eq!(association.verdict(init, &context), wanted);
            let data = SctpChunks::one(SctpChunks::DATA);
            assert_eq!(association.verdict(data, &context), Verdict::Forward);
        }
    }
}

#[test]
fn a_plane_ends_every_scenario_as_in_the_kernel() {
    let text = read("scenarios.txt");
    let mut names = Vec::new();
    for line in lines(&text) {
        let columns: Vec<&str> = line.split(" | ").map(str::trim).collect();
        let mut plane = Plane::new(columns[1]);
        columns[2].split("; ").for_each(|step| plane.step(step));
        names.push(columns[0]);
    }
    for name in ["S30", "S30b", "S31", "S31c", "S32"] {
        assert!(names.contains(&name), "{name}");
    }
}
