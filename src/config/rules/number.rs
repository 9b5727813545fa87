//! Parses numbers as ipvsadm does: decimal, with an optional sign, and nothing before or after.

use crate::config::rules::words::Word;
use crate::error::RulesError;

/// Parses a decimal number; `None` for anything else and for numbers that exceed 64 bits.
pub(super) fn read(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// Parses a number in a range; `what` names it in the error message.
pub(super) fn within(word: Word<'_>, what: &str, min: u32, max: u32) -> Result<u32, RulesError> {
    read(word.text)
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| word.error(format!("illegal {what}: expected a number from {min} to {max}")))
}

/// Parses a 64-bit number without a sign.
pub(super) fn wide(word: Word<'_>, what: &str) -> Result<u64, RulesError> {
    let digits = word.text.bytes().all(|byte| byte.is_ascii_digit());
    word.text.parse().ok().filter(|_| digits).ok_or_else(|| {
        word.error(format!("illegal {what}: expected a number from 0 to {}", u64::MAX))
    })
}

/// Parses a firewall mark.
///
/// Marks above 2147483647 are also accepted as the negative numbers that `ipvsadm --save` prints for
/// them, although ipvsadm itself does not read these back.
pub(super) fn mark(word: Word<'_>) -> Result<u32, RulesError> {
    match read(word.text) {
        Some(number @ -0x8000_0000..=-1) => Ok(number as u32),
        _ => within(word, "firewall mark", 1, u32::MAX),
    }
}

/// Parses the length of an IPv6 prefix; ignores what follows the digits.
pub(super) fn prefix_length(word: Word<'_>) -> Result<u8, RulesError> {
    let unsigned = word.text.strip_prefix('+').unwrap_or(word.text);
    let digits = unsigned.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    match read(digits) {
        Some(length @ 1..=128) => Ok(length as u8),
        _ => Err(word.error("illegal netmask: expected a prefix length from 1 to 128")),
    }
}
