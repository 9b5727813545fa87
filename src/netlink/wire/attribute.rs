//! Attributes: length, type and value, padded to four bytes; some contain attributes.

use netlink_packet_core::{NLA_F_NESTED, NlaBuffer, NlasIterator};

use super::WireError;
use crate::error::Quoted;

const HEADER: usize = 4;

/// Writes attributes at the end of a message.
pub(super) struct Writer<'b> {
    pub(super) bytes: &'b mut Vec<u8>,
}

impl Writer<'_> {
    /// Writes one value. Every value here is far shorter than the 65531 bytes an attribute can hold:
    /// a number, an address or a name that [`name`](Writer::name) has measured.
    pub(super) fn value(&mut self, kind: u16, value: &[u8]) {
        debug_assert!(value.len() <= 64);
        self.bytes.extend_from_slice(&((HEADER + value.len()) as u16).to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    pub(super) fn u8(&mut self, kind: u16, value: Option<u8>) {
        self.optional(kind, value.map(u8::to_ne_bytes));
    }

    pub(super) fn u16(&mut self, kind: u16, value: Option<u16>) {
        self.optional(kind, value.map(u16::to_ne_bytes));
    }

    /// A port in network byte order.
    pub(super) fn port(&mut self, kind: u16, value: Option<u16>) {
        self.optional(kind, value.map(u16::to_be_bytes));
    }

    pub(super) fn u32(&mut self, kind: u16, value: Option<u32>) {
        self.optional(kind, value.map(u32::to_ne_bytes));
    }

    pub(super) fn u64(&mut self, kind: u16, value: Option<u64>) {
        self.optional(kind, value.map(u64::to_ne_bytes));
    }

    pub(super) fn optional(&mut self, kind: u16, value: Option<impl AsRef<[u8]>>) {
        if let Some(value) = value {
            self.value(kind, value.as_ref());
        }
    }

    /// A name with a terminating zero byte.
    pub(super) fn name(
        &mut self,
        kind: u16,
        value: Option<&str>,
        attribute: &'static str,
        longest: usize,
    ) -> Result<(), WireError> {
        let Some(name) = value else { return Ok(()) };
        if name.len() > longest || name.contains('\0') {
            let name = Quoted(name);
            let problem = format!("\"{name}\" is not a name of at most {longest} bytes");
            return Err(WireError::new(attribute, problem));
        }
        let mut bytes = [0; 64];
        let room = bytes.get_mut(..name.len());
        room.ok_or_else(|| WireError::new(attribute, "too long"))?.copy_from_slice(name.as_bytes());
        self.optional(kind, bytes.get(..=name.len()));
        Ok(())
    }

    /// Attributes within an attribute.
    pub(super) fn nest(
        &mut self,
        kind: u16,
        inside: impl FnOnce(&mut Writer<'_>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let start = self.bytes.len();
        self.value(kind | NLA_F_NESTED, &[]);
        inside(&mut Writer { bytes: self.bytes })?;
        let length = u16::try_from(self.bytes.len() - start);
        let length = length.map_err(|_| WireError::new("nest", "longer than 65535 bytes"))?;
        NlaBuffer::new(&mut self.bytes[start..]).set_length(length);
        Ok(())
    }
}

/// Reads attributes in order. An attribute that exceeds the bytes ends the iteration with an error.
pub(super) fn attributes<'a>(
    bytes: &'a [u8],
    nest: &'static str,
) -> impl Iterator<Item = Result<(u16, Value<'a>), WireError>> {
    NlasIterator::new(bytes).map(move |attribute| {
        let attribute = attribute.map_err(|error| WireError::new(nest, error.to_string()))?;
        let (kind, end) = (attribute.kind(), usize::from(attribute.length()));
        let value = attribute.into_inner().get(HEADER..end).unwrap_or_default();
        Ok((kind, Value(value)))
    })
}

/// The value of one attribute.
#[derive(Clone, Copy)]
pub(super) struct Value<'a>(pub(super) &'a [u8]);

impl<'a> Value<'a> {
    /// The first `N` bytes. Longer values are accepted, as in the kernel.
    pub(super) fn first<const N: usize>(
        self,
        attribute: &'static str,
    ) -> Result<[u8; N], WireError> {
        let first = self.0.first_chunk::<N>();
        first.copied().ok_or_else(|| {
            let length = self.0.len();
            WireError::new(attribute, format!("{length} bytes, at least {N} are needed"))
        })
    }

    pub(super) fn u8(self, attribute: &'static str) -> Result<Option<u8>, WireError> {
        self.first(attribute).map(u8::from_ne_bytes).map(Some)
    }

    pub(super) fn u16(self, attribute: &'static str) -> Result<Option<u16>, WireError> {
        self.first(attribute).map(u16::from_ne_bytes).map(Some)
    }

    pub(super) fn port(self, attribute: &'static str) -> Result<Option<u16>, WireError> {
        self.first(attribute).map(u16::from_be_bytes).map(Some)
    }

    pub(super) fn u32(self, attribute: &'static str) -> Result<Option<u32>, WireError> {
        self.first(attribute).map(u32::from_ne_bytes).map(Some)
    }

    /// An address of up to 16 bytes, padded with zeros.
    pub(super) fn address(self, attribute: &'static str) -> Result<Option<[u8; 16]>, WireError> {
        let mut address = [0; 16];
        let Some(room) = address.get_mut(..self.0.len()) else {
            let problem = format!("{} bytes, at most 16 are possible", self.0.len());
            return Err(WireError::new(attribute, problem));
        };
        room.copy_from_slice(self.0);
        Ok(Some(address))
    }

    /// A name up to its zero byte.
    pub(super) fn name(
        self,
        attribute: &'static str,
        longest: usize,
    ) -> Result<Option<String>, WireError> {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let name = self.0.get(..end).unwrap_or_default();
        if name.len() > longest {
            let problem = format!("{} bytes, at most {longest} are possible", name.len());
            return Err(WireError::new(attribute, problem));
        }
        let name = std::str::from_utf8(name);
        let name = name.map_err(|error| WireError::new(attribute, error.to_string()))?;
        Ok(Some(name.to_owned()))
    }
}
