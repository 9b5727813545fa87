//! A real pingora server in this process, and its clients.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use async_trait::async_trait;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server, ShutdownSignal, ShutdownSignalWatch};
use pingora_core::services::background::background_service;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{BError, Error, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use vsched::config::ServerHealth;
use vsched::{Config, Director};
use vsched_pingora::{Attempts, Balancer, ControlLoop};

use crate::backend::{Backend, length, unused_address};
use crate::eventually;

/// The service of all tests.
pub(crate) const SERVICE: &str = "tcp 10.9.9.9:80";

/// A config of one service with these options and servers: `-w 2`, for example.
pub(crate) fn rules(options: &str, servers: &[(&Backend, &str)]) -> String {
    let mut rules = format!("-A -t 10.9.9.9:80 {options}\n");
    for (backend, options) in servers {
        rules += &format!("-a -t 10.9.9.9:80 -r {} -m {options}\n", backend.address);
    }
    rules
}

pub(crate) fn director(rules: &str) -> Director {
    let config: Config = rules.parse().expect("rules");
    Director::new(&config).expect("a config")
}

/// What the proxy knew of a request at its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) made: usize,
    pub(crate) latency: Option<std::time::Duration>,
}

struct Proxy {
    balancer: Balancer,
    /// Whether it makes all five calls, or only the first and the last.
    reports: bool,
    records: Arc<Mutex<Vec<Record>>>,
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Attempts;

    fn new_ctx(&self) -> Attempts {
        Attempts::default()
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        ctx: &mut Attempts,
    ) -> Result<Box<HttpPeer>> {
        self.balancer.upstream_peer(session, ctx).await
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        peer: &HttpPeer,
        ctx: &mut Attempts,
        error: BError,
    ) -> BError {
        if !self.reports {
            return error;
        }
        self.balancer.fail_to_connect(session, peer, ctx, error)
    }

    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: BError,
        ctx: &mut Attempts,
        reused: bool,
    ) -> BError {
        if !self.reports {
            let mut error = error;
            error.set_retry(false);
            return error;
        }
        self.balancer.error_while_proxy(peer, session, error, ctx, reused)
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Attempts,
    ) -> Result<()> {
        if !self.reports {
            return Ok(());
        }
        self.balancer.upstream_response_filter(session, response, ctx)
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Attempts) {
        self.balancer.logging(session, error, ctx);
        let record = Record { address: ctx.address(), made: ctx.made(), latency: ctx.latency() };
        self.records.lock().expect("no panic").push(record);
    }
}

/// A proxy with two threads, in this process.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) director: Director,
    records: Arc<Mutex<Vec<Record>>>,
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl Gateway {
    pub(crate) async fn start(rules: &str) -> Self {
        Gateway::start_with(&director(rules), |balancer| balancer, None).await
    }

    pub(crate) async fn start_with(
        director: &Director,
        settings: impl FnOnce(Balancer) -> Balancer,
        control_loop: Option<ControlLoop>,
    ) -> Self {
        let balancer = Balancer::new(director.handle(), SERVICE).expect("a service");
        Gateway::start_at(unused_address(), director, settings(balancer), control_loop).await
    }

    /// A proxy that calls `upstream_peer` and `logging` only.
    pub(crate) async fn start_silent(rules: &str) -> Self {
        let director = director(rules);
        let balancer = Balancer::new(director.handle(), SERVICE).expect("a service");
        let proxy = Proxy { balancer, reports: false, records: Arc::default() };
        Gateway::run(unused_address(), &director, proxy, None).await
    }

    pub(crate) async fn start_at(
        address: SocketAddr,
        director: &Director,
        balancer: Balancer,
        control_loop: Option<ControlLoop>,
    ) -> Self {
        let proxy = Proxy { balancer, reports: true, records: Arc::default() };
        Gateway::run(address, director, proxy, control_loop).await
    }

    async fn run(
        address: SocketAddr,
        director: &Director,
        proxy: Proxy,
        control_loop: Option<ControlLoop>,
    ) -> Self {
        let conf = ServerConf {
            threads: 2,
            grace_period_seconds: Some(0),
            graceful_shutdown_timeout_seconds: Some(1),
            ..ServerConf::default()
        };
        let mut server = Server::new_with_opt_and_conf(None, conf);
        server.bootstrap();
        let records = Arc::clone(&proxy.records);
        let mut service = http_proxy_service(&server.configuration, proxy);
        service.add_tcp(&address.to_string());
        server.add_service(service);
        if let Some(control_loop) = control_loop {
            server.add_service(background_service("vsched", control_loop));
        }
        let stop = Arc::new(Notify::new());
        let signal = Box::new(Signal(Arc::clone(&stop)));
        let run = move || server.run(RunArgs { shutdown_signal: signal });
        let thread = Some(std::thread::spawn(run));
        let listens = || std::net::TcpStream::connect(address).is_ok();
        eventually("the gateway listens", listens).await;
        Gateway { address, director: director.clone(), records, stop, thread }
    }

    /// Ends the server without letting its requests finish.
    pub(crate) fn stop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server does not panic");
        }
    }

    pub(crate) async fn get(&self) -> Response {
        request(self.address, "GET", "").await
    }

    /// This many requests, one after another: how many each of these backends answered.
    pub(crate) async fn shares<const N: usize>(
        &self,
        requests: usize,
        backends: &[Backend; N],
    ) -> [usize; N] {
        let before = backends.each_ref().map(Backend::requests);
        for _ in 0..requests {
            let response = self.get().await;
            assert_eq!(response.status, 200, "{response:?}");
        }
        std::array::from_fn(|index| backends[index].requests() - before[index])
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.records.lock().expect("no panic").clone()
    }

    pub(crate) fn health(&self, backend: &Backend) -> ServerHealth {
        let service = self.director.service(SERVICE).expect("a service");
        let servers = self.director.servers(service).expect("it runs");
        let found = servers.into_iter().find(|(_, it)| it.server.address == backend.address);
        found.expect("the server runs").1.health
    }

    /// Waits until no connection is counted, and checks that each that was opened has reported an outcome.
    pub(crate) async fn assert_settled(&self) {
        let service = self.director.service(SERVICE).expect("a service");
        let servers = || self.director.servers(service).expect("it runs");
        let open =
            || servers().iter().map(|(_, it)| it.counts.active + it.counts.inactive).sum::<u32>();
        eventually("all connections are closed", || open() == 0).await;
        for (_, server) in servers() {
            let (health, opened) = (server.health, server.statistics.connections);
            let closed = health.done + health.failed + health.abandoned;
            assert_eq!(opened, closed, "opened and closed on {}", server.server.address);
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Signal(Arc<Notify>);

#[async_trait]
impl ShutdownSignalWatch for Signal {
    async fn recv(&self) -> ShutdownSignal {
        self.0.notified().await;
        ShutdownSignal::FastShutdown
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// One request on a connection of its own; `headers` end with `\r\n` each.
pub(crate) async fn request(to: SocketAddr, method: &str, headers: &str) -> Response {
    let mut stream = send(to, method, headers).await;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.expect("a response");
    let text = String::from_utf8(text).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("a head: {text:?}"));
    let status = head.get(9..12).and_then(|status| status.parse().ok()).expect("a status");
    assert_eq!(body.len(), length(head), "the whole body");
    Response { status, body: body.to_owned() }
}

/// Sends a request and returns the connection.
pub(crate) async fn send(to: SocketAddr, method: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.expect("the gateway listens");
    let request =
        format!("{method} / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.expect("a request");
    stream
}
