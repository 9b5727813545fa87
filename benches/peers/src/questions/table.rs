//! How long does it take to fill a lookup table of mh with 65521 slots?
//!
//! Applying a config fills the table, so that is timed: each operation applies a config that
//! changes one weight, which refills the whole table. The same operation for rr, which has no
//! table, shows the rest of the cost.

use vsched::{Director, SchedulerKind};

use crate::case::{Key, Plan, Run, Weights, repeat};
use crate::questions::name::TABLE;
use crate::servers::config;
use crate::subjects::name;

pub const SIZES: [usize; 3] = [100, 1_000, 10_000];

pub fn plans(n: usize) -> Vec<Plan> {
    let mut plans = Vec::new();
    for how in [Weights::Equal, Weights::Skewed] {
        for kind in [SchedulerKind::Mh, SchedulerKind::Rr] {
            let key = Key::new(TABLE, name::RUST, kind.name(), n).weights(how);
            plans.push(Plan::new(key, move || apply(kind, n, how)));
        }
    }
    #[cfg(feature = "peers")]
    if n <= 1_000 {
        let key = Key::new(TABLE, name::MAGLEV, "maglev", n);
        plans.push(Plan::new(key, move || {
            repeat(move || drop(std::hint::black_box(crate::subjects::hashes::maglev(n))))
        }));
    }
    plans
}

/// Alternately applies configs that differ in one weight.
fn apply(kind: SchedulerKind, n: usize, how: Weights) -> Run {
    let mut configs = [config(kind, n, how), config(kind, n, how)];
    configs[1].services[0].servers[n / 2].weight += 1;
    let director = Director::new(&configs[0]).expect("a valid config");
    let mut turn = 0;
    repeat(move || {
        turn ^= 1;
        let applied = director.apply(&configs[turn]).expect("a valid config");
        assert_eq!(applied.changed.len(), 1, "a change");
    })
}
