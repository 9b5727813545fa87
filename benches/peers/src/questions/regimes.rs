//! What does a connection cost on one and two threads, in a loop and between private work?
//!
//! In a hot loop a thread comes back to what is shared before another got to it, and keeps the cache lines
//! for several operations. With work between operations they go back and forth: that is what hosts see.
//! Both are measured, for vsched, for the strongest structures under one lock, and for the lower bounds.

use vsched::config::Sharing;
use vsched::{Director, SchedulerKind};

use crate::case::{Key, Plan, Regime, Run, Weights};
use crate::questions::affinity;
use crate::questions::connections::{HANDLE, HELD};
use crate::questions::name::REGIMES;
use crate::questions::threads::{ADDITION, ADDITION_AND_COPY, ALONE, THREAD_COUNTS};
use crate::servers::{config_shared, flows, weights};
use crate::subjects::least::buckets::Buckets;
use crate::subjects::least::tournament::Tournament;
use crate::subjects::least::tree::Tree;
use crate::subjects::{bare, least, name, rust};

pub const SIZES: [usize; 3] = [10, 100, 1_000];
pub const BOTH: [Regime; 2] = [Regime::Hot, Regime::Work];
/// In place of schedulers: how the least loaded is found, and what a random server costs.
pub const LOCKED: &str = "under a lock";
pub const TWO_ADDITIONS: &str = "(two additions)";

/// The cases of one group: this many servers, with weights assigned in this way.
pub fn plans(n: usize, how: Weights) -> Vec<Plan> {
    let modes = THREAD_COUNTS.into_iter().flat_map(|threads| BOTH.map(|it| (threads, it)));
    modes.flat_map(|(threads, regime)| with(n, how, threads, regime)).collect()
}

pub fn with(n: usize, how: Weights, threads: usize, regime: Regime) -> Vec<Plan> {
    let key = |subject: &str, scheduler: &str| {
        Key::new(REGIMES, subject, scheduler, n).weights(how).threads(threads).regime(regime)
    };
    // What a handle costs more depends on nothing here but the threads.
    let with_handles = how == Weights::Skewed && regime == Regime::Hot;
    let mut plans = vsched(n, how, with_handles, &key);
    let mut add = |subject, scheduler, build: fn(&[u32], usize) -> Vec<Run>| {
        plans.push(Plan::shared(key(subject, scheduler), move |threads| {
            build(&weights(n, how), threads)
        }));
    };
    add(name::TREE, LOCKED, least::connect_close::<Tree<false>>);
    add(name::RINGS, LOCKED, least::connect_close::<Tree<true>>);
    add(name::TOURNAMENT, LOCKED, least::connect_close::<Tournament>);
    if how == Weights::Equal {
        add(name::BUCKETS, LOCKED, least::connect_close::<Buckets>);
    }
    add(name::RANDOM, TWO_ADDITIONS, bare::random_server);
    // Weights change nothing here.
    if how == Weights::Equal {
        add(name::ADDITION, ADDITION, |_, threads| bare::addition(threads));
        add(name::ADDITION, ADDITION_AND_COPY, |weights, threads| {
            bare::addition_and_copy(weights.len(), threads)
        });
    }
    // Each thread closes connections of its own share.
    let parts =
        |plan: Plan| if plan.has_parts() { plan } else { plan.of_parts(HELD * n / threads) };
    plans.into_iter().map(parts).collect()
}

fn vsched(
    n: usize,
    how: Weights,
    with_handles: bool,
    key: &impl Fn(&str, &str) -> Key,
) -> Vec<Plan> {
    use SchedulerKind::{Lblc, Lc, P2c, Rr, Twos, Wlc, Wrr};
    use Sharing::{Exact, PerWorker};
    let director = move |kind, sharing| {
        Director::new(&config_shared(kind, n, how, sharing)).expect("a valid config")
    };
    let exact = [Rr, Wrr, Lc, Wlc, P2c, Twos].map(|kind| (kind, Exact, ""));
    let alone = [Rr, Wrr, Lc, Wlc].map(|kind| (kind, PerWorker, ALONE));
    let mut plans = Vec::new();
    for (kind, sharing, suffix) in exact.into_iter().chain(alone) {
        let what = format!("{}{suffix}", kind.name());
        plans.push(Plan::shared(key(name::RUST, &what), move |threads| {
            rust::connect_close(&director(kind, sharing), flows(1), threads)
        }));
    }
    let handles: &[_] = if with_handles { &[Rr, Wlc] } else { &[] };
    for &kind in handles {
        let what = format!("{}{HANDLE}", kind.name());
        plans.push(Plan::shared(key(name::RUST, &what), move |threads| {
            rust::handle_connect_close(&director(kind, Exact), flows(1), threads)
        }));
    }
    for kind in [Rr, Lblc] {
        let key = key(name::RUST, &affinity::scheduler(kind, affinity::FEW));
        plans.push(affinity::plan(key, kind, affinity::FEW));
    }
    plans
}
