//! Bytes and typed messages of the kernel's IPVS family, both ways and without I/O.
//!
//! Every command and attribute of `linux/ip_vs.h` is here. Optional attributes are `Option`s; unknown
//! attributes are skipped; no input makes a decoder panic.

mod attribute;
mod command;
mod daemon;
mod dest;
mod error;
mod family;
mod message;
mod packet;
mod service;
mod statistics;

pub use command::Command;
pub use daemon::DaemonAttributes;
pub use dest::DestAttributes;
pub use error::WireError;
pub use family::{FAMILY_NAME, decode_family, encode_family_request};
pub use message::{Info, Message};
pub(super) use packet::HEADER;
pub use packet::{
    ACK, Answer, DUMP, DUMP_INTERRUPTED, Header, MULTI, Packet, Packets, REQUEST, packets,
};
pub use service::{FLAG_HASHED, FLAG_ONE_PACKET, FLAG_PERSISTENT, ServiceAttributes, ServiceFlags};
pub use statistics::Figures;

/// Address family number of IPv4 on the wire.
pub const INET: u16 = 2;
/// Address family number of IPv6 on the wire.
pub const INET6: u16 = 10;
