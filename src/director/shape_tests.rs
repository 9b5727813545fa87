use super::Condition::{Down, Out, Up};
use super::{Condition, Part, Tier, WHOLE, loads, shape, share, step};
use crate::config::SlowStart;

fn part(weight: u32, priority: u8, condition: Condition) -> Part {
    Part { weight, priority, condition, share: WHOLE }
}

/// `up` of `all` servers of weight 1.
fn tier(up: usize, all: usize, priority: u8) -> Vec<Part> {
    (0..all).map(|n| part(1, priority, if n < up { Up } else { Down })).collect()
}

/// The table of Envoy's documentation, health in percent, over-provisioning factor 1.4.
#[test]
fn envoys_table_of_priorities() {
    let table: [(&[u32], &[u32]); 12] = [
        (&[100, 100], &[100, 0]),
        (&[72, 72], &[100, 0]),
        (&[71, 71], &[99, 1]),
        (&[50, 50], &[70, 30]),
        (&[25, 100], &[35, 65]),
        (&[25, 25], &[50, 50]),
        (&[0, 100], &[0, 100]),
        (&[100, 100, 100], &[100, 0, 0]),
        (&[71, 71, 100], &[99, 1, 0]),
        (&[50, 50, 50], &[70, 30, 0]),
        (&[25, 25, 100], &[35, 35, 30]),
        (&[25, 25, 20], &[36, 36, 28]),
    ];
    for (healths, expected) in table {
        let tiers: Vec<Tier> = healths.iter().map(|up| Tier { up: *up, all: 100 }).collect();
        assert_eq!(loads(&tiers, 140), expected, "{healths:?}");
    }
    assert_eq!(loads(&[Tier { up: 0, all: 9 }, Tier { up: 0, all: 0 }], 140), [0, 0]);
}

#[test]
fn loads_always_sum_to_all() {
    for seed in 0..20_000u32 {
        let part = |n: u32| seed.wrapping_mul(2_654_435_761).rotate_left(n * 7) % 40;
        let tiers: Vec<Tier> = (0..1 + seed % 4)
            .map(|n| Tier { up: part(n).min(part(n + 4)), all: part(n + 4) })
            .collect();
        let sum: u32 = loads(&tiers, 100 + seed % 900).iter().sum();
        let any = tiers.iter().any(|tier| tier.up > 0);
        assert_eq!(sum, if any { 100 } else { 0 }, "{tiers:?}");
    }
}

/// Envoy's formula: the larger of the least share and (time / window) ^ (1 / aggression).
#[test]
fn slow_start_follows_the_formula() {
    let linear = SlowStart { duration: 60, aggression: 100, least: 10 };
    let fast = SlowStart { aggression: 200, ..linear };
    let slow = SlowStart { aggression: 50, ..linear };
    let table = [
        (linear, 0, 100),
        (linear, 3_000, 100),
        (linear, 15_000, 250),
        (linear, 30_000, 500),
        (linear, 59_999, 999),
        (linear, 60_000, 1000),
        (fast, 0, 129),
        (fast, 15_000, 500),
        (slow, 30_000, 250),
        (slow, 60_001, 1000),
        (SlowStart { least: 100, ..linear }, 0, 1000),
    ];
    for (how, age, expected) in table {
        assert_eq!(share(age, &how), expected, "{how:?} {age}");
    }
    assert_eq!(step(15_900, &linear), 250);
    assert_eq!(step(0, &SlowStart { least: 3, ..linear }), 30);
    let steps: std::collections::BTreeSet<u32> =
        (0..60_000).map(|age| step(age, &linear)).collect();
    assert!(steps.len() <= 20, "{steps:?}");
}

#[test]
fn slow_start_scales_all_weights_alike() {
    let mut parts = vec![part(1, 0, Up), part(2, 0, Up), part(1, 0, Up)];
    assert_eq!(shape(&parts, None, 0).weights, None);
    parts[2].share = 250;
    assert_eq!(shape(&parts, None, 0).weights, Some(vec![20, 40, 5]));
    // Fine enough as they are.
    let parts = [part(100, 0, Up), Part { share: 100, ..part(100, 0, Up) }];
    assert_eq!(shape(&parts, None, 0).weights, Some(vec![100, 10]));
    // Too heavy to be scaled.
    let heavy = i32::MAX as u32;
    let parts = [part(heavy, 0, Up), Part { share: 100, ..part(10, 0, Up) }];
    assert_eq!(shape(&parts, None, 0).weights, Some(vec![heavy, 1]));
}

#[test]
fn one_tier_serves_alone() {
    let serves = |parts: &[Part]| shape(parts, None, 0).weights;
    let backup = |up| [tier(up, 2, 0), tier(1, 1, 1), tier(1, 1, 5)].concat();
    assert_eq!(serves(&backup(2)), Some(vec![1, 1, 0, 0]));
    assert_eq!(serves(&backup(1)), Some(vec![1, 1, 0, 0]));
    assert_eq!(serves(&backup(0)), Some(vec![0, 0, 1, 0]));
    // None is up: the first tier keeps its weights.
    assert_eq!(serves(&[tier(0, 2, 0), tier(0, 1, 1)].concat()), Some(vec![1, 1, 0]));
    // A tier that is drained, quiesced or held by an administrator is passed on.
    assert_eq!(serves(&[vec![part(1, 0, Out)], tier(1, 1, 1)].concat()), Some(vec![0, 1]));
    assert_eq!(serves(&[vec![part(0, 0, Up)], tier(1, 1, 1)].concat()), None);
    assert_eq!(serves(&[]), None);
}

#[test]
fn tiers_spill_over_in_proportion() {
    let parts = [tier(1, 2, 3), tier(2, 2, 7)].concat();
    // 70 to 30, among one and two servers that are up.
    let weights = shape(&parts, Some(140), 0).weights.expect("shared");
    let up = [weights[0], weights[2], weights[3]].map(f64::from);
    assert_eq!(up[1], up[2]);
    assert!((up[0] / up.iter().sum::<f64>() - 0.7).abs() < 0.01, "{weights:?}");
    assert_eq!(shape(&tier(1, 2, 0), Some(140), 0).weights, None);
}

#[test]
fn panic_takes_what_is_not_meant_to_be_out() {
    let panics = |parts: &[Part], spill, threshold| {
        let shape = shape(parts, spill, threshold);
        (shape.panics, shape.weights)
    };
    assert_eq!(panics(&tier(1, 4, 0), None, 0), (false, None));
    assert_eq!(panics(&tier(2, 4, 0), None, 50), (false, None));
    assert_eq!(panics(&tier(1, 4, 0), None, 50), (true, None));
    assert_eq!(panics(&tier(0, 4, 0), None, 1), (true, None));
    let out = [vec![part(1, 0, Out), part(1, 0, Out)], tier(1, 2, 0)].concat();
    assert_eq!(panics(&out, None, 50), (false, None));
    assert_eq!(panics(&[part(1, 0, Out)], None, 100), (false, None));
    // The tier that serves, alone.
    let backup = [tier(1, 4, 0), tier(1, 1, 1)].concat();
    assert_eq!(panics(&backup, None, 50), (true, Some(vec![1, 1, 1, 1, 0])));
    // None is up anywhere: all tiers.
    assert_eq!(panics(&[tier(0, 2, 0), tier(0, 1, 1)].concat(), None, 50), (true, None));
    // Enough health in all tiers together.
    assert!(!panics(&backup, Some(140), 50).0);
    assert_eq!(panics(&[tier(1, 4, 0), tier(1, 4, 1)].concat(), Some(140), 50), (true, None));
}
