//! Metrics of a director, and those that only it has.

use std::fmt;
use std::time::Duration;

use crate::director::Director;
use crate::metrics::family::{Family, families, one};
use crate::metrics::writer::{Labels, Writer};
use crate::metrics::{Options, write_observed};

/// What a director knows and an observed state does not say.
struct Figures {
    clock: Duration,
    removed: usize,
    active: u64,
    inactive: u64,
}

const FAMILIES: &[Family<Figures>] = families! {
    "vsched_clock_seconds" Gauge
        "The latest time passed to the director's tick."
        one!(it => it.clock);
    "vsched_removed_servers" Gauge
        "Servers that were removed from the config and still have connections."
        one!(it => it.removed as u64);
    "vsched_removed_active_connections" Gauge
        "Active connections of these servers."
        one!(it => it.active);
    "vsched_removed_inactive_connections" Gauge
        "Inactive connections of these servers."
        one!(it => it.inactive);
};

impl Director {
    /// Returns the running state as a text for Prometheus; see [`metrics`](crate::metrics) for names and
    /// labels.
    ///
    /// Cost and progress are those of [`observe`](Self::observe), plus O(n log n) in removed servers.
    pub fn metrics(&self, options: &Options) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write_metrics(options, &mut text);
        text
    }

    /// Writes what [`metrics`](Self::metrics) returns.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write_metrics(&self, options: &Options, to: &mut impl fmt::Write) -> fmt::Result {
        let mut writer = Writer::new(to, options.format);
        write_observed(&self.observe(), options, &mut writer)?;
        let removed = self.removed_with_connections();
        let figures = Figures {
            clock: self.now(),
            removed: removed.len(),
            active: removed.iter().map(|server| u64::from(server.active)).sum(),
            inactive: removed.iter().map(|server| u64::from(server.inactive)).sum(),
        };
        writer.families(FAMILIES, &[(Labels::default(), &figures)])?;
        writer.end()
    }
}
