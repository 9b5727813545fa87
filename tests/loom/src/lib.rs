//! Models of the lock-free files of `vsched`, for loom to run in every interleaving.
//!
//! The files are compiled here as they are, against [`sync`] instead of the crate's own module of
//! that name. Each model is a function that loom runs many times; `tests/models.rs` runs them all.
//! Models named `planted_…` do something wrong that the crate does not do, and must fail: they show
//! that the others can.

mod config {
    pub(crate) use vsched::config::{Generation, Thresholds};
}
pub mod cursor;
pub mod publication;
pub mod slots;
mod state;
mod sync;

use loom::model::Builder;

pub use sync::Fences;

/// Runs a model in every interleaving with at most three preemptions (`LOOM_MAX_PREEMPTIONS`
/// overrides that), once for each way to make SeqCst of fences.
pub fn check(model: impl Fn() + Copy + Send + Sync + 'static) {
    check_with(Fences::Before, model);
    check_with(Fences::After, model);
}

/// Runs a model with SeqCst made so.
pub fn check_with(fences: Fences, model: impl Fn() + Send + Sync + 'static) {
    sync::FENCES.set(fences);
    let mut builder = Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(model);
}
