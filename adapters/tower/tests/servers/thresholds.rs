use std::sync::atomic::Ordering;

use vsched::{Director, Refused};

use crate::backend::Backend;
use crate::common::{assert_closed, client, config, fetch, get, layer, soon};

const SERVERS: usize = 3;
const LIMIT: usize = 2;

async fn limited() -> (Vec<Backend>, Director) {
    let backends = Backend::several(SERVERS).await;
    let servers: Vec<_> = backends.iter().map(|it| (it.address, "-x 2")).collect();
    let director = Director::new(&config("-s lc", &servers)).expect("a valid config");
    (backends, director)
}

/// Exactly as many requests run as there is room for; the others are refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_threshold_holds_exactly() {
    let (backends, director) = limited().await;
    backends.iter().for_each(Backend::hold);
    let balance = layer(&director).balance(client());
    let mut tasks: Vec<_> = (0..20)
        .map(|_| {
            let balance = balance.clone();
            tokio::spawn(async move { fetch(&balance, get("/")).await })
        })
        .collect();
    for backend in &backends {
        backend.reached(LIMIT).await;
    }
    let mut refused = 0;
    while refused < 20 - SERVERS * LIMIT {
        tokio::task::yield_now().await;
        for task in tasks.extract_if(.., |task| task.is_finished()) {
            let error = task.await.expect("no panic").expect_err("no room");
            assert_eq!(error.refused(), Some(Refused::AllOverloaded));
            refused += 1;
        }
    }
    backends.iter().for_each(Backend::release);
    for task in tasks {
        assert_eq!(soon(task).await.expect("no panic").expect("an answer"), 200);
    }
    assert!(backends.iter().all(|it| it.hits() == LIMIT));
    assert_closed(&director);
}

/// All requests get their room, and never more than that run on a server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_wait_for_room() {
    let (backends, director) = limited().await;
    let balance = layer(&director).wait_for_room().balance(client());
    for round in 0..20 {
        backends.iter().for_each(Backend::hold);
        let tasks: Vec<_> = (0..30)
            .map(|n| {
                let balance = balance.clone();
                let task = tokio::spawn(async move { fetch(&balance, get("/")).await });
                // Some clients do not wait.
                if n % 10 == 9 {
                    task.abort();
                }
                task
            })
            .collect();
        if round == 0 {
            for backend in &backends {
                backend.reached(LIMIT).await;
            }
        }
        backends.iter().for_each(|it| it.control.holds.store(false, Ordering::SeqCst));
        backends.iter().for_each(|it| it.control.permits.add_permits(30));
        for task in tasks {
            match soon(task).await {
                Ok(answer) => assert_eq!(answer.expect("an answer"), 200),
                Err(aborted) => assert!(aborted.is_cancelled()),
            }
        }
    }
    for backend in &backends {
        assert_eq!(backend.control.most.load(Ordering::SeqCst), LIMIT);
    }
    assert_closed(&director);
}
