//! Outcome by gRPC code.

use http::{HeaderMap, Response};
use http_body::Body;
use vsched::Outcome;

use crate::classify::{Classify, Verdict};
use crate::exchange::Exchange;
use crate::http::body::{BalancedBody, End};

const CANCELLED: u32 = 1;
const UNAVAILABLE: u32 = 14;
/// UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, DATA_LOSS.
const FAILED: [u32; 5] = [2, 4, 13, UNAVAILABLE, 15];

/// Judges gRPC responses by their code, in the head or in the trailers.
///
/// UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE and DATA_LOSS are failures of the server, CANCELLED
/// says nothing about it, and all others are done. UNAVAILABLE in the head, and errors, are retried:
/// later the client has part of the response. A stream that ends without a code, and an HTTP status other
/// than 200, is a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GrpcStatus {
    /// One bit per code.
    failed: u32,
    retried: u32,
}

impl Default for GrpcStatus {
    fn default() -> Self {
        GrpcStatus::new()
    }
}

impl GrpcStatus {
    /// Returns the classification described above.
    pub fn new() -> Self {
        GrpcStatus { failed: bits(&FAILED), retried: bits(&[UNAVAILABLE]) }
    }

    /// Returns one for which exactly these codes are failures.
    pub fn with_failed(mut self, codes: &[u32]) -> Self {
        self.failed = bits(codes);
        self
    }

    /// Returns one that tries another server at exactly these codes, if they are in the head.
    pub fn with_retried(mut self, codes: &[u32]) -> Self {
        self.retried = bits(codes);
        self
    }

    fn of_code(self, code: u32) -> Outcome {
        match code {
            code if has(self.failed, code) => Outcome::Failed,
            CANCELLED => Outcome::Abandoned,
            _ => Outcome::Done,
        }
    }

    /// A stream that has ended.
    pub(crate) fn of_end(self, trailers: Option<&HeaderMap>) -> Outcome {
        trailers.and_then(code).map_or(Outcome::Failed, |code| self.of_code(code))
    }
}

fn bits(codes: &[u32]) -> u32 {
    codes.iter().fold(0, |bits, code| bits | 1_u32.checked_shl(*code).unwrap_or(0))
}

fn has(bits: u32, code: u32) -> bool {
    bits & 1_u32.checked_shl(code).unwrap_or(0) != 0
}

fn code(headers: &HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

impl<B: Body, Error> Classify<Response<B>, Error> for GrpcStatus {
    type Response = Response<BalancedBody<B>>;

    fn verdict(&self, result: Result<&Response<B>, &Error>) -> Verdict {
        let Ok(response) = result else { return Verdict::RETRY };
        match code(response.headers()) {
            Some(code) => {
                let retry = has(self.retried, code);
                Verdict { outcome: self.of_code(code), retry }
            }
            None if response.status() == http::StatusCode::OK => Verdict::DONE,
            None => Verdict { outcome: Outcome::Failed, retry: has(self.retried, UNAVAILABLE) },
        }
    }

    fn attach(&self, response: Response<B>, exchange: Exchange) -> Self::Response {
        let in_trailers = exchange.outcome() == Outcome::Done && code(response.headers()).is_none();
        let end = if in_trailers { End::Grpc(*self) } else { End::Head(exchange.outcome()) };
        response.map(|body| BalancedBody::new(body, exchange, end))
    }
}
