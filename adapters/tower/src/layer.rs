//! How a balancer is put together.

use std::time::Duration;

use tower::Layer;
use vsched::Handle;
use vsched::error::ServiceError;

use crate::balance::{Balance, Settings};
use crate::classify::ErrorsFail;
use crate::flow::SameFlow;
use crate::retry::{NoReplay, RetryBudget};
use crate::service_cell::ServiceCell;
use crate::telemetry::Telemetry;

/// Settings of a [`Balance`], and the [`Layer`] that makes one of a set of
/// [`Endpoints`](crate::Endpoints).
///
/// ```
/// use tower::Layer;
/// use vsched::{Director, Pick};
/// use vsched_tower::BalanceLayer;
/// let config = "-A -t 10.0.0.1:80 -s wlc\n-a -t 10.0.0.1:80 -r 10.0.1.1:80 -m".parse()?;
/// let director = Director::new(&config)?;
/// let layer = BalanceLayer::new(director.handle(), "tcp 10.0.0.1:80")?
///     .retry(3, |request: &String| Some(request.clone()))
///     .wait_for_room();
/// # #[derive(Clone)] struct Client;
/// # impl Client { fn to(_: std::net::SocketAddr) -> Self { Client } }
/// let balance = layer.layer(|pick: &Pick| Client::to(pick.address()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it makes a service"]
pub struct BalanceLayer<F = SameFlow, C = ErrorsFail, R = NoReplay> {
    options: Options,
    policies: Policies<F, C, R>,
}

/// What has no type of the host's.
#[derive(Debug, Clone)]
struct Options {
    handle: Handle,
    key: String,
    attempts: usize,
    budget: Option<RetryBudget>,
    slow_after: Option<Duration>,
    waits_for_room: bool,
    waits_for_endpoints: bool,
}

/// The host's part of the decisions.
#[derive(Debug, Clone)]
pub(crate) struct Policies<F, C, R> {
    pub(crate) flow: F,
    pub(crate) classify: C,
    pub(crate) replay: R,
}

impl BalanceLayer {
    /// Returns the settings for a service of the director, given by its key, such as `tcp 10.0.0.1:80`, or
    /// by its name: one flow for all requests, errors count as failures, no request is sent twice.
    ///
    /// # Errors
    /// The director has no such service.
    pub fn new(handle: Handle, service: &str) -> Result<Self, ServiceError> {
        handle.director().service(service)?;
        let options = Options {
            handle,
            key: service.to_owned(),
            attempts: 1,
            budget: None,
            slow_after: None,
            waits_for_room: false,
            waits_for_endpoints: false,
        };
        let (flow, classify, replay) = (SameFlow::default(), ErrorsFail, NoReplay);
        Ok(BalanceLayer { options, policies: Policies { flow, classify, replay } })
    }
}

impl<F, C, R> BalanceLayer<F, C, R> {
    /// Describes requests to the scheduler: a [`FlowOf`](crate::FlowOf), such as a closure.
    pub fn flow<G>(self, flow: G) -> BalanceLayer<G, C, R> {
        let Policies { classify, replay, .. } = self.policies;
        BalanceLayer { options: self.options, policies: Policies { flow, classify, replay } }
    }

    /// Judges responses: a [`Classify`](crate::Classify), such as a closure.
    pub fn classify<D>(self, classify: D) -> BalanceLayer<F, D, R> {
        let Policies { flow, replay, .. } = self.policies;
        BalanceLayer { options: self.options, policies: Policies { flow, classify, replay } }
    }

    /// Tries up to `attempts` servers per request, each once: after the first only for requests that
    /// `replay`, a [`Replay`](crate::Replay) such as a closure, copies. A client gets the last answer.
    /// 0 counts as 1.
    pub fn retry<Q>(mut self, attempts: usize, replay: Q) -> BalanceLayer<F, C, Q> {
        self.options.attempts = attempts.max(1);
        let Policies { flow, classify, .. } = self.policies;
        BalanceLayer { options: self.options, policies: Policies { flow, classify, replay } }
    }

    /// Limits the retries that run at the same time. Without a budget only the number of attempts per
    /// request limits them.
    pub fn retry_budget(mut self, budget: RetryBudget) -> Self {
        self.options.budget = Some(budget);
        self
    }

    /// Reports answers whose head takes longer than this, from the pick on, as failures. The client gets
    /// them all the same, and no other server is tried. With ejection in the config, a server that has
    /// become slow then gets no requests for a while: no scheduler of least connections can see that a
    /// server answers few requests slowly. Without it the time does not matter.
    pub fn slow_after(mut self, limit: Duration) -> Self {
        self.options.slow_after = Some(limit);
        self
    }

    /// Makes requests wait while all servers are overloaded. Without it they get
    /// [`AllOverloaded`](vsched::Refused::AllOverloaded). The wait has no limit: put a timeout around the
    /// balancer, and a limit of concurrency if the number of waiting requests needs one. Requests that
    /// arrive while others wait may get the room first.
    pub fn wait_for_room(mut self) -> Self {
        self.options.waits_for_room = true;
        self
    }

    /// Makes requests wait while the set of endpoints lacks the endpoint of every server that may serve
    /// them, or while the service has no server, until the set changes. Without it they get
    /// [`NoEndpoint`](crate::Error::NoEndpoint) or [`NoServer`](vsched::Refused::NoServer). The wait has
    /// no limit; a set that never changes is not waited for.
    pub fn wait_for_endpoints(mut self) -> Self {
        self.options.waits_for_endpoints = true;
        self
    }

    /// Returns the balancer over these endpoints. Clones of it share everything; balancers of one
    /// director share its connection counts, rotations and states.
    pub fn balance<E>(self, endpoints: E) -> Balance<E, F, C, R> {
        let BalanceLayer { options, policies } = self;
        let Options { handle, key, attempts, budget, .. } = options;
        let Options { slow_after, waits_for_room, waits_for_endpoints, .. } = options;
        let telemetry = Telemetry::new(&key);
        Balance::from_settings(Settings {
            service: ServiceCell::new(&handle, key),
            handle,
            endpoints,
            policies,
            attempts,
            budget,
            slow_after,
            waits_for_room,
            waits_for_endpoints,
            telemetry,
        })
    }
}

impl<E, F, C, R> Layer<E> for BalanceLayer<F, C, R>
where
    F: Clone,
    C: Clone,
    R: Clone,
{
    type Service = Balance<E, F, C, R>;

    fn layer(&self, endpoints: E) -> Self::Service {
        self.clone().balance(endpoints)
    }
}
