//! Which servers get requests.

use crate::backend::{Backend, Mode};
use crate::gateway::{Gateway, request, rules, send};
use crate::{eventually, run};
use vsched_pingora::header_key;

#[test]
fn wrr_shares_are_exact_one_request_after_another() {
    run(async {
        let backends = Backend::many::<3>();
        let [a, b, c] = &backends;
        let rules = rules("-s wrr", &[(a, "-w 3"), (b, "-w 2"), (c, "-w 1")]);
        let gateway = Gateway::start(&rules).await;
        assert_eq!(gateway.shares(60, &backends).await, [30, 20, 10]);
        gateway.assert_settled().await;
        assert_eq!(gateway.health(a).done, 30);
    });
}

#[test]
fn wrr_shares_are_exact_with_many_clients_at_once() {
    run(async {
        let backends = Backend::many::<3>();
        let [a, b, c] = &backends;
        let rules = rules("-s wrr", &[(a, "-w 3"), (b, "-w 2"), (c, "-w 1")]);
        let gateway = Gateway::start(&rules).await;
        let address = gateway.address;
        let client = || async move {
            for _ in 0..15 {
                assert_eq!(request(address, "GET", "").await.status, 200);
            }
        };
        let clients: Vec<_> = (0..8).map(|_| tokio::spawn(client())).collect();
        for client in clients {
            client.await.expect("no failure");
        }
        assert_eq!(backends.each_ref().map(Backend::requests), [60, 40, 20]);
        gateway.assert_settled().await;
    });
}

#[test]
fn slow_requests_go_where_the_fewest_are() {
    run(async {
        let backends = Backend::many::<3>();
        backends.iter().for_each(|backend| backend.set_mode(Mode::Wait));
        let [a, b, c] = &backends;
        let gateway = Gateway::start(&rules("-s lc", &[(a, "")])).await;
        let mut clients = Vec::new();
        let waiting = || backends.iter().map(Backend::waiting).sum::<usize>();
        for number in 1..=12 {
            if number == 5 {
                // Round robin would give the first server more than the others.
                let all = rules("-s lc", &[(a, ""), (b, ""), (c, "")]);
                gateway.director.apply(&all.parse().expect("rules")).expect("a config");
            }
            clients.push(send(gateway.address, "GET", "").await);
            eventually("the request arrives", || waiting() == number).await;
        }
        assert_eq!(backends.each_ref().map(Backend::waiting), [4, 4, 4]);
        backends.iter().for_each(|backend| backend.set_mode(Mode::Answer));
        gateway.assert_settled().await;
        assert_eq!(backends.each_ref().map(|it| gateway.health(it).done), [4, 4, 4]);
    });
}

#[test]
fn connections_to_servers_are_reused() {
    run(async {
        let backends = Backend::many::<2>();
        let [a, b] = &backends;
        let gateway = Gateway::start(&rules("-s rr", &[(a, ""), (b, "")])).await;
        assert_eq!(gateway.shares(20, &backends).await, [10, 10]);
        // A pingora thread may not find the other's connection, so up to one per thread.
        for backend in &backends {
            assert!(backend.connections() <= 2, "{} connections", backend.connections());
        }
        // What is counted are requests, not the connections that are kept.
        gateway.assert_settled().await;
    });
}

#[test]
fn a_header_decides_with_a_hashing_scheduler() {
    run(async {
        let backends = Backend::many::<4>();
        let servers = backends.each_ref().map(|backend| (backend, ""));
        let director = crate::gateway::director(&rules("-s mh", &servers));
        let by_user =
            |balancer: vsched_pingora::Balancer| balancer.with_hash_key(header_key("x-user"));
        let gateway = Gateway::start_with(&director, by_user, None).await;
        let mut users = std::collections::HashMap::new();
        for number in 0..120 {
            let user = format!("X-User: {}\r\n", number % 40);
            let answer = request(gateway.address, "GET", &user).await.body;
            assert_eq!(users.entry(user).or_insert_with(|| answer.clone()), &answer);
        }
        for backend in &backends {
            assert!(backend.requests() > 0, "40 users on one to three of four servers");
        }
        // Without a key the client's address decides.
        let first = gateway.get().await;
        for _ in 0..10 {
            assert_eq!(gateway.get().await, first);
        }
        gateway.assert_settled().await;
    });
}

#[test]
fn latencies_are_measured_to_the_head() {
    run(async {
        let backend = Backend::start();
        backend.set_mode(Mode::Wait);
        let gateway = Gateway::start(&rules("", &[(&backend, "")])).await;
        let client = tokio::spawn(request(gateway.address, "GET", ""));
        eventually("the request arrives", || backend.waiting() == 1).await;
        let wait = std::time::Duration::from_millis(30);
        tokio::time::sleep(wait).await;
        backend.set_mode(Mode::Answer);
        client.await.expect("a response");
        gateway.assert_settled().await;
        let latency = gateway.health(&backend).latency.expect("it was measured");
        assert!(latency >= wait, "{latency:?}");
        assert_eq!(gateway.records()[0].address, Some(backend.address));
        assert!(gateway.records()[0].latency >= Some(wait));
    });
}
