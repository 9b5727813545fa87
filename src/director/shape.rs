//! Which of a service's servers take part, and with what weight: slow start, tiers and panic.
//!
//! Pure arithmetic. Schedulers see the effective weights and nothing else, so their picks are those of
//! the same scheduler with these weights configured. Weight 0 keeps a server of a lower tier out.
//!
//! Sources: slow start, tiers and panic threshold as in Envoy's documentation; a single tier that
//! serves as with `backup` of nginx and HAProxy.

use std::collections::BTreeMap;

use crate::config::{SlowStart, shaped_turns};

/// A server, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// As configured.
    pub(super) weight: u32,
    pub(super) priority: u8,
    pub(super) condition: Condition,
    /// Of its weight, in thousandths: less than all in slow start.
    pub(super) share: u32,
}

/// What a server counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Up,
    /// Held down by a health checker or the host, or ejected.
    Down,
    /// Meant to be out: draining, or held down by an administrator. Counts neither as up nor as down.
    Out,
}

/// What all of it comes to.
#[derive(Debug, PartialEq)]
pub(super) struct Shape {
    /// By server; `None`: all as configured.
    pub(super) weights: Option<Vec<u32>>,
    /// Servers that are down take part, except those that are meant to be out.
    pub(super) panics: bool,
}

/// The whole weight, and the load of all tiers together.
const WHOLE: u32 = 1000;
const ALL: u32 = 100;

/// Effective weights are at least this where a weight or a tier is reduced, so that the steps of slow
/// start are fine enough; as long as they are not more than the others, together.
const FINE: f64 = 20.0;
const HEAVIEST: f64 = 65_536.0;

/// A tier's servers with a weight that are not meant to be out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tier {
    pub(super) up: u32,
    pub(super) all: u32,
}

impl Tier {
    fn plus(self, other: Tier) -> Tier {
        Tier { up: self.up + other.up, all: self.all + other.all }
    }

    /// True if too few are up to believe it.
    fn panics(self, threshold: u8) -> bool {
        u64::from(self.up) * 100 < u64::from(threshold) * u64::from(self.all)
    }

    /// In percent, with this over-provisioning factor.
    fn health(self, factor: u32) -> u32 {
        let share = u64::from(factor) * u64::from(self.up) / u64::from(self.all.max(1));
        share.clamp(self.up.min(1).into(), ALL.into()) as u32
    }
}

/// Each tier's load in percent, from its health and that of those before it: together 100, or 0 if no
/// server is up.
pub(super) fn loads(tiers: &[Tier], factor: u32) -> Vec<u32> {
    let health = || tiers.iter().map(|tier| tier.health(factor));
    let sum = health().sum::<u32>().min(ALL);
    let mut rest = if sum == 0 { 0 } else { ALL };
    let mut loads: Vec<u32> = health()
        .map(|health| {
            // Rounded.
            let load = (2 * ALL * health + sum).checked_div(2 * sum).unwrap_or(0).min(rest);
            rest -= load;
            load
        })
        .collect();
    if let Some(first) = loads.iter_mut().find(|load| **load > 0) {
        *first += rest;
    }
    loads
}

/// The effective weights.
pub(super) fn shape(parts: &[Part], spill_over: Option<u32>, panic_threshold: u8) -> Shape {
    let mut tiers: BTreeMap<u8, Tier> = BTreeMap::new();
    for part in parts.iter().filter(|part| part.weight > 0) {
        let tier = tiers.entry(part.priority).or_default();
        tier.all += u32::from(part.condition != Condition::Out);
        tier.up += u32::from(part.condition == Condition::Up);
    }
    let all = tiers.values().copied().fold(Tier::default(), Tier::plus);
    let spill_over = spill_over.filter(|_| tiers.len() > 1);
    // The tier that serves alone; without a server that is up there is none.
    let serving = tiers.iter().find(|(_, tier)| tier.up > 0);
    let counted: Vec<Tier> = tiers.values().copied().collect();
    let panics = match spill_over {
        Some(factor) => {
            let health: u32 = counted.iter().map(|tier| tier.health(factor)).sum();
            health < ALL && all.panics(panic_threshold)
        }
        None => serving.map_or(all, |(_, tier)| *tier).panics(panic_threshold),
    };
    let load: BTreeMap<u8, u32> = match (spill_over, serving) {
        // Without a server that is up, and in panic with spill-over, all tiers are one.
        (_, None) | (Some(_), _) if panics => tiers.keys().map(|tier| (*tier, ALL)).collect(),
        (Some(factor), Some(_)) => tiers
            .keys()
            .copied()
            .zip(loads(&counted, factor))
            .filter(|(_, load)| *load > 0)
            .collect(),
        (None, Some((tier, _))) => [(*tier, ALL)].into(),
        (_, None) => tiers.keys().next().map(|tier| (*tier, ALL)).into_iter().collect(),
    };
    let share = |part: &Part| if panics { WHOLE } else { part.share };
    let whole = parts.iter().all(|part| share(part) == WHOLE);
    let shared = load.values().any(|load| *load != ALL);
    let weights = if whole && !shared {
        let out = |part: &&Part| part.weight > 0 && !load.contains_key(&part.priority);
        let kept = |part: &Part| if out(&part) { 0 } else { part.weight };
        parts.iter().any(|part| out(&part)).then(|| parts.iter().map(kept).collect())
    } else {
        Some(scaled(parts, share, &load, shared))
    };
    Shape { weights, panics }
}

