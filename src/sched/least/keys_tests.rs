//! Keys of both widths order as the fractions that they stand for.

use super::{HEAVIEST, KeyRule, LoadKey, MOST_COMMON_MULTIPLE, common_multiple, divisor};
use crate::arena::counts::{Counts, MAX_CONNECTIONS};
use crate::concurrent::simd::key::Key;
use crate::concurrent::test_random::Random;
use crate::config::{KernelRules, ServerState};
use crate::sched::least::rule::{ACTIVE, Rule};

#[test]
fn keys_order_as_fractions_do() {
    let most = u64::from(ACTIVE + 1) * u64::from(MAX_CONNECTIONS);
    assert!(most < 1 << 35);
    let mut state = 7u64;
    let mut random = |limit: u64| {
        // Knuth's constants; the high bits are the good ones.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((u128::from(state) * u128::from(limit)) >> 64) as u64
    };
    let compare = |(a, v): (u64, u64), (b, w): (u64, u64)| {
        let exact = (u128::from(a) * u128::from(w)).cmp(&(u128::from(b) * u128::from(v)));
        let found = u64::of(a, v as u32).cmp(&u64::of(b, w as u32));
        assert_eq!(found, exact, "{a}/{v} and {b}/{w}");
        assert!(u64::of(a, v as u32) < u64::UNAVAILABLE);
    };
    let heaviest = u64::from(HEAVIEST);
    for round in 0..2_000_000 {
        let (a, v) = (random(most) >> random(35), 1 + random(heaviest));
        let (b, w) = match round % 4 {
            // Arbitrary fractions.
            0 => (random(most), 1 + random(heaviest)),
            // The closest fraction with another weight, and its neighbors.
            1 | 2 => {
                let w = if round % 8 < 4 { 1 + random(heaviest) } else { heaviest - random(9) };
                let near = (u128::from(a) * u128::from(w) / u128::from(v)) as u64;
                ((near + random(3)).saturating_sub(1).min(most), w)
            }
            // An equal fraction.
            _ => {
                let factor = 1 + random((heaviest / v).min(most / a.max(1)).max(1));
                (a * factor, v * factor)
            }
        };
        compare((a, v), (b, w));
    }
    // The largest loads with the largest weights: the closest two fractions there are.
    for d in 0..9 {
        compare((most - d, heaviest), (most - d - 1, heaviest - 1));
        compare((most - d, heaviest - 1), (most - d, heaviest));
    }
}

#[test]
fn narrow_keys_order_as_fractions_do() {
    let most = u64::from(ACTIVE + 1) * u64::from(MAX_CONNECTIONS);
    let mut random = Random(3);
    let (mut exact, mut beyond, mut refused) = (0, 0, 0);
    for _ in 0..200_000 {
        let (common, heaviest) = (1 + random.below(1 << 20), 1 + random.below(40));
        let weights: Vec<u32> = (0..2 + random.below(4))
            .map(|_| (common * random.below(heaviest + 1)) as u32)
            .collect();
        let unweighted = random.below(4) == 0;
        let rule = if unweighted { Rule::DELAY.unweighted() } else { Rule::DELAY };
        let Some(multiple) = common_multiple(rule, weights.iter().copied()) else {
            refused += 1;
            assert!(!unweighted && heaviest > 6, "{weights:?}");
            continue;
        };
        let servers: Vec<(u64, u32, u32)> = weights
            .iter()
            .filter(|weight| **weight > 0)
            .map(|weight| {
                let weight = divisor(rule, *weight);
                let factor = u32::scale(multiple, weight);
                assert!(factor * weight == multiple && factor <= MOST_COMMON_MULTIPLE);
                let border = u64::from(u32::MAX) / u64::from(factor);
                let load = match random.below(3) {
                    0 => random.below(most + 1) >> random.below(35),
                    1 => (border + random.below(5)).saturating_sub(2),
                    _ => random.below(border),
                };
                let load = load.min(most);
                let key = u32::of(load, factor);
                let product = load * u64::from(factor);
                assert_eq!(u64::from(key), product.min(u32::UNAVAILABLE.into()));
                // At least so many active connections per unit of weight: see `keys`.
                assert!(key < u32::UNAVAILABLE || product / u64::from(ACTIVE + 1) >= 16_000_000);
                for near in [load.saturating_sub(1), load, load + 1] {
                    let is_of = key < u32::UNAVAILABLE && near == load;
                    let found = key < u32::UNAVAILABLE && key.is_of(near, multiple, weight);
                    assert_eq!(found, is_of, "{load}/{weight} {multiple}");
                }
                (load, weight, key)
            })
            .collect();
        for (a, v, key) in &servers {
            for (b, w, other) in &servers {
                let fractions =
                    (u128::from(*a) * u128::from(*w)).cmp(&(u128::from(*b) * u128::from(*v)));
                let saturated = *key == u32::UNAVAILABLE && *other == u32::UNAVAILABLE;
                if saturated {
                    beyond += 1;
                } else {
                    exact += 1;
                    assert_eq!(key.cmp(other), fractions, "{a}/{v} and {b}/{w}: {weights:?}");
                }
            }
        }
    }
    assert!(exact > 500_000 && beyond > 50_000 && refused > 20_000, "{exact} {beyond} {refused}");
}

