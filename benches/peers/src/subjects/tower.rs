//! tower's `Balance`: two random servers, of which it uses the one with fewer pending requests. One
//! operation is what a caller does for a request: `poll_ready`, `call`, and awaiting the response,
//! which is ready at once.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::task::{Context, Poll, Waker};

use tower::Service;
use tower::balance::p2c::Balance;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PendingRequests};

use crate::case::{Run, repeat};

/// Responds with its own number.
struct Server(usize);

impl Service<()> for Server {
    type Response = usize;
    type Error = Infallible;
    type Future = Ready<Result<usize, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(self.0))
    }
}

pub fn balance(n: usize) -> Run {
    let server = |at| PendingRequests::new(Server(at), CompleteOnResponse::default());
    let servers: Vec<_> = (0..n).map(server).collect();
    let mut balance = Balance::new(ServiceList::new::<()>(servers));
    repeat(move || {
        let mut context = Context::from_waker(Waker::noop());
        let found = balance.poll_ready(&mut context);
        assert!(matches!(found, Poll::Ready(Ok(()))), "tower has no server");
        let mut answer = std::pin::pin!(balance.call(()));
        black_box(answer.as_mut().poll(&mut context).is_ready());
    })
}
