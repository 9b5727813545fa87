//! Ids read from their texts.

use std::str::FromStr;

use crate::arena::id::{ServerId, ServiceId};
use crate::error::IdError;

/// Reads what `Display` of an id writes, and nothing else.
fn read(text: &str) -> Result<[u32; 2], IdError> {
    let number = |digits: &str| {
        let canonical = digits == "0" || !digits.starts_with(['0', '+']);
        digits.parse().ok().filter(|_| canonical)
    };
    text.split_once('.')
        .and_then(|(slot, generation)| Some([number(slot)?, number(generation)?]))
        .ok_or_else(|| IdError::new(text))
}

impl FromStr for ServerId {
    type Err = IdError;

    /// # Errors
    /// The text is not what `Display` writes of an id. Any numbers are accepted, as by
    /// [`from_raw`](Self::from_raw).
    fn from_str(text: &str) -> Result<Self, IdError> {
        read(text).map(Self::from_raw)
    }
}

impl FromStr for ServiceId {
    type Err = IdError;

    /// # Errors
    /// As for [`ServerId`].
    fn from_str(text: &str) -> Result<Self, IdError> {
        read(text).map(Self::from_raw)
    }
}
