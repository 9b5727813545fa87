use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::mpsc;
use tower::ServiceExt;
use tower::discover::Change;
use vsched::config::RealServer;
use vsched::{Director, Refused};
use vsched_tower::{Discovered, Error, Fixed, PerServer, ToServer, UserData};

use crate::backend::Backend;
use crate::common::{assert_closed, client, config, fetch, get, layer, load, send, servers, soon};

type Http = ToServer<Client<HttpConnector, Full<Bytes>>>;
type Item = Result<Change<SocketAddr, Http>, std::io::Error>;

/// A `Discover` that a test feeds.
struct Feed(mpsc::UnboundedReceiver<Item>);

impl futures_core::Stream for Feed {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        self.0.poll_recv(cx)
    }
}

fn feed() -> (mpsc::UnboundedSender<Item>, Discovered<Feed>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, Discovered::new(Feed(receiver)))
}

fn to(address: SocketAddr) -> Http {
    let client = Client::builder(TokioExecutor::new()).build_http();
    ToServer::new(client, address)
}

fn insert(backend: &Backend) -> Item {
    Ok(Change::Insert(backend.address, to(backend.address)))
}

#[tokio::test]
async fn a_server_without_an_endpoint_is_passed_over() {
    let backends = Backend::several(3).await;
    let servers: Vec<_> = backends.iter().map(|it| (it.address, "")).collect();
    let director = Director::new(&config("-s rr", &servers)).expect("a valid config");
    let (sender, endpoints) = feed();
    let balance = layer(&director).balance(endpoints);
    let hits = || backends.iter().map(Backend::hits).collect::<Vec<_>>();

    let error = fetch(&balance, get("/")).await.expect_err("no endpoint");
    assert!(matches!(error, Error::NoEndpoint), "{error:?}");
    sender.send(insert(&backends[1])).expect("it is read");
    for _ in 0..6 {
        fetch(&balance, get("/")).await.expect("an answer");
    }
    assert_eq!(hits(), [0, 6, 0]);
    sender.send(insert(&backends[0])).expect("it is read");
    sender.send(insert(&backends[2])).expect("it is read");
    for _ in 0..6 {
        fetch(&balance, get("/")).await.expect("an answer");
    }
    assert_eq!(hits(), [2, 8, 2]);
    sender.send(Ok(Change::Remove(backends[1].address))).expect("it is read");
    for _ in 0..6 {
        fetch(&balance, get("/")).await.expect("an answer");
    }
    assert_eq!(hits()[1], 8);
    assert!(backends.iter().all(|it| load(&director, it.address) == 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_wait_for_an_endpoint() {
    let backend = Backend::start().await;
    let director = Director::new(&config("-s rr", &[(backend.address, "")])).expect("valid");
    let (sender, endpoints) = feed();
    let balance = layer(&director).wait_for_endpoints().balance(endpoints);
    let spawn = || {
        let balance = balance.clone();
        tokio::spawn(async move { fetch(&balance, get("/")).await })
    };
    let tasks: Vec<_> = (0..10).map(|_| spawn()).collect();
    for (n, task) in tasks.into_iter().enumerate() {
        // Those that do not wait any more, and one request whose poll reads the change for the others.
        match n {
            0 => task.abort(),
            1 => sender.send(insert(&backend)).expect("it is read"),
            _ => {}
        }
        match soon(task).await {
            Ok(answer) => assert_eq!(answer.expect("an answer"), 200),
            Err(aborted) => assert!(n == 0 && aborted.is_cancelled()),
        }
    }
    // The stream's end ends the wait.
    sender.send(Ok(Change::Remove(backend.address))).expect("it is read");
    let tasks: Vec<_> = (0..4).map(|_| spawn()).collect();
    drop(sender);
    for task in tasks {
        let error = soon(task).await.expect("no panic").expect_err("no endpoint");
        assert!(matches!(error, Error::NoEndpoint), "{error:?}");
    }
    assert_eq!(backend.hits(), 9);
}

#[tokio::test]
async fn discovery_edits_the_config() {
    let backends = Backend::several(3).await;
    let director = Director::new(&config("-s wrr", &[])).expect("a valid config");
    let (sender, endpoints) = feed();
    let heavy = backends[0].address;
    let service = "tcp 10.0.0.1:80".parse().expect("a key");
    let endpoints = endpoints.editing(&director, service, move |address, _| {
        RealServer::new(*address).with_weight(if *address == heavy { 2 } else { 1 })
    });
    let balance = layer(&director).balance(endpoints);
    let error = fetch(&balance, get("/")).await.expect_err("no server");
    assert_eq!(error.refused(), Some(Refused::NoServer));
    for backend in &backends {
        sender.send(insert(backend)).expect("it is read");
    }
    for _ in 0..8 {
        fetch(&balance, get("/")).await.expect("an answer");
    }
    let hits = || backends.iter().map(Backend::hits).collect::<Vec<_>>();
    assert_eq!(hits(), [4, 2, 2]);

    // Inserted again: an edit. Removed while it has a request: that counts until it ends.
    sender.send(insert(&backends[1])).expect("it is read");
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(send(&balance, get("/")).await.expect("an answer"));
    }
    assert_eq!(servers(&director).len(), 3);
    sender.send(Ok(Change::Remove(heavy))).expect("it is read");
    for _ in 0..4 {
        fetch(&balance, get("/")).await.expect("an answer");
    }
    assert_eq!(hits(), [6, 5, 5]);
    assert_eq!(servers(&director).len(), 2);
    assert_eq!(director.removed_with_connections().len(), 1);
    drop(open);
    assert_closed(&director);
}

#[tokio::test]
async fn an_error_of_discovery_is_returned_once() {
    let backend = Backend::start().await;
    let director = Director::new(&config("-s rr", &[(backend.address, "")])).expect("valid");
    let (sender, endpoints) = feed();
    let mut balance = layer(&director).balance(endpoints);
    sender.send(Err(std::io::Error::other("no name server"))).expect("it is read");
    sender.send(insert(&backend)).expect("it is read");
    let ready = ServiceExt::<http::Request<Full<Bytes>>>::ready(&mut balance).await;
    let error = ready.map(|_| ()).expect_err("the stream's");
    assert!(matches!(&error, Error::Endpoints(source) if source.to_string() == "no name server"));
    assert_eq!(fetch(&balance, get("/")).await.expect("an answer"), 200);
    assert_closed(&director);
}

/// A fixed map by the host's own numbers, and a closure.
#[tokio::test]
async fn endpoints_of_all_sorts() {
    let backends = Backend::several(2).await;
    let servers = [
        (backends[0].address, "--vsched-user-data 7"),
        (backends[1].address, "--vsched-user-data 8"),
    ];
    let director = Director::new(&config("-s rr", &servers)).expect("a valid config");
    let pairs = backends.iter().zip([7, 8]).map(|(it, number)| (UserData(number), to(it.address)));
    let fixed = layer(&director).balance(pairs.collect::<Fixed<_, _>>());
    let closure = layer(&director).balance(|pick: &vsched::Pick| to(pick.address()));
    for _ in 0..2 {
        fetch(&fixed, get("/")).await.expect("an answer");
        fetch(&closure, get("/")).await.expect("an answer");
        fetch(&layer(&director).balance(client()), get("/")).await.expect("an answer");
    }
    assert_eq!([backends[0].hits(), backends[1].hits()], [3, 3]);
    assert_closed(&director);
}

/// One service per server, made once; those of removed servers do not pile up.
#[tokio::test]
async fn services_are_made_once_per_server() {
    let backend = Backend::start().await;
    let (address, made) = (backend.address, Arc::new(AtomicUsize::new(0)));
    let only = |n: u8| config("-s rr", &[(([10, 0, 1, n], 80).into(), "")]);
    let director = Director::new(&only(0)).expect("a valid config");
    let count = Arc::clone(&made);
    let endpoints = PerServer::new(&director, move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        to(address)
    });
    let balance = layer(&director).balance(endpoints);
    for n in 0..100 {
        director.apply(&only(n)).expect("a valid config");
        director.tick(Duration::from_secs(n.into()));
        for _ in 0..2 {
            fetch(&balance, get("/")).await.expect("an answer");
        }
    }
    assert_eq!(made.load(Ordering::SeqCst), 100);
    let kept = format!("{:?}", balance.endpoints());
    let mut numbers = kept.split(|it: char| !it.is_ascii_digit()).filter_map(|it| it.parse().ok());
    let kept: usize = numbers.next().expect("a number");
    assert!((1..=20).contains(&kept), "{kept}");
    assert_closed(&director);
}
