use vsched::Director;

use crate::backend::Backend;
use crate::common::{assert_closed, client, config, fetch, get, layer, soon};

/// Every cycle of wrr has exact shares, one request after the other and many at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weighted_shares_are_exact() {
    let backends = Backend::several(3).await;
    let weights = ["-w 3", "-w 2", "-w 1"];
    let servers: Vec<_> = backends.iter().map(|it| it.address).zip(weights).collect();
    let director = Director::new(&config("-s wrr", &servers)).expect("a valid config");
    let balance = layer(&director).balance(client());
    for _ in 0..60 {
        assert_eq!(fetch(&balance, get("/")).await.expect("an answer"), 200);
    }
    let hits = || backends.iter().map(Backend::hits).collect::<Vec<_>>();
    assert_eq!(hits(), [30, 20, 10]);
    let tasks: Vec<_> = (0..12)
        .map(|_| {
            let balance = balance.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    fetch(&balance, get("/")).await.expect("an answer");
                }
            })
        })
        .collect();
    for task in tasks {
        soon(task).await.expect("no panic");
    }
    assert_eq!(hits(), [150, 100, 50]);
    assert_closed(&director);
}
