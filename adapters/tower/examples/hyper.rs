//! An HTTP reverse proxy.
//!
//! `cargo run --example hyper -- 127.0.0.1:8080 rules.txt`, where the first service of the rules is the one
//! that is served:
//!
//! ```text
//! -A -t 127.0.0.1:8080 -s wlc --vsched-ejection failures=5,base-time=30
//! -a -t 127.0.0.1:8080 -r 127.0.0.1:9001 -m -w 2
//! -a -t 127.0.0.1:8080 -r 127.0.0.1:9002 -m -x 100
//! ```
//!
//! SIGHUP reads the rules again. Idempotent requests without a body are tried on up to three servers; at
//! 503 and above the client learns why.

use std::error::Error;
use std::time::{Duration, Instant};

use http_body_util::{Either, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tower::{Service, ServiceExt};
use vsched::{ApplyPolicy, Config, Director};
use vsched_tower::{
    BalanceLayer, BalancedBody, ClientAddress, HttpFlow, HttpStatus, OneClient, idempotent_or_empty,
};

type ToServer = Either<Incoming, Empty<Bytes>>;
type ToClient = Either<BalancedBody<Incoming>, Full<Bytes>>;

/// Headers that belong to one connection, not to the request.
const HOP_BY_HOP: [header::HeaderName; 6] = [
    header::CONNECTION,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(listen), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err("usage: hyper ADDRESS RULES".into());
    };
    let director = Director::new(&read(&file)?)?;
    let key = director.config().services.first().ok_or("no service")?.key.to_string();

    let client = Client::builder(TokioExecutor::new()).build_http::<ToServer>();
    let balance = BalanceLayer::new(director.handle(), &key)?
        .flow(HttpFlow::new())
        .classify(HttpStatus::new())
        .retry(3, idempotent_or_empty(|| ToServer::Right(Empty::new())))
        .balance(OneClient::new(client));

    tokio::spawn(tick(director.clone()));
    tokio::spawn(reload(director, file));
    let listener = TcpListener::bind(listen).await?;
    println!("{key} on {}", listener.local_addr()?);
    loop {
        let (stream, client) = listener.accept().await?;
        let balance = balance.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ClientAddress(client));
            forward(balance.clone(), request)
        });
        let http = hyper::server::conn::http1::Builder::new();
        tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
    }
}

async fn forward<S>(
    balance: S,
    mut request: Request<Incoming>,
) -> Result<Response<ToClient>, std::convert::Infallible>
where
    S: Service<
            Request<ToServer>,
            Response = Response<BalancedBody<Incoming>>,
            Error = vsched_tower::Error,
        >,
{
    for name in HOP_BY_HOP {
        request.headers_mut().remove(name);
    }
    Ok(match balance.oneshot(request.map(Either::Left)).await {
        Ok(mut response) => {
            for name in HOP_BY_HOP {
                response.headers_mut().remove(name);
            }
            response.map(Either::Left)
        }
        Err(error) => {
            let mut response = Response::new(Either::Right(Full::from(format!("{error}\n"))));
            *response.status_mut() = match error {
                vsched_tower::Error::Refused(_) => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::BAD_GATEWAY,
            };
            response
        }
    })
}

fn read(file: &str) -> Result<Config, Box<dyn Error>> {
    Ok(std::fs::read_to_string(file)?.parse()?)
}

/// The director reads no clock: it is told the time, for ejections, slow start and latencies.
async fn tick(director: Director) {
    let start = Instant::now();
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    loop {
        seconds.tick().await;
        director.tick(start.elapsed());
    }
}

/// A file that is invalid, or that would remove too much, changes nothing.
async fn reload(director: Director, file: String) -> Result<(), std::io::Error> {
    let mut hangups = signal(SignalKind::hangup())?;
    while hangups.recv().await.is_some() {
        let applied = read(&file)
            .and_then(|config| Ok(director.apply_with(&config, &ApplyPolicy::default())?));
        match applied {
            Ok(applied) => println!("reloaded: {applied:?}"),
            Err(error) => eprintln!("not reloaded: {error}"),
        }
    }
    Ok(())
}
