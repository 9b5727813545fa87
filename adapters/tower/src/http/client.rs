//! One client for all servers.

use std::net::SocketAddr;
use std::task::{Context, Poll};

use http::uri::{Authority, Scheme};
use http::{Request, Uri};
use tower::Service;
use vsched::Pick;

use crate::endpoints::Endpoints;

/// Endpoints that share one HTTP client, such as hyper-util's, which keeps a pool of connections per
/// authority: each request's URI gets the picked server's address. A `Host` header stays as it is.
///
/// ```
/// use http_body_util::Empty;
/// use hyper::body::Bytes;
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
/// let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
/// let endpoints = vsched_tower::OneClient::new(client);
/// ```
#[derive(Debug, Clone)]
pub struct OneClient<S> {
    client: S,
    scheme: Scheme,
}

impl<S> OneClient<S> {
    /// Returns the endpoints of this client, reached by `http`.
    pub fn new(client: S) -> Self {
        OneClient { client, scheme: Scheme::HTTP }
    }

    /// Reaches the servers by this scheme.
    pub fn with_scheme(mut self, scheme: Scheme) -> Self {
        self.scheme = scheme;
        self
    }
}

impl<S: Clone> Endpoints for OneClient<S> {
    type Service = ToServer<S>;

    fn service(&self, pick: &Pick) -> Option<ToServer<S>> {
        let OneClient { client, scheme } = self.clone();
        Some(ToServer { client, scheme, address: pick.address() })
    }
}

/// Sends requests to one server by a client that goes where the URI says.
#[derive(Debug, Clone)]
pub struct ToServer<S> {
    client: S,
    scheme: Scheme,
    address: SocketAddr,
}

impl<S> ToServer<S> {
    /// Returns the service that sends requests to this address by `http`.
    pub fn new(client: S, address: SocketAddr) -> Self {
        ToServer { client, scheme: Scheme::HTTP, address }
    }

    /// Reaches the server by this scheme.
    pub fn with_scheme(mut self, scheme: Scheme) -> Self {
        self.scheme = scheme;
        self
    }
}

impl<S, B> Service<Request<B>> for ToServer<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.client.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        // An address is a valid authority, and with a path the URI is complete.
        parts.authority = Authority::try_from(self.address.to_string()).ok();
        parts.scheme = Some(self.scheme.clone());
        let path = parts.path_and_query;
        parts.path_and_query = path.or_else(|| Some(http::uri::PathAndQuery::from_static("/")));
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        self.client.call(request)
    }
}
