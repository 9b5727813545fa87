//! TCP: flags, states, the two state tables.

use std::ops::BitOr;

use crate::arena::counts::Activity;
use crate::config::{Forwarding, Timeouts};
use crate::protocol::table::{all, table};
use crate::protocol::{Context, Direction, FTP_DATA, NoOutput, Verdict, seconds};

/// The state of a TCP connection as the director sees it, in the kernel's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum TcpState {
    /// No packet yet.
    #[default]
    None,
    /// Data flows.
    Established,
    /// The server has sent a SYN.
    SynSent,
    /// The client has sent a SYN.
    SynReceived,
    /// The server has sent a FIN, or under NOOUTPUT the client has.
    FinWait,
    /// Both sides have sent a FIN, or one of them before the connection was established.
    TimeWait,
    /// Reset, or a packet that does not fit the state.
    Close,
    /// The client has sent a FIN.
    CloseWait,
    /// Not reached by packets; synchronization from another director can set it.
    LastAck,
    /// Not reached by packets either.
    Listen,
    /// A client's SYN under NOOUTPUT, or a server's after one, while secure_tcp is on.
    SynAck,
}

/// The states by their names in the tables.
const STATES: [(&str, TcpState); 11] = [
    ("NO", TcpState::None),
    ("ES", TcpState::Established),
    ("SS", TcpState::SynSent),
    ("SR", TcpState::SynReceived),
    ("FW", TcpState::FinWait),
    ("TW", TcpState::TimeWait),
    ("CL", TcpState::Close),
    ("CW", TcpState::CloseWait),
    ("LA", TcpState::LastAck),
    ("LI", TcpState::Listen),
    ("SA", TcpState::SynAck),
];

type Transitions = [[TcpState; 12]; 11];

const NORMAL: Transitions = table(
    &STATES,
    "// client        server        client, NOOUTPUT
     // SYN FIN ACK RST
     NO   SR CL ES CL | SS TW ES CL | SR CL ES CL
     ES   ES CW ES CL | ES FW ES CL | ES FW ES CL
     SS   ES SS SS CL | SS SS SS SS | ES SS SS CL
     SR   SR TW ES SR | SR TW ES CL | SR TW ES SR
     FW   SR TW FW CL | SS FW FW CL | SR FW FW CL
     TW   SR TW TW CL | SS TW TW TW | SR TW TW CL
     CL   SR CL CL CL | SS CL CL CL | SR CL CL CL
     CW   SR CW CW CL | SS TW CW CL | SR CW CW CL
     LA   SR LA CL LA | SS LA LA CL | SR LA CL LA
     LI   SR LI LI LI | LI LI ES CL | SR LI LI LI
     SA   SR TW ES SR | SR TW ES CL | SR TW ES CL",
);

const SECURE: Transitions = table(
    &STATES,
    "// client        server        client, NOOUTPUT
     // SYN FIN ACK RST
     NO   SR CL ES CL | SS TW ES CL | SA CL ES CL
     ES   ES CW ES CL | ES FW ES CL | ES FW ES CL
     SS   ES SS SS CL | SS SS SS SS | ES SS SS CL
     SR   SR TW SR SR | SA TW ES CL | SR TW ES SR
     FW   SR TW FW CL | SS FW FW CL | SA FW FW CL
     TW   SR TW TW CL | SS TW TW TW | SA TW TW CL
     CL   SR CL CL CL | SS CL CL CL | SA CL CL CL
     CW   SR CW CW CL | SS TW CW CL | SA CW CW CL
     LA   SR LA CL LA | SS LA LA CL | SA LA CL LA
     LI   SR LI LI LI | LI LI ES CL | SA LI LI LI
     SA   SA SA SA CL | SA TW ES CL | SA TW ES CL",
);

impl TcpState {
    /// All states, in the kernel's order.
    pub const ALL: &'static [TcpState] = &all(&STATES);

