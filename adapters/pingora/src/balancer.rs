//! The settings of a proxy's upstream side, and how it connects.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::StatusCode;
use pingora_core::BError;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use tokio::time::Instant;
use vsched::error::ServiceError;
use vsched::{Flow, Handle, OwnedConnection, Refused, ServerId, ServiceId};

use crate::errors;

type OfSession<R> = Box<dyn Fn(&Session) -> R + Send + Sync>;
type OfResponse = Box<dyn Fn(&ResponseHeader) -> bool + Send + Sync>;
type MakePeer = Box<dyn Fn(&Session, SocketAddr) -> HttpPeer + Send + Sync>;

/// Attempts per request unless [`with_max_attempts`](Balancer::with_max_attempts) sets another number.
const MAX_ATTEMPTS: usize = 3;

/// Limit for connecting to a server in peers that the balancer makes: pingora has none.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Chooses the server of each request of one service, and reports how it went: the upstream half of a
/// [`ProxyHttp`](pingora_proxy::ProxyHttp).
///
/// Five of its methods are named like those of `ProxyHttp`, which call them; each takes the request's
/// [`Attempts`](crate::Attempts). `upstream_peer` and `logging` are enough to choose and to count; the others
/// add retries, failures and latencies. Picks and counts cost what [`Handle`]'s do: no lock, no allocation.
pub struct Balancer {
    pub(crate) handle: Handle,
    target: Target,
    pub(crate) max_attempts: usize,
    wait: Duration,
    flow: OfSession<Flow>,
    key: Option<OfSession<Option<u64>>>,
    pub(crate) is_failure: OfResponse,
    pub(crate) retries_response: OfResponse,
    pub(crate) make_peer: MakePeer,
}

/// Which service takes a request.
enum Target {
    /// By key or name. The id is the latest known.
    One { name: String, id: ArcSwap<ServiceId> },
    /// The service whose address the client connected to.
    Destination,
}

impl Balancer {
    /// Returns a balancer for the service with this key, such as `tcp 10.0.0.1:80`, or with this
    /// [name](vsched::config::Name), such as `web`. If the service is deleted and added again, requests find
    /// it again.
    ///
    /// # Errors
    /// As for [`Director::service`](vsched::Director::service).
    pub fn new(handle: Handle, service: &str) -> Result<Self, ServiceError> {
        let id = ArcSwap::from_pointee(handle.director().service(service)?);
        Ok(Balancer::of(handle, Target::One { name: service.to_owned(), id }))
    }

    /// Returns a balancer for all services: each request goes to the service whose address and port its
    /// client connected to. The proxy listens on the addresses of the services.
    pub fn by_destination(handle: Handle) -> Self {
        Balancer::of(handle, Target::Destination)
    }

    fn of(handle: Handle, target: Target) -> Self {
        let is_failure = |head: &ResponseHeader| head.status.is_server_error();
        let retries = |head: &ResponseHeader| {
            let status = head.status;
            status == StatusCode::BAD_GATEWAY
                || status == StatusCode::SERVICE_UNAVAILABLE
                || status == StatusCode::GATEWAY_TIMEOUT
        };
        let make_peer = |_: &Session, address: SocketAddr| {
            let mut peer = HttpPeer::new(address, false, String::new());
            peer.options.connection_timeout = Some(CONNECT_TIMEOUT);
            peer
        };
        Balancer {
            handle,
            target,
            max_attempts: MAX_ATTEMPTS,
            wait: Duration::ZERO,
            flow: Box::new(crate::flow::of),
            key: None,
            is_failure: Box::new(is_failure),
            retries_response: Box::new(retries),
            make_peer: Box::new(make_peer),
        }
    }

    /// Returns the balancer with at most this many attempts per request, each on another server; 3 unless
    /// set, 1 never retries. pingora's own limit, `max_retries` of its server config, holds too.
    pub fn with_max_attempts(mut self, attempts: usize) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// Returns the balancer that lets a request wait at most this long while all servers of its service are
    /// overloaded (see [`Thresholds`](vsched::config::Thresholds)). Without it such a request fails at
    /// once, with status 503. Retries never wait.
    pub fn with_wait(mut self, limit: Duration) -> Self {
        self.wait = limit;
        self
    }

    /// Returns the balancer that describes a request by this flow. Unless set: the two addresses of the
    /// client's connection. Behind another proxy, read the client's address from a header.
    pub fn with_flow(mut self, flow: impl Fn(&Session) -> Flow + Send + Sync + 'static) -> Self {
        self.flow = Box::new(flow);
        self
    }

