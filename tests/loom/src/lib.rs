//! Models of the lock-free files of `vsched`, which loom runs in every interleaving.
//!
//! The files are compiled here unchanged, against [`sync`] instead of the crate's module of that name.
//! Each model is a function that loom runs many times; `tests/models.rs` runs them all. Models named
//! `planted_…` contain a defect that the crate does not have, and must fail: they show that the other
//! models can fail.

// The maps' hasher is not random here, because loom must be able to repeat an execution.
extern crate self as ahash;

pub mod address_map;
mod arena;
pub mod chunk;
mod concurrent;
mod config;
mod error {
    pub(crate) use vsched::ConnectionError;
}
pub mod ejection;
pub mod flag_set;
pub mod hazard;
pub mod health;
pub mod ledger;
pub mod looks;
mod memory;
pub mod min_tree;
pub mod own_count;
pub mod per_thread;
mod rotation;
pub mod server_set;
pub mod shared_rotation;
pub mod slots;
mod sync;
pub mod templates;
pub mod told;
pub mod waiters;
pub mod worker_rotation;
pub mod worker_state;

use loom::model::Builder;

pub use config::KernelRules;
pub use sync::Fences;

/// Hashes a word to its low half, repeated, so that a model chooses the entry and the tag of a key.
#[derive(Clone)]
pub(crate) struct RandomState;

impl RandomState {
    pub(crate) fn new() -> Self {
        RandomState
    }

    pub(crate) fn with_seeds(_: u64, _: u64, _: u64, _: u64) -> Self {
        RandomState
    }

    pub(crate) fn hash_one(&self, value: impl Word) -> u64 {
        let low = value.word() & 0xffff_ffff;
        low << 32 | low
    }
}

pub(crate) trait Word {
    fn word(&self) -> u64;
}

impl Word for u64 {
    fn word(&self) -> u64 {
        *self
    }
}

impl Word for [u64; 2] {
    fn word(&self) -> u64 {
        self[0]
    }
}

/// Runs a model in every interleaving with at most three preemptions (`LOOM_MAX_PREEMPTIONS`
/// overrides that), once per placement of the fences that emulate SeqCst.
pub fn check(model: impl Fn() + Copy + Send + Sync + 'static) {
    check_with(Fences::Before, model);
    check_with(Fences::After, model);
}

/// Runs a model with this emulation of SeqCst.
pub fn check_with(fences: Fences, model: impl Fn() + Send + Sync + 'static) {
    sync::FENCES.set(fences);
    let mut builder = Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(model);
}
