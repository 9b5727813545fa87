//! Balancers over inner services of any protocol, without a network and without features.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use tower::{BoxError, Service, ServiceExt};
use vsched::{Config, Director, Flow, Pick, Refused};
use vsched_tower::{BalanceLayer, Changes, Endpoints, Error, Exchange, Verdict};

const SERVICE: &str = "tcp 10.0.0.1:80";

fn director(service: &str, servers: &[&str]) -> Director {
    let add = |(n, options): (usize, &&str)| {
        format!("-a -t 10.0.0.1:80 -r 10.0.1.{}:80 -m {options}\n", n + 1)
    };
    let servers: String = servers.iter().enumerate().map(add).collect();
    let config: Config = format!("-A -t 10.0.0.1:80 {service}\n{servers}").parse().expect("valid");
    Director::new(&config).expect("a valid config")
}

fn layer(director: &Director) -> BalanceLayer {
    BalanceLayer::new(director.handle(), SERVICE).expect("it runs")
}

/// Connections, done, failed, abandoned of the nth server.
fn counts(director: &Director, n: usize) -> [u64; 4] {
    let service = director.service(SERVICE).expect("it runs");
    let address: SocketAddr = format!("10.0.1.{n}:80").parse().expect("an address");
    let servers = director.servers(service).expect("it runs");
    let (_, server) = servers.iter().find(|(_, it)| it.server.address == address).expect("added");
    let (open, health) = (server.counts.active + server.counts.inactive, server.health);
    [open.into(), health.done, health.failed, health.abandoned]
}

/// Answers with the server's number, or fails.
#[derive(Clone)]
struct Server {
    number: u8,
    /// Its `poll_ready`.
    readiness: Arc<dyn Fn(u8) -> Poll<Result<(), BoxError>> + Send + Sync>,
    fails: bool,
}

impl Service<String> for Server {
    type Response = (u8, String);
    type Error = BoxError;
    type Future = Ready<Result<(u8, String), BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        (self.readiness)(self.number)
    }

    fn call(&mut self, request: String) -> Self::Future {
        let answer = (self.number, request);
        ready(if self.fails { Err("it fails".into()) } else { Ok(answer) })
    }
}

fn number(pick: &Pick) -> u8 {
    match pick.address() {
        SocketAddr::V4(address) => address.ip().octets()[3],
        SocketAddr::V6(_) => 0,
    }
}

/// Servers with this `poll_ready`, of which one fails.
fn endpoints(
    readiness: impl Fn(u8) -> Poll<Result<(), BoxError>> + Send + Sync + 'static,
    fails: u8,
) -> impl Fn(&Pick) -> Server {
    let readiness = Arc::new(readiness);
    move |pick| {
        let (number, readiness) = (number(pick), Arc::clone(&readiness));
        Server { number, readiness, fails: number == fails }
    }
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A request waits for the server that was picked, although the other one is ready, and counts there.
#[test]
fn a_pick_is_made_before_the_wait_for_readiness() {
    let director = director("-s lc", &["", ""]);
    let is_ready = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&is_ready);
    let readiness = move |number| {
        if number == 1 || seen.load(Ordering::SeqCst) == 1 {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    };
    let mut balance = layer(&director).balance(endpoints(readiness, 0));
    let mut answers = Vec::new();
    let mut waiting = Vec::new();
    for n in 0..4 {
        assert!(balance.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready());
        let mut future = Box::pin(balance.call(n.to_string()));
        match poll(&mut future) {
            Poll::Ready(answer) => answers.push(answer.expect("an answer").0),
            Poll::Pending => waiting.push(future),
        }
    }
    // The first waits, for the head of the list; the other server is less loaded from then on.
    assert_eq!((answers, waiting.len()), (vec![1, 1, 1], 1));
    assert_eq!(counts(&director, 2), [1, 0, 0, 0]);
    is_ready.store(1, Ordering::SeqCst);
    let answer = poll(&mut waiting[0]);
    assert!(matches!(answer, Poll::Ready(Ok((2, _)))), "{answer:?}");
    assert_eq!(counts(&director, 2), [0, 1, 0, 0]);
    assert_eq!(counts(&director, 1), [0, 3, 0, 0]);
}

/// Its request was not sent, so it need not be copied.
#[tokio::test]
async fn a_service_that_fails_to_become_ready_is_replaced() {
    let director = director("-s rr", &["", "", ""]);
    let readiness =
        |number| Poll::Ready(if number == 2 { Ok(()) } else { Err("no connection".into()) });
    let balance = || layer(&director).retry(3, |_: &String| None);
    for _ in 0..6 {
        let balance = balance().balance(endpoints(readiness, 0));
        assert_eq!(balance.oneshot("x".into()).await.expect("an answer"), (2, "x".into()));
    }
    // Without a second attempt.
    let failed = counts(&director, 1)[2] + counts(&director, 3)[2];
    assert!(failed > 0);
    let mut errors = 0;
    for _ in 0..3 {
        let balance = layer(&director).balance(endpoints(readiness, 0));
        errors += u64::from(balance.oneshot("x".into()).await.is_err());
    }
    assert_eq!(errors, 2);
    assert_eq!(counts(&director, 1)[2] + counts(&director, 3)[2], failed + 2);
}

#[tokio::test]
async fn closures_decide() {
    let director = director("-s sh", &["", "", ""]);
    let ready = |_| Poll::Ready(Ok(()));
    // The flow: a key is one server's.
    let flow =
        |request: &String| Flow::default().with_key(vsched_tower::key_of(request.as_bytes()));
    let balance = layer(&director).flow(flow).balance(endpoints(ready, 0));
    let mut numbers = Vec::new();
    for n in 0..20 {
        let answer =
            || async { balance.clone().oneshot(format!("key {n}")).await.expect("an answer").0 };
        numbers.push(answer().await);
        assert_eq!(answer().await, numbers[n]);
    }
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers, [1, 2, 3]);

    // The verdict: an answer that is a failure, and an error that is none of the server's.
    let director = self::director("-s rr", &["", ""]);
    let classify = |result: Result<&(u8, String), &BoxError>| match result {
        Ok((_, text)) if text == "bad" => Verdict::FAILED,
        Ok(_) => Verdict::DONE,
        Err(_) => Verdict::ABANDONED,
    };
    let balance = layer(&director).classify(classify).balance(endpoints(ready, 2));
    for text in ["bad", "good"] {
        for _ in 0..2 {
            let _ = balance.clone().oneshot(text.to_owned()).await;
        }
    }
    assert_eq!(counts(&director, 1), [0, 1, 1, 0]);
    assert_eq!(counts(&director, 2), [0, 0, 0, 2]);
}

