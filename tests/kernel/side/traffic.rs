//! The traffic of a script's clients and real servers.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use vsched::config::{Family, Protocol, ServiceKey};
use vsched::protocol::{SctpChunks, TcpFlags};

use crate::side::script::Writer;
use crate::side::step::{Signal, Step, Tuple};

impl Writer {
    pub(super) fn attempt(&mut self, number: usize) {
        let (tcp, udp, sctp) = (Protocol::Tcp, Protocol::Udp, Protocol::Sctp);
        let any = self.one_of(&[tcp, udp, tcp, udp, tcp, udp, sctp]);
        self.attempt_by(number, self.slots[number].protocol.unwrap_or(any));
    }

    pub(super) fn attempt_by(&mut self, number: usize, protocol: Protocol) {
        let slot = self.slots[number];
        let place = self.random.below(12) as u16;
        // Each connection has its own, but for those that come from where FTP data does.
        let port = if self.chance(1) { 20 } else { 1024 + self.tuples.len() as u16 };
        // One of each network has the network's own address.
        let (low, high) = (place % 4, place / 4);
        let mut asked = self.one_of(slot.ports());
        if self.chance(3) {
            asked = self.one_of(&[0, 20, 21, 22, 1023, 1024, 5000]);
        }
        // What dh, lblc and lblcr decide by, where the service leaves it open.
        let mut host = if slot.protocol.is_none() { 1 + self.random.below(9) as u16 } else { 1 };
        if slot.protocol.is_none() && slot.persistent && asked == 0 {
            // The kernel has one template for these and for the services of the first host.
            host += 1;
        }
        let (client, to) = match slot.key.family() {
            Family::Inet => (
                SocketAddr::from((Ipv4Addr::new(172, 16, high as u8, low as u8), port)),
                SocketAddr::from((Ipv4Addr::new(10, 1, 0, host as u8), asked)),
            ),
            Family::Inet6 => (
                (Ipv6Addr::new(0x2001, 0xdb8, high, 0, 0, 0, 7 * low, low), port).into(),
                (Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, host), asked).into(),
            ),
        };
        let mark = match slot.key {
            ServiceKey::FirewallMark { mark, .. } => mark,
            _ => 0,
        };
        let tuple = Tuple { protocol, client, to, mark };
        self.tuples.push(tuple);
        self.steps.push(Step::Packet(tuple, tuple.beginning()));
        if protocol == Protocol::Sctp && self.chance(95) {
            self.associate(tuple);
        }
    }

    /// Leads an association out of the state in which it expires after four seconds.
    fn associate(&mut self, tuple: Tuple) {
        let says = |chunk| Signal::Sctp(SctpChunks::one(chunk));
        if self.chance(40) {
            // Where the server answers past the director, that is all there is to see.
            self.steps.push(Step::Packet(tuple, says(SctpChunks::INIT)));
        }
        if self.chance(70) {
            self.steps.push(Step::Reply(tuple, says(SctpChunks::INIT_ACK)));
            self.steps.push(Step::Packet(tuple, says(SctpChunks::COOKIE_ECHO)));
            self.steps.push(Step::Reply(tuple, says(SctpChunks::COOKIE_ACK)));
        } else {
            self.steps.push(Step::Packet(tuple, says(SctpChunks::INIT)));
        }
    }

    pub(super) fn old_tuple(&mut self) -> Option<Tuple> {
        let count = self.tuples.len() as u64;
        let back = if self.chance(50) { 20.min(count) } else { count };
        (count > 0).then(|| self.tuples[(count - 1 - self.random.below(back)) as usize])
    }

    pub(super) fn old_packet(&mut self) {
        let Some(mut tuple) = self.old_tuple() else { return };
        let signal = match tuple.protocol {
            Protocol::Tcp => Signal::Tcp(match self.random.below(100) {
                0..40 => TcpFlags::FIN | TcpFlags::ACK,
                40..50 => TcpFlags::RST,
                50..65 => TcpFlags::ACK,
                65..95 => TcpFlags::SYN,
                _ => TcpFlags(0),
            }),
            Protocol::Udp => Signal::Udp,
            _ => Signal::Sctp(self.chunks()),
        };
        let ends = match signal {
            Signal::Tcp(flags) => flags.has(TcpFlags::FIN | TcpFlags::RST),
            Signal::Udp => false,
            Signal::Sctp(chunks) => {
                [SctpChunks::ABORT, SctpChunks::SHUTDOWN_COMPLETE].contains(&chunks.first)
            }
        };
        let begins = signal == tuple.beginning();
        if ends {
            self.ended.push(tuple);
        } else if begins {
            // Its client wants another connection by the same port.
            let again = |ended: &Tuple| ended.protocol == tuple.protocol;
            let known: Vec<usize> =
                (0..self.ended.len()).filter(|place| again(&self.ended[*place])).collect();
            if !known.is_empty() {
                let place = self.one_of(&known);
                tuple = self.ended.swap_remove(place);
            }
        }
        let share = if tuple.protocol == Protocol::Sctp { 50 } else { 20 };
        let by_server = !begins && self.chance(share);
        let step = if by_server { Step::Reply } else { Step::Packet };
        self.steps.push(step(tuple, signal));
    }

    fn chunks(&mut self) -> SctpChunks {
        let first = self.one_of(&[
            SctpChunks::INIT,
            SctpChunks::INIT,
            SctpChunks::INIT,
            SctpChunks::INIT_ACK,
            SctpChunks::COOKIE_ECHO,
            SctpChunks::COOKIE_ACK,
            SctpChunks::DATA,
            SctpChunks::SHUTDOWN,
            SctpChunks::SHUTDOWN_ACK,
            SctpChunks::SHUTDOWN_COMPLETE,
            SctpChunks::SHUTDOWN_COMPLETE,
            SctpChunks::ABORT,
            SctpChunks::ABORT,
            SctpChunks::ERROR,
        ]);
        let second =
            [SctpChunks::COOKIE_ECHO, SctpChunks::COOKIE_ACK].contains(&first) && self.chance(20);
        SctpChunks::new(first, second.then_some(SctpChunks::ABORT))
    }
}
