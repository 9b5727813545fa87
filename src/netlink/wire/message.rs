//! One message of the IPVS family: a command and its attributes.

use super::attribute::{Writer, attributes};
use super::packet::{Header, encode_generic, generic};
use super::{Command, DaemonAttributes, DestAttributes, ServiceAttributes, WireError};
use crate::config::Timeouts;

/// Version byte of the IPVS family.
const VERSION: u8 = 1;

/// What the kernel says about its IPVS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Info {
    /// Version, one byte per part: 0x010201 is 1.2.1.
    pub version: Option<u32>,
    /// Slots of the connection table.
    pub connection_table_size: Option<u32>,
}

/// A request or an answer of the IPVS family.
///
/// ```
/// use vsched::netlink::wire::{Answer, Command, Header, Message, REQUEST, packets};
/// let family = 28; // as the kernel said
/// let request = Message::new(Command::GetInfo);
/// let mut bytes = Vec::new();
/// request.encode(Header::new(family, REQUEST, 1), &mut bytes)?;
/// let packet = packets(&bytes).next().expect("one packet")?;
/// assert_eq!(packet.answer()?, Answer::Data(packet.payload));
/// assert_eq!(Message::decode(packet.payload)?, request);
/// # Ok::<(), vsched::netlink::wire::WireError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The command.
    pub command: Command,
    /// A virtual service.
    pub service: Option<ServiceAttributes>,
    /// A real server.
    pub dest: Option<DestAttributes>,
    /// A synchronization daemon.
    pub daemon: Option<DaemonAttributes>,
    /// Timeouts.
    pub timeouts: Timeouts,
    /// The answer to `GetInfo`.
    pub info: Info,
}

impl Message {
    /// A command without attributes.
    pub fn new(command: Command) -> Self {
        Message {
            command,
            service: None,
            dest: None,
            daemon: None,
            timeouts: Timeouts::default(),
            info: Info::default(),
        }
    }

    /// Appends the message to `bytes`.
    ///
    /// # Errors
    /// A name that is longer than the kernel accepts; then `bytes` is unchanged.
    pub fn encode(&self, header: Header, bytes: &mut Vec<u8>) -> Result<(), WireError> {
        encode_generic(header, self.command.number(), VERSION, bytes, |writer| {
            self.encode_attributes(writer)
        })
        .map_err(|error| error.of(self.command))
    }

    /// Writes what [`encode`](Self::encode) would for a message with only these two.
    pub(in crate::netlink) fn encode_server(
        command: Command,
        service: &ServiceAttributes,
        dest: &DestAttributes,
        header: Header,
        bytes: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        encode_generic(header, command.number(), VERSION, bytes, |writer| {
            writer.nest(1, |writer| service.encode(writer))?;
            writer.nest(2, |writer| dest.encode(writer))
        })
        .map_err(|error| error.of(command))
    }

    fn encode_attributes(&self, writer: &mut Writer<'_>) -> Result<(), WireError> {
        if self.command == Command::SetInfo {
            writer.u32(1, self.info.version);
            writer.u32(2, self.info.connection_table_size);
            return Ok(());
        }
        if let Some(service) = &self.service {
            writer.nest(1, |writer| service.encode(writer))?;
        }
        if let Some(dest) = &self.dest {
            writer.nest(2, |writer| dest.encode(writer))?;
        }
        if let Some(daemon) = &self.daemon {
            writer.nest(3, |writer| daemon.encode(writer))?;
        }
        writer.u32(4, self.timeouts.tcp);
        writer.u32(5, self.timeouts.tcp_fin);
        writer.u32(6, self.timeouts.udp);
        Ok(())
    }

    /// Reads the payload of a netlink message of the IPVS family.
    ///
    /// # Errors
    /// An unknown command; an attribute that is cut off, too short or not text. Unknown attributes are
    /// skipped.
    pub fn decode(payload: &[u8]) -> Result<Message, WireError> {
        Message::decode_with(payload, true)
    }

    /// The same without statistics, which are most of a service's or server's message.
    ///
    /// # Errors
    /// As for [`decode`](Self::decode), except those of statistics.
    pub fn decode_settings(payload: &[u8]) -> Result<Message, WireError> {
        Message::decode_with(payload, false)
    }

    fn decode_with(payload: &[u8], figures: bool) -> Result<Message, WireError> {
        let (number, rest) = generic(payload)?;
        let command = Command::from_number(number).ok_or_else(|| {
            let last = Command::ALL.len();
            WireError::new("command", format!("{number} is not one of 1 to {last}"))
        })?;
        let mut message = Message::new(command);
        message.decode_attributes(rest, figures).map_err(|error| error.of(command))?;
        Ok(message)
    }

    fn decode_attributes(&mut self, bytes: &[u8], figures: bool) -> Result<(), WireError> {
        for attribute in attributes(bytes, "message") {
            let (kind, value) = attribute?;
            // The answer to GET_INFO has its own attribute numbers.
            match (self.command, kind) {
                (Command::SetInfo, 1) => self.info.version = value.u32("INFO.VERSION")?,
                (Command::SetInfo, 2) => {
                    self.info.connection_table_size = value.u32("INFO.CONN_TAB_SIZE")?;
                }
                (Command::SetInfo, _) => {}
                (_, 1) => self.service = ServiceAttributes::decode(value, figures)?,
                (_, 2) => self.dest = DestAttributes::decode(value, figures)?,
                (_, 3) => self.daemon = DaemonAttributes::decode(value)?,
                (_, 4) => self.timeouts.tcp = value.u32("TIMEOUT_TCP")?,
                (_, 5) => self.timeouts.tcp_fin = value.u32("TIMEOUT_TCP_FIN")?,
                (_, 6) => self.timeouts.udp = value.u32("TIMEOUT_UDP")?,
                _ => {}
            }
        }
        Ok(())
    }
}
