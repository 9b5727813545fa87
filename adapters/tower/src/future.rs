//! The path of a request.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower::{BoxError, Service};
use vsched::{Flow, Refused, Room, ServerId};

use crate::balance::Settings;
use crate::changes::{Changed, Changes};
use crate::classify::{Classify, Verdict};
use crate::endpoints::Endpoints;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::flow::FlowOf;
use crate::retry::{Replay, RetryBudget, Running};

pin_project! {
    /// Future of a [`Balance`](crate::Balance).
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<E, F, C, R, Request>
    where
        E: Endpoints,
        E::Service: Service<Request>,
    {
        run: Run<E, F, C, R, Request, <E::Service as Service<Request>>::Response>,
        #[pin]
        state: State<E::Service, <E::Service as Service<Request>>::Future>,
    }
}

/// What a request keeps from one attempt to the next.
struct Run<E, F, C, R, Request, Response> {
    settings: Arc<Settings<E, F, C, R>>,
    flow: Flow,
    /// What the next attempt sends; `None` if the request was sent and there is no copy.
    request: Option<Request>,
    /// Number of the attempt, from 1.
    attempt: usize,
    /// Servers that failed, and servers without an endpoint.
    tried: Vec<ServerId>,
    /// `tried` contains servers without an endpoint.
    lacks_endpoint: bool,
    /// What the failed attempt before returned: the answer if no other server is left. Its connection
    /// stays open until the next one is.
    failed: Option<(Result<Response, BoxError>, Exchange)>,
    running: Option<Running>,
}

