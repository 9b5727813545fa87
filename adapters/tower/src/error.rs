//! Why a request got no answer.

use std::fmt;

use tower::BoxError;
use vsched::Refused;

/// Why a [`Balance`](crate::Balance) returns no response.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// No server was picked, and none had been tried.
    Refused(Refused),
    /// Servers were picked, but the set of [`Endpoints`](crate::Endpoints) has an endpoint for none of
    /// them.
    NoEndpoint,
    /// The last server that was tried failed: the error of its inner service.
    Inner(BoxError),
    /// The set of endpoints could not be updated: the error of its `Discover`, or of the edit of the
    /// director's config that an endpoint asked for.
    Endpoints(BoxError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Refused(refused) => return fmt::Display::fmt(refused, f),
            Error::NoEndpoint => "no endpoint for the servers of the config",
            Error::Inner(_) => "the server failed",
            Error::Endpoints(_) => "the set of endpoints could not be updated",
        })
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Refused(_) | Error::NoEndpoint => None,
            Error::Inner(error) | Error::Endpoints(error) => Some(&**error),
        }
    }
}

impl Error {
    /// Returns why no server was picked; `None` for other errors.
    pub fn refused(&self) -> Option<Refused> {
        match self {
            Error::Refused(refused) => Some(*refused),
            _ => None,
        }
    }
}
