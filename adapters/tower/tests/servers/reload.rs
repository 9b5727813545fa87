use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vsched::{Config, Director, Refused};

use crate::backend::Backend;
use crate::common::{client, config, fetch, get, layer, load, servers, soon};

/// Servers come and go, weights change, schedulers too: no request fails, and all counts return to 0.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_fail_no_request() {
    let backends = Backend::several(4).await;
    let addresses: Vec<_> = backends.iter().map(|it| it.address).collect();
    let variants: Vec<Config> = (0..8)
        .map(|n| {
            let weights = ["-w 1", "-w 0", "-w 3", "-w 2"];
            let some = (0..4).filter(|it| *it == n % 4 || (n + it) % 3 != 0);
            let servers: Vec<_> = some
                .map(|it| (addresses[it], if it == n % 4 { "-w 1" } else { weights[it] }))
                .collect();
            config(["-s wrr", "-s lc", "-s wlc", "-s p2c"][n % 4], &servers)
        })
        .collect();
    let director = Director::new(&variants[0]).expect("a valid config");
    let balance = layer(&director).balance(client());
    let stop = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let (balance, stop) = (balance.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut answers = 0;
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(fetch(&balance, get("/")).await.expect("an answer"), 200);
                    answers += 1;
                }
                answers
            })
        })
        .collect();
    for n in 0..200 {
        // A few requests between two reloads.
        let before: usize = backends.iter().map(Backend::hits).sum();
        while backends.iter().map(Backend::hits).sum::<usize>() < before + 3 {
            soon(tokio::task::yield_now()).await;
            assert!(!tasks.iter().any(tokio::task::JoinHandle::is_finished), "a request failed");
        }
        director.apply(&variants[n % variants.len()]).expect("a valid config");
    }
    stop.store(true, Ordering::Relaxed);
    let mut answers = 0;
    for task in tasks {
        answers += soon(task).await.expect("no panic");
    }
    assert_eq!(backends.iter().map(Backend::hits).sum::<usize>(), answers);
    for (_, server) in servers(&director) {
        assert_eq!(server.counts.active + server.counts.inactive, 0);
    }
    assert_eq!(director.removed_with_connections(), []);
}

/// The service has another id then, which the balancer looks up.
#[tokio::test]
async fn a_service_may_be_deleted_and_added_again() {
    let backend = Backend::start().await;
    let config = config("-s rr", &[(backend.address, "")]);
    let director = Director::new(&config).expect("a valid config");
    let balance = layer(&director).balance(client());
    assert_eq!(fetch(&balance, get("/")).await.expect("an answer"), 200);
    director.apply(&Config::default()).expect("a valid config");
    let error = fetch(&balance, get("/")).await.expect_err("it was deleted");
    assert_eq!(error.refused(), Some(Refused::NoService));
    director.apply(&config).expect("a valid config");
    assert_eq!(fetch(&balance, get("/")).await.expect("an answer"), 200);
    assert_eq!(load(&director, backend.address), 0);
}
