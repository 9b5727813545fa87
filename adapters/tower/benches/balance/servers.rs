//! Servers that take a certain time, a certain number of requests at a time.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) weight: usize,
}

impl Server {
    pub(crate) async fn start(weight: usize, takes: Duration, at_a_time: usize) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let places = Arc::new(Semaphore::new(at_a_time.min(Semaphore::MAX_PERMITS)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("a socket");
                let places = Arc::clone(&places);
                let service = service_fn(move |_| {
                    let places = Arc::clone(&places);
                    async move {
                        if !takes.is_zero() {
                            let _place = places.acquire().await;
                            tokio::time::sleep(takes).await;
                        }
                        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello"))))
                    }
                });
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        Server { address, weight }
    }
}
