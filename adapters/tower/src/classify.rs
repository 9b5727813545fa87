//! What a response says of its server.

use vsched::Outcome;

use crate::exchange::Exchange;

/// What a response or an error says of the server, and whether another server should be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Verdict {
    /// What is reported of the server.
    pub outcome: Outcome,
    /// True if another server may do better.
    pub retry: bool,
}

impl Verdict {
    /// The server did what it should.
    pub const DONE: Verdict = Verdict { outcome: Outcome::Done, retry: false };
    /// The server failed, and another one would not do better.
    pub const FAILED: Verdict = Verdict { outcome: Outcome::Failed, retry: false };
    /// The server failed, and another one may do better.
    pub const RETRY: Verdict = Verdict { outcome: Outcome::Failed, retry: true };
    /// Says nothing about the server.
    pub const ABANDONED: Verdict = Verdict { outcome: Outcome::Abandoned, retry: false };
}

/// Judges what the inner service returned, and keeps the connection open as long as the response lasts.
///
/// A closure `Fn(Result<&Response, &Error>) -> Verdict` is one; its exchanges end with the response.
pub trait Classify<Response, Error> {
    /// What the balancer returns: the inner response, or one that keeps an [`Exchange`].
    type Response;

    /// Judges what the inner service returned. Called once per attempt.
    fn verdict(&self, result: Result<&Response, &Error>) -> Verdict;

    /// Passes on the response that the client gets. The connection closes when the exchange is dropped,
    /// with the verdict's outcome, unless something sets another one.
    fn attach(&self, response: Response, exchange: Exchange) -> Self::Response;
}

impl<F, Response, Error> Classify<Response, Error> for F
where
    F: Fn(Result<&Response, &Error>) -> Verdict,
{
    type Response = Response;

    fn verdict(&self, result: Result<&Response, &Error>) -> Verdict {
        self(result)
    }

    fn attach(&self, response: Response, exchange: Exchange) -> Response {
        drop(exchange);
        response
    }
}

/// Every response is [done](Verdict::DONE), and every error a [retry](Verdict::RETRY). Exchanges end with
/// the response.
#[derive(Debug, Clone, Copy, Default)]
pub struct ErrorsFail;

impl<Response, Error> Classify<Response, Error> for ErrorsFail {
    type Response = Response;

    fn verdict(&self, result: Result<&Response, &Error>) -> Verdict {
        if result.is_ok() { Verdict::DONE } else { Verdict::RETRY }
    }

    fn attach(&self, response: Response, exchange: Exchange) -> Response {
        drop(exchange);
        response
    }
}
