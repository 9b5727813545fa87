//! Every combination of conditions yields the right verdict on a packet of a known connection.

use vsched::config::Forwarding;
use vsched::protocol::{Context, Direction, ServerNow, TcpConnection, TcpFlags, Verdict};

#[test]
fn every_combination_has_its_verdict() {
    let mut ended = TcpConnection::new(Forwarding::Masq);
    ended.packet(Direction::Client, TcpFlags::SYN);
    ended.packet(Direction::Client, TcpFlags::FIN);
    let mut open = TcpConnection::new(Forwarding::Masq);
    open.packet(Direction::Client, TcpFlags::SYN);
    open.packet(Direction::Server, TcpFlags::SYN | TcpFlags::ACK);
    open.packet(Direction::Client, TcpFlags::ACK);
    let servers = [ServerNow::InService, ServerNow::Quiesced, ServerNow::Removed];
    for (connection, has_ended) in [(ended, true), (open, false)] {
        for (flags, begins) in [(TcpFlags::SYN, true), (TcpFlags::ACK, false)] {
            for (conn_reuse_mode, expire_nodest_conn, controlled, server) in
                [0, 1].into_iter().flat_map(|mode| {
                    let rest = move |expires| {
                        [false, true].into_iter().flat_map(move |controlled| {
                            servers.map(|server| (mode, expires, controlled, server))
                        })
                    };
                    [false, true].into_iter().flat_map(rest)
                })
            {
                let context = Context::default()
                    .with_conn_reuse_mode(conn_reuse_mode)
                    .with_expire_nodest_conn(expire_nodest_conn)
                    .with_controlled(controlled)
                    .with_server(server);
                let is_reused = begins && has_ended && conn_reuse_mode == 1 && !controlled;
                let expected = match server {
                    _ if is_reused => Verdict::Reschedule,
                    ServerNow::Removed if expire_nodest_conn => Verdict::Reschedule,
                    ServerNow::Removed => Verdict::Drop,
                    ServerNow::Quiesced if begins && expire_nodest_conn => Verdict::Reschedule,
                    _ => Verdict::Forward,
                };
                assert_eq!(connection.verdict(flags, &context), expected, "{context:?} {begins}");
            }
        }
    }
}

#[test]
fn flags_are_joined() {
    for (one, other) in [(TcpFlags::SYN, TcpFlags::ACK), (TcpFlags::ACK, TcpFlags::ACK)] {
        let both = one | other;
        assert!((both | one) == both && (both | other) == both && (both | both) == both);
        let syn = one == TcpFlags::SYN;
        assert_eq!(both == TcpFlags::ACK, !syn);
    }
}
