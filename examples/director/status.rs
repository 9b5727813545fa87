//! The status page and what programs read: `/`, `/status.json`, `/history.json`, `/metrics` and
//! `/metrics/servers`, `/healthz`.
//!
//! A thread of its own serves it. It reads what the main thread published, so no worker waits for it.
//! Whoever reaches the address sees everything: there is no authentication.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vsched::Director;
use vsched::metrics::Options;

use crate::http::{self, Limits, Request, Response, Site};
use crate::tracker::Tracker;

/// Most readers at a time, and so file descriptors.
pub(crate) const MOST: usize = 32;
const LIMITS: Limits = Limits { connections: MOST, time: Duration::from_secs(10) };
/// A main thread that has not looked for this long has stopped.
const STALE: Duration = Duration::from_secs(10);
const PAGE: &str = include_str!("status.html");
const JSON: &str = "application/json";
/// Nothing is stored, and nothing is taken for something else than it says it is.
const HEADERS: &str = "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
                       Referrer-Policy: no-referrer\r\n";

/// Of all responses but the page.
const POLICY: &str = "Content-Security-Policy: default-src 'none'\r\n";

/// What the main thread writes and the status thread reads.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Tracker>>);

impl Shared {
    pub(crate) fn new() -> Self {
        Shared(Arc::new(Mutex::new(Tracker::new())))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Tracker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until the process ends. Returns the address, with the port that the system chose for port 0.
pub(crate) fn start(
    listener: TcpListener,
    shared: Shared,
    director: Director,
) -> io::Result<SocketAddr> {
    let address = listener.local_addr()?;
    let local = address.ip().is_loopback();
    let respond = move |request: &Request<'_>| {
        if local && !is_local(request.host) {
            return Response::text("403 Forbidden", "open it by its address\n");
        }
        let response = respond(request.path, &shared, &director);
        let headers = if response.headers.is_empty() { POLICY.into() } else { response.headers };
        Response { headers, ..response }
    };
    let site = Site { listener, headers: HEADERS, respond: Box::new(respond) };
    http::start("status", vec![site], LIMITS)?;
    Ok(address)
}

fn respond(path: &str, shared: &Shared, director: &Director) -> Response {
    match path {
        "/" => page(),
        "/status.json" => {
            // Copied, so that the lock is not held while the text is made.
            let snapshot = shared.lock().snapshot.clone();
            json(serde_json::to_vec(&snapshot))
        }
        "/history.json" => {
            let history = shared.lock().history();
            json(serde_json::to_vec(&history))
        }
        "/metrics" => metrics(director, Options::new()),
        "/metrics/servers" => metrics(director, Options::new().with_servers()),
        "/healthz" => health(&shared.lock()),
        _ => Response::text("404 Not Found", "not found\n"),
    }
}

fn metrics(director: &Director, options: Options) -> Response {
    let content_type = options.format.content_type();
    Response { content_type, ..Response::text("200 OK", director.metrics(&options)) }
}

fn json(text: serde_json::Result<Vec<u8>>) -> Response {
    match text {
        Ok(text) => {
            Response { content_type: JSON, body: text.into(), ..Response::text("200 OK", "") }
        }
        Err(error) => Response::text("500 Internal Server Error", format!("{error}\n")),
    }
}

fn health(tracker: &Tracker) -> Response {
    const UNAVAILABLE: &str = "503 Service Unavailable";
    match &tracker.snapshot {
        _ if tracker.looked.elapsed() > STALE => Response::text(UNAVAILABLE, "stuck\n"),
        snapshot if snapshot.stopping => Response::text(UNAVAILABLE, "stopping\n"),
        snapshot if snapshot.services.is_empty() => Response::text(UNAVAILABLE, "no service\n"),
        _ => Response::text("200 OK", "ok\n"),
    }
}

/// The page. Its style and script carry a number of this response alone: a browser runs no other.
fn page() -> Response {
    let random = RandomState::new();
    let nonce = format!("{:016x}{:016x}", random.hash_one(1), random.hash_one(2));
    let headers = format!(
        "Content-Security-Policy: default-src 'none'; style-src 'nonce-{nonce}'; \
         script-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'\r\n"
    );
    let page = PAGE.replace("{nonce}", &nonce);
    Response {
        content_type: "text/html; charset=utf-8",
        headers: headers.into(),
        ..Response::text("200 OK", page)
    }
}

/// Whether this `Host` names this machine. A page of another site could let its own name lead here, and
/// read everything: a browser sends that name.
fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.is_empty() || name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}