#[test]
fn weights_decide_how_wide_keys_are() {
    let lists: [(&[u32], Option<u32>); 11] = [
        (&[], Some(1)),
        (&[0, 0], Some(1)),
        (&[1, 1, 1], Some(1)),
        (&[7, 7, 0], Some(7)),
        (&[1, 2, 3], Some(6)),
        (&[100, 200, 300], Some(600)),
        (&[17, 15], Some(255)),
        (&[1, 255], Some(255)),
        (&[1, 256], None),
        (&[16, 17], None),
        (&[HEAVIEST, HEAVIEST - 1], None),
    ];
    for (weights, expected) in lists {
        let found = |rule| common_multiple(rule, weights.iter().copied());
        assert_eq!(found(Rule::DELAY), expected, "{weights:?}");
        assert_eq!(found(Rule::DELAY.unweighted()), Some(1), "{weights:?}");
    }
}

#[test]
fn prepared_rules_are_the_rules() {
    let mut random = Random(9);
    let rules = [
        Rule::overhead(KernelRules::A),
        Rule::overhead(KernelRules::B),
        Rule::DELAY,
        Rule::DELAY.idle_first(),
    ];
    for round in 0..20_000 {
        let total = random.below(u64::from(MAX_CONNECTIONS) + 1) >> random.below(26);
        let active = if round % 5 == 0 { 0 } else { random.below(total + 1) };
        let counts = Counts::of(active as u32, total as u32, random.below(4) == 0);
        let states = [ServerState::Up, ServerState::Draining, ServerState::Down];
        let counts = counts.in_state(states[random.below(3) as usize]);
        for rule in rules {
            for rule in [rule, rule.unweighted()] {
                let (prepared, load) = (KeyRule::new(rule, 21), rule.unweighted().key(1, counts));
                let is_key = |key: u64| prepared.is_key(key, 7, counts);
                let key = prepared.key::<u64>(prepared.scale::<u64>(7), counts);
                assert_eq!(key, rule.key(7, counts), "{counts:?} {rule:?}");
                assert_eq!(is_key(key), counts.available());
                assert!(!is_key(key + 1) && !is_key(1.5f64.to_bits()));
                let scale = prepared.scale::<u32>(7);
                assert_eq!(scale, if rule.is_weighted() { 3 } else { 21 });
                let key = prepared.key::<u32>(scale, counts);
                let expected = match load {
                    u64::UNAVAILABLE => u32::UNAVAILABLE,
                    load => u32::of(f64::from_bits(load) as u64, scale),
                };
                assert_eq!(key, expected, "{counts:?} {rule:?}");
                if key < u32::UNAVAILABLE {
                    assert!(prepared.is_key(key, 7, counts), "{counts:?} {rule:?}");
                    assert!(!prepared.is_key(key + 1, 7, counts));
                }
                assert_eq!(prepared.scale::<u32>(0) + prepared.scale::<u64>(0), 0, "quiesced");
            }
        }
    }
}