/// An answer that keeps its exchange.
struct Kept;

impl<Error> vsched_tower::Classify<(u8, String), Error> for Kept {
    type Response = (u8, Exchange);

    fn verdict(&self, result: Result<&(u8, String), &Error>) -> Verdict {
        if result.is_ok() { Verdict::DONE } else { Verdict::RETRY }
    }

    fn attach(&self, (number, _): (u8, String), exchange: Exchange) -> (u8, Exchange) {
        (number, exchange)
    }
}

#[tokio::test]
async fn an_exchange_may_outlive_the_response() {
    let director = director("-s lc", &["", ""]);
    let balance = layer(&director).classify(Kept).balance(endpoints(|_| Poll::Ready(Ok(())), 0));
    let (first, exchange) = balance.clone().oneshot("x".into()).await.expect("an answer");
    let (second, other) = balance.clone().oneshot("x".into()).await.expect("an answer");
    assert_eq!([first, second], [2, 1]);
    assert_eq!(counts(&director, 2), [1, 0, 0, 0]);
    exchange.finish(vsched::Outcome::Failed);
    assert_eq!(counts(&director, 2), [0, 0, 1, 0]);
    drop(other);
    assert_eq!(counts(&director, 1), [0, 1, 0, 0]);
}

#[test]
fn an_unknown_service_is_an_error() {
    let error = BalanceLayer::new(director("", &[]).handle(), "tcp 10.0.0.2:80").expect_err("none");
    assert!(error.to_string().contains("10.0.0.2"), "{error}");
}

/// The retry of a request that is copied goes elsewhere; the copy is what is sent.
#[tokio::test]
async fn a_copy_is_sent() {
    let director = director("-s rr", &["", ""]);
    let replay = |request: &String| Some(format!("{request} again"));
    let balance = layer(&director).retry(2, replay).balance(endpoints(|_| Poll::Ready(Ok(())), 1));
    let mut answers = Vec::new();
    for _ in 0..2 {
        answers.push(balance.clone().oneshot("x".into()).await.expect("an answer").1);
    }
    answers.sort_unstable();
    assert_eq!(answers, ["x", "x again"]);
    assert_eq!(counts(&director, 1), [0, 0, 1, 0]);
    assert_eq!(counts(&director, 2), [0, 2, 0, 0]);
}

