//! Why nothing was found by a text.

use std::fmt;

use super::{KeyError, Quoted};

/// A text that is no [`ServerId`](crate::ServerId) or [`ServiceId`](crate::ServiceId).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdError {
    text: String,
}

impl IdError {
    pub(crate) fn new(text: &str) -> Self {
        IdError { text: text.to_owned() }
    }
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "id `{}`: expected two numbers, such as 3.2654435770", Quoted(&self.text))
    }
}

impl std::error::Error for IdError {}

/// A service that could not be looked up by the text of its key or name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServiceError {
    /// The text is neither a service key nor a name.
    Key(KeyError),
    /// There is no service with this key or name.
    Unknown(String),
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServiceError::Key(error) => error.fmt(f),
            ServiceError::Unknown(key) => write!(f, "service {}: no such service", Quoted(key)),
        }
    }
}

impl std::error::Error for ServiceError {}

impl From<KeyError> for ServiceError {
    fn from(error: KeyError) -> Self {
        ServiceError::Key(error)
    }
}
