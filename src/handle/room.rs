//! Waiting until an overloaded service has room again.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::arena::id::ServiceId;
use crate::concurrent::waiters::Ticket;
use crate::error::Refused;
use crate::handle::{Handle, Threads};

impl Handle {
    /// Waits until a server of the service takes connections again, after
    /// [`connect`](Self::connect) has said [`AllOverloaded`](Refused::AllOverloaded).
    ///
    /// Resolves at once if one does now. Tasks that wait are woken in the order in which they began, one
    /// after the other; but a connect that does not wait may come first, so connect in a loop:
    ///
    /// ```
    /// # use vsched::{Flow, Handle, OwnedConnection, Refused, ServiceId};
    /// async fn connect(
    ///     handle: &Handle,
    ///     service: ServiceId,
    ///     flow: &Flow,
    /// ) -> Result<OwnedConnection, Refused> {
    ///     loop {
    ///         match handle.connect(service, flow) {
    ///             Err(Refused::AllOverloaded) => handle.room(service).await?,
    ///             result => return result,
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// Needs no runtime, and no timer: the close that makes room wakes, and so do reloads and changes of
    /// state. While no task waits, that costs a close nothing but a test of a bit that it has at hand. Each
    /// poll that waits is O(servers), takes a short lock and may allocate. Dropping the future ends the
    /// wait; limit it by the runtime's own time-out.
    ///
    /// # Errors
    /// The future resolves to the reason if it is, or becomes, another one than `AllOverloaded`: waiting is
    /// then of no use.
    pub fn room(&self, service: ServiceId) -> Room {
        Room { threads: Arc::clone(self.threads()), service, ticket: None }
    }
}

/// The future that [`Handle::room`] returns.
#[must_use = "futures do nothing unless you await them"]
pub struct Room {
    threads: Arc<Threads>,
    service: ServiceId,
    ticket: Option<Ticket>,
}

impl Room {
    /// Whether waiting has ended; `None` if all servers are overloaded.
    fn look(&self) -> Option<Result<(), Refused>> {
        self.threads.act(|worker, _| worker.room(self.service))
    }

    /// Leaves the queue, which wakes the next.
    fn leave(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            if let Some(waiters) = self.threads.director.waiters(self.service) {
                waiters.leave(ticket);
            }
        }
    }
}

impl Future for Room {
    type Output = Result<(), Refused>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut end = self.look();
        if end.is_none() {
            let this = &mut *self;
            let waiters = this.threads.director.waiters(this.service);
            match waiters {
                Some(waiters) => waiters.enter(&mut this.ticket, context.waker()),
                // More services than fit: never, as this one runs.
                None => return Poll::Ready(Err(Refused::NoService)),
            }
            end = this.look();
        }
        match end {
            Some(end) => {
                self.leave();
                Poll::Ready(end)
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = self.ticket.is_some();
        f.debug_struct("Room").field("service", &self.service).field("waits", &waits).finish()
    }
}
