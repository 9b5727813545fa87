//! The balancers, all over the same kind of inner service.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower::balance::p2c;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PeakEwma, PendingRequests};
use tower::{Service, ServiceExt};
use vsched::{Config, Director};
use vsched_tower::{BalanceLayer, Fixed, HttpFlow, HttpStatus, ToServer};

use crate::servers::Server;

type Body = Full<Bytes>;
type Inner = ToServer<Client<HttpConnector, Body>>;

/// Sends a request and reads the answer.
pub(crate) trait Sender: Send {
    fn send(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    /// Makes one client's access to the balancer.
    pub(crate) client: Box<dyn Fn() -> Box<dyn Sender>>,
}

/// tower's constants for unknown and old latencies, as linkerd sets them.
const DEFAULT_RTT: Duration = Duration::from_millis(30);
const DECAY: Duration = Duration::from_secs(10);

/// Above every answer of the fast servers, below the slow one's.
const SLOW: Duration = Duration::from_millis(20);

pub(crate) fn all(servers: &[Server], rules: &str) -> Vec<Contestant> {
    let inner = || servers.iter().map(|it| to(it.address)).collect::<Vec<_>>().into_iter();
    let ewma = inner().map(|inner| {
        PeakEwma::new(inner, DEFAULT_RTT, DECAY.as_nanos() as f64, CompleteOnResponse::default())
    });
    let pending = inner().map(|inner| PendingRequests::new(inner, CompleteOnResponse::default()));
    vec![
        contestant("vsched", vsched(servers, rules, None)),
        contestant("vsched, slow is failed", vsched(servers, rules, Some(SLOW))),
        contestant(
            "p2c, PeakEwma",
            shared(p2c::Balance::new(ServiceList::new::<Request<Body>>(ewma))),
        ),
        contestant(
            "p2c, PendingRequests",
            shared(p2c::Balance::new(ServiceList::new::<Request<Body>>(pending))),
        ),
    ]
}

fn contestant<S: Sender + Clone + 'static>(name: &'static str, send: S) -> Contestant {
    Contestant { name, client: Box::new(move || Box::new(send.clone())) }
}

fn to(address: SocketAddr) -> Inner {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    ToServer::new(Client::builder(TokioExecutor::new()).build(connector), address)
}

fn request() -> Request<Body> {
    Request::get("/").body(Body::default()).expect("a valid request")
}

/// A balancer that each client has a clone of.
#[derive(Clone)]
struct Cloned<S>(S);

fn vsched(
    servers: &[Server],
    rules: &str,
    slow_after: Option<Duration>,
) -> impl Sender + Clone + use<> {
    let ejection =
        if slow_after.is_some() { "--vsched-ejection failures=3,base-time=60" } else { "" };
    let mut text = format!("-A -t 10.0.0.1:80 {rules} {ejection}\n");
    for Server { address, weight } in servers {
        text += &format!("-a -t 10.0.0.1:80 -r {address} -m -w {weight}\n");
    }
    let config: Config = text.parse().expect("valid rules");
    let director = Director::new(&config).expect("a valid config");
    let endpoints: Fixed<_, _> =
        servers.iter().map(|server| (server.address, to(server.address))).collect();
    let mut layer = BalanceLayer::new(director.handle(), "tcp 10.0.0.1:80").expect("it runs");
    if let Some(limit) = slow_after {
        layer = layer.slow_after(limit);
    }
    Cloned(layer.flow(HttpFlow::new()).classify(HttpStatus::new()).balance(endpoints))
}

impl<S, B> Sender for Cloned<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Send,
    S::Error: std::fmt::Debug,
    S::Future: Send,
    B: hyper::body::Body + Send,
    B::Data: Send,
    B::Error: std::fmt::Debug,
{
    fn send(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            let ready = self.0.ready().await.expect("never fails");
            let response = ready.call(request()).await.expect("an answer");
            response.into_body().collect().await.expect("a body");
        })
    }
}

/// A balancer that the clients take turns to use. Its answers are awaited without the lock.
struct Shared<S>(Arc<Mutex<S>>);

impl<S> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Shared(Arc::clone(&self.0))
    }
}

fn shared<S>(balance: S) -> Shared<S> {
    Shared(Arc::new(Mutex::new(balance)))
}

impl<S> Sender for Shared<S>
where
    S: Service<Request<Body>, Response = Response<Incoming>> + Send,
    S::Error: std::fmt::Debug,
    S::Future: Send,
{
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
