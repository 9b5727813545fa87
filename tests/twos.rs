//! `twos` draws at random: its distribution is the kernel's, and a seed repeats it.
//!
//! With T the sum of the available weights, two draws from 0 to T, both included, each walk the
//! list; so the first in the list has one chance more than its weight. The second draw wins only if
//! it is strictly less loaded for its weight.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

use vsched::config::{KernelRules, RealServer, ServiceKey, VirtualService};
use vsched::{Activity, Config, Director, Flow, SchedulerKind, Worker};

const PICKS: u32 = 200_000;
/// Standard deviations. One case in about two million is further off by chance; the seeds are
/// fixed, so a case that passes passes always.
const TOLERANCE: f64 = 5.0;

#[derive(Clone, Copy)]
struct Server {
    weight: u32,
    active: u32,
    inactive: u32,
    upper: u32,
}

const fn server(weight: u32, active: u32, inactive: u32) -> Server {
    Server { weight, active, inactive, upper: 0 }
}

const fn idle(weight: u32) -> Server {
    server(weight, 0, 0)
}

/// Loaded to its upper threshold.
const fn full(weight: u32, active: u32) -> Server {
    Server { upper: active, ..server(weight, active, 0) }
}

fn key(number: u8) -> ServiceKey {
    ServiceKey::tcp(SocketAddr::from(([10, 1, 0, number], 80)))
}

fn address(number: usize) -> SocketAddr {
    let number = u8::try_from(number).expect("few servers");
    SocketAddr::from(([10, 9, 0, number], 80))
}

/// A service with these servers, in list order: the newest first.
fn service(number: u8, servers: &[Server]) -> VirtualService {
    let new = VirtualService::new(key(number)).with_scheduler(SchedulerKind::Twos);
    let numbered = servers.iter().enumerate().rev();
    numbered.fold(new, |service, (place, server)| {
        let real = RealServer::new(address(place)).with_weight(server.weight);
        service.with_server(real.with_thresholds(server.upper, 0))
    })
}

fn director(seed: u64, generation: KernelRules, services: Vec<VirtualService>) -> Director {
    let config =
        Config::new().with_seed(seed).with_kernel_rules(generation).with_services(services);
    Director::new(&config).expect("the config is valid")
}

/// Opens the connections that the servers are said to have.
fn load(director: &Director, servers: &[Server]) {
    let worker = director.worker();
    let service = director.service_by_key(&key(1)).expect("it runs");
    for (place, server) in servers.iter().enumerate() {
        let id = director.server_by_address(service, address(place)).expect("it runs");
        let open = |activity| {
            let lease = worker.open(id, activity).expect("it takes any number");
            assert_eq!(lease.activity(), Some(activity));
        };
        (0..server.active).for_each(|_| open(Activity::Active));
        (0..server.inactive).for_each(|_| open(Activity::Inactive));
    }
}

/// Places in the list of the next picks of a service.
fn picks<'a>(
    director: &Director,
    worker: &'a Worker,
    number: u8,
) -> impl Iterator<Item = usize> + 'a {
    let service = director.service_by_key(&key(number)).expect("it runs");
    std::iter::from_fn(move || {
        let pick = worker.pick_server(service, &Flow::default()).ok()?;
        match pick.address().ip() {
            std::net::IpAddr::V4(ip) => Some(usize::from(Ipv4Addr::octets(&ip)[3])),
            std::net::IpAddr::V6(_) => None,
        }
    })
}

