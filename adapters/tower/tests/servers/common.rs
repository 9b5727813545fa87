//! Configs, clients, and what must hold after every test.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower::{Service, ServiceExt};
use vsched::config::ObservedServer;
use vsched::{Config, Director, ServerHealth, ServerId};
use vsched_tower::{BalanceLayer, BalancedBody, Error, HttpFlow, HttpStatus, OneClient};

pub(crate) const SERVICE: &str = "tcp 10.0.0.1:80";

pub(crate) type HttpClient = OneClient<Client<HttpConnector, Full<Bytes>>>;
pub(crate) type Answer = Response<BalancedBody<hyper::body::Incoming>>;

/// A bound that no test is meant to reach.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("within 20 seconds")
}

/// A service with these options, and servers with these addresses and options.
pub(crate) fn config(service: &str, servers: &[(SocketAddr, &str)]) -> Config {
    let mut rules = format!("-A -t 10.0.0.1:80 {service}\n");
    for (address, options) in servers {
        rules += &format!("-a -t 10.0.0.1:80 -r {address} -m {options}\n");
    }
    rules.parse().expect("valid rules")
}

pub(crate) fn client() -> HttpClient {
    OneClient::new(Client::builder(TokioExecutor::new()).build_http())
}

/// An HTTP balancer without retries.
pub(crate) fn layer(director: &Director) -> BalanceLayer<HttpFlow, HttpStatus> {
    let layer = BalanceLayer::new(director.handle(), SERVICE).expect("it runs");
    layer.flow(HttpFlow::new()).classify(HttpStatus::new())
}

pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).body(Full::default()).expect("a valid request")
}

/// Sends a request.
pub(crate) async fn send<S>(service: &S, request: Request<Full<Bytes>>) -> Result<Answer, Error>
where
    S: Service<Request<Full<Bytes>>, Response = Answer, Error = Error> + Clone,
{
    soon(service.clone().oneshot(request)).await
}

/// Sends a request, reads the whole answer and returns its status.
pub(crate) async fn fetch<S>(service: &S, request: Request<Full<Bytes>>) -> Result<u16, Error>
where
    S: Service<Request<Full<Bytes>>, Response = Answer, Error = Error> + Clone,
{
    let (head, body) = send(service, request).await?.into_parts();
    soon(body.collect()).await.expect("a complete body");
    Ok(head.status.as_u16())
}

pub(crate) fn servers(director: &Director) -> Vec<(ServerId, ObservedServer)> {
    director.service(SERVICE).ok().and_then(|id| director.servers(id)).expect("it runs")
}

/// Connections of the server with this address.
pub(crate) fn load(director: &Director, address: SocketAddr) -> u32 {
    let servers = servers(director);
    let found = servers.iter().find(|(_, it)| it.server.address == address);
    found.map_or(0, |(_, it)| it.counts.active + it.counts.inactive)
}

pub(crate) fn health(director: &Director, address: SocketAddr) -> ServerHealth {
    let servers = servers(director);
    servers.iter().find(|(_, it)| it.server.address == address).expect("it is there").1.health
}

/// No connection is open, and each that was opened has reported one outcome.
#[track_caller]
pub(crate) fn assert_closed(director: &Director) {
    for (_, server) in servers(director) {
        let (address, counts) = (server.server.address, server.counts);
        assert_eq!(counts.active + counts.inactive, 0, "{address} has open connections");
        let health = server.health;
        let closed = health.done + health.failed + health.abandoned;
        assert_eq!(server.statistics.connections, closed, "{address}: opened, closed");
    }
    assert_eq!(director.removed_with_connections(), []);
}
