//! What the director knows of ejections: by service and address, so that they survive reloads, removal
//! and return.

use std::net::SocketAddr;

use ahash::HashMap;

use crate::config::Ejection;
use crate::director::hash_trie::HashTrie;
use crate::sync::Arc;

/// The ejections of one service.
#[derive(Default)]
pub(super) struct Ejections {
    pub(super) records: HashMap<SocketAddr, Record>,
    /// When the current interval began; `None` before the first tick.
    pub(super) began: Option<u64>,
    /// Done and failed of each server when the interval began.
    pub(super) totals: HashMap<SocketAddr, (u64, u64)>,
    /// Places that were taken of the budget at the latest tick, and servers that were ejected, if these differed.
    pub(super) wrong_places: Option<(u32, u32)>,
}

impl Ejections {
    /// Why servers are ejected.
    pub(super) fn reasons(&self) -> impl Iterator<Item = (SocketAddr, &Arc<str>)> {
        self.records.iter().filter_map(|(server, record)| Some((*server, record.reason()?)))
    }

    /// True if these are the reasons.
    pub(super) fn has_reasons(&self, known: Option<&HashTrie<SocketAddr, Arc<str>>>) -> bool {
        let same = |(server, reason)| {
            known.and_then(|known| known.get(&server)).is_some_and(|it| Arc::ptr_eq(it, reason))
        };
        let known = known.map_or(0, HashTrie::len);
        self.reasons().count() == known && self.reasons().all(same)
    }
}

/// A server that was ejected. Times are those of ticks.
#[derive(Default)]
pub(super) struct Record {
    /// Number of ejections, less the intervals passed without one.
    times: u32,
    pub(super) phase: Phase,
    /// When the latest ejection ended.
    ended: u64,
}

/// Where a server is in its ejection.
#[derive(Default)]
pub(super) enum Phase {
    #[default]
    In,
    Ejected {
        since: u64,
        until: u64,
        reason: Arc<str>,
    },
    /// It is back, and may have few connections until one is done.
    Trial {
        since: u64,
        /// Connections done when the trial began.
        done: u64,
        /// Connections that it may have.
        upper: u32,
    },
}

impl Record {
    /// The server has been ejected.
    pub(super) fn eject(&mut self, now: u64, rule: &Ejection, why: &str) {
        self.times = self.times.saturating_add(1);
        let reason = format!("{why}; ejection {}", self.times);
        self.phase = Phase::Ejected {
            since: now,
            until: now.saturating_add(duration(rule, self.times)),
            reason: reason.into(),
        };
    }

    pub(super) fn end(&mut self, now: u64, next: Phase) {
        self.phase = next;
        self.ended = now;
    }

    /// Why the server is ejected, if it is.
    pub(super) fn reason(&self) -> Option<&Arc<str>> {
        match &self.phase {
            Phase::Ejected { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// Since when the server has been ejected.
    pub(super) fn since(&self) -> Option<u64> {
        match self.phase {
            Phase::Ejected { since, .. } => Some(since),
            _ => None,
        }
    }

    pub(super) fn is_over(&self, now: u64) -> bool {
        matches!(self.phase, Phase::Ejected { until, .. } if until <= now)
    }

    /// An interval is over that began then.
    pub(super) fn interval_over(&mut self, began: u64) {
        if !matches!(self.phase, Phase::Ejected { .. }) && self.ended <= began {
            self.times = self.times.saturating_sub(1);
        }
    }

    /// Nothing is left to remember.
    pub(super) fn is_empty(&self) -> bool {
        self.times == 0 && matches!(self.phase, Phase::In)
    }
}

/// Milliseconds of the `times`th ejection: the base time as many times, up to the maximum.
fn duration(rule: &Ejection, times: u32) -> u64 {
    let base = u64::from(rule.base_time);
    (base * u64::from(times)).min(base.max(rule.max_time.into())) * 1000
}

/// Servers that may be ejected at a time, of this many.
pub(super) fn most(rule: &Ejection, servers: usize) -> u32 {
    u32::try_from(servers * usize::from(rule.max_share) / 100).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "ejection_tests.rs"]
mod tests;