/// The rule, worked out: chance of each server to be chosen.
fn expected(servers: &[Server], generation: KernelRules) -> Vec<f64> {
    let available = |server: &Server| {
        let connections = server.active + server.inactive;
        server.weight > 0 && (server.upper == 0 || connections < server.upper)
    };
    let sum: u32 = servers.iter().filter(|s| available(s)).map(|s| s.weight).sum();
    let first = servers.iter().position(available).expect("one is available");
    let drawn: Vec<f64> = servers
        .iter()
        .enumerate()
        .map(|(place, server)| {
            let values =
                if !available(server) { 0 } else { server.weight + u32::from(place == first) };
            f64::from(values) / f64::from(sum + 1)
        })
        .collect();
    let load = |server: &Server| match generation {
        KernelRules::A => 256 * server.active + server.inactive,
        _ => 257 * server.active + server.inactive,
    };
    let mut chances = vec![0.0; servers.len()];
    for (one, a) in servers.iter().enumerate() {
        for (two, b) in servers.iter().enumerate() {
            let second = b.weight * load(a) > a.weight * load(b);
            chances[if second { two } else { one }] += drawn[one] * drawn[two];
        }
    }
    chances
}

fn tally(servers: &[Server], generation: KernelRules, seed: u64) -> Vec<u32> {
    let director = director(seed, generation, vec![service(1, servers)]);
    load(&director, servers);
    let worker = director.worker();
    let mut counts = vec![0; servers.len()];
    for place in picks(&director, &worker, 1).take(PICKS as usize) {
        counts[place] += 1;
    }
    assert_eq!(counts.iter().sum::<u32>(), PICKS, "none was refused");
    counts
}

/// How many standard deviations the worst count is off.
fn deviation(counts: &[u32], chances: &[f64]) -> f64 {
    let total = f64::from(counts.iter().sum::<u32>());
    let off = counts.iter().zip(chances).map(|(count, chance)| {
        let off = (f64::from(*count) - total * chance).abs();
        // A server that is never or always chosen may not be off by one.
        if off < 1e-6 { 0.0 } else { off / (total * chance * (1.0 - chance)).max(0.0).sqrt() }
    });
    off.fold(0.0, f64::max)
}

#[test]
fn the_rule_gives_what_was_observed_and_worked_out_by_hand() {
    let close = |servers: &[Server], generation, by_hand: &[f64]| {
        let chances = expected(servers, generation);
        let worst = chances.iter().zip(by_hand).map(|(a, b)| (a - b).abs());
        assert!(worst.fold(0.0, f64::max) < 1e-12, "{chances:?} {by_hand:?}");
    };
    // Seen on a kernel, one-packet service: the newest gets twice the oldest, or half of all.
    close(&[idle(1), idle(1)], KernelRules::B, &[2.0 / 3.0, 1.0 / 3.0]);
    close(&[idle(1); 3], KernelRules::B, &[0.5, 0.25, 0.25]);
    // A loaded server is chosen only if both draws are its own.
    close(&[server(1, 1, 0), idle(1)], KernelRules::B, &[4.0 / 9.0, 5.0 / 9.0]);
    close(&[idle(1), server(1, 1, 0)], KernelRules::B, &[8.0 / 9.0, 1.0 / 9.0]);
    // 1 active against 256 inactive: equal in A, so the first draw stays; 257 to 256 in B.
    let near = [server(1, 1, 0), server(1, 0, 256)];
    close(&near, KernelRules::A, &[2.0 / 3.0, 1.0 / 3.0]);
    close(&near, KernelRules::B, &[4.0 / 9.0, 5.0 / 9.0]);
}

#[test]
fn picks_are_distributed_by_the_rule() {
    let cases: [&[Server]; 14] = [
        &[idle(1)],
        &[idle(1), idle(1)],
        &[idle(1), idle(1), idle(1)],
        &[idle(3), idle(1), idle(6)],
        &[idle(0), idle(2), idle(0), idle(5)],
        &[server(1, 1, 0), idle(1)],
        &[idle(1), server(1, 1, 0)],
        &[server(1, 1, 0), server(1, 0, 256)],
        &[server(1, 1, 0), server(1, 0, 257)],
        &[server(2, 4, 0), server(1, 2, 0), server(4, 8, 0)],
        &[server(5, 3, 1), server(1, 0, 9), server(2, 2, 0), server(3, 1, 700)],
        &[full(9, 2), server(1, 1, 0), idle(2)],
        &[idle(1_000_000), idle(2_000_000), server(1, 1, 0)],
        &[idle(100), idle(1), idle(1), idle(1), idle(1), server(100, 1, 0)],
    ];
    for (seed, servers) in (1..).zip(cases) {
        for generation in [KernelRules::A, KernelRules::B] {
            let counts = tally(servers, generation, seed);
            let chances = expected(servers, generation);
            let off = deviation(&counts, &chances);
            assert!(off <= TOLERANCE, "case {seed} {generation:?}: {off}: {counts:?} {chances:?}");
        }
    }
}

