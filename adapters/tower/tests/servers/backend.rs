//! A server whose answers a test decides.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A running server. It ends when it is dropped.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    pub(crate) control: Arc<Control>,
    accept: JoinHandle<()>,
}

pub(crate) struct Control {
    pub(crate) status: AtomicU16,
    /// Answers wait for a permit each.
    pub(crate) holds: AtomicBool,
    pub(crate) permits: Semaphore,
    /// Requests so far.
    pub(crate) hits: watch::Sender<usize>,
    running: AtomicUsize,
    /// The most that ran at a time.
    pub(crate) most: AtomicUsize,
}

impl Backend {
    /// Starts an HTTP/1 server.
    pub(crate) async fn start() -> Self {
        let control = Arc::new(Control {
            status: AtomicU16::new(200),
            holds: AtomicBool::new(false),
            permits: Semaphore::new(0),
            hits: watch::Sender::new(0),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let accept = tokio::spawn(accept(listener, Arc::clone(&control)));
        Backend { address, control, accept }
    }

    /// As many as that.
    pub(crate) async fn several(count: usize) -> Vec<Self> {
        let mut backends = Vec::new();
        for _ in 0..count {
            backends.push(Backend::start().await);
        }
        backends
    }

    pub(crate) fn hits(&self) -> usize {
        *self.control.hits.borrow()
    }

    pub(crate) fn answer(&self, status: u16) {
        self.control.status.store(status, Ordering::SeqCst);
    }

    pub(crate) fn hold(&self) {
        self.control.holds.store(true, Ordering::SeqCst);
    }

    pub(crate) fn release(&self) {
        self.control.holds.store(false, Ordering::SeqCst);
        self.control.permits.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    /// Waits until it has had this many requests.
    pub(crate) async fn reached(&self, hits: usize) {
        let mut seen = self.control.hits.subscribe();
        super::common::soon(seen.wait_for(|known| *known >= hits)).await.expect("it runs");
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn accept(listener: TcpListener, control: Arc<Control>) {
    while let Ok((stream, _)) = listener.accept().await {
        let control = Arc::clone(&control);
        let service = service_fn(move |request| respond(request, Arc::clone(&control)));
        let http = hyper::server::conn::http1::Builder::new();
        tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
    }
}

/// Counts a running request.
struct Running(Arc<Control>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn respond(
    request: Request<Incoming>,
    control: Arc<Control>,
) -> Result<Response<Body>, Infallible> {
    let running = control.running.fetch_add(1, Ordering::SeqCst) + 1;
    let counted = Running(Arc::clone(&control));
    control.most.fetch_max(running, Ordering::SeqCst);
    control.hits.send_modify(|hits| *hits += 1);
    if control.holds.load(Ordering::SeqCst) {
        control.permits.acquire().await.expect("never closed").forget();
    }
    let status = control.status.load(Ordering::SeqCst);
    let body = match request.uri().path() {
        // Its first chunk is sent, and then nothing.
        "/endless" => chunk_and(async move {
            pending::<()>().await;
            drop(counted);
        }),
        // Its first chunk is sent, and with a permit it breaks off.
        "/broken" => chunk_and(async move {
            control.permits.acquire().await.expect("never closed").forget();
            drop(counted);
        }),
        _ => full("hello"),
    };
    Ok(Response::builder().status(status).body(body).expect("a valid response"))
}

pub(crate) fn full(data: &'static str) -> Body {
    Full::new(Bytes::from_static(data.as_bytes())).map_err(|never| match never {}).boxed_unsync()
}

fn chunk_and(then: impl Future<Output = ()> + Send + 'static) -> Body {
    StreamBody::new(Breaking { first: Some("first"), then: Box::pin(then) }).boxed_unsync()
}

/// A chunk, and an error when the future ends.
struct Breaking {
    first: Option<&'static str>,
    then: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl futures_core::Stream for Breaking {
    type Item = io::Result<Frame<Bytes>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.first.take() {
            Some(chunk) => Poll::Ready(Some(Ok(Frame::data(chunk.into())))),
            None => self.then.as_mut().poll(cx).map(|()| Some(Err(io::Error::other("broken")))),
        }
    }
}

/// Starts an HTTP/2 server that answers each request with what `answer` returns.
pub(crate) async fn start_http2(
    answer: impl Fn(&str) -> Response<Body> + Clone + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let accept = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let response = answer(request.uri().path());
                async move { Ok::<_, Infallible>(response) }
            });
            let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, accept)
}
