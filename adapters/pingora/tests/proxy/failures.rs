//! Servers that fail.

use std::time::Duration;

use pingora_core::upstreams::peer::HttpPeer;

use crate::backend::{Backend, Mode};
use crate::gateway::{Gateway, director, request, rules};
use crate::run;
use vsched_pingora::{Balancer, ControlLoop};

fn totals(gateway: &Gateway, backend: &Backend) -> (u64, u64, u64) {
    let health = gateway.health(backend);
    (health.done, health.failed, health.abandoned)
}

#[test]
fn a_dead_server_costs_no_request() {
    run(async {
        let (dead, backends) = (Backend::dead(), Backend::many::<2>());
        let [a, b] = &backends;
        let gateway = Gateway::start(&rules("-s rr", &[(&dead, ""), (a, ""), (b, "")])).await;
        // Every third request finds the dead one; its retries alternate.
        assert_eq!(gateway.shares(30, &backends).await, [15, 15]);
        gateway.assert_settled().await;
        assert_eq!(totals(&gateway, &dead), (0, 10, 0));
        let made: Vec<usize> = gateway.records().iter().map(|record| record.made).collect();
        assert_eq!(made.iter().filter(|made| **made == 2).count(), 10);
        assert_eq!(made.iter().filter(|made| **made == 1).count(), 20);
        // A request that cannot be repeated can be retried too: nothing was sent.
        for _ in 0..3 {
            let post = request(gateway.address, "POST", "Content-Length: 0\r\n").await;
            assert_eq!(post.status, 200);
        }
    });
}

#[test]
fn no_attempt_goes_to_a_server_twice() {
    run(async {
        let dead: [Backend; 2] = std::array::from_fn(|_| Backend::dead());
        let [a, b] = &dead;
        let rules = rules("-s rr", &[(a, ""), (b, "")]);
        let many = |balancer: Balancer| balancer.with_max_attempts(10);
        let gateway = Gateway::start_with(&director(&rules), many, None).await;
        for _ in 0..4 {
            assert_eq!(gateway.get().await.status, 502);
        }
        gateway.assert_settled().await;
        assert_eq!(dead.each_ref().map(|backend| totals(&gateway, backend)), [(0, 4, 0); 2]);
        assert!(gateway.records().iter().all(|record| record.made == 2));
    });
}

#[test]
fn attempts_are_limited() {
    run(async {
        let dead: [Backend; 4] = std::array::from_fn(|_| Backend::dead());
        let servers = dead.each_ref().map(|backend| (backend, ""));
        let director = director(&rules("-s rr", &servers));
        let gateway = Gateway::start_with(&director, |it| it.with_max_attempts(2), None).await;
        assert_eq!(gateway.get().await.status, 502);
        assert_eq!(gateway.records()[0].made, 2);
        gateway.assert_settled().await;
    });
}

#[test]
fn a_503_is_tried_on_another_server() {
    run(async {
        let backends = Backend::many::<2>();
        let [bad, good] = &backends;
        bad.set_status(503);
        let gateway = Gateway::start(&rules("-s rr", &[(bad, ""), (good, "")])).await;
        assert_eq!(gateway.shares(10, &backends).await, [5, 10]);
        gateway.assert_settled().await;
        assert_eq!(totals(&gateway, bad), (0, 5, 0));
        assert_eq!(totals(&gateway, good), (10, 0, 0));
        // A POST may have done something: its client gets the answer.
        let mut answers = Vec::new();
        for _ in 0..2 {
            let post = request(gateway.address, "POST", "Content-Length: 0\r\n").await;
            answers.push(post.status);
        }
        answers.sort_unstable();
        assert_eq!(answers, [200, 503]);
        // Without another server the client gets the answer too, not an error of the proxy's.
        good.set_status(503);
        let last = gateway.get().await;
        assert_eq!(last.status, 503);
        assert!(backends.iter().any(|backend| last.body == backend.address.to_string()));
        gateway.assert_settled().await;
    });
}

