//! Numbers as ipvsadm reads them: decimal, an optional sign, nothing before or behind.

use crate::config::rules::words::Word;
use crate::error::RulesError;

/// Reads a decimal number; `None` for anything else and for numbers beyond 64 bits.
pub(super) fn read(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// Reads a number in a range; `what` it is goes into the error message.
pub(super) fn within(word: Word<'_>, what: &str, min: u32, max: u32) -> Result<u32, RulesError> {
    read(word.text)
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| word.error(format!("illegal {what}: expected a number from {min} to {max}")))
}

/// Reads a firewall mark.
///
/// Marks above 2147483647 are also read as the negative numbers that `ipvsadm --save` prints for
/// them, although ipvsadm itself does not take these back.
pub(super) fn mark(word: Word<'_>) -> Result<u32, RulesError> {
    match read(word.text) {
        Some(number @ -0x8000_0000..=-1) => Ok(number as u32),
        _ => within(word, "firewall mark", 1, u32::MAX),
    }
}

/// Reads the length of an IPv6 prefix; what follows the digits does not count.
pub(super) fn prefix_length(word: Word<'_>) -> Result<u8, RulesError> {
    let unsigned = word.text.strip_prefix('+').unwrap_or(word.text);
    let digits = unsigned.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    match read(digits) {
        Some(length @ 1..=128) => Ok(length as u8),
        _ => Err(word.error("illegal netmask: expected a prefix length from 1 to 128")),
    }
}
