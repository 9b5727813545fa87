use std::net::{Ipv4Addr, SocketAddr};

use http_body_util::Full;
use hyper::Request;
use vsched::{Config, Director, Refused};
use vsched_tower::{BalanceLayer, Error, Idempotent, RetryBudget};

use crate::backend::Backend;
use crate::common::{assert_closed, client, config, fetch, get, health, layer, soon};

/// An address at which nothing listens.
async fn dead() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    listener.local_addr().expect("it is bound")
}

type Retrying = BalanceLayer<vsched_tower::HttpFlow, vsched_tower::HttpStatus, Idempotent>;

fn started(config: &Config, attempts: usize) -> (Director, Retrying) {
    let director = Director::new(config).expect("a valid config");
    let layer = layer(&director).retry(attempts, Idempotent);
    (director, layer)
}

/// A dead server, one that answers 500 and two good ones: no client sees an error, and the two bad ones
/// are soon ejected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_client_sees_an_error_that_a_retry_avoids() {
    let backends = Backend::several(3).await;
    backends[0].answer(500);
    let dead = dead().await;
    let mut servers: Vec<_> = backends.iter().map(|it| (it.address, "")).collect();
    servers.push((dead, ""));
    let rules = "-s rr --vsched-ejection failures=3,base-time=30,max-share=50";
    let (director, layer) = started(&config(rules, &servers), 3);
    let balance = layer.balance(client());
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let balance = balance.clone();
            tokio::spawn(async move {
                for _ in 0..25 {
                    assert_eq!(fetch(&balance, get("/")).await.expect("an answer"), 200);
                }
            })
        })
        .collect();
    for task in tasks {
        soon(task).await.expect("no panic");
    }
    for bad in [backends[0].address, dead] {
        let health = health(&director, bad);
        assert!(health.ejected, "{bad} {health:?}");
        assert!((3..100).contains(&health.failed), "{bad} {health:?}");
    }
    assert_eq!(backends[1].hits() + backends[2].hits(), 200);
    assert_closed(&director);
}

#[tokio::test]
async fn each_attempt_goes_to_another_server_and_the_last_answer_counts() {
    let backends = Backend::several(4).await;
    for (backend, status) in backends.iter().zip([500, 501, 502, 503]) {
        backend.answer(status);
    }
    let servers: Vec<_> = backends.iter().map(|it| (it.address, "")).collect();
    let hits = || backends.iter().map(Backend::hits).collect::<Vec<_>>();

    // Three attempts of four servers.
    let (director, layer) = started(&config("-s rr", &servers), 3);
    let status = fetch(&layer.balance(client()), get("/")).await.expect("an answer");
    assert!((500..504).contains(&status), "{status}");
    assert_eq!(hits().iter().sum::<usize>(), 3);
    assert_eq!(hits().iter().max(), Some(&1));
    assert_closed(&director);

    // More attempts than servers.
    let before = hits();
    let (director, layer) = started(&config("-s rr", &servers), 9);
    let status = fetch(&layer.balance(client()), get("/")).await.expect("an answer");
    assert!((500..504).contains(&status), "{status}");
    assert_eq!(hits(), before.iter().map(|hits| hits + 1).collect::<Vec<_>>());
    assert_closed(&director);
}

#[tokio::test]
async fn an_error_is_the_answer_if_no_server_is_left() {
    let (first, second) = (dead().await, dead().await);
    let (director, layer) = started(&config("-s rr", &[(first, ""), (second, "")]), 9);
    let error = fetch(&layer.balance(client()), get("/")).await.expect_err("none listens");
    assert!(matches!(error, Error::Inner(_)), "{error:?}");
    assert_eq!([first, second].map(|it| health(&director, it).failed), [1, 1]);
    assert_closed(&director);
}

#[tokio::test]
async fn a_request_that_must_not_be_repeated_is_not() {
    let backends = Backend::several(2).await;
    backends.iter().for_each(|it| it.answer(503));
    let servers: Vec<_> = backends.iter().map(|it| (it.address, "")).collect();
    let (director, layer) = started(&config("-s rr", &servers), 2);
    let balance = layer.balance(client());
    let post = Request::post("/").body(Full::from("data")).expect("a valid request");
    assert_eq!(fetch(&balance, post).await.expect("an answer"), 503);
    assert_eq!(backends[0].hits() + backends[1].hits(), 1);
    assert_eq!(fetch(&balance, get("/")).await.expect("an answer"), 503);
    assert_eq!(backends[0].hits() + backends[1].hits(), 3);
    assert_closed(&director);
}

/// Of 10 running requests whose first attempt fails, one may retry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_limits_the_retries_that_run() {
    let backends = Backend::several(2).await;
    backends[0].answer(500);
    backends.iter().for_each(Backend::hold);
    // All first attempts go to the first server: the other is a backup.
    let servers = [(backends[0].address, ""), (backends[1].address, "--vsched-priority 1")];
    let (director, layer) = started(&config("-s rr", &servers), 2);
    let balance = layer.retry_budget(RetryBudget::new(10, 1)).balance(client());
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let balance = balance.clone();
            tokio::spawn(async move { fetch(&balance, get("/")).await })
        })
        .collect();
    backends[0].reached(10).await;
    backends[0].release();
    let (mut failed, mut tasks) = (0, tasks);
    while failed < 9 {
        tokio::task::yield_now().await;
        for task in tasks.extract_if(.., |task| task.is_finished()) {
            assert_eq!(task.await.expect("no panic").expect("an answer"), 500);
            failed += 1;
        }
    }
    backends[1].reached(1).await;
    backends[1].release();
    for task in tasks {
        assert_eq!(soon(task).await.expect("no panic").expect("an answer"), 200);
    }
    assert_eq!(backends[1].hits(), 1);
    assert_closed(&director);
}

#[tokio::test]
async fn a_refusal_says_why() {
    let backend = Backend::start().await;
    let (director, layer) = started(&config("-s rr", &[(backend.address, "-w 0")]), 2);
    let error = fetch(&layer.balance(client()), get("/")).await.expect_err("it is quiesced");
    assert_eq!(error.refused(), Some(Refused::AllQuiesced));
    assert_eq!(error.to_string(), Refused::AllQuiesced.text());
    assert_closed(&director);
}

/// Its answers are good, so clients get them, and the server is ejected nevertheless.
#[tokio::test]
async fn a_slow_answer_is_a_failure() {
    let backends = Backend::several(2).await;
    let rules = "-s rr --vsched-ejection failures=2,base-time=30";
    let servers: Vec<_> = backends.iter().map(|it| (it.address, "")).collect();
    let (director, layer) = started(&config(rules, &servers), 3);
    let limit = std::time::Duration::from_millis(30);
    let balance = layer.slow_after(limit).balance(client());
    backends[0].hold();
    for _ in 0..2 {
        // One of the two goes to the server that waits.
        let requests = [(); 2].map(|()| {
            let balance = balance.clone();
            tokio::spawn(async move { fetch(&balance, get("/")).await })
        });
        backends[0].reached(backends[0].hits() + 1).await;
        tokio::time::sleep(2 * limit).await;
        backends[0].control.permits.add_permits(1);
        for request in requests {
            assert_eq!(soon(request).await.expect("no panic").expect("an answer"), 200);
        }
    }
    let [slow, fast] = [0, 1].map(|n| health(&director, backends[n].address));
    assert_eq!((slow.failed, slow.ejected, backends[0].hits()), (2, true, 2));
    assert!(!fast.ejected);
    assert_closed(&director);
}
