//! Services that are full, gone, or not a proxy's; metrics.

use std::time::Duration;

use vsched_pingora::{Balancer, Metrics};

use crate::backend::{Backend, Mode, unused_address};
use crate::gateway::{Gateway, SERVICE, director, request, rules, send};
use crate::{eventually, run};

#[test]
fn a_request_fails_or_waits_while_all_servers_are_overloaded() {
    run(async {
        let backend = Backend::start();
        backend.set_mode(Mode::Wait);
        let rules = rules("-s lc", &[(&backend, "-x 1")]);
        let gateway = Gateway::start(&rules).await;
        let first = send(gateway.address, "GET", "").await;
        eventually("the first arrives", || backend.waiting() == 1).await;
        assert_eq!(gateway.get().await.status, 503);
        assert_eq!(gateway.records()[0].made, 0);
        drop(first);
        gateway.assert_settled().await;
        eventually("the server is free", || backend.waiting() == 0).await;

        let patient = |limit| move |balancer: Balancer| balancer.with_wait(limit);
        let long = patient(Duration::from_secs(30));
        let gateway = Gateway::start_with(&director(&rules), long, None).await;
        let clients: Vec<_> =
            (0..4).map(|_| tokio::spawn(request(gateway.address, "GET", ""))).collect();
        eventually("the first arrives", || backend.waiting() == 1).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(backend.waiting(), 1);
        backend.set_mode(Mode::Answer);
        for client in clients {
            assert_eq!(client.await.expect("a response").status, 200);
        }
        gateway.assert_settled().await;

        backend.set_mode(Mode::Wait);
        let short = patient(Duration::from_millis(30));
        let gateway = Gateway::start_with(&director(&rules), short, None).await;
        let _first = send(gateway.address, "GET", "").await;
        eventually("the first arrives", || backend.waiting() == 1).await;
        let second = tokio::time::timeout(Duration::from_secs(10), gateway.get());
        assert_eq!(second.await.expect("it waits no longer than its limit").status, 503);
    });
}

#[test]
fn a_service_that_is_deleted_and_added_again_is_found_again() {
    run(async {
        let backends = Backend::many::<1>();
        let [backend] = &backends;
        let rules = rules("-s rr", &[(backend, "")]);
        let gateway = Gateway::start(&rules).await;
        assert_eq!(gateway.shares(3, &backends).await, [3]);
        gateway.director.apply(&"".parse().expect("rules")).expect("a config");
        assert_eq!(gateway.get().await.status, 503);
        gateway.director.apply(&rules.parse().expect("rules")).expect("a config");
        assert_eq!(gateway.shares(3, &backends).await, [3]);
        assert!(Balancer::new(gateway.director.handle(), "tcp 10.1.1.1:1").is_err());
    });
}

#[test]
fn the_destination_selects_the_service() {
    run(async {
        let (backend, address) = (Backend::start(), unused_address());
        let rules = format!("-A -t {address}\n-a -t {address} -r {} -m", backend.address);
        let director = director(&rules);
        let balancer = Balancer::by_destination(director.handle());
        let gateway = Gateway::start_at(address, &director, balancer, None).await;
        assert_eq!(gateway.get().await.body, backend.address.to_string());
        director.apply(&"".parse().expect("rules")).expect("a config");
        assert_eq!(gateway.get().await.status, 503);
    });
}

#[test]
fn a_server_that_is_not_for_proxies_is_an_error() {
    run(async {
        let backend = Backend::start();
        let rules = rules("", &[(&backend, "")]).replace(" -m ", " -g ");
        // Direct routing keeps the port, so the rule names the service's.
        let rules = rules.replace("10.9.9.9:80", &format!("10.9.9.9:{}", backend.address.port()));
        let director = director(&rules);
        let service = format!("tcp 10.9.9.9:{}", backend.address.port());
        let balancer = Balancer::new(director.handle(), &service).expect("a service");
        let gateway = Gateway::start_at(unused_address(), &director, balancer, None).await;
        assert_eq!(gateway.get().await.status, 500);
        assert_eq!(backend.requests(), 0);
        let id = director.service(&service).expect("a service");
        let server = director.servers(id).expect("it runs")[0].0;
        assert_eq!(director.counts(server).map(|counts| counts.active), Some(0));
    });
}

#[test]
fn metrics_are_served() {
    use pingora_core::apps::http_app::ServeHttp;
    use pingora_core::protocols::http::ServerSession;

    async fn ask(metrics: &Metrics, request: &[u8]) -> (u16, String) {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        tokio::io::AsyncWriteExt::write_all(&mut client, request).await.expect("a request");
        let mut session = ServerSession::new_http1(Box::new(server));
        assert!(session.read_request().await.expect("a request"));
        let response = metrics.response(&mut session).await;
        let status = response.status().as_u16();
        (status, String::from_utf8(response.into_body()).expect("text"))
    }
    run(async {
        let backend = Backend::dead();
        let director = director(&rules("", &[(&backend, "")]));
        let metrics = Metrics::new(director, vsched::metrics::Options::new().with_servers());
        let (status, text) = ask(&metrics, b"GET /metrics HTTP/1.1\r\n\r\n").await;
        assert_eq!(status, 200);
        let labels = format!("{{service=\"{SERVICE}\",server=\"{}\"}}", backend.address);
        assert!(text.contains(&labels), "{text}");
        assert_eq!(ask(&metrics, b"GET / HTTP/1.1\r\n\r\n").await.0, 404);
        assert_eq!(ask(&metrics, b"PUT /metrics HTTP/1.1\r\n\r\n").await.0, 405);
    });
}
