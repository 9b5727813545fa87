//! Shared by the hashing schedulers: the kernel's address hash, and Maglev's lookup table.

pub(in crate::sched) mod buckets;
pub(in crate::sched) mod lookup_table;

use crate::config::PickReason;
use crate::pool::servers::Position;
use crate::sched::Explained;

/// The pick of a scheduler that hashes to this server, whether that is available or not, and why.
pub(super) fn explained(picked: Option<Position>, own: Option<Position>) -> Explained {
    let reason = if picked == own { PickReason::Hash } else { PickReason::Fallback };
    picked.map(|position| (position, reason))
}
