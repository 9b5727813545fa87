//! The balancers, all over the same inner services.

use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower::balance::p2c;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PeakEwma, PendingRequests};
use tower::{BoxError, Service, ServiceExt};
use vsched::{Config, Director};
use vsched_tower::{BalanceLayer, Fixed, HttpFlow, HttpStatus, ToServer};

use crate::servers::Server;

pub(crate) type Body = Full<Bytes>;

/// Sends a request and reads the answer.
pub(crate) trait Sender: Send {
    fn send(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    /// Makes one client's access to the balancer.
    pub(crate) client: Box<dyn Fn() -> Box<dyn Sender>>,
}

/// Sends HTTP requests: an inner service, or a balancer.
pub(crate) trait Http:
    Service<
        Request<Body>,
        Response = Response<Self::Reply>,
        Error = Self::Failure,
        Future = Self::Answer,
    > + Send
    + 'static
{
    type Reply: hyper::body::Body<Data: Send, Error: Debug> + Send + 'static;
    type Failure: Into<BoxError> + Debug;
    type Answer: Future<Output = Result<Response<Self::Reply>, Self::Failure>> + Send;
}

impl<S, B> Http for S
where
    S: Service<Request<Body>, Response = Response<B>> + Send + 'static,
    S::Error: Into<BoxError> + Debug,
    S::Future: Send,
    B: hyper::body::Body<Data: Send, Error: Debug> + Send + 'static,
{
    type Reply = B;
    type Failure = S::Error;
    type Answer = S::Future;
}

/// tower's constants for unknown and old latencies, as linkerd sets them.
const DEFAULT_RTT: Duration = Duration::from_millis(30);
const DECAY: Duration = Duration::from_secs(10);

/// All of them over the same inner services, each with the address and the weight of its server. With
/// `slow_after` vsched takes part a second time.
pub(crate) fn all<S: Http + Clone + Sync>(
    services: &[(Server, S)],
    rules: &str,
    slow_after: Option<Duration>,
) -> Vec<Contestant> {
    let inner = || services.iter().map(|(_, service)| service.clone()).collect::<Vec<_>>();
    let measured: fn() -> CompleteOnResponse = CompleteOnResponse::default;
    let ewma = inner().into_iter();
    let ewma =
        ewma.map(move |it| PeakEwma::new(it, DEFAULT_RTT, DECAY.as_nanos() as f64, measured()));
    let pending = inner().into_iter().map(move |it| PendingRequests::new(it, measured()));
    let mut contestants = vec![vsched("vsched", services, rules, None)];
    if slow_after.is_some() {
        contestants.push(vsched("vsched, `slow_after`", services, rules, slow_after));
    }
    let ewma = p2c::Balance::new(ServiceList::new::<Request<Body>>(ewma));
    let pending = p2c::Balance::new(ServiceList::new::<Request<Body>>(pending));
    contestants.push(shared("tower p2c, `PeakEwma`", ewma));
    contestants.push(shared("tower p2c, `PendingRequests`", pending));
    contestants
}

/// An HTTP client of its own per server.
pub(crate) fn to(address: SocketAddr) -> ToServer<Client<HttpConnector, Body>> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    ToServer::new(Client::builder(TokioExecutor::new()).build(connector), address)
}

fn request() -> Request<Body> {
    Request::get("/").body(Body::default()).expect("a valid request")
}

fn vsched<S: Http + Clone + Sync>(
    name: &'static str,
    services: &[(Server, S)],
    rules: &str,
    slow_after: Option<Duration>,
) -> Contestant {
    let ejects = "--vsched-ejection failures=3,base-time=60";
    let mut text = format!("-A -t 10.0.0.1:80 {rules} {}\n", slow_after.map_or("", |_| ejects));
    for (Server { address, weight }, _) in services {
        text += &format!("-a -t 10.0.0.1:80 -r {address} -m -w {weight}\n");
    }
    let config: Config = text.parse().expect("valid rules");
    let director = Director::new(&config).expect("a valid config");
    let pairs = services.iter().map(|(server, service)| (server.address, service.clone()));
    let endpoints: Fixed<SocketAddr, S> = pairs.collect();
    let mut layer = BalanceLayer::new(director.handle(), "tcp 10.0.0.1:80").expect("it runs");
    if let Some(limit) = slow_after {
        layer = layer.slow_after(limit);
    }
    let balance = layer.flow(HttpFlow::new()).classify(HttpStatus::new()).balance(endpoints);
    Contestant { name, client: Box::new(move || Box::new(Cloned(balance.clone()))) }
}

/// A balancer that each client has a clone of.
struct Cloned<S>(S);

impl<S: Http> Sender for Cloned<S> {
    fn send(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            let ready = self.0.ready().await.expect("never fails");
            let response = ready.call(request()).await.expect("an answer");
            response.into_body().collect().await.expect("a body");
        })
    }
}

fn shared<S: Http>(name: &'static str, balance: S) -> Contestant {
    let balance = Arc::new(Mutex::new(balance));
    Contestant { name, client: Box::new(move || Box::new(Shared(Arc::clone(&balance)))) }
}

/// A balancer that the clients lock in turn. Its answers are awaited without the lock.
struct Shared<S>(Arc<Mutex<S>>);

impl<S: Http> Sender for Shared<S> {
    fn send(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            let answer = poll_fn(|cx| {
                let mut balance = self.0.lock().expect("no panic");
                ready!(balance.poll_ready(cx)).expect("never fails");
                Poll::Ready(balance.call(request()))
            });
            let response = answer.await.await.expect("an answer");
            response.into_body().collect().await.expect("a body");
        })
    }
}