/// The first server that has room gets the request that waits; a refusal that waiting cannot help is one.
#[test]
fn a_request_waits_for_room() {
    let director = director("-s lc", &["-x 1"]);
    let balance = layer(&director).wait_for_room().classify(Kept);
    let balance = balance.balance(endpoints(|_| Poll::Ready(Ok(())), 0));
    let call = || Box::pin(balance.clone().call("x".into()));
    let Poll::Ready(Ok((_, exchange))) = poll(&mut call()) else { panic!("there is room") };
    let (mut first, mut second) = (call(), call());
    assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
    drop(first);
    exchange.finish(vsched::Outcome::Done);
    let Poll::Ready(Ok((_, exchange))) = poll(&mut second) else { panic!("there is room") };
    drop(exchange);
    assert_eq!(counts(&director, 1), [0, 2, 0, 0]);

    director.apply(&"-A -t 10.0.0.1:80".parse().expect("valid")).expect("valid");
    match poll(&mut call()) {
        Poll::Ready(Err(error)) => assert_eq!(error.refused(), Some(Refused::NoServer)),
        _ => panic!("it must not wait"),
    }
}

/// Sets of endpoints of the host's own.
struct Own {
    ready: AtomicUsize,
    changes: Changes,
}

impl Endpoints for Own {
    type Service = tower::util::BoxCloneSyncService<String, u8, Infallible>;

    fn service(&self, pick: &Pick) -> Option<Self::Service> {
        let number = number(pick);
        let known = usize::from(number) <= self.ready.load(Ordering::SeqCst);
        let service = tower::service_fn(move |_| ready(Ok(number)));
        known.then(|| tower::util::BoxCloneSyncService::new(service))
    }

    fn update(&self) -> Result<(), BoxError> {
        if self.ready.load(Ordering::SeqCst) == 9 { Err("broken".into()) } else { Ok(()) }
    }

    fn changes(&self) -> Option<&Changes> {
        Some(&self.changes)
    }
}

#[tokio::test]
async fn a_set_of_the_hosts_own_is_waited_for() {
    let director = director("-s rr", &["", ""]);
    let own = Own { ready: AtomicUsize::new(0), changes: Changes::new() };
    let balance = layer(&director).wait_for_endpoints().balance(own);
    let mut first = Box::pin(balance.clone().call("x".into()));
    assert!(poll(&mut first).is_pending());
    // A change that is of no use.
    balance.endpoints().changes.announce();
    assert!(poll(&mut first).is_pending());
    balance.endpoints().ready.store(1, Ordering::SeqCst);
    assert!(poll(&mut first).is_pending(), "nothing was announced");
    balance.endpoints().changes.announce();
    assert_eq!(first.await.expect("an answer"), 1);

    balance.endpoints().ready.store(0, Ordering::SeqCst);
    let mut second = Box::pin(balance.clone().call("x".into()));
    assert!(poll(&mut second).is_pending());
    balance.endpoints().ready.store(9, Ordering::SeqCst);
    let answer = poll(&mut second);
    assert!(matches!(answer, Poll::Ready(Err(Error::Endpoints(_)))), "{answer:?}");
    assert_eq!((counts(&director, 1)[0], counts(&director, 2)[0]), (0, 0));
}

/// A change between a look and the wait, waiters that go, and the end.
#[tokio::test]
async fn a_change_wakes_all_that_wait() {
    let changes = Changes::new();
    let seen = changes.version();
    changes.announce();
    assert!(changes.after(seen).await);
    let seen = changes.version();
    let tasks: Vec<_> = (0..8).map(|_| tokio::spawn(changes.after(seen))).collect();
    tokio::task::yield_now().await;
    tasks[0].abort();
    changes.announce();
    for task in tasks.into_iter().skip(1) {
        assert!(task.await.expect("no panic"));
    }
    // A waiter that has gone leaves nothing behind.
    assert!(poll(&mut changes.after(changes.version())).is_pending());
    assert!(format!("{changes:?}").contains("wakers: {}"), "{changes:?}");
    let waiting = tokio::spawn(changes.after(changes.version()));
    tokio::task::yield_now().await;
    changes.close();
    assert!(!waiting.await.expect("no panic"));
}

/// Types that hosts name and send.
#[test]
fn balancers_go_anywhere() {
    fn anywhere<T: Clone + Send + Sync + 'static>(_: &T) {}
    fn sent<T: Send + 'static>(_: T) {}
    let director = director("", &[""]);
    let mut balance = layer(&director).balance(endpoints(|_| Poll::Ready(Ok(())), 0));
    anywhere(&balance);
    sent(balance.call("x".into()));
}
