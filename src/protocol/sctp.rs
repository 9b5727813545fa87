//! SCTP: chunks, states, the three state tables.

use crate::arena::counts::Activity;
use crate::config::Forwarding;
use crate::protocol::table::{all, table};
use crate::protocol::{Columns, Context, Direction, FTP_DATA, NoOutput, Verdict};

/// The state of an SCTP association as the director sees it, in the kernel's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SctpState {
    /// No packet yet.
    #[default]
    None,
    /// The client has sent its first INIT.
    Init1,
    /// The client has sent an INIT again.
    Init,
    /// The server has replied with INIT-ACK: its cookie is on the way.
    CookieSent,
    /// The client has returned the cookie.
    CookieReplied,
    /// The server has sent an INIT itself.
    CookieWait,
    /// The client has replied to the server's INIT.
    Cookie,
    /// The server has returned a cookie; under NOOUTPUT, the client has replied to an INIT.
    CookieEchoed,
    /// Data flows.
    Established,
    /// The server shuts the association down.
    ShutdownSent,
    /// The client shuts the association down.
    ShutdownReceived,
    /// The server has acknowledged a SHUTDOWN.
    ShutdownAckSent,
    /// Aborted before it was established.
    Rejected,
    /// Ended.
    Closed,
}

/// The states by their names in the tables.
const STATES: [(&str, SctpState); 14] = [
    ("NO", SctpState::None),
    ("I1", SctpState::Init1),
    ("IN", SctpState::Init),
    ("CS", SctpState::CookieSent),
    ("CR", SctpState::CookieReplied),
    ("CW", SctpState::CookieWait),
    ("CO", SctpState::Cookie),
    ("CE", SctpState::CookieEchoed),
    ("ES", SctpState::Established),
    ("SS", SctpState::ShutdownSent),
    ("SR", SctpState::ShutdownReceived),
    ("SA", SctpState::ShutdownAckSent),
    ("RJ", SctpState::Rejected),
    ("CL", SctpState::Closed),
];

type Transitions = [[SctpState; 10]; 14];

// Columns: DATA | INIT, INIT-ACK | COOKIE-ECHO, COOKIE-ACK |
//          SHUTDOWN, SHUTDOWN-ACK, SHUTDOWN-COMPLETE | ERROR, ABORT.

const CLIENT: Transitions = table(
    &STATES,
    "NO   ES | I1 CW | CR ES | SR CL CL | CL CL
     I1   I1 | IN CW | IN I1 | I1 IN CL | I1 CL
     IN   IN | IN CW | IN IN | IN IN CL | IN CL
     CS   CS | CS CS | CR CS | CS CS CS | CS CL
     CR   CR | CR CR | CR CR | CR CR CR | CR CL
     CW   CW | CW CO | CW CW | CW CW CW | CW RJ
     CO   CO | CO CO | CO CO | CO CO CO | CO CL
     CE   CE | CE CE | CE ES | CE CE CE | CL CL
     ES   ES | ES ES | ES ES | SR ES ES | ES CL
     SS   SS | SS SS | SS SS | SS CL SS | SS CL
     SR   SR | SR SR | SR SR | SR SR SR | SR CL
     SA   SA | SA SA | SA SA | SA CL CL | SA CL
     RJ   RJ | IN RJ | RJ RJ | RJ RJ RJ | RJ CL
     CL   CL | IN CL | CL CL | CL CL CL | CL CL",
);

const SERVER: Transitions = table(
    &STATES,
    "NO   ES | CW CS | CE ES | SS SA CL | CL CL
     I1   I1 | CW CS | CE ES | SS SA I1 | CL RJ
     IN   IN | CW CS | CE ES | SS SA IN | CL CL
     CS   CS | CW CS | CE ES | SS SA CS | CL CL
     CR   CR | CW CR | CE ES | SS SA CR | CL CL
     CW   CW | CW CW | CE ES | SS CW CW | CW CL
     CO   CO | CW CO | CE ES | SS CO CO | CO CL
     CE   CE | CW CE | CE ES | SS CE CE | CE CL
     ES   ES | ES ES | ES ES | SS ES ES | ES CL
     SS   SS | CW SS | SS SS | SS SA SS | SS CL
     SR   SR | CW SR | SR SR | SR SA SR | SR CL
     SA   SA | CW SA | SA SA | SA SA SA | SA CL
     RJ   RJ | CW RJ | RJ RJ | RJ RJ RJ | RJ CL
     CL   CL | CW CL | CL CL | CL CL CL | CL CL",
);

