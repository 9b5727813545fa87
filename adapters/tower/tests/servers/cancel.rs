use http_body_util::BodyExt;
use tower::Service;
use vsched::Director;

use crate::backend::Backend;
use crate::common::{assert_closed, client, config, get, health, layer, load, send, soon};

async fn one() -> (Backend, Director) {
    let backend = Backend::start().await;
    let director = Director::new(&config("-s lc", &[(backend.address, "")])).expect("valid");
    (backend, director)
}

fn outcomes(director: &Director, backend: &Backend) -> [u64; 3] {
    let health = health(director, backend.address);
    [health.done, health.failed, health.abandoned]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_dropped_says_nothing_of_the_server() {
    let (backend, director) = one().await;
    backend.hold();
    let balance = layer(&director).balance(client());
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let balance = balance.clone();
            tokio::spawn(async move { send(&balance, get("/")).await.map(drop) })
        })
        .collect();
    backend.reached(20).await;
    assert_eq!(load(&director, backend.address), 20);
    for task in tasks {
        task.abort();
        assert!(soon(task).await.expect_err("it was running").is_cancelled());
    }
    assert_eq!(outcomes(&director, &backend), [0, 0, 20]);
    assert_closed(&director);
}

#[tokio::test]
async fn a_future_that_was_never_polled_opens_nothing() {
    let (backend, director) = one().await;
    let mut balance = layer(&director).balance(client());
    drop(balance.call(get("/")));
    assert_eq!(outcomes(&director, &backend), [0; 3]);
    assert_eq!(backend.hits(), 0);
    assert_closed(&director);
}

#[tokio::test]
async fn a_body_that_is_dropped_says_nothing_of_the_server() {
    let (backend, director) = one().await;
    let balance = layer(&director).balance(client());
    let mut response = send(&balance, get("/endless")).await.expect("an answer");
    let first = soon(response.body_mut().frame()).await.expect("a frame").expect("no error");
    assert_eq!(first.into_data().expect("data"), "first");
    assert_eq!(load(&director, backend.address), 1);
    drop(response);
    assert_eq!(outcomes(&director, &backend), [0, 0, 1]);
    assert_closed(&director);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_failure() {
    let (backend, director) = one().await;
    let balance = layer(&director).balance(client());
    let mut response = send(&balance, get("/broken")).await.expect("an answer");
    let first = soon(response.body_mut().frame()).await.expect("a frame").expect("no error");
    assert_eq!(first.into_data().expect("data"), "first");
    backend.release();
    soon(response.body_mut().frame()).await.expect("more").expect_err("it breaks off");
    assert_eq!(outcomes(&director, &backend), [0, 1, 0]);
    assert_closed(&director);
}

/// hyper does not poll a body that it knows to be empty.
#[tokio::test]
async fn an_empty_body_ends_at_once() {
    let (backend, director) = one().await;
    let balance = layer(&director).balance(client());
    let head = http::Request::head("/").body(http_body_util::Full::default()).expect("valid");
    let response = send(&balance, head).await.expect("an answer");
    assert!(response.body().exchange().is_none());
    assert_eq!(outcomes(&director, &backend), [1, 0, 0]);
    backend.answer(204);
    drop(send(&balance, get("/")).await.expect("an answer"));
    assert_eq!(outcomes(&director, &backend), [2, 0, 0]);
    assert_closed(&director);
}
