//! The service.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tower::{BoxError, Service};
use vsched::{Flow, Handle, OwnedConnection, Refused, ServerId};

use crate::classify::Classify;
use crate::endpoints::Endpoints;
use crate::error::Error;
use crate::flow::FlowOf;
use crate::future::ResponseFuture;
use crate::layer::Policies;
use crate::retry::{Replay, RetryBudget};
use crate::service_cell::ServiceCell;
use crate::telemetry::Telemetry;

/// A [`Service`] that sends each request to a server that a vsched director picks.
///
/// `call` picks a server, opens a connection in the director's counts, waits until the inner service of
/// that server is ready, and calls it. The connection stays open until the response's body ends, or is
/// dropped. So a decision counts every request that runs, and a request that waits for a slow server's
/// readiness counts as that server's load.
///
/// `poll_ready` is always ready, so a [`Balance`] needs no `Buffer`: clone it. An inner service that is not
/// ready is no reason to fail, and no reason to try another server; put a timeout into the inner service if
/// it may never become ready. Backpressure is the thresholds of the config: see
/// [`wait_for_room`](crate::BalanceLayer::wait_for_room).
///
/// Made by [`BalanceLayer`](crate::BalanceLayer). `Send` and `Sync` if the endpoints and their services
/// are.
pub struct Balance<E, F, C, R> {
    settings: Arc<Settings<E, F, C, R>>,
}

/// What the clones and the running requests of a balancer share.
pub(crate) struct Settings<E, F, C, R> {
    pub(crate) handle: Handle,
    pub(crate) service: ServiceCell,
    pub(crate) endpoints: E,
    pub(crate) policies: Policies<F, C, R>,
    /// Most servers that are tried per request.
    pub(crate) attempts: usize,
    pub(crate) budget: Option<RetryBudget>,
    /// Slower answers are failures.
    pub(crate) slow_after: Option<Duration>,
    pub(crate) waits_for_room: bool,
    pub(crate) waits_for_endpoints: bool,
    pub(crate) telemetry: Telemetry,
}

impl<E, F, C, R> Settings<E, F, C, R> {
    /// Opens a connection to a server that was not tried.
    pub(crate) fn connect(
        &self,
        flow: &Flow,
        tried: &[ServerId],
    ) -> Result<OwnedConnection, Refused> {
        match self.handle.connect_excluding(self.service.id(), flow, tried) {
            Err(Refused::NoService) => {
                // Deleted and added again, perhaps.
                let service = self.service.look_up(&self.handle).ok_or(Refused::NoService)?;
                self.handle.connect_excluding(service, flow, tried)
            }
            connected => connected,
        }
    }
}

impl<E, F, C, R> Balance<E, F, C, R> {
    pub(crate) fn from_settings(settings: Settings<E, F, C, R>) -> Self {
        Balance { settings: Arc::new(settings) }
    }

    /// Returns the handle, with the director.
    pub fn handle(&self) -> &Handle {
        &self.settings.handle
    }

    /// Returns the endpoints.
    pub fn endpoints(&self) -> &E {
        &self.settings.endpoints
    }
}

impl<E, F, C, R, Request> Service<Request> for Balance<E, F, C, R>
where
    E: Endpoints,
    E::Service: Service<Request>,
    <E::Service as Service<Request>>::Error: Into<BoxError>,
    F: FlowOf<Request>,
    C: Classify<
            <E::Service as Service<Request>>::Response,
            <E::Service as Service<Request>>::Error,
        >,
    R: Replay<Request>,
{
    type Response = C::Response;
    type Error = Error;
    type Future = ResponseFuture<E, F, C, R, Request>;

    /// Takes in the changes of the endpoints that are ready. Never pending.
    ///
    /// # Errors
    /// [`Error::Endpoints`] if that fails. The balancer can still be used.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(self.settings.endpoints.update().map_err(Error::Endpoints))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        ResponseFuture::new(Arc::clone(&self.settings), request)
    }
}

impl<E, F, C, R> Clone for Balance<E, F, C, R> {
    fn clone(&self) -> Self {
        Balance { settings: Arc::clone(&self.settings) }
    }
}

impl<E, F, C, R> fmt::Debug for Balance<E, F, C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { service, attempts, budget, .. } = &*self.settings;
        f.debug_struct("Balance")
            .field("service", service)
            .field("attempts", attempts)
            .field("budget", budget)
            .finish_non_exhaustive()
    }
}