const NO_OUTPUT: Transitions = table(
    &STATES,
    "NO   ES | I1 CE | ES ES | SR CL CL | CL CL
     I1   I1 | IN CE | ES I1 | I1 IN CL | I1 CL
     IN   IN | IN CE | ES IN | IN IN CL | IN CL
     CS   CS | IN CE | ES ES | CS CS CL | CS CL
     CR   CR | IN CE | ES ES | CR CR CL | CR CL
     CW   ES | IN CE | ES CW | CW CW CW | CW RJ
     CO   CO | CO CO | CO ES | CO CO CO | CO CL
     CE   CE | CE CE | CE ES | CE CE CE | CE CL
     ES   ES | ES ES | ES ES | SR CL ES | ES CL
     SS   SS | SS SS | SS SS | SS CL SS | SS CL
     SR   SR | SR SR | SR SR | SR SR CL | SR CL
     SA   SA | SA SA | SA SA | SA CL CL | SA CL
     RJ   RJ | IN RJ | RJ RJ | RJ RJ RJ | RJ CL
     CL   CL | IN CL | CL CL | CL CL CL | CL CL",
);

impl SctpState {
    /// All states, in the kernel's order.
    pub const ALL: &'static [SctpState] = &all(&STATES);

    /// Returns the name that `ipvsadm -L -c` prints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Init1 => "INIT1",
            Self::Init => "INIT",
            Self::CookieSent => "C-SENT",
            Self::CookieReplied => "C-REPLIED",
            Self::CookieWait => "C-WAIT",
            Self::Cookie => "COOKIE",
            Self::CookieEchoed => "C-ECHOED",
            Self::Established => "ESTABLISHED",
            Self::ShutdownSent => "S-SENT",
            Self::ShutdownReceived => "S-RECEIVED",
            Self::ShutdownAckSent => "S-ACK-SENT",
            Self::Rejected => "REJECTED",
            Self::Closed => "CLOSED",
        }
    }

    /// Returns how an association in this state counts: active while established.
    pub const fn activity(self) -> Activity {
        match self {
            Self::Established => Activity::Active,
            _ => Activity::Inactive,
        }
    }

    /// Returns the seconds after its last packet until an association in this state expires: the
    /// kernel's constants, which are not configurable.
    pub const fn timeout_seconds(self) -> u32 {
        match self {
            Self::None => 2,
            Self::Init1 | Self::Rejected => 4,
            Self::Established => 900,
            _ => 61,
        }
    }
}

/// The types of a packet's first two chunks.
///
/// The first decides. The second matters only after COOKIE-ECHO and COOKIE-ACK, where an ABORT takes
/// precedence. SACK, HEARTBEAT, ECN and unknown types count as DATA.
///
/// ```
/// use vsched::config::Forwarding;
/// use vsched::protocol::{Direction, SctpChunks, SctpConnection, SctpState};
/// let mut association = SctpConnection::new(Forwarding::Masq);
/// association.packet(Direction::Client, SctpChunks::one(SctpChunks::INIT));
/// let bundle = SctpChunks::new(SctpChunks::COOKIE_ECHO, Some(SctpChunks::ABORT));
/// assert_eq!(association.packet(Direction::Client, bundle), SctpState::Closed);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SctpChunks {
    /// Type of the first chunk.
    pub first: u8,
    /// Type of the second chunk, if there is one.
    pub second: Option<u8>,
}

impl SctpChunks {
    /// User data.
    pub const DATA: u8 = 0;
    /// Start of an association.
    pub const INIT: u8 = 1;
    /// Reply to an INIT, with a cookie.
    pub const INIT_ACK: u8 = 2;
    /// Immediate end of an association.
    pub const ABORT: u8 = 6;
    /// The sender has no more data.
    pub const SHUTDOWN: u8 = 7;
    /// Reply to a SHUTDOWN.
    pub const SHUTDOWN_ACK: u8 = 8;
    /// Error report.
    pub const ERROR: u8 = 9;
    /// The cookie, returned.
    pub const COOKIE_ECHO: u8 = 10;
    /// The association is established.
    pub const COOKIE_ACK: u8 = 11;
    /// The association has ended.
    pub const SHUTDOWN_COMPLETE: u8 = 14;

    /// Returns the chunks of a packet with a single chunk.
    pub const fn one(chunk: u8) -> Self {
        SctpChunks::new(chunk, None)
    }