#[test]
fn a_500_counts_but_goes_to_the_client_unless_the_rule_says_otherwise() {
    run(async {
        let backends = Backend::many::<2>();
        let [bad, good] = &backends;
        bad.set_status(500);
        let rules = rules("-s rr", &[(bad, ""), (good, "")]);
        let gateway = Gateway::start(&rules).await;
        let mut statuses = Vec::new();
        for _ in 0..10 {
            statuses.push(gateway.get().await.status);
        }
        assert_eq!(statuses.iter().filter(|status| **status == 500).count(), 5);
        gateway.assert_settled().await;
        assert_eq!(totals(&gateway, bad), (0, 5, 0));

        let all = |balancer: Balancer| balancer.with_retried_responses(|_| true);
        let gateway = Gateway::start_with(&director(&rules), all, None).await;
        gateway.shares(10, &backends).await;

        let never = |balancer: Balancer| balancer.with_failure(|head| head.status == 599);
        let gateway = Gateway::start_with(&director(&rules), never, None).await;
        for _ in 0..10 {
            gateway.get().await;
        }
        gateway.assert_settled().await;
        assert_eq!(totals(&gateway, bad), (5, 0, 0));
    });
}

#[test]
fn a_server_that_closes_without_an_answer_has_failed() {
    run(async {
        let backends = Backend::many::<2>();
        let [bad, good] = &backends;
        bad.set_mode(Mode::Close);
        let gateway = Gateway::start(&rules("-s rr", &[(bad, ""), (good, "")])).await;
        assert_eq!(gateway.shares(10, &backends).await, [5, 10]);
        gateway.assert_settled().await;
        assert_eq!(totals(&gateway, bad), (0, 5, 0));
        assert_eq!(totals(&gateway, good), (10, 0, 0));
    });
}

#[test]
fn a_kept_connection_that_the_server_closes_is_no_failure_of_the_server() {
    run(async {
        let backend = Backend::start();
        backend.set_mode(Mode::CloseOnReuse);
        let gateway = Gateway::start(&rules("", &[(&backend, "")])).await;
        for _ in 0..10 {
            assert_eq!(gateway.get().await.status, 200);
        }
        gateway.assert_settled().await;
        let (done, failed, abandoned) = totals(&gateway, &backend);
        assert_eq!((done, failed), (10, 0));
        assert!(abandoned > 0, "no connection was reused");
    });
}

#[test]
fn a_server_that_fails_again_and_again_is_ejected() {
    run(async {
        let backends = Backend::many::<3>();
        let [bad, a, b] = &backends;
        bad.set_status(500);
        let options = "-s wrr --vsched-ejection failures=3,base-time=60";
        let rules = rules(options, &[(bad, ""), (a, ""), (b, "")]);
        let director = director(&rules);
        let ticks = ControlLoop::new(director.clone());
        let gateway = Gateway::start_with(&director, |it| it, Some(ticks)).await;
        crate::eventually("the clock runs", || !director.now().is_zero()).await;
        let mut failures = 0;
        for _ in 0..60 {
            failures += usize::from(gateway.get().await.status == 500);
        }
        assert_eq!((failures, bad.requests()), (3, 3));
        assert_eq!(a.requests() + b.requests(), 57);
        assert!(gateway.health(bad).ejected);
        gateway.assert_settled().await;
    });
}

#[test]
fn a_server_that_does_not_answer_in_time_has_failed() {
    run(async {
        let backends = Backend::many::<2>();
        let [slow, good] = &backends;
        slow.set_mode(Mode::Wait);
        let director = director(&rules("-s rr", &[(slow, ""), (good, "")]));
        let limited = |balancer: Balancer| {
            balancer.with_peer(|_, address| {
                let mut peer = HttpPeer::new(address, false, String::new());
                peer.options.read_timeout = Some(Duration::from_millis(20));
                peer
            })
        };
        let gateway = Gateway::start_with(&director, limited, None).await;
        assert_eq!(gateway.shares(4, &backends).await, [2, 4]);
        let mut statuses = Vec::new();
        for _ in 0..2 {
            let post = request(gateway.address, "POST", "Content-Length: 0\r\n").await;
            statuses.push(post.status);
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 502]);
        gateway.assert_settled().await;
        assert_eq!(totals(&gateway, slow), (0, 3, 0));
        assert_eq!(totals(&gateway, good), (5, 0, 0));
    });
}
