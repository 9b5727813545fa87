//! Schedulers in pingora's own `LoadBalancer`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use pingora_load_balancing::discovery::Static;
use pingora_load_balancing::selection::{BackendIter, BackendSelection};
use pingora_load_balancing::{Backend, Backends, LoadBalancer};
use vsched::SchedulerKind;
use vsched_pingora::{Selection, SelectionConfig};

fn backend(address: &str, weight: usize) -> Backend {
    Backend::new_with_weight(address, weight).expect("an address")
}

fn balancer(scheduler: SchedulerKind, backends: &[Backend]) -> LoadBalancer<Selection> {
    let backends = Backends::new(Static::new(backends.iter().cloned().collect()));
    let config = SelectionConfig::new(scheduler).expect("it fits");
    let balancer = LoadBalancer::from_backends_with_config(backends, Some(config));
    crate::run(async { balancer.update().await.expect("static") });
    balancer
}

fn select(balancer: &LoadBalancer<Selection>, key: &str) -> String {
    balancer.select(key.as_bytes(), 1).expect("a backend").addr.to_string()
}

#[test]
fn shares_are_exactly_the_weights() {
    let backends =
        [backend("10.0.0.1:80", 5), backend("10.0.0.2:80", 2), backend("10.0.0.3:80", 1)];
    for (scheduler, expected) in
        [(SchedulerKind::Wrr, [50, 20, 10]), (SchedulerKind::Rr, [27, 27, 26])]
    {
        let balancer = balancer(scheduler, &backends);
        let mut shares: HashMap<String, usize> = HashMap::new();
        for _ in 0..80 {
            *shares.entry(select(&balancer, "")).or_default() += 1;
        }
        let mut shares: Vec<_> = shares.into_values().collect();
        shares.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(shares, expected, "{scheduler:?}");
    }
}

#[test]
fn backends_that_are_not_accepted_are_passed_over_once_each() {
    let backends: Vec<_> = (1..=20).map(|n| backend(&format!("10.0.0.{n}:80"), n)).collect();
    let balancer = balancer(SchedulerKind::Wrr, &backends);
    for bad in &backends {
        let picked = balancer.select_with(b"", 20, |it, healthy| healthy && it != bad);
        assert!(picked.is_some_and(|it| it != *bad));
    }
    // Each backend is looked at once, so as many steps as backends suffice.
    let last = &backends[3];
    assert_eq!(balancer.select_with(b"", 20, |it, _| it == last).as_ref(), Some(last));
    assert_eq!(balancer.select_with(b"", 1000, |_, _| false), None);
}

#[test]
fn a_key_keeps_its_backend_when_others_go() {
    let backends: Vec<_> = (1..=10).map(|n| backend(&format!("10.0.0.{n}:80"), 1)).collect();
    for scheduler in [SchedulerKind::Mh, SchedulerKind::Sh] {
        let before = balancer(scheduler, &backends);
        let home = |key: usize| select(&before, &key.to_string());
        let homes: Vec<String> = (0..1000).map(home).collect();
        assert_eq!(homes, (0..1000).map(home).collect::<Vec<_>>());
        assert_eq!(homes.iter().collect::<BTreeSet<_>>().len(), 10, "{scheduler:?}");
    }
    let (all, fewer) =
        (balancer(SchedulerKind::Mh, &backends), balancer(SchedulerKind::Mh, &backends[1..]));
    let gone = backends[0].addr.to_string();
    let keys: Vec<String> = (0..1000).map(|key| key.to_string()).collect();
    let stay = keys.iter().filter(|key| select(&all, key) != gone);
    let moved = stay.filter(|key| select(&all, key) != select(&fewer, key)).count();
    assert!(moved < 100, "{moved} of about 900 moved");
}

#[test]
fn odd_sets_of_backends_are_no_problem() {
    let pick = |backends: &[Backend]| {
        let set: BTreeSet<_> = backends.iter().cloned().collect();
        let selection = Arc::new(Selection::build(&set));
        let mut picks = selection.iter(b"key");
        let mut found = Vec::new();
        while let Some(backend) = picks.next() {
            found.push(backend.clone());
            assert!(found.len() <= set.len());
        }
        found
    };
    assert!(pick(&[]).is_empty());
    // pingora's own RoundRobin panics here.
    assert!(pick(&[backend("10.0.0.1:80", 0)]).is_empty());
    let twice = [backend("10.0.0.1:80", 1), backend("10.0.0.1:80", 2)];
    assert_eq!(pick(&twice), twice[..1]);
    assert_eq!(pick(&[backend("10.0.0.1:80", usize::MAX)]).len(), 1);
    let addresses = ["10.0.0.1:80", "[fe80::1%3]:80", "[fe80::1%4]:80", "[::1]:80", "0.0.0.0:80"];
    let families = addresses.map(|address| backend(address, 1));
    assert_eq!(pick(&families).len(), 5);
}

#[cfg(unix)]
#[test]
fn unix_sockets_are_backends_too() {
    use pingora_core::protocols::l4::socket::SocketAddr;
    use std::os::unix::net::SocketAddr as UnixAddress;
    let unix = |path| Backend {
        addr: SocketAddr::Unix(UnixAddress::from_pathname(path).expect("a path")),
        ..backend("10.0.0.1:80", 1)
    };
    let backends = [unix("/run/a"), unix("/run/b"), backend("10.0.0.1:80", 1)];
    let balancer = balancer(SchedulerKind::Rr, &backends);
    let picks: BTreeSet<String> = (0..3).map(|_| select(&balancer, "")).collect();
    assert_eq!(picks.len(), 3);
}

#[test]
fn schedulers_that_compare_connections_are_refused() {
    let fits = |it: &&SchedulerKind| SelectionConfig::new(**it).is_ok();
    let names: Vec<_> = SchedulerKind::ALL.iter().filter(fits).map(|it| it.name()).collect();
    assert_eq!(names, ["rr", "wrr", "sh", "dh", "mh", "fo"]);
    let refusal = SelectionConfig::new(SchedulerKind::Lc).expect_err("it cannot work").to_string();
    assert!(refusal.contains("lc") && refusal.contains("Balancer"), "{refusal}");
}
