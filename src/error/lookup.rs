//! Why nothing was found by a text.

use std::fmt;

use super::{KeyError, Quoted, Refusal};

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
///
/// ```
/// use vsched::error::ServiceError;
/// use vsched::{Config, Director};
/// let director = Director::new(&Config::new())?;
/// assert!(matches!(director.service("tcp 10.0.0.1:80"), Err(ServiceError::Unknown(_))));
/// assert!(matches!(director.service("tcp 10.0.0.1"), Err(ServiceError::Key(_))), "no port");
/// # Ok::<(), vsched::error::ApplyError>(())
/// ```
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

/// A server that could not be looked up by the text of its address or name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    service: String,
    server: String,
    refusal: Refusal,
}

impl ServerError {
    pub(crate) fn no_service(service: impl fmt::Display, server: &str) -> Self {
        let refusal = Refusal::NoService;
        ServerError { service: service.to_string(), server: server.to_owned(), refusal }
    }

    pub(crate) fn no_server(service: impl fmt::Display, server: &str) -> Self {
        ServerError { refusal: Refusal::NoServer, ..ServerError::no_service(service, server) }
    }

    /// Returns what there is not: [`Refusal::NoService`] or [`Refusal::NoServer`].
    pub fn refusal(&self) -> Refusal {
        self.refusal
    }

    /// Returns the key of the service; its id, if there is no service with this id.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Returns the text that was looked up.
    pub fn server(&self) -> &str {
        &self.server
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServerError { service, server, refusal } = self;
        match refusal {
            Refusal::NoService => write!(f, "service {service}: no such service"),
            _ => write!(f, "service {service}: server {}: no such server", Quoted(server)),
        }
    }
}

impl std::error::Error for ServerError {}
