//! Clients that leave, and a server that ends.

use tokio::io::AsyncReadExt;

use crate::backend::{Backend, Mode};
use crate::gateway::{Gateway, rules, send};
use crate::{eventually, run};

#[test]
fn a_client_that_leaves_before_the_response_counts_for_no_server() {
    run(async {
        let backends = Backend::many::<2>();
        let [a, b] = &backends;
        backends.iter().for_each(|backend| backend.set_mode(Mode::Wait));
        let gateway = Gateway::start(&rules("-s lc", &[(a, ""), (b, "")])).await;
        let mut clients = Vec::new();
        for _ in 0..6 {
            clients.push(send(gateway.address, "GET", "").await);
        }
        let waiting = || backends.iter().map(Backend::waiting).sum::<usize>();
        eventually("all requests arrive", || waiting() == 6).await;
        drop(clients);
        gateway.assert_settled().await;
        for backend in &backends {
            let health = gateway.health(backend);
            assert_eq!((health.done, health.failed, health.abandoned), (0, 0, 3));
        }
        eventually("the servers see it too", || waiting() == 0).await;
    });
}

#[test]
fn a_client_that_leaves_in_the_middle_of_the_response_counts_for_no_server() {
    run(async {
        let backend = Backend::start();
        backend.set_mode(Mode::Stall);
        let gateway = Gateway::start(&rules("", &[(&backend, "")])).await;
        let mut client = send(gateway.address, "GET", "").await;
        let mut head = [0; 12];
        client.read_exact(&mut head).await.expect("a head");
        assert_eq!(&head, b"HTTP/1.1 200");
        drop(client);
        gateway.assert_settled().await;
        let health = gateway.health(&backend);
        assert_eq!((health.done, health.failed, health.abandoned), (0, 0, 1));
    });
}

#[test]
fn requests_that_end_with_the_server_are_closed() {
    run(async {
        let backend = Backend::start();
        backend.set_mode(Mode::Wait);
        let mut gateway = Gateway::start(&rules("", &[(&backend, "")])).await;
        let mut clients = Vec::new();
        for _ in 0..5 {
            clients.push(send(gateway.address, "GET", "").await);
        }
        eventually("all requests arrive", || backend.waiting() == 5).await;
        // Drops the runtime, and with it the tasks.
        tokio::task::block_in_place(|| gateway.stop());
        gateway.assert_settled().await;
        assert_eq!(gateway.health(&backend).abandoned, 5);
        assert!(gateway.records().is_empty(), "no request was logged");
    });
}

#[test]
fn the_first_and_the_last_call_suffice_to_count() {
    run(async {
        let (backends, dead) = (Backend::many::<3>(), Backend::dead());
        let [good, bad, slow] = &backends;
        let servers = [(good, ""), (bad, ""), (slow, ""), (&dead, "")];
        let gateway = Gateway::start_silent(&rules("-s rr", &servers)).await;
        bad.set_status(500);
        slow.set_mode(Mode::Wait);
        let mut statuses = Vec::new();
        for _ in 0..4 {
            let before = slow.requests();
            let mut client = send(gateway.address, "GET", "").await;
            let mut head = [0; 12];
            tokio::select! {
                read = client.read_exact(&mut head) => drop(read.expect("a head")),
                () = eventually("the slow one waits", || slow.requests() > before) => {}
            }
            statuses.push(String::from_utf8_lossy(&head[9..]).into_owned());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, ["\0\0\0", "200", "500", "502"]);
        gateway.assert_settled().await;
        let totals = |backend| {
            let health = gateway.health(backend);
            assert_eq!(health.latency, None);
            (health.done, health.failed, health.abandoned)
        };
        assert_eq!([good, bad].map(totals), [(1, 0, 0), (0, 1, 0)]);
        assert_eq!([slow, &dead].map(totals), [(0, 0, 1), (0, 1, 0)]);
    });
}
