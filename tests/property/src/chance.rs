//! The schedulers that choose at random, as walks of the list from the same seed.

use crate::twins::{Seen, eligible};

/// After so many servers that are not eligible, only the eligible are walked: as many as there are, but at
/// most 32, or a quarter of a long list.
fn limit(list: &[Seen]) -> usize {
    list.len().min(32).max(list.len() / 4)
}

/// Output number `index` of SplitMix64.
fn split_mix(seed: u64, index: u64) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut z = seed.wrapping_add(STEP.wrapping_mul(index)).wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The two random numbers of this pick.
fn two((seed, pick): (u64, u64)) -> [u64; 2] {
    [0, 1].map(|choice| split_mix(seed, pick.wrapping_mul(2).wrapping_add(choice)))
}

fn scale(random: u64, values: u64) -> u64 {
    (u128::from(random) * u128::from(values) / (1 << 64)) as u64
}

/// The server that a number below the sum of these weights falls to.
fn walk<'l>(list: &[&'l Seen], mut number: u64) -> Option<&'l Seen> {
    list.iter().copied().find(|server| {
        let weight = u64::from(server.weight);
        let falls = number < weight;
        number = number.saturating_sub(weight);
        falls
    })
}

/// An eligible server by a random number; the first of them has this bonus beside its weight.
fn choose<'l>(list: &[&'l Seen], bonus: u64, mut random: u64, limit: usize) -> Option<&'l Seen> {
    let sum = |list: &[&Seen]| list.iter().map(|server| u64::from(server.weight)).sum::<u64>();
    let open: Vec<&Seen> = list.iter().copied().filter(|server| eligible(server)).collect();
    for _ in 0..limit {
        let number = scale(random, sum(list) + bonus);
        let found = if number < bonus {
            open.first().copied()
        } else {
            walk(list, number - bonus).filter(|server| eligible(server))
        };
        if found.is_some() {
            return found;
        }
        random = split_mix(random, 0);
    }
    let number = scale(random, sum(&open) + bonus);
    walk(&open, number.saturating_sub(bonus))
}

/// Two choices, which may be the same; the kernel draws one value more than the weights are.
pub(crate) fn twos(
    list: &[Seen],
    chance: (u64, u64),
    overhead: impl Fn(&Seen) -> u64,
) -> Option<&Seen> {
    let all: Vec<&Seen> = list.iter().collect();
    let [one, two] = two(chance).map(|random| choose(&all, 1, random, limit(list)));
    let (one, two) = (one?, two?);
    Some(if is_lighter(two, one, overhead) { two } else { one })
}

/// Two different servers, if there are two.
pub(crate) fn p2c(
    list: &[Seen],
    chance: (u64, u64),
    delay: impl Fn(&Seen) -> u64,
) -> Option<&Seen> {
    let all: Vec<&Seen> = list.iter().collect();
    let [first, second] = two(chance);
    let one = choose(&all, 0, first, limit(list))?;
    let others: Vec<&Seen> = list.iter().filter(|server| server.name != one.name).collect();
    let two = choose(&others, 0, second, limit(list));
    Some(two.filter(|two| is_lighter(two, one, delay)).unwrap_or(one))
}

fn is_lighter(two: &Seen, one: &Seen, load: impl Fn(&Seen) -> u64) -> bool {
    u128::from(load(two)) * u128::from(one.weight) < u128::from(load(one)) * u128::from(two.weight)
}

/// The seed with the service's key: FNV-1a.
pub(crate) fn service_seed(seed: u64, key: &str) -> u64 {
    let round = |state: u64, byte| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    key.bytes().fold(seed, round)
}
