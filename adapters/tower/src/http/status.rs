//! Outcome by HTTP status.

use std::fmt;
use std::sync::Arc;

use http::{Response, StatusCode};
use http_body::Body;

use crate::classify::{Classify, Verdict};
use crate::exchange::Exchange;
use crate::http::body::{BalancedBody, End};

/// Judges HTTP responses by their status: 5xx is a failure, which is retried; all others are done. An
/// error of the inner service is retried too.
#[derive(Clone, Copy)]
pub struct HttpStatus {
    verdict: fn(StatusCode) -> Verdict,
}

impl Default for HttpStatus {
    fn default() -> Self {
        HttpStatus::new()
    }
}

impl HttpStatus {
    /// Returns the classification described above.
    pub fn new() -> Self {
        HttpStatus::by(
            |status| {
                if status.is_server_error() { Verdict::RETRY } else { Verdict::DONE }
            },
        )
    }

    /// Returns one that judges statuses by this function.
    ///
    /// ```
    /// use vsched_tower::{HttpStatus, Verdict};
    /// let classify = HttpStatus::by(|status| match status.as_u16() {
    ///     429 | 503 => Verdict::RETRY,
    ///     501 => Verdict::DONE,
    ///     500.. => Verdict::FAILED,
    ///     _ => Verdict::DONE,
    /// });
    /// ```
    pub fn by(verdict: fn(StatusCode) -> Verdict) -> Self {
        HttpStatus { verdict }
    }
}

impl fmt::Debug for HttpStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpStatus").finish_non_exhaustive()
    }
}

/// What keeps the server's connection open after a response that switches protocols (101): an extension
/// of the response. Keep it as long as the tunnel runs. The connection closes with its last clone, as
/// done.
#[derive(Debug, Clone)]
pub struct Tunnel {
    exchange: Arc<Exchange>,
}

impl Tunnel {
    /// Returns the exchange with the server.
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }
}

impl<B: Body, Error> Classify<Response<B>, Error> for HttpStatus {
    type Response = Response<BalancedBody<B>>;

    fn verdict(&self, result: Result<&Response<B>, &Error>) -> Verdict {
        result.map_or(Verdict::RETRY, |response| (self.verdict)(response.status()))
    }

    fn attach(&self, mut response: Response<B>, exchange: Exchange) -> Self::Response {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            response.extensions_mut().insert(Tunnel { exchange: Arc::new(exchange) });
            return response.map(BalancedBody::without_exchange);
        }
        let end = End::Head(exchange.outcome());
        response.map(|body| BalancedBody::new(body, exchange, end))
    }
}
