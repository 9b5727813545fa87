//! The search that lc, wlc, sed and nq share: least cost per weight, first in the list on a tie.
//!
//! A scan of all servers, O(n). A faster index for large n takes this function's place; it keeps
//! its keys current through `Scheduler::load_changed`.

use crate::config::Generation;
use crate::state::counts::Counts;
use crate::state::servers::{Candidate, Position, Servers};
use crate::state::slots::ServerId;

/// What one active connection weighs against an inactive one.
const ACTIVE: u64 = 256;

/// The kernel's connection overhead. In 64 bits: the kernel's 32 wrap at 8.3 million active
/// connections, after which a loaded server would attract all others. That is left out on purpose.
#[inline]
pub(crate) fn overhead(counts: Counts, generation: Generation) -> u64 {
    let (active, total) = (u64::from(counts.active()), u64::from(counts.total()));
    match generation {
        Generation::A => ACTIVE * active + total.saturating_sub(active),
        Generation::B => ACTIVE * active + total,
    }
}

/// The available server of least `cost` / `weight`, compared as exact fractions.
#[inline]
pub(crate) fn least_per_weight(
    servers: &Servers,
    tried: &[ServerId],
    cost: impl Fn(Counts) -> u64,
) -> Option<Position> {
    first_or_least_per_weight(servers, tried, |_| false, cost)
}

/// The first available server that is taken `at_once`, else that of least `cost` / `weight`.
#[inline]
pub(crate) fn first_or_least_per_weight(
    servers: &Servers,
    tried: &[ServerId],
    at_once: impl Fn(Counts) -> bool,
    cost: impl Fn(Counts) -> u64,
) -> Option<Position> {
    let mut best: Option<(Candidate, u64)> = None;
    for candidate in servers.iter_available(tried) {
        if at_once(candidate.counts) {
            return Some(candidate.position);
        }
        let cost = cost(candidate.counts);
        // 128 bits: a cost has up to 35, a weight 31.
        let lighter = |(held, held_cost): &(Candidate, u64)| {
            u128::from(*held_cost) * u128::from(candidate.weight)
                > u128::from(cost) * u128::from(held.weight)
        };
        if best.as_ref().is_none_or(lighter) {
            best = Some((candidate, cost));
        }
    }
    best.map(|(candidate, _)| candidate.position)
}

/// The available server of least `cost`, weights aside.
#[inline]
pub(crate) fn least(
    servers: &Servers,
    tried: &[ServerId],
    cost: impl Fn(Counts) -> u64,
) -> Option<Position> {
    let candidates = servers.iter_available(tried);
    candidates.min_by_key(|candidate| cost(candidate.counts)).map(|least| least.position)
}
