//! A reverse proxy for one service: schedulers, retries, health checks, ejection, reload, metrics.
//!
//! ```sh
//! cargo run --release --example gateway -- --config gateway.toml --service web --listen 0.0.0.0:8080
//! ```

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::services::background::background_service;
use pingora_core::services::listening::Service;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{BError, Error, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_load_balancing::health_check::TcpHealthCheck;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};
use vsched::metrics::Options;
use vsched_pingora::{Attempts, Balancer, ConfigFile, ControlLoop, HealthChecks, Metrics};

const USAGE: &str = "usage: gateway --config FILE --service NAME --listen ADDRESS [--metrics ADDRESS] \
                     [--threads N]";
const NAMES: [&str; 5] = ["--config", "--service", "--listen", "--metrics", "--threads"];

struct Gateway {
    balancer: Balancer,
}

#[async_trait]
impl ProxyHttp for Gateway {
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
        e: BError,
    ) -> BError {
        self.balancer.fail_to_connect(session, peer, ctx, e)
    }

    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        e: BError,
        ctx: &mut Attempts,
        client_reused: bool,
    ) -> BError {
        self.balancer.error_while_proxy(peer, session, e, ctx, client_reused)
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        _ctx: &mut Attempts,
    ) -> Result<()> {
        if let Some(client) = session.client_addr().and_then(|address| address.as_inet()) {
            request.append_header("X-Forwarded-For", client.ip().to_string())?;
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Attempts,
    ) -> Result<()> {
        self.balancer.upstream_response_filter(session, response, ctx)
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Attempts) {
        self.balancer.logging(session, error, ctx);
    }
}

/// The command line: `--name value`, in any order.
fn arguments() -> std::result::Result<HashMap<String, String>, String> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let pair = |pair: &[String]| match pair {
        [name, value] if NAMES.contains(&name.as_str()) => Ok((name.clone(), value.clone())),
        words => Err(format!("unexpected: {}\n{USAGE}", words.join(" "))),
    };
    words.chunks(2).map(pair).collect()
}

fn main() {
    if let Err(error) = run() {
        eprintln!("gateway: {error}");
        std::process::exit(1);
    }
}

fn run() -> std::result::Result<(), Box<dyn std::error::Error>> {
    env_logger::Builder::new().filter_level(log::LevelFilter::Info).parse_default_env().init();
    let arguments = arguments()?;
    let value = |name| arguments.get(name).ok_or_else(|| format!("{name} is missing\n{USAGE}"));
    let threads = arguments.get("--threads").map_or(Ok(2), |threads| threads.parse())?;
    let conf = ServerConf { threads, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();

    let file = ConfigFile::new(value("--config")?);
    let director = file.start()?;
    let balancer = Balancer::new(director.handle(), value("--service")?)?
        .with_wait(Duration::from_secs(1))
        .with_peer(|_, address| {
            let mut peer = HttpPeer::new(address, false, String::new());
            peer.options.connection_timeout = Some(Duration::from_secs(2));
            peer.options.read_timeout = Some(Duration::from_secs(30));
            peer
        });
    let mut proxy = http_proxy_service(&server.configuration, Gateway { balancer });
    proxy.add_tcp(value("--listen")?);
    server.add_service(proxy);

    let mut check = TcpHealthCheck::new();
    (check.consecutive_failure, check.consecutive_success) = (3, 2);
    let checks = HealthChecks::new(check).with_interval(Duration::from_secs(2));
    let work = ControlLoop::new(director.clone()).with_health_checks(checks).with_config_file(file);
    server.add_service(background_service("vsched", work));

    if let Some(address) = arguments.get("--metrics") {
        let metrics = Metrics::new(director, Options::new().with_servers());
        let mut service = Service::new("metrics".to_owned(), metrics);
        service.add_tcp(address);
        server.add_service(service);
    }
    server.run_forever()
}
