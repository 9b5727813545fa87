//! The nested attributes of a synchronization daemon.

use super::WireError;
use super::attribute::{Value, Writer, attributes};

/// Longest name of a network interface.
const MAX_INTERFACE: usize = 15;

/// The attributes of a synchronization daemon, as in a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DaemonAttributes {
    /// Role: 1 master, 2 backup.
    pub state: Option<u32>,
    /// Network interface.
    pub interface: Option<String>,
    /// Daemons with the same id talk to each other.
    pub sync_id: Option<u32>,
    /// Longest message.
    pub max_len: Option<u16>,
    /// Multicast group of IPv4.
    pub group: Option<[u8; 4]>,
    /// Multicast group of IPv6.
    pub group6: Option<[u8; 16]>,
    /// UDP port, in host byte order, unlike all other ports.
    pub port: Option<u16>,
    /// Time to live.
    pub ttl: Option<u8>,
}

impl DaemonAttributes {
    // In the order of kernel and ipvsadm.
    pub(super) fn encode(&self, writer: &mut Writer<'_>) -> Result<(), WireError> {
        writer.u32(1, self.state);
        writer.name(2, self.interface.as_deref(), "DAEMON.MCAST_IFN", MAX_INTERFACE)?;
        writer.u32(3, self.sync_id);
        writer.u16(4, self.max_len);
        writer.u16(7, self.port);
        writer.u8(8, self.ttl);
        writer.optional(5, self.group);
        writer.optional(6, self.group6);
        Ok(())
    }

    pub(super) fn decode(nest: Value<'_>) -> Result<Option<Self>, WireError> {
        let mut daemon = DaemonAttributes::default();
        for attribute in attributes(nest.0, "DAEMON") {
            let (kind, value) = attribute?;
            match kind {
                1 => daemon.state = value.u32("DAEMON.STATE")?,
                2 => daemon.interface = value.name("DAEMON.MCAST_IFN", MAX_INTERFACE)?,
                3 => daemon.sync_id = value.u32("DAEMON.SYNC_ID")?,
                4 => daemon.max_len = value.u16("DAEMON.SYNC_MAXLEN")?,
                5 => daemon.group = value.first("DAEMON.MCAST_GROUP").map(Some)?,
                6 => daemon.group6 = value.first("DAEMON.MCAST_GROUP6").map(Some)?,
                7 => daemon.port = value.u16("DAEMON.MCAST_PORT")?,
                8 => daemon.ttl = value.u8("DAEMON.MCAST_TTL")?,
                _ => {}
            }
        }
        Ok(Some(daemon))
    }
}
