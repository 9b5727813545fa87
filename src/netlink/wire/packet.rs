//! The netlink messages in a datagram, and their meaning.

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_MULTIPART, NLM_F_REQUEST, NLMSG_DONE,
    NLMSG_ERROR, NLMSG_NOOP, NLMSG_OVERRUN, NetlinkBuffer,
};

use super::WireError;
use super::attribute::Writer;

/// Flag of every request.
pub const REQUEST: u16 = NLM_F_REQUEST;
/// Flag: report success too.
pub const ACK: u16 = NLM_F_ACK;
/// Flags: list all objects.
pub const DUMP: u16 = NLM_F_DUMP;
/// Flag: more messages of this answer follow.
pub const MULTI: u16 = NLM_F_MULTIPART;
/// Flag: the dumped objects changed meanwhile.
pub const DUMP_INTERRUPTED: u16 = NLM_F_DUMP_INTR;

/// Bytes of a message before its payload.
pub(in crate::netlink) const HEADER: usize = 16;
const GENERIC: usize = 4;

/// The header of a netlink message, without its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// Type: the family of a request or answer, or a kind of report.
    pub kind: u16,
    /// Flags such as [`REQUEST`].
    pub flags: u16,
    /// Number of the request, also in its answers.
    pub sequence: u32,
    /// Port id of the requesting socket; 0 in requests lets the kernel fill it in.
    pub port: u32,
}

impl Header {
    /// Returns a header of this type, with these flags and this number, and port id 0.
    pub const fn new(kind: u16, flags: u16, sequence: u32) -> Self {
        Header { kind, flags, sequence, port: 0 }
    }

    /// Returns the header with this port id of the requesting socket.
    pub const fn with_port(mut self, port: u32) -> Self {
        self.port = port;
        self
    }
}

/// One netlink message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packet<'a> {
    /// Its header.
    pub header: Header,
    /// What follows the header.
    pub payload: &'a [u8],
}

/// The meaning of a netlink message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer<'a> {
    /// Nothing.
    Nothing,
    /// The request was carried out (0) or refused (an errno).
    Acknowledged(i32),
    /// The end of a dump, with 0 or an errno.
    Done(i32),
    /// Messages were lost.
    Overrun,
    /// A message of the family.
    Data(&'a [u8]),
}

impl<'a> Packet<'a> {
    /// Returns a message of these two parts.
    pub const fn new(header: Header, payload: &'a [u8]) -> Self {
        Packet { header, payload }
    }

    /// Its meaning.
    ///
    /// # Errors
    /// A report that is too short for its number.
    pub fn answer(&self) -> Result<Answer<'a>, WireError> {
        match self.header.kind {
            NLMSG_NOOP => Ok(Answer::Nothing),
            NLMSG_ERROR => self.code("ERROR").map(Answer::Acknowledged),
            // Old kernels end a dump with a bare header.
            NLMSG_DONE if self.payload.is_empty() => Ok(Answer::Done(0)),
            NLMSG_DONE => self.code("DONE").map(Answer::Done),
            NLMSG_OVERRUN => Ok(Answer::Overrun),
            _ => Ok(Answer::Data(self.payload)),
        }
    }

    /// The kernel sends negated errnos.
    fn code(&self, report: &'static str) -> Result<i32, WireError> {
        let code = self.payload.first_chunk().ok_or_else(|| {
            let length = self.payload.len();
            WireError::new(report, format!("{length} bytes, at least 4 are needed"))
        })?;
        Ok(i32::from_ne_bytes(*code).saturating_neg())
    }
}

/// The messages of one datagram, in order.
pub fn packets(datagram: &[u8]) -> Packets<'_> {
    Packets { rest: datagram }
}

/// Iterator over the messages of a datagram. A message that exceeds it ends the iteration with an error.
#[derive(Debug, Clone)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.rest);
        let message = match NetlinkBuffer::new_checked(bytes) {
            Ok(message) => message,
            Err(error) => return Some(Err(WireError::new("header", error.to_string()))),
        };
        let next = (message.length() as usize).checked_next_multiple_of(4);
        self.rest = next.and_then(|next| bytes.get(next..)).unwrap_or_default();
        let header = Header {
            kind: message.message_type(),
            flags: message.flags(),
            sequence: message.sequence_number(),
            port: message.port_number(),
        };
        Some(Ok(Packet { header, payload: message.payload() }))
    }
}

/// Appends a generic netlink message; on an error `bytes` is unchanged.
pub(super) fn encode_generic(
    header: Header,
    command: u8,
    version: u8,
    bytes: &mut Vec<u8>,
    attributes: impl FnOnce(&mut Writer<'_>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let start = bytes.len();
    bytes.resize(start + HEADER, 0);
    bytes.extend_from_slice(&[command, version, 0, 0]);
    let written = attributes(&mut Writer { bytes });
    if written.is_err() {
        bytes.truncate(start);
        return written;
    }
    let length = (bytes.len() - start) as u32;
    let mut message = NetlinkBuffer::new(&mut bytes[start..]);
    message.set_length(length);
    message.set_message_type(header.kind);
    message.set_flags(header.flags);
    message.set_sequence_number(header.sequence);
    message.set_port_number(header.port);
    Ok(())
}

/// Command number and attributes of a generic netlink payload.
pub(super) fn generic(payload: &[u8]) -> Result<(u8, &[u8]), WireError> {
    match payload.split_at_checked(GENERIC) {
        Some(([command, ..], attributes)) => Ok((*command, attributes)),
        _ => {
            let problem = format!("{} bytes, at least {GENERIC} are needed", payload.len());
            Err(WireError::new("generic header", problem))
        }
    }
}