    /// Returns the balancer that hashes a request by this key, with schedulers that hash (sh, mh, …); `None`
    /// leaves it to the client's address. See [`header_key`](crate::header_key) and
    /// [`cookie_key`](crate::cookie_key).
    pub fn with_hash_key(
        mut self,
        key: impl Fn(&Session) -> Option<u64> + Send + Sync + 'static,
    ) -> Self {
        self.key = Some(Box::new(key));
        self
    }

    /// Returns the balancer with this rule for which responses count as a failure of their server. Unless
    /// set: status 500 to 599.
    pub fn with_failure(
        mut self,
        is_failure: impl Fn(&ResponseHeader) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.is_failure = Box::new(is_failure);
        self
    }

    /// Returns the balancer with this rule for which failed responses are tried on another server instead
    /// of being sent to the client. Unless set: 502, 503, 504. Asked for responses that count as failures, of
    /// requests that may be repeated: idempotent methods whose body is still known. If no other server is
    /// available, the client gets the response.
    pub fn with_retried_responses(
        mut self,
        retried: impl Fn(&ResponseHeader) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.retries_response = Box::new(retried);
        self
    }

    /// Returns the balancer that makes pingora's description of a server by this closure: TLS, SNI,
    /// timeouts, HTTP/2. Unless set: plain HTTP/1.1, at most 5 seconds to connect, and as long as the server
    /// takes to answer.
    pub fn with_peer(
        mut self,
        peer: impl Fn(&Session, SocketAddr) -> HttpPeer + Send + Sync + 'static,
    ) -> Self {
        self.make_peer = Box::new(peer);
        self
    }

    /// Returns the handle.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The service's name for messages.
    pub(crate) fn name(&self) -> &str {
        match &self.target {
            Target::One { name, .. } => name,
            Target::Destination => "of the destination",
        }
    }

    pub(crate) fn flow(&self, session: &Session) -> Flow {
        let flow = (self.flow)(session);
        match self.key.as_ref().and_then(|key| key(session)) {
            Some(key) => flow.with_key(key),
            None => flow,
        }
    }

    /// Connects among servers that are not in `tried`, at once.
    pub(crate) fn connect_now(
        &self,
        flow: &Flow,
        tried: &[ServerId],
    ) -> Result<OwnedConnection, BError> {
        let service = self.service(flow)?;
        match self.handle.connect_excluding(service, flow, tried) {
            Err(Refused::NoService) => self.connect_anew(flow, tried),
            connection => connection.map_err(|reason| errors::refused(self.name(), reason)),
        }
    }

    /// The same, but waits for room.
    pub(crate) async fn connect(
        &self,
        flow: &Flow,
        tried: &[ServerId],
    ) -> Result<OwnedConnection, BError> {
        let service = self.service(flow)?;
        let first = self.handle.connect_excluding(service, flow, tried);
        match first {
            Ok(connection) => Ok(connection),
            Err(Refused::NoService) => self.connect_anew(flow, tried),
            Err(Refused::AllOverloaded) if !self.wait.is_zero() && tried.is_empty() => {
                self.connect_later(service, flow).await
            }
            Err(reason) => Err(errors::refused(self.name(), reason)),
        }
    }

    #[cold]
    fn connect_anew(&self, flow: &Flow, tried: &[ServerId]) -> Result<OwnedConnection, BError> {
        if let Target::One { name, id } = &self.target {
            let found = self.handle.director().service(name).map_err(errors::no_service)?;
            id.store(Arc::new(found));
        }
        let connection = self.handle.connect_excluding(self.service(flow)?, flow, tried);
        connection.map_err(|reason| errors::refused(self.name(), reason))
    }

    #[cold]
    async fn connect_later(
        &self,
        service: ServiceId,
        flow: &Flow,
    ) -> Result<OwnedConnection, BError> {
        let deadline = Instant::now() + self.wait;
        loop {
            let waited = tokio::time::timeout_at(deadline, self.handle.room(service)).await;
            match self.handle.connect(service, flow) {
                // A time-out looks at the clock only when there is no room.
                Err(Refused::AllOverloaded) if waited.is_ok() && Instant::now() < deadline => {}
                connection => {
                    return connection.map_err(|reason| errors::refused(self.name(), reason));
                }
            }
        }
    }

    fn service(&self, flow: &Flow) -> Result<ServiceId, BError> {
        match &self.target {
            Target::One { id, .. } => Ok(**id.load()),
            Target::Destination => self.handle.service_for(flow).ok_or_else(|| {
                let to = flow.destination().map_or_else(|| "none".to_owned(), |to| to.to_string());
                errors::no_service(format_args!("no service for destination {to}"))
            }),
        }
    }
}

impl fmt::Debug for Balancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balancer")
            .field("service", &self.name())
            .field("max_attempts", &self.max_attempts)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}
