//! Health checks.

use std::time::Duration;

use pingora_load_balancing::health_check::{HttpHealthCheck, TcpHealthCheck};
use vsched::ServerState;
use vsched_pingora::{ControlLoop, HealthChecks};

use crate::backend::Backend;
use crate::gateway::{Gateway, director, rules};
use crate::{eventually, run};

const OFTEN: Duration = Duration::from_millis(20);

#[test]
fn a_dead_server_gets_no_request_until_it_is_back() {
    run(async {
        let (dead, backends) = (Backend::dead(), Backend::many::<1>());
        let [alive] = &backends;
        let director = director(&rules("-s rr", &[(&dead, ""), (alive, "")]));
        let checks = HealthChecks::new(TcpHealthCheck::new()).with_interval(OFTEN);
        let work = ControlLoop::new(director.clone()).with_health_checks(checks);
        let gateway = Gateway::start_with(&director, |balancer| balancer, Some(work)).await;
        let state = |backend| gateway.health(backend).state;
        eventually("it is out", || state(&dead) == ServerState::Down).await;
        assert_eq!(gateway.shares(20, &backends).await, [20]);
        assert_eq!(gateway.health(&dead).failed, 0);

        dead.listen();
        eventually("it is back", || state(&dead) == ServerState::Up).await;
        assert_eq!(gateway.shares(20, &backends).await, [10]);
        assert_eq!(gateway.health(&dead).done, 10);

        // The hold outlives a reload, and the server's removal.
        dead.stop();
        eventually("it is out again", || state(&dead) == ServerState::Down).await;
        let without = rules("-s rr", &[(alive, "")]).parse().expect("rules");
        let with = director.config();
        director.apply(&without).expect("a config");
        director.apply(&with).expect("a config");
        assert_eq!(state(&dead), ServerState::Down);
        assert_eq!(gateway.shares(4, &backends).await, [4]);
        dead.listen();
        eventually("it is back again", || state(&dead) == ServerState::Up).await;
        gateway.assert_settled().await;
    });
}

#[test]
fn thresholds_are_those_of_the_check() {
    run(async {
        let backend = Backend::start();
        let director = director(&rules("", &[(&backend, "")]));
        let mut check = HttpHealthCheck::new("test", false);
        (check.consecutive_failure, check.consecutive_success) = (3, 2);
        let checks = HealthChecks::new(Box::new(check));
        let service = director.service(crate::gateway::SERVICE).expect("a service");
        let state = || director.servers(service).expect("it runs")[0].1.state;
        let mut states = Vec::new();
        for status in [500, 500, 200, 500, 500, 500, 500, 200, 500, 200, 200] {
            backend.set_status(status);
            checks.run_once(&director).await;
            states.push(state() == ServerState::Down);
        }
        let down = [false, false, false, false, false, true, true, true, true, true, false];
        assert_eq!(states, down);
        assert_eq!(backend.requests(), 11);
    });
}

#[test]
fn a_check_that_hangs_has_failed_and_others_go_on() {
    run(async {
        let backends = Backend::many::<3>();
        let [slow, a, b] = &backends;
        slow.set_mode(crate::backend::Mode::Wait);
        let director = director(&rules("", &[(slow, ""), (a, ""), (b, "")]));
        let mut check = HttpHealthCheck::new("test", false);
        check.peer_template.options.read_timeout = None;
        let checks = HealthChecks::new(Box::new(check)).with_timeout(OFTEN).with_parallel(1);
        checks.run_once(&director).await;
        let service = director.service(crate::gateway::SERVICE).expect("a service");
        for (_, server) in director.servers(service).expect("it runs") {
            let expected = server.server.address == slow.address;
            assert_eq!(server.state == ServerState::Down, expected, "{server:?}");
        }
    });
}

#[test]
fn servers_that_are_not_tcp_are_not_checked() {
    run(async {
        let dead = Backend::dead();
        let rules = format!("-A -u 10.9.9.9:53\n-a -u 10.9.9.9:53 -r {} -m", dead.address);
        let director = director(&rules);
        HealthChecks::new(TcpHealthCheck::new()).run_once(&director).await;
        let service = director.service("udp 10.9.9.9:53").expect("a service");
        assert_eq!(director.servers(service).expect("it runs")[0].1.state, ServerState::Up);
    });
}

#[test]
fn a_server_that_comes_back_healthy_is_released() {
    run(async {
        let (flapping, other) = (Backend::dead(), Backend::start());
        let (with, without) =
            (rules("", &[(&flapping, ""), (&other, "")]), rules("", &[(&other, "")]));
        let director = director(&with);
        let checks = HealthChecks::new(TcpHealthCheck::new());
        let service = director.service(crate::gateway::SERVICE).expect("a service");
        let states = || {
            let servers = director.servers(service).expect("it runs").into_iter();
            let of = servers.map(|(_, it)| (it.server.address == flapping.address, it.state));
            let mut states: Vec<_> = of.collect();
            states.sort_unstable_by_key(|(is_flapping, _)| *is_flapping);
            states.into_iter().map(|(_, state)| state).collect::<Vec<_>>()
        };
        checks.run_once(&director).await;
        assert_eq!(states(), [ServerState::Up, ServerState::Down]);
        director.apply(&without.parse().expect("rules")).expect("a config");
        checks.run_once(&director).await;
        assert_eq!(states(), [ServerState::Up]);
        flapping.listen();
        director.apply(&with.parse().expect("rules")).expect("a config");
        assert_eq!(states(), [ServerState::Up, ServerState::Down]);
        checks.run_once(&director).await;
        assert_eq!(states(), [ServerState::Up, ServerState::Up]);
    });
}