    /// Returns the chunks of a packet whose first two have these types.
    pub const fn new(first: u8, second: Option<u8>) -> Self {
        SctpChunks { first, second }
    }

    /// The column of a table.
    const fn event(self) -> usize {
        match (self.first, self.second) {
            (Self::COOKIE_ECHO | Self::COOKIE_ACK, Some(Self::ABORT)) => 9,
            (Self::INIT, _) => 1,
            (Self::INIT_ACK, _) => 2,
            (Self::COOKIE_ECHO, _) => 3,
            (Self::COOKIE_ACK, _) => 4,
            (Self::SHUTDOWN, _) => 5,
            (Self::SHUTDOWN_ACK, _) => 6,
            (Self::SHUTDOWN_COMPLETE, _) => 7,
            (Self::ERROR, _) => 8,
            (Self::ABORT, _) => 9,
            _ => 0,
        }
    }
}

/// One SCTP association: its state and whether its server has been seen. Plain data, two bytes.
///
/// ```
/// use vsched::Activity;
/// use vsched::config::Forwarding;
/// use vsched::protocol::{Direction, SctpChunks, SctpConnection, SctpState};
/// let mut association = SctpConnection::new(Forwarding::Masq);
/// association.packet(Direction::Client, SctpChunks::one(SctpChunks::INIT));
/// association.packet(Direction::Server, SctpChunks::one(SctpChunks::INIT_ACK));
/// association.packet(Direction::Client, SctpChunks::one(SctpChunks::COOKIE_ECHO));
/// assert_eq!(association.activity(), Activity::Inactive);
/// association.packet(Direction::Server, SctpChunks::one(SctpChunks::COOKIE_ACK));
/// assert_eq!(association.state(), SctpState::Established);
/// assert_eq!(association.activity(), Activity::Active);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SctpConnection {
    state: SctpState,
    no_output: NoOutput,
}

impl SctpConnection {
    /// Returns an association without packets: state NONE, inactive, with NOOUTPUT unless masqueraded.
    pub const fn new(forwarding: Forwarding) -> Self {
        SctpConnection { state: SctpState::None, no_output: NoOutput::new(forwarding) }
    }

    /// Returns an association in this state, for planes that take connections over from another
    /// director.
    pub const fn restore(state: SctpState, no_output: bool) -> Self {
        SctpConnection { state, no_output: NoOutput(no_output) }
    }

    /// Advances the state by a packet and returns the new state. The first packet is the one that was
    /// scheduled. Packets without chunks must not be passed.
    #[inline]
    pub fn packet(&mut self, direction: Direction, chunks: SctpChunks) -> SctpState {
        let table = match self.no_output.columns(direction) {
            Columns::Client => &CLIENT,
            Columns::Server => &SERVER,
            Columns::NoOutput => &NO_OUTPUT,
        };
        self.state = table[self.state as usize][chunks.event()];
        self.state
    }

    /// Returns the state.
    pub const fn state(&self) -> SctpState {
        self.state
    }

    /// Returns whether NOOUTPUT is set: not masqueraded, and no packet from its server seen yet.
    pub const fn no_output(&self) -> bool {
        self.no_output.0
    }

    /// Returns how the association counts now.
    pub const fn activity(&self) -> Activity {
        self.state.activity()
    }

    /// Returns the seconds after its last packet until the association expires.
    pub const fn timeout_seconds(&self) -> u32 {
        self.state.timeout_seconds()
    }

    /// Returns what to do with a client's packet that belongs to this association. Call it before
    /// [`packet`](Self::packet); it changes nothing.
    pub fn verdict(&self, chunks: SctpChunks, context: &Context) -> Verdict {
        context.verdict(chunks.first == SctpChunks::INIT, self.state == SctpState::Closed)
    }
}

/// Returns whether to schedule an SCTP packet of no known association: if it starts with INIT; with
/// `sloppy` (`net.ipv4.vs.sloppy_sctp`) unless it starts with ABORT. Never from port 20.
pub const fn schedules_sctp(source_port: u16, chunks: SctpChunks, sloppy: bool) -> bool {
    let begins = sloppy && chunks.first != SctpChunks::ABORT || chunks.first == SctpChunks::INIT;
    source_port != FTP_DATA && begins
}

// A state's discriminant is the index of its row.
const _: () = {
    let mut row = 0;
    while row < STATES.len() {
        assert!(STATES[row].1 as usize == row);
        row += 1;
    }
};

const _: () = assert!(size_of::<SctpConnection>() == 2);
