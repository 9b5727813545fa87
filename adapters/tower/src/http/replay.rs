//! Requests that may be sent twice.

use http::Request;
use http_body::Body;

use crate::retry::Replay;

/// Replays requests with an idempotent method (GET, HEAD, OPTIONS, TRACE, PUT, DELETE), by a clone.
///
/// For bodies that cannot be cloned see [`idempotent_or_empty`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Idempotent;

impl<B: Clone> Replay<Request<B>> for Idempotent {
    fn replay(&self, request: &Request<B>) -> Option<Request<B>> {
        request.method().is_idempotent().then(|| request.clone())
    }
}

/// Returns a [`Replay`] of requests with an idempotent method and an empty body, which `empty` makes: for
/// bodies that stream, such as a proxy's.
///
/// ```
/// use http_body_util::{Either, Empty};
/// use hyper::body::{Bytes, Incoming};
/// type Body = Either<Incoming, Empty<Bytes>>;
/// let replay = vsched_tower::idempotent_or_empty(|| Body::Right(Empty::new()));
/// ```
pub fn idempotent_or_empty<B: Body>(
    empty: impl Fn() -> B + Clone,
) -> impl Fn(&Request<B>) -> Option<Request<B>> + Clone {
    move |request| {
        let may = request.method().is_idempotent() && request.body().is_end_stream();
        may.then(|| {
            let mut copy = Request::new(empty());
            request.method().clone_into(copy.method_mut());
            request.uri().clone_into(copy.uri_mut());
            *copy.version_mut() = request.version();
            request.headers().clone_into(copy.headers_mut());
            request.extensions().clone_into(copy.extensions_mut());
            copy
        })
    }
}
