//! What the files under test use of the crate's `config`.

#[path = "../../../src/config/kernel_rules.rs"]
#[allow(unreachable_pub, reason = "as it is in the crate")]
mod kernel_rules;
#[path = "../../../src/config/state.rs"]
#[allow(dead_code, unreachable_pub, reason = "as it is in the crate")]
mod state;

pub use kernel_rules::KernelRules;
pub(crate) use state::ServerState;
pub(crate) use vsched::config::{Remembered, Thresholds};

/// At least two windows, as in the crate.
pub(crate) fn affinity_entries(capacity: u32) -> u64 {
    (2 * u64::from(capacity)).max(4).next_power_of_two()
}