/// Weights in proportion to load and share, as whole numbers.
fn scaled(
    parts: &[Part],
    share: impl Fn(&Part) -> u32,
    load: &BTreeMap<u8, u32>,
    shared: bool,
) -> Vec<u32> {
    let part_of = |part: &Part| f64::from(part.weight) * f64::from(share(part)) / f64::from(WHOLE);
    let mut sums: BTreeMap<u8, f64> = BTreeMap::new();
    for part in parts.iter().filter(|part| part.condition == Condition::Up) {
        *sums.entry(part.priority).or_default() += part_of(part);
    }
    // What one unit of weight gets.
    let unit = |part: &Part| match load.get(&part.priority) {
        None => 0.0,
        Some(_) if !shared => 1.0,
        Some(load) => match sums.get(&part.priority) {
            Some(sum) if *sum > 0.0 => f64::from(*load) / sum,
            // Loads are of tiers with a server that is up.
            _ => 0.0,
        },
    };
    let full = || {
        let full = parts.iter().map(|part| unit(part) * f64::from(part.weight));
        full.filter(|full| *full > 0.0)
    };
    let least = full().fold(f64::INFINITY, f64::min);
    let most = full().fold(0.0, f64::max);
    // A schedule of wrr is no longer than the memory that is accounted for.
    let length = shaped_turns(parts.len() as u64) as f64;
    let limit = (HEAVIEST / most).min(length / full().sum::<f64>());
    let mut scale = (FINE / least).min(limit);
    if !shared {
        // Whole numbers keep the proportions of all others.
        scale = f64::from((scale as u32).max(1));
    }
    let weight = |part: &Part| {
        let weight = unit(part) * part_of(part) * scale;
        // Rounded.
        let whole = (weight + 0.5).clamp(1.0, f64::from(i32::MAX)) as u32;
        if weight > 0.0 { whole } else { 0 }
    };
    parts.iter().map(weight).collect()
}

/// The share of its weight that a server has this many milliseconds after it has begun to get
/// connections, in thousandths.
pub(super) fn share(age: u64, slow_start: &SlowStart) -> u32 {
    let duration = u64::from(slow_start.duration) * 1000;
    if age >= duration {
        return WHOLE;
    }
    let passed = age.max(1000).min(duration) as f64 / duration as f64;
    // The largest share whose `aggression`th power is not above the 100th of the part of the time that
    // has passed: without a logarithm, for which a C host would have to link libm.
    let (mut power, mut root) = (slow_start.aggression.clamp(1, 10_000) as i32, 100);
    let common = (1..=root).rev().find(|n| power % n == 0 && root % n == 0).unwrap_or(1);
    (power, root) = (power / common, root / common);
    let (mut share, limit) = (0, passed.powi(root));
    for bit in (0..10).rev() {
        let more = share + (1 << bit);
        if more <= WHOLE && (f64::from(more) / f64::from(WHOLE)).powi(power) <= limit {
            share = more;
        }
    }
    share.clamp(u32::from(slow_start.least) * 10, WHOLE)
}

/// The same in steps of 5 %, so that a service is compiled at most 20 times.
pub(super) fn step(age: u64, slow_start: &SlowStart) -> u32 {
    let share = share(age, slow_start);
    (share / 50 * 50).max(u32::from(slow_start.least) * 10).min(WHOLE)
}

#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;
