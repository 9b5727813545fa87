//! The draws of `twos`: which servers, for a seed and a service, pick by pick. They must stay what they
//! are, since a seed repeats them.

mod common;

use common::{config, flow, rip};
use vsched::config::ServiceKey;
use vsched::{Director, SchedulerKind};

/// SplitMix64, output number `index`.
fn split_mix(seed: u64, index: u64) -> u64 {
    let mut state = seed;
    let mut output = 0;
    for _ in 0..=index {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        output = z ^ (z >> 31);
    }
    output
}

/// The seed with the service's key: FNV-1a.
fn service_seed(seed: u64, key: &ServiceKey) -> u64 {
    let mut state = seed;
    for byte in key.to_string().bytes() {
        state ^= u64::from(byte);
        state = state.wrapping_mul(0x100_0000_01b3);
    }
    state
}

/// The server that a number from 0 to the sum of weights falls to, in list order.
fn walk(weights: &[u32], number: u64) -> usize {
    let mut sum = 0;
    let reaches = |weight: &u32| {
        sum += u64::from(*weight);
        number <= sum
    };
    weights.iter().position(reaches).expect("at most the sum")
}

#[test]
fn a_seed_gives_these_servers() {
    for seed in [0, 1, 7, u64::MAX, 0x0123_4567_89ab_cdef] {
        for weights in [&[1][..], &[1, 1], &[3, 1, 2], &[100, 1, 1, 50], &[1 << 30, 1 << 30, 7]] {
            let in_order_of_adding: Vec<u32> = weights.iter().rev().copied().collect();
            let count = weights.len() as u16;
            let config = config(SchedulerKind::Twos, count, &in_order_of_adding);
            let config = config.with_seed(seed);
            let key = config.services[0].key;
            let director = Director::new(&config).expect("a valid config");
            let service = director.service_by_key(&key).expect("it runs");
            let worker = director.worker();
            let values = u128::from(weights.iter().map(|weight| u64::from(*weight)).sum::<u64>());
            let reduce = |random: u64| ((u128::from(random) * (values + 1)) >> 64) as u64;
            for pick in 0..50 {
                let seed = service_seed(seed, &key);
                let draw = |number| walk(weights, reduce(split_mix(seed, number)));
                let first = draw(2 * pick);
                // Idle servers of any weight are equally loaded: the first draw wins.
                let found = worker.pick_server(service, &flow(1)).expect("a server").address();
                assert_eq!(found, rip(count - first as u16), "{seed} {weights:?} {pick}");
            }
        }
    }
}

/// Of two different servers the second wins if it is less loaded, and only then.
#[test]
fn the_less_loaded_of_two_wins() {
    for (loads, draws_decide) in [([0, 0], true), ([5, 5], true), ([5, 6], false), ([6, 5], false)]
    {
        let config = config(SchedulerKind::Twos, 2, &[1]);
        let key = config.services[0].key;
        let director = Director::new(&config).expect("a valid config");
        let service = director.service_by_key(&key).expect("it runs");
        for (n, load) in (1..).zip(loads) {
            let server = common::server_id(&director, &key, rip(n)).expect("it runs");
            director.set_counts(server, load, 0).expect("few");
        }
        let worker = director.worker();
        let seed = service_seed(0, &key);
        let reduce = |random: u64| ((u128::from(random) * 3) >> 64) as u64;
        for pick in 0..50 {
            let draw = |number| 2 - walk(&[1, 1], reduce(split_mix(seed, number))) as u16;
            let (first, second) = (draw(2 * pick), draw(2 * pick + 1));
            let load = |n: u16| loads[usize::from(n) - 1];
            let expected = if load(second) < load(first) { second } else { first };
            assert!(!draws_decide || expected == first);
            let found = worker.pick_server(service, &flow(1)).expect("a server").address();
            assert_eq!(found, rip(expected), "{loads:?} {pick}");
        }
    }
}
