use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Response;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use vsched::Director;
use vsched_tower::{GrpcStatus, Idempotent, OneClient, Replay};

use crate::backend::{Body, full, start_http2};
use crate::common::{assert_closed, config, get, health, layer, send, soon};

/// `/head/14` has the code in the head, `/trailers/14` in the trailers after a message, `/lost` none,
/// `/http/503` is no gRPC at all.
fn answer(path: &str) -> Response<Body> {
    let (kind, number) = path[1..].split_once('/').unwrap_or((&path[1..], "0"));
    let response = Response::builder().header("content-type", "application/grpc");
    let message = || full("\0\0\0\0\0");
    let response = match kind {
        "head" => response.header("grpc-status", number).body(full("")),
        "trailers" => {
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", number.parse().expect("a value"));
            response.body(message().with_trailers(async { Some(Ok(trailers)) }).boxed_unsync())
        }
        "lost" => response.body(message()),
        _ => response.status(number.parse::<u16>().expect("a status")).body(message()),
    };
    response.expect("a valid response")
}

fn client() -> crate::common::HttpClient {
    OneClient::new(Client::builder(TokioExecutor::new()).http2_only(true).build_http())
}

fn outcomes(director: &Director, address: SocketAddr) -> [u64; 3] {
    let health = health(director, address);
    [health.done, health.failed, health.abandoned]
}

#[tokio::test]
async fn outcome_by_code_in_head_and_trailers() {
    const DONE: [u64; 3] = [1, 0, 0];
    const FAILED: [u64; 3] = [0, 1, 0];
    const ABANDONED: [u64; 3] = [0, 0, 1];
    let (address, server) = start_http2(answer).await;
    let cases = [
        ("/head/0", DONE),
        ("/trailers/0", DONE),
        ("/head/1", ABANDONED),
        ("/trailers/1", ABANDONED),
        ("/trailers/2", FAILED),
        ("/trailers/3", DONE),
        ("/head/4", FAILED),
        ("/trailers/5", DONE),
        ("/head/8", DONE),
        ("/trailers/13", FAILED),
        ("/head/14", FAILED),
        ("/trailers/14", FAILED),
        ("/trailers/15", FAILED),
        ("/trailers/16", DONE),
        // Not a code, no code, no gRPC.
        ("/trailers/fourteen", FAILED),
        ("/lost", FAILED),
        ("/http/503", FAILED),
        ("/http/404", FAILED),
    ];
    for (path, expected) in cases {
        let director = Director::new(&config("-s rr", &[(address, "")])).expect("a valid config");
        let balance = layer(&director).classify(GrpcStatus::new()).balance(client());
        let response = send(&balance, get(path)).await.expect("an answer");
        soon(response.into_body().collect()).await.expect("a body");
        assert_eq!(outcomes(&director, address), expected, "{path}");
        assert_closed(&director);
    }
    // The message was read, the trailers were not.
    let director = Director::new(&config("-s rr", &[(address, "")])).expect("a valid config");
    let balance = layer(&director).classify(GrpcStatus::new()).balance(client());
    let mut response = send(&balance, get("/trailers/0")).await.expect("an answer");
    let frame = soon(response.body_mut().frame()).await.expect("a frame").expect("no error");
    assert!(frame.is_data());
    drop(response);
    assert_eq!(outcomes(&director, address), ABANDONED);

    // Other codes.
    let classify = GrpcStatus::new().with_failed(&[5, 99]);
    let balance = layer(&director).classify(classify).balance(client());
    for path in ["/head/5", "/trailers/14"] {
        let response = send(&balance, get(path)).await.expect("an answer");
        soon(response.into_body().collect()).await.expect("a body");
    }
    assert_eq!(outcomes(&director, address), [1, 1, 1]);
    assert_closed(&director);
    server.abort();
}

/// UNAVAILABLE in the head is retried, INTERNAL is not.
#[tokio::test]
async fn unavailable_is_retried() {
    let (good, server) = start_http2(|_| answer("/trailers/0")).await;
    let (bad, other) = start_http2(|path| answer(&format!("/head{path}"))).await;
    // All first attempts go to the bad one: the other is a backup.
    let servers = [(bad, ""), (good, "--vsched-priority 1")];
    let director = Director::new(&config("-s rr", &servers)).expect("a valid config");
    let layer = layer(&director).classify(GrpcStatus::new()).retry(2, Idempotent);
    let balance = layer.balance(client());
    for (path, expected) in [("/14", None), ("/13", Some("13"))] {
        let response = send(&balance, get(path)).await.expect("an answer");
        let status = response.headers().get("grpc-status").map(|it| it.to_str().expect("text"));
        assert_eq!(status, expected, "{path}");
        soon(response.into_body().collect()).await.expect("a body");
    }
    assert_eq!(outcomes(&director, bad), [0, 2, 0]);
    assert_eq!(outcomes(&director, good), [1, 0, 0]);
    assert_closed(&director);
    [server, other].iter().for_each(tokio::task::JoinHandle::abort);
}

#[test]
fn only_idempotent_requests_are_replayed() {
    let request = |method: &str| {
        let request = http::Request::builder().method(method).uri("/a?b").header("x", "y");
        request.extension(7_u8).body(Full::new(Bytes::from("body"))).expect("valid")
    };
    for (method, replayed) in [
        ("GET", true),
        ("HEAD", true),
        ("PUT", true),
        ("DELETE", true),
        ("OPTIONS", true),
        ("POST", false),
        ("PATCH", false),
        ("CONNECT", false),
        ("FOO", false),
    ] {
        let copy = Idempotent.replay(&request(method));
        assert_eq!(copy.is_some(), replayed, "{method}");
        let streams = vsched_tower::idempotent_or_empty(Full::<Bytes>::default);
        assert!(streams(&request(method)).is_none(), "{method}: the body is not empty");
        let empty = request(method).map(|_| Full::default());
        let copy = streams(&empty);
        assert_eq!(copy.is_some(), replayed, "{method}");
        if let Some(copy) = copy {
            assert_eq!((copy.method(), copy.uri()), (empty.method(), empty.uri()));
            assert_eq!((copy.headers(), copy.version()), (empty.headers(), empty.version()));
            assert_eq!(copy.extensions().get::<u8>(), Some(&7));
        }
    }
}