pin_project! {
    /// ```text
    /// Pick ──► Ready ──► Answer ──► Finished
    ///  ▲ ▲       │          │
    ///  │ └───────┴── retry ─┘
    ///  └──► Room, Endpoint: wait, then pick again
    /// ```
    #[project = StateProjection]
    #[project_replace = StateReplaced]
    enum State<S, A> {
        Pick,
        Ready { service: S, exchange: Exchange },
        Answer { #[pin] answer: A, exchange: Exchange },
        Room { #[pin] room: Room },
        Endpoint { #[pin] changed: Changed },
        Finished,
    }
}

/// What follows a pick.
enum Next<S, Response> {
    Try(S, Exchange),
    Room(Room),
    Endpoint(Changed),
    /// No server is left: the answer of the last one that was tried.
    Answer(Result<Response, BoxError>, Exchange),
    Fail(Error),
}

impl<E, F, C, R, Request> ResponseFuture<E, F, C, R, Request>
where
    E: Endpoints,
    E::Service: Service<Request>,
    F: FlowOf<Request>,
{
    pub(crate) fn new(settings: Arc<Settings<E, F, C, R>>, request: Request) -> Self {
        settings.telemetry.request();
        let run = Run {
            flow: settings.policies.flow.flow(&request),
            running: settings.budget.as_ref().map(RetryBudget::enter),
            settings,
            request: Some(request),
            attempt: 1,
            tried: Vec::new(),
            lacks_endpoint: false,
            failed: None,
        };
        ResponseFuture { run, state: State::Pick }
    }
}

impl<E, F, C, R, Request, Response> Run<E, F, C, R, Request, Response>
where
    E: Endpoints,
{
    /// Picks a server that was not tried and that has an endpoint. At most one pick per server.
    fn pick(&mut self) -> Next<E::Service, Response> {
        let settings = &*self.settings;
        // Both versions are taken before the pick: what changes after it is not lost.
        let changes = settings.endpoints.changes().filter(|_| settings.waits_for_endpoints);
        let changes = changes.map(|changes| (changes.version(), changes.clone()));
        loop {
            let connection = match settings.connect(&self.flow, &self.tried) {
                Ok(connection) => connection,
                Err(refused) => return self.refused(refused, changes),
            };
            let Some(service) = settings.endpoints.service(&connection.pick()) else {
                // The connection closes without an outcome.
                self.tried.push(connection.server());
                self.lacks_endpoint = true;
                continue;
            };
            self.failed = None;
            let exchange = Exchange::new(connection, settings.telemetry.clone());
            return Next::Try(service, exchange);
        }
    }

    fn refused(
        &mut self,
        refused: Refused,
        changes: Option<(u64, Changes)>,
    ) -> Next<E::Service, Response> {
        if let Some((result, exchange)) = self.failed.take() {
            return Next::Answer(result, exchange);
        }
        let settings = &*self.settings;
        let needs_endpoint = self.lacks_endpoint || refused == Refused::NoServer;
        if let Some((version, changes)) = changes.filter(|_| needs_endpoint) {
            return Next::Endpoint(changes.after(version));
        }
        if settings.waits_for_room && refused == Refused::AllOverloaded {
            return Next::Room(settings.handle.room(settings.service.id()));
        }
        if self.lacks_endpoint && refused == Refused::AllTried {
            settings.telemetry.no_endpoint();
            return Next::Fail(Error::NoEndpoint);
        }
        settings.telemetry.refused(refused);
        Next::Fail(Error::Refused(refused))
    }

    /// The set of endpoints has changed: what had none may have one. Requests wait only before the first
    /// attempt has failed, so no other server was tried.
    fn forget_tried(&mut self) {
        self.tried.clear();
        self.lacks_endpoint = false;
    }

    /// The set of endpoints will not change any more.
    fn without_endpoint(&self) -> Error {
        let telemetry = &self.settings.telemetry;
        if self.lacks_endpoint {
            telemetry.no_endpoint();
            Error::NoEndpoint
        } else {
            telemetry.refused(Refused::NoServer);
            Error::Refused(Refused::NoServer)
        }
    }

    /// True if another server is to be tried after this one.
    fn tries_another(&mut self, verdict: Verdict) -> bool {
        verdict.retry
            && self.attempt < self.settings.attempts
            && self.request.is_some()
            && self.running.as_mut().is_none_or(Running::retry)
    }

    /// Keeps what a failed attempt returned, and counts the next attempt.
    fn next_attempt(&mut self, result: Result<Response, BoxError>, exchange: Exchange) {
        let server = exchange.server();
        self.attempt += 1;
        self.settings.telemetry.retry(server, self.attempt);
        self.tried.push(server);
        self.failed = Some((result, exchange));
    }
}

/// What the client gets.
fn finish<C, Response, Failure>(
    classify: &C,
    result: Result<Response, BoxError>,
    exchange: Exchange,
) -> Result<C::Response, Error>
where
    C: Classify<Response, Failure>,
{
    result.map_err(Error::Inner).map(|response| classify.attach(response, exchange))
}

impl<E, F, C, R, Request> Future for ResponseFuture<E, F, C, R, Request>
where
    E: Endpoints,
    E::Service: Service<Request>,
    <E::Service as Service<Request>>::Error: Into<BoxError>,
    C: Classify<
            <E::Service as Service<Request>>::Response,
            <E::Service as Service<Request>>::Error,
        >,
    R: Replay<Request>,
{
    type Output = Result<C::Response, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let run = this.run;
        loop {
            let result = match this.state.as_mut().project() {
                StateProjection::Pick => {
                    match run.pick() {
                        Next::Try(service, exchange) => {
                            this.state.set(State::Ready { service, exchange });
                        }
                        Next::Room(room) => this.state.set(State::Room { room }),
                        Next::Endpoint(changed) => this.state.set(State::Endpoint { changed }),
                        Next::Answer(result, exchange) => {
                            this.state.set(State::Finished);
                            return Poll::Ready(finish(
                                &run.settings.policies.classify,
                                result,
                                exchange,
                            ));
                        }
                        Next::Fail(error) => {
                            this.state.set(State::Finished);
                            return Poll::Ready(Err(error));
                        }
                    }
                    continue;
                }
                StateProjection::Room { room } => {
                    // An error is final, and the next pick returns it.
                    let _ = ready!(room.poll(cx));
                    this.state.set(State::Pick);
                    continue;
                }
                StateProjection::Endpoint { changed } => {
                    if let Err(error) = run.settings.endpoints.update() {
                        this.state.set(State::Finished);
                        return Poll::Ready(Err(Error::Endpoints(error)));
                    }
                    if ready!(changed.poll(cx)) {
                        run.forget_tried();
                        this.state.set(State::Pick);
                        continue;
                    }
                    this.state.set(State::Finished);
                    return Poll::Ready(Err(run.without_endpoint()));
                }
                StateProjection::Ready { service, .. } => match ready!(service.poll_ready(cx)) {
                    Ok(()) => {
                        let request = run.request.take().expect("each attempt has a request");
                        if run.attempt < run.settings.attempts {
                            run.request = run.settings.policies.replay.replay(&request);
                        }
                        let answer = service.call(request);
                        let state = this.state.as_mut().project_replace(State::Finished);
                        let StateReplaced::Ready { exchange, .. } = state else { unreachable!() };
                        this.state.set(State::Answer { answer, exchange });
                        continue;
                    }
                    Err(error) => Err(error),
                },
                StateProjection::Answer { answer, .. } => ready!(answer.poll(cx)),
                StateProjection::Finished => panic!("polled after completion"),
            };
            let mut exchange = match this.state.as_mut().project_replace(State::Pick) {
                StateReplaced::Ready { exchange, .. } | StateReplaced::Answer { exchange, .. } => {
                    exchange
                }
                _ => unreachable!("only an attempt has a result"),
            };
            let verdict = run.settings.policies.classify.verdict(result.as_ref());
            exchange.answered(verdict.outcome, run.settings.slow_after);
            let result = result.map_err(Into::into);
            run.settings.telemetry.judged(exchange.server(), verdict, result.as_ref().err());
            if !run.tries_another(verdict) {
                this.state.set(State::Finished);
                return Poll::Ready(finish(&run.settings.policies.classify, result, exchange));
            }
            run.next_attempt(result, exchange);
        }
    }
}
