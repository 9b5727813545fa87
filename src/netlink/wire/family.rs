//! The number of the IPVS family, which the kernel assigns at each boot.

use super::attribute::attributes;
use super::packet::{Header, encode_generic, generic};
use super::{ACK, REQUEST, WireError};

/// Name of the family.
pub const FAMILY_NAME: &str = "IPVS";
/// Number of the family that resolves the others.
const CONTROL: u16 = 16;
const NEW_FAMILY: u8 = 1;
const GET_FAMILY: u8 = 3;
const ID: u16 = 1;
const NAME: u16 = 2;
/// Version byte of the control family's requests.
const VERSION: u8 = 1;
/// Longest family name.
const MAX_NAME: usize = 15;

/// Writes the request for the number of a family, with an acknowledgment.
///
/// # Errors
/// A name of more than 15 bytes.
pub fn encode_family_request(
    name: &str,
    sequence: u32,
    bytes: &mut Vec<u8>,
) -> Result<(), WireError> {
    let header = Header { kind: CONTROL, flags: REQUEST | ACK, sequence, port: 0 };
    encode_generic(header, GET_FAMILY, VERSION, bytes, |writer| {
        writer.name(NAME, Some(name), "FAMILY_NAME", MAX_NAME)
    })
}

/// Reads the number of a family from the answer.
///
/// ```
/// use vsched::netlink::wire::{FAMILY_NAME, decode_family, encode_family_request, packets};
/// let mut bytes = Vec::new();
/// encode_family_request(FAMILY_NAME, 1, &mut bytes)?;
/// let request = packets(&bytes).next().expect("one packet")?;
/// // The request says the name; only the kernel's answer has the number.
/// assert!(decode_family(request.payload).is_err());
/// let answer = [1, 2, 0, 0, 6, 0, 1, 0, 28, 0, 0, 0]; // as a little-endian machine gets it
/// # if cfg!(target_endian = "little") {
/// assert_eq!(decode_family(&answer)?, 28);
/// # }
/// # Ok::<(), vsched::netlink::wire::WireError>(())
/// ```
///
/// # Errors
/// Anything but that answer.
pub fn decode_family(payload: &[u8]) -> Result<u16, WireError> {
    let (command, rest) = generic(payload)?;
    if command != NEW_FAMILY {
        let problem = format!("{command}, expected {NEW_FAMILY}");
        return Err(WireError::new("control command", problem));
    }
    let mut id = None;
    for attribute in attributes(rest, "FAMILY") {
        let (kind, value) = attribute?;
        if kind == ID {
            id = value.u16("FAMILY_ID")?;
        }
    }
    id.ok_or_else(|| WireError::missing("FAMILY_ID"))
}
