//! The inner services, one per real server.

use tower::BoxError;
use vsched::{Pick, ServerId};

use crate::changes::Changes;

mod discovered;
mod fixed;
mod per_server;

pub use discovered::Discovered;
pub use fixed::Fixed;
pub use per_server::PerServer;

/// The inner services of a [`Balance`](crate::Balance): how to reach a picked server.
///
/// The director decides which server gets a request; this set provides the service that carries it there.
/// A closure from a pick to a service is such a set. [`PerServer`] keeps what a closure returned,
/// [`Fixed`] is a map, and [`Discovered`] follows a [`Discover`](tower::discover::Discover).
pub trait Endpoints {
    /// The inner service. The balancer calls a clone of it per attempt, as tower's retry does; services
    /// that cannot be cloned go into a [`Buffer`](https://docs.rs/tower/latest/tower/buffer).
    type Service;

    /// Returns the service of a picked server; `None` if there is none. The balancer then picks among the
    /// other servers. Called per attempt: it must not wait.
    fn service(&self, pick: &Pick) -> Option<Self::Service>;

    /// Takes in the changes that are ready. Called by [`poll_ready`](tower::Service::poll_ready) and by
    /// requests that wait for an endpoint.
    ///
    /// # Errors
    /// The set could not be updated. Requests that wait for an endpoint get
    /// [`Error::Endpoints`](crate::Error::Endpoints), and so does `poll_ready`.
    fn update(&self) -> Result<(), BoxError> {
        Ok(())
    }

    /// Returns what announces changes of the set; `None` if it never changes.
    fn changes(&self) -> Option<&Changes> {
        None
    }
}

impl<F, S> Endpoints for F
where
    F: Fn(&Pick) -> S,
{
    type Service = S;

    fn service(&self, pick: &Pick) -> Option<S> {
        Some(self(pick))
    }
}

/// What identifies an endpoint, and which picks it serves.
///
/// For servers that discovery knows by name, give each server of the config a
/// [`user_data`](vsched::config::RealServer::user_data) of its own and translate the names to [`UserData`]:
/// a pick carries that number, so that no look-up by name is on the path of a request.
pub trait EndpointKey: Eq + std::hash::Hash {
    /// Returns the key of the endpoint that serves this pick.
    fn from_pick(pick: &Pick) -> Self;
}

/// The server's address and port.
impl EndpointKey for std::net::SocketAddr {
    fn from_pick(pick: &Pick) -> Self {
        pick.address()
    }
}

impl EndpointKey for ServerId {
    fn from_pick(pick: &Pick) -> Self {
        pick.server()
    }
}

/// The host's own number for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserData(pub u64);

impl EndpointKey for UserData {
    fn from_pick(pick: &Pick) -> Self {
        UserData(pick.user_data())
    }
}
