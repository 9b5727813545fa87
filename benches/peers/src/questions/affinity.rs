//! What does a connection from a remembered client (persistence), or to a remembered destination (lblc),
//! cost?
//!
//! Weights are equal and every server has more connections than its weight, so that lblc has to see
//! whether another server has fewer than half of its own: none has, and every connection finds its
//! destination where it was.

use vsched::{Director, SchedulerKind};

use crate::case::{Key, Plan, Weights};
use crate::questions::name::AFFINITY;
use crate::questions::regimes::BOTH;
use crate::questions::threads::THREAD_COUNTS;
use crate::servers::{config_remembering, flows_remembered};
use crate::subjects::{name, rust};

pub const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
/// The number of servers for which two threads, and work between operations, are measured.
pub const SHARED: usize = 100;
/// Numbers of addresses: in the caches, and beyond them.
pub const FEW: usize = 1_000;
pub const MANY: usize = 100_000;
/// Fewer, because it takes long to bring so many addresses into the cache.
const SIZES_OF_MANY: [usize; 2] = [SHARED, 10_000];
pub const ADDRESSES: [usize; 2] = [FEW, MANY];
pub const KINDS: [SchedulerKind; 2] = [SchedulerKind::Rr, SchedulerKind::Lblc];

/// The case's name, in place of a scheduler's.
pub fn scheduler(kind: SchedulerKind, addresses: usize) -> String {
    let persistent = if kind == SchedulerKind::Lblc { "" } else { "persistent " };
    format!("{persistent}{}, {}k addresses", kind.name(), addresses / 1_000)
}

/// Connections of one such service.
pub fn plan(key: Key, kind: SchedulerKind, addresses: usize) -> Plan {
    let (n, how) = (key.n, key.weights);
    let plan = Plan::shared(key, move |threads| {
        let config = config_remembering(kind, n, how, addresses);
        let director = Director::new(&config).expect("a valid config");
        rust::remembered(&director, flows_remembered(kind, addresses), threads)
    });
    plan.of_parts(addresses)
}

pub fn plans(n: usize) -> Vec<Plan> {
    let mut plans = Vec::new();
    for kind in KINDS {
        let sizes = |addresses| if addresses == MANY { &SIZES_OF_MANY[..] } else { &SIZES };
        for addresses in ADDRESSES.into_iter().filter(|count| sizes(*count).contains(&n)) {
            let key = Key::new(AFFINITY, name::RUST, &scheduler(kind, addresses), n);
            let key = key.weights(Weights::Equal);
            let modes = THREAD_COUNTS.into_iter().flat_map(|t| BOTH.map(|it| (t, it)));
            let modes = modes.take(if n == SHARED { usize::MAX } else { 1 });
            plans.extend(modes.map(|(threads, regime)| {
                plan(key.clone().threads(threads).regime(regime), kind, addresses)
            }));
        }
    }
    plans
}
