//! A body that keeps its connection open.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use vsched::Outcome;

use crate::exchange::Exchange;
use crate::http::grpc::GrpcStatus;

pin_project! {
    /// A response body that keeps the server's connection open until it ends, fails or is dropped.
    ///
    /// The end reports what the response's head said, or the gRPC status in the trailers; an error
    /// [`Failed`](Outcome::Failed); a drop before the end [`Abandoned`](Outcome::Abandoned). A server that
    /// had already failed by its head stays failed.
    #[derive(Debug)]
    pub struct BalancedBody<B> {
        #[pin]
        body: B,
        // None once the body has ended.
        exchange: Option<Exchange>,
        end: End,
    }
}

/// What decides at the end of the body.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// The head: this is its outcome.
    Head(Outcome),
    /// The trailers.
    Grpc(GrpcStatus),
}

impl End {
    fn outcome(self, trailers: Option<&HeaderMap>) -> Outcome {
        match self {
            End::Head(outcome) => outcome,
            End::Grpc(status) => status.of_end(trailers),
        }
    }
}

impl<B: Body> BalancedBody<B> {
    /// The exchange ends here if the body is empty: a server need not be polled for that.
    pub(crate) fn new(body: B, mut exchange: Exchange, end: End) -> Self {
        if body.is_end_stream() {
            exchange.finish(end.outcome(None));
            return BalancedBody { body, exchange: None, end };
        }
        if !matches!(end, End::Head(Outcome::Failed)) {
            exchange.set_outcome(Outcome::Abandoned);
        }
        BalancedBody { body, exchange: Some(exchange), end }
    }
}

impl<B> BalancedBody<B> {
    /// For a response whose exchange is kept elsewhere.
    pub(crate) fn without_exchange(body: B) -> Self {
        BalancedBody { body, exchange: None, end: End::Head(Outcome::Done) }
    }

    /// Returns the exchange with the server; `None` once the body has ended.
    pub fn exchange(&self) -> Option<&Exchange> {
        self.exchange.as_ref()
    }
}

impl<B: Body> Body for BalancedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        let trailers = match &frame {
            Some(Ok(frame)) => frame.trailers_ref(),
            Some(Err(_)) => {
                finish(this.exchange, Outcome::Failed);
                return Poll::Ready(frame);
            }
            None => None,
        };
        // A consumer that knows the end of the body does not poll it again.
        if frame.is_none() || trailers.is_some() || this.body.is_end_stream() {
            finish(this.exchange, this.end.outcome(trailers));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn finish(exchange: &mut Option<Exchange>, outcome: Outcome) {
    if let Some(exchange) = exchange.take() {
        exchange.finish(outcome);
    }
}
