use vsched::Director;
use vsched_tower::Tunnel;

use crate::backend::Backend;
use crate::common::{assert_closed, client, config, fetch, get, health, layer, load, send, soon};

/// 12 slow requests over 3 servers are 4 on each, and a server that is rid of its own gets the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_requests_are_spread_evenly() {
    let backends = Backend::several(3).await;
    backends.iter().for_each(Backend::hold);
    let servers: Vec<_> = backends.iter().map(|it| (it.address, "")).collect();
    let director = Director::new(&config("-s lc", &servers)).expect("a valid config");
    let balance = layer(&director).balance(client());
    let spawn = || {
        let balance = balance.clone();
        tokio::spawn(async move { fetch(&balance, get("/")).await })
    };
    let tasks: Vec<_> = (0..12).map(|_| spawn()).collect();
    for backend in &backends {
        backend.reached(4).await;
    }
    assert_eq!(backends.iter().map(Backend::hits).collect::<Vec<_>>(), [4, 4, 4]);
    assert_eq!(backends.iter().map(|it| load(&director, it.address)).max(), Some(4));

    // The requests of the first end; the next four go there.
    backends[0].control.permits.add_permits(4);
    let mut tasks = tasks;
    let mut ended = 0;
    while ended < 4 {
        tokio::task::yield_now().await;
        ended += tasks.extract_if(.., |task| task.is_finished()).count();
    }
    tasks.extend((0..4).map(|_| spawn()));
    backends[0].reached(8).await;
    assert_eq!(backends.iter().map(Backend::hits).collect::<Vec<_>>(), [8, 4, 4]);
    backends.iter().for_each(Backend::release);
    for task in tasks {
        assert_eq!(soon(task).await.expect("no panic").expect("an answer"), 200);
    }
    assert_closed(&director);
}

/// A response whose body is still open counts.
#[tokio::test]
async fn a_body_counts_until_it_ends() {
    let backend = Backend::start().await;
    let director = Director::new(&config("-s lc", &[(backend.address, "")])).expect("valid");
    let balance = layer(&director).balance(client());
    let response = send(&balance, get("/")).await.expect("an answer");
    let exchange = response.body().exchange().expect("the body has not ended");
    assert!(exchange.latency().is_some());
    assert_eq!(exchange.connection().address(), backend.address);
    assert_eq!(load(&director, backend.address), 1);
    let body = http_body_util::BodyExt::collect(response.into_body());
    assert_eq!(soon(body).await.expect("a body").to_bytes(), "hello");
    assert_eq!(load(&director, backend.address), 0);
    assert_closed(&director);
}

/// A proxy's own client knows the length, and does not ask for more.
#[tokio::test]
async fn a_body_ends_with_its_last_byte() {
    let backend = Backend::start().await;
    let director = Director::new(&config("-s lc", &[(backend.address, "")])).expect("valid");
    let balance = layer(&director).balance(client());
    let mut response = send(&balance, get("/")).await.expect("an answer");
    let frame = http_body_util::BodyExt::frame(response.body_mut());
    let frame = soon(frame).await.expect("a frame").expect("no error");
    assert_eq!(frame.into_data().expect("data"), "hello");
    assert_eq!(load(&director, backend.address), 0);
    assert!(response.body().exchange().is_none());
    drop(response);
    assert_eq!(health(&director, backend.address).done, 1);
    assert_closed(&director);
}

/// A response 101 has no body: what the host keeps of it is the connection.
#[tokio::test]
async fn a_tunnel_counts_until_it_ends() {
    let address = ([10, 0, 1, 1], 80).into();
    let director = Director::new(&config("-s lc", &[(address, "")])).expect("valid");
    let endpoint = |_: &vsched::Pick| {
        tower::service_fn(|_: http::Request<()>| async {
            let response = http::Response::builder().status(101);
            response.body(http_body_util::Empty::<bytes::Bytes>::new())
        })
    };
    let balance = layer(&director).balance(endpoint);
    let response = tower::ServiceExt::oneshot(balance, http::Request::new(()));
    let mut response = soon(response).await.expect("an answer");
    let tunnel = response.extensions_mut().remove::<Tunnel>().expect("the connection");
    assert_eq!(tunnel.exchange().connection().address(), address);
    drop(response);
    assert_eq!(load(&director, address), 1);
    drop(tunnel.clone());
    assert_eq!(load(&director, address), 1);
    drop(tunnel);
    assert_eq!(health(&director, address).done, 1);
    assert_closed(&director);
}
