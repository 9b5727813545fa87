//! The proxies that are compared: equal but for how they choose a server.

use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::server::Server;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{BError, Error as ProxyError, ErrorType, OkOrErr, Result};
use pingora_http::ResponseHeader;
use pingora_load_balancing::LoadBalancer;
use pingora_load_balancing::selection::RoundRobin;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};
use vsched::{Config, Director};
use vsched_pingora::{Attempts, Balancer};

type Start = fn(&mut Server, &[SocketAddr]) -> std::result::Result<SocketAddr, Box<dyn Error>>;

pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) start: Start,
}

pub(crate) const PROXIES: [Contestant; 3] = [
    Contestant { name: "pingora RoundRobin", start: start_round_robin },
    Contestant { name: "vsched rr", start: |server, servers| start_vsched(server, servers, "rr") },
    Contestant {
        name: "vsched wlc",
        start: |server, servers| start_vsched(server, servers, "wlc"),
    },
];

type Made<P> = std::result::Result<P, Box<dyn Error>>;

pub(crate) fn pingora(
    servers: &[SocketAddr],
) -> Made<impl ProxyHttp<CTX = ()> + Send + Sync + 'static> {
    Ok(Pingora { balancer: Arc::new(LoadBalancer::try_from_iter(servers)?) })
}

pub(crate) fn vsched(
    servers: &[SocketAddr],
    scheduler: &str,
) -> Made<impl ProxyHttp<CTX = Attempts> + Send + Sync + 'static> {
    let mut rules = format!("-A -t 10.0.0.1:80 -s {scheduler}\n");
    for server in servers {
        rules += &format!("-a -t 10.0.0.1:80 -r {server} -m\n");
    }
    let director = Director::new(&rules.parse::<Config>()?)?;
    Ok(Vsched { balancer: Balancer::new(director.handle(), "tcp 10.0.0.1:80")? })
}

fn start_round_robin(
    server: &mut Server,
    servers: &[SocketAddr],
) -> std::result::Result<SocketAddr, Box<dyn Error>> {
    listen(server, pingora(servers)?)
}

fn start_vsched(
    server: &mut Server,
    servers: &[SocketAddr],
    scheduler: &str,
) -> std::result::Result<SocketAddr, Box<dyn Error>> {
    listen(server, vsched(servers, scheduler)?)
}

fn listen<P>(server: &mut Server, proxy: P) -> std::result::Result<SocketAddr, Box<dyn Error>>
where
    P: ProxyHttp + Send + Sync + 'static,
    P::CTX: Send + Sync,
{
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut service = http_proxy_service(&server.configuration, proxy);
    service.add_tcp(&address.to_string());
    server.add_service(service);
    Ok(address)
}

/// As in pingora's own quick start.
struct Pingora {
    balancer: Arc<LoadBalancer<RoundRobin>>,
}

#[async_trait]
impl ProxyHttp for Pingora {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        let picked = self.balancer.select(b"", 256);
        let server = picked.or_err(ErrorType::HTTPStatus(503), "no server")?;
        let mut peer = Box::new(HttpPeer::new(server, false, String::new()));
        peer.options.connection_timeout = Some(Duration::from_secs(5));
        Ok(peer)
    }
}

struct Vsched {
    balancer: Balancer,
}

#[async_trait]
impl ProxyHttp for Vsched {
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
        self.balancer.error_while_proxy(peer, session, error, ctx, reused)
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Attempts,
    ) -> Result<()> {
        self.balancer.upstream_response_filter(session, response, ctx)
    }

    async fn logging(&self, session: &mut Session, error: Option<&ProxyError>, ctx: &mut Attempts) {
        self.balancer.logging(session, error, ctx);
    }
}
