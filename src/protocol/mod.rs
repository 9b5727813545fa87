//! Connection tracking by packet: states, timeouts, activity, and whether a packet starts a connection.
//!
//! For packet planes that embed the core. A proxy does not need it, because its sockets know when a
//! connection opens and closes. Pure arithmetic on plain data of two bytes: no clock, no lock, no
//! allocation, no panic. [`TcpConnection`] and [`SctpConnection`] are entries of the plane's connection
//! table; each packet advances their state, and the plane passes their
//! [`Activity`](crate::Activity) to [`Worker::update`](crate::Worker::update).
//!
//! ```
//! use vsched::config::{Forwarding, Timeouts};
//! use vsched::protocol::{Direction, TcpConnection, TcpFlags, TcpState, schedules_tcp};
//! use vsched::{Activity, Config, Director, Flow};
//! let config: Config = "-A -t 10.0.0.1:80 -s lc\n-a -t 10.0.0.1:80 -r 10.0.1.1 -m".parse()?;
//! let director = Director::new(&config)?;
//! let worker = director.worker();
//!
//! // A packet of no connection in the plane's table.
//! let flow = Flow::tcp("10.9.9.9:40000".parse()?, "10.0.0.1:80".parse()?);
//! let flags = TcpFlags::SYN;
//! assert!(schedules_tcp(40000, flags, false));
//! let service = worker.service_for(&flow).expect("the flow goes to a service");
//! let pick = worker.pick_server(service, &flow)?;
//! let mut lease = worker.open(pick.server(), Activity::Inactive)?;
//! let mut connection = TcpConnection::new(pick.forwarding());
//!
//! // This packet, and every later one.
//! assert_eq!(connection.packet(Direction::Client, flags), TcpState::SynReceived);
//! worker.update(&mut lease, connection.activity())?;
//! assert_eq!(connection.timeout_seconds(&Timeouts::default()), 60);
//! assert_eq!(director.counts(pick.server()).expect("it runs").active, 1);
//! # worker.close(lease)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Source: the state tables, timeouts and rules of Linux IPVS, compared with a running kernel.

mod reuse;
mod sctp;
mod table;
mod tcp;
mod udp;

use crate::config::Forwarding;

pub use reuse::{Context, ServerNow, Verdict};
pub use sctp::{SctpChunks, SctpConnection, SctpState, schedules_sctp};
pub use tcp::{TcpConnection, TcpFlags, TcpState, TcpTable, schedules_tcp};
pub use udp::{UdpState, schedules_udp};

/// The sender of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The client: to the virtual service.
    Client,
    /// The real server: its reply.
    Server,
}

/// The columns of a state table in which a packet is looked up, in the order of the TCP tables.
#[derive(Clone, Copy)]
enum Columns {
    Client = 0,
    Server = 1,
    NoOutput = 2,
}

/// The kernel's NOOUTPUT flag: no packet from the server has been seen, and none is expected.
///
/// Every connection that is not masqueraded starts with it, because its server replies to the client
/// directly, bypassing the director; the state then follows the client's packets alone. A packet from
/// the server clears the flag. A kernel's tables never see a server's packets of such a connection, so
/// there the flag stays; a plane that does see them may pass them on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct NoOutput(bool);

impl NoOutput {
    const fn new(forwarding: Forwarding) -> Self {
        NoOutput(!matches!(forwarding, Forwarding::Masq))
    }

    fn columns(&mut self, direction: Direction) -> Columns {
        match direction {
            Direction::Client if self.0 => Columns::NoOutput,
            Direction::Client => Columns::Client,
            Direction::Server => {
                self.0 = false;
                Columns::Server
            }
        }
    }
}

/// FTP's data port: an active FTP server connects from it, and such a connection belongs to the
/// control connection's server, so it is never scheduled, regardless of the protocol.
const FTP_DATA: u16 = 20;

/// A configured timeout; the kernel's if it is 0 or absent.
fn seconds(configured: Option<u32>, kernel: u32) -> u32 {
    configured.filter(|&seconds| seconds != 0).unwrap_or(kernel)
}
