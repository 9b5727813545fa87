//! The calls of `ProxyHttp`.

use http::StatusCode;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{BError, Error, ErrorSource, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use vsched::Outcome;
use vsched::config::Forwarding;

use crate::attempts::Attempts;
use crate::balancer::Balancer;
use crate::errors;

impl Balancer {
    /// Chooses the server of the request's next attempt and counts the connection on it, until the attempt
    /// ends. Call it from [`ProxyHttp::upstream_peer`](pingora_proxy::ProxyHttp::upstream_peer).
    ///
    /// # Errors
    /// No server: [`HTTPStatus(503)`](ErrorType::HTTPStatus), with vsched's reason. A server whose forwarding
    /// method is not [`Masq`](Forwarding::Masq): status 500, since a proxy cannot do what it says.
    pub async fn upstream_peer(
        &self,
        session: &mut Session,
        attempts: &mut Attempts,
    ) -> Result<Box<HttpPeer>> {
        // Still there if the proxy does not report failures.
        attempts.abandon();
        let connection = match attempts.reserved.take() {
            Some(connection) => connection,
            None => self.connect(&self.flow(session), &attempts.tried).await?,
        };
        if connection.forwarding() != Forwarding::Masq {
            return Err(errors::not_proxied(self.name(), &connection.pick()));
        }
        let peer = Box::new((self.make_peer)(session, connection.address()));
        attempts.begin(connection);
        Ok(peer)
    }

    /// Counts that the server could not be reached, and has the request tried on another one, if one is
    /// available. Call it from
    /// [`ProxyHttp::fail_to_connect`](pingora_proxy::ProxyHttp::fail_to_connect).
    ///
    /// An error of this host, such as too many open files, counts for no server and is not retried.
    pub fn fail_to_connect(
        &self,
        session: &mut Session,
        _peer: &HttpPeer,
        attempts: &mut Attempts,
        mut error: BError,
    ) -> BError {
        error.retry.decide_reuse(false);
        let asked = error.retry();
        if !is_servers(&error) {
            attempts.abandon();
            error.set_retry(false);
            return error;
        }
        self.give_up(session, attempts, asked);
        error.set_retry(attempts.reserved.is_some());
        error
    }

    /// Counts how an attempt failed after the connection was there, and has the request tried on another
    /// server if that is safe: the method is idempotent, the body still known, and no response begun. Call it
    /// from [`ProxyHttp::error_while_proxy`](pingora_proxy::ProxyHttp::error_while_proxy); it replaces the
    /// default.
    ///
    /// A client that left, and an error of the proxy's own filters, are abandoned: they count for no server.
    /// So is a kept connection that the server has closed in the meantime; the request is tried again, on any
    /// server.
    pub fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: BError,
        attempts: &mut Attempts,
        client_reused: bool,
    ) -> BError {
        let mut error = error.more_context(format!("Peer: {peer}"));
        error.retry.decide_reuse(client_reused);
        let (asked, repeatable) = (error.retry(), is_repeatable(session));
        if attempts.reserved.is_some() {
            // `upstream_response_filter` has decided.
            return error;
        }
        if !is_servers(&error) {
            attempts.abandon();
            error.set_retry(asked && repeatable);
            return error;
        }
        if repeatable {
            self.give_up(session, attempts, asked);
        } else if asked {
            attempts.abandon();
        } else {
            attempts.fail();
        }
        error.set_retry(attempts.reserved.is_some());
        error
    }

    /// Measures the latency, counts the response, and has the request tried on another server if
    /// [the rule](Self::with_retried_responses) says so and one is available. Call it from
    /// [`ProxyHttp::upstream_response_filter`](pingora_proxy::ProxyHttp::upstream_response_filter), before the
    /// proxy changes the head.
    ///
    /// # Errors
    /// The one that makes pingora try again. Return it.
    pub fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &ResponseHeader,
        attempts: &mut Attempts,
    ) -> Result<()> {
        let status = response.status;
        if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(());
        }
        if !(self.is_failure)(response) {
            attempts.answered(Outcome::Done);
            return Ok(());
        }
        attempts.answered(Outcome::Failed);
        if !(self.retries_response)(response) || !is_repeatable(session) {
            return Ok(());
        }
        // The response is given up only for a server that is there.
        let Some(server) = attempts.server() else { return Ok(()) };
        attempts.tried.push(server);
        self.reserve(session, attempts);
        attempts.tried.pop();
        if attempts.reserved.is_none() {
            return Ok(());
        }
        attempts.fail();
        let text = "answered with a failure, which another server may not";
        let mut error = Error::explain(ErrorType::HTTPStatus(status.as_u16()), text).into_up();
        error.set_retry(true);
        Err(error)
    }

    /// Ends the request: closes its connection and reports the outcome. Call it from
    /// [`ProxyHttp::logging`](pingora_proxy::ProxyHttp::logging).
    pub fn logging(&self, session: &mut Session, error: Option<&Error>, attempts: &mut Attempts) {
        let head = attempts.head().or_else(|| {
            // The proxy does not call `upstream_response_filter`. After an error the response is its own.
            let response = error.is_none().then(|| session.response_written()).flatten()?;
            let failed = (self.is_failure)(response);
            Some(if failed { Outcome::Failed } else { Outcome::Done })
        });
        attempts.finish(match (error, head) {
            (_, Some(Outcome::Failed)) => Outcome::Failed,
            (None, Some(outcome)) => outcome,
            // The proxy does not call `fail_to_connect` or `error_while_proxy`.
            (Some(error), _) if is_servers(error) => Outcome::Failed,
            _ => Outcome::Abandoned,
        });
    }

    /// Ends the attempt, and reserves a server for the next. `asked`: pingora itself asks for the repetition,
    /// since the server did not refuse the request, but the connection.
    fn give_up(&self, session: &Session, attempts: &mut Attempts, asked: bool) {
        if asked {
            attempts.abandon();
        } else {
            attempts.fail();
        }
        self.reserve(session, attempts);
    }

    fn reserve(&self, session: &Session, attempts: &mut Attempts) {
        if attempts.tried.len() < self.max_attempts {
            let connection = self.connect_now(&self.flow(session), &attempts.tried);
            attempts.reserved = connection.ok();
        }
    }
}

/// True if the request can be sent once more, as far as the client can tell.
fn is_repeatable(session: &Session) -> bool {
    session.req_header().method.is_idempotent()
        && !session.as_ref().retry_buffer_truncated()
        && session.response_written().is_none()
}

/// True if the server is to blame: not the client, nor this host, which may be out of descriptors.
fn is_servers(error: &Error) -> bool {
    let local = matches!(
        error.etype(),
        ErrorType::BindError
            | ErrorType::SocketError
            | ErrorType::InternalError
            | ErrorType::FileOpenError
            | ErrorType::FileReadError
    );
    *error.esource() == ErrorSource::Upstream && !local
}