/// The tolerance tells the rule from its neighbours.
#[test]
fn other_distributions_are_rejected() {
    let even = tally(&[idle(1), idle(1)], KernelRules::B, 1);
    assert!(deviation(&even, &[0.5, 0.5]) > TOLERANCE);
    let near = [server(1, 1, 0), server(1, 0, 256)];
    let counts = tally(&near, KernelRules::A, 1);
    assert!(deviation(&counts, &expected(&near, KernelRules::B)) > TOLERANCE);
    assert!(deviation(&[PICKS - 1, 1], &[1.0, 0.0]) > TOLERANCE);
}

/// One pick says nothing about the next.
#[test]
fn successive_picks_are_independent() {
    let servers = [idle(2), idle(1), idle(3)];
    let director = director(9, KernelRules::B, vec![service(1, &servers)]);
    let worker = director.worker();
    let single = expected(&servers, KernelRules::B);
    let mut pairs = [0; 9];
    let mut places = picks(&director, &worker, 1);
    for _ in 0..PICKS {
        let (one, two) = (places.next().expect("a pick"), places.next().expect("a pick"));
        pairs[3 * one + two] += 1;
    }
    let both = |at: usize| single[at / 3] * single[at % 3];
    let chances: Vec<f64> = (0..9).map(both).collect();
    let off = deviation(&pairs, &chances);
    assert!(off <= TOLERANCE, "{off}: {pairs:?}");
}

fn sequence(seed: u64, number: u8) -> Vec<usize> {
    let services = vec![service(1, &[idle(1); 4]), service(2, &[idle(1); 4])];
    let director = director(seed, KernelRules::B, services);
    let worker = director.worker();
    picks(&director, &worker, number).take(1000).collect()
}

#[test]
fn a_seed_repeats_and_another_does_not() {
    let one = sequence(1, 1);
    assert_eq!(one.len(), 1000);
    assert_eq!(one, sequence(1, 1));
    let mut seen: HashMap<Vec<usize>, u64> = HashMap::new();
    for seed in [0, 1, 2, 3, 1 << 32, 1 << 63, u64::MAX] {
        let other = seen.insert(sequence(seed, 1), seed);
        assert_eq!(other, None, "{seed}");
    }
}

#[test]
fn services_of_one_seed_draw_apart() {
    let (one, two) = (sequence(1, 1), sequence(1, 2));
    // Not only unlike: no more alike than chance. Equal picks have a chance of 0.28 here.
    let chances = expected(&[idle(1); 4], KernelRules::B);
    let chance: f64 = chances.iter().map(|chance| chance * chance).sum();
    let alike = one.iter().zip(&two).filter(|(one, two)| one == two).count();
    let alike = u32::try_from(alike).expect("1000 at most");
    let off = deviation(&[alike, 1000 - alike], &[chance, 1.0 - chance]);
    assert!(off <= TOLERANCE, "{alike} of 1000: {off}");
}

/// The draws belong to the service, not to who asks.
#[test]
fn workers_share_one_sequence() {
    let director = director(1, KernelRules::B, vec![service(1, &[idle(1); 4])]);
    let workers = [director.worker(), director.worker()];
    let mut both = workers.each_ref().map(|worker| picks(&director, worker, 1));
    let alternating: Vec<usize> = (0..1000).filter_map(|at| both[at % 2].next()).collect();
    assert_eq!(alternating, sequence(1, 1));
}