    /// Returns the name that `ipvsadm -L -c` prints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynReceived => "SYN_RECV",
            Self::FinWait => "FIN_WAIT",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Listen => "LISTEN",
            Self::SynAck => "SYNACK",
        }
    }

    /// Returns how a connection in this state counts: active while it is being established and while it
    /// is established.
    pub const fn activity(self) -> Activity {
        match self {
            Self::Established | Self::SynSent | Self::SynReceived | Self::SynAck => {
                Activity::Active
            }
            _ => Activity::Inactive,
        }
    }

    /// Returns the seconds after its last packet until a connection in this state expires.
    ///
    /// `tcp` and `tcp_fin` of the config apply to ESTABLISHED and FIN_WAIT; the others are the kernel's
    /// constants.
    pub fn timeout_seconds(self, timeouts: &Timeouts) -> u32 {
        match self {
            Self::None => 2,
            Self::Established => seconds(timeouts.tcp, 900),
            Self::FinWait => seconds(timeouts.tcp_fin, 120),
            Self::SynSent | Self::TimeWait | Self::Listen | Self::SynAck => 120,
            Self::SynReceived | Self::CloseWait => 60,
            Self::LastAck => 30,
            Self::Close => 10,
        }
    }
}

/// Which of the two TCP state tables applies: a property of the whole director, not of a connection.
///
/// ```
/// use vsched::config::Forwarding;
/// use vsched::protocol::{Direction, TcpConnection, TcpFlags, TcpState, TcpTable};
/// let mut connection = TcpConnection::new(Forwarding::Masq);
/// let mut packet = |direction, flags| connection.packet_by(TcpTable::Secure, direction, flags);
/// packet(Direction::Client, TcpFlags::SYN);
/// // The client's ACK alone does not establish the connection.
/// assert_eq!(packet(Direction::Client, TcpFlags::ACK), TcpState::SynReceived);
/// assert_eq!(packet(Direction::Server, TcpFlags::ACK), TcpState::Established);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum TcpTable {
    /// The normal table.
    #[default]
    Normal,
    /// While the defense of `net.ipv4.vs.secure_tcp` is on: after a client's SYN, an ACK from the server
    /// establishes a masqueraded connection, not one from the client.
    Secure,
}

/// The flags of a TCP header: its fourteenth byte.
///
/// ```
/// use vsched::protocol::TcpFlags;
/// let header = [0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x12, 0x20, 0, 0, 0, 0, 0];
/// assert_eq!(TcpFlags(header[13]), TcpFlags::SYN | TcpFlags::ACK);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// The sender has no more data.
    pub const FIN: TcpFlags = TcpFlags(0x01);
    /// Start of a connection.
    pub const SYN: TcpFlags = TcpFlags(0x02);
    /// Reset.
    pub const RST: TcpFlags = TcpFlags(0x04);
    /// Acknowledgment.
    pub const ACK: TcpFlags = TcpFlags(0x10);

    /// Returns whether at least one of these flags is set.
    pub const fn has(self, flags: TcpFlags) -> bool {
        self.0 & flags.0 != 0
    }

    /// The column of a table: the first of RST, SYN, FIN, ACK that is set.
    const fn event(self) -> Option<usize> {
        if self.has(TcpFlags::RST) {
            Some(3)
        } else if self.has(TcpFlags::SYN) {
            Some(0)
        } else if self.has(TcpFlags::FIN) {
            Some(1)
        } else if self.has(TcpFlags::ACK) {
            Some(2)
        } else {
            None
        }
    }
}

impl BitOr for TcpFlags {
    type Output = TcpFlags;

    fn bitor(self, other: TcpFlags) -> TcpFlags {
        TcpFlags(self.0 | other.0)
    }
}

/// One TCP connection: its state and whether its server has been seen. Plain data, two bytes.
///
/// ```
/// use vsched::Activity;
/// use vsched::config::Forwarding;
/// use vsched::protocol::{Direction, TcpConnection, TcpFlags, TcpState};
/// let mut connection = TcpConnection::new(Forwarding::Masq);
/// connection.packet(Direction::Client, TcpFlags::SYN);
/// connection.packet(Direction::Server, TcpFlags::SYN | TcpFlags::ACK);
/// assert_eq!(connection.packet(Direction::Client, TcpFlags::ACK), TcpState::Established);
/// assert_eq!(connection.activity(), Activity::Active);
/// connection.packet(Direction::Client, TcpFlags::FIN | TcpFlags::ACK);
/// assert_eq!(connection.state().name(), "CLOSE_WAIT");
/// assert_eq!(connection.activity(), Activity::Inactive);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TcpConnection {
    state: TcpState,
    no_output: NoOutput,
}

impl TcpConnection {
    /// Returns a connection without packets: state NONE, inactive, with NOOUTPUT unless masqueraded.
    pub const fn new(forwarding: Forwarding) -> Self {
        TcpConnection { state: TcpState::None, no_output: NoOutput::new(forwarding) }
    }

    /// Returns a connection in this state, for planes that take connections over from another director.
    pub const fn restore(state: TcpState, no_output: bool) -> Self {
        TcpConnection { state, no_output: NoOutput(no_output) }
    }

    /// Advances the state by a packet and returns the new state. The first packet is the one that was
    /// scheduled.
    #[inline]
    pub fn packet(&mut self, direction: Direction, flags: TcpFlags) -> TcpState {
        self.packet_by(TcpTable::Normal, direction, flags)
    }

    /// Like [`packet`](Self::packet), by the given table.
    #[inline]
    pub fn packet_by(
        &mut self,
        table: TcpTable,
        direction: Direction,
        flags: TcpFlags,
    ) -> TcpState {
        let table = match table {
            TcpTable::Normal => &NORMAL,
            TcpTable::Secure => &SECURE,
        };
        let columns = self.no_output.columns(direction);
        self.state = match flags.event() {
            Some(event) => table[self.state as usize][columns as usize * 4 + event],
            None => TcpState::Close,
        };
        self.state
    }

    /// Returns the state.
    pub const fn state(&self) -> TcpState {
        self.state
    }

    /// Returns whether NOOUTPUT is set: not masqueraded, and no packet from its server seen yet.
    pub const fn no_output(&self) -> bool {
        self.no_output.0
    }

    /// Returns how the connection counts now.
    pub const fn activity(&self) -> Activity {
        self.state.activity()
    }

    /// Returns the seconds after its last packet until the connection expires. The kernel sets its timer
    /// by the timeouts that are configured when the packet arrives.
    pub fn timeout_seconds(&self, timeouts: &Timeouts) -> u32 {
        self.state.timeout_seconds(timeouts)
    }

    /// Returns what to do with a client's packet that belongs to this connection. Call it before
    /// [`packet`](Self::packet); it changes nothing.
    pub fn verdict(&self, flags: TcpFlags, context: &Context) -> Verdict {
        let early = context.conn_reuse_mode & 2 != 0 && self.no_output.0;
        let ended = match self.state {
            TcpState::TimeWait | TcpState::Close => true,
            TcpState::FinWait => early,
            _ => false,
        };
        context.verdict(flags.has(TcpFlags::SYN), ended)
    }
}

/// Returns whether to schedule a TCP packet of no known connection: if it has SYN and not RST; with
/// `sloppy` (`net.ipv4.vs.sloppy_tcp`) unless it has RST. Never from port 20, the source of FTP data.
pub const fn schedules_tcp(source_port: u16, flags: TcpFlags, sloppy: bool) -> bool {
    source_port != FTP_DATA && !flags.has(TcpFlags::RST) && (sloppy || flags.has(TcpFlags::SYN))
}

// A state's discriminant is the index of its row.
const _: () = {
    let mut row = 0;
    while row < STATES.len() {
        assert!(STATES[row].1 as usize == row);
        row += 1;
    }
};

const _: () = assert!(size_of::<TcpConnection>() == 2);
