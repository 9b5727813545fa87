//! Slow start: how the weight of a server grows that begins to get connections.

use crate::config::MAX_TIMEOUT;
use crate::config::field::{Field, fields};

/// A server that begins to get new connections starts with a small part of its weight: one that is
/// added to a service that runs, whose weight rises from 0, or that comes back from
/// [`Down`](super::ServerState::Down) or [`Draining`](super::ServerState::Draining). The servers of a
/// new service start with their whole weight.
///
/// After `t` seconds the weight is `(t / duration) ^ (1 / aggression)` of the configured one, and at
/// least the `least` share of it (Envoy's formula). It moves in steps of about 5 %, at
/// [`Director::tick`](crate::Director::tick). Only for schedulers that share connections by weight
/// ([`SchedulerKind::shares_by_weight`](super::SchedulerKind::shares_by_weight)).
///
/// In rules texts `--vsched-slow-start`, with the fields' names and values such as
/// `duration=60,aggression=150`. A kernel has no such thing.
///
/// ```
/// use vsched::config::SlowStart;
/// let slow_start = SlowStart::default().with_duration(60).with_aggression(150);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self", deny_unknown_fields, default))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "SlowStart", transform = super::schema::slow_start))]
#[non_exhaustive]
pub struct SlowStart {
    /// Seconds until the whole weight, 1 to 2678400.
    pub duration: u32,
    /// Shape, in hundredths, 1 to 10000: 100 is linear, a greater number grows faster at first.
    pub aggression: u32,
    /// Least share of the weight, in percent, 1 to 100.
    pub least: u8,
}

impl Default for SlowStart {
    /// 30 seconds, linear, at least 10 %.
    fn default() -> Self {
        SlowStart { duration: 30, aggression: 100, least: 10 }
    }
}

impl SlowStart {
    /// Returns the slow start over this many seconds, 1 to 2678400.
    pub const fn with_duration(mut self, seconds: u32) -> Self {
        self.duration = seconds;
        self
    }

    /// Returns the slow start with this shape in hundredths, 1 to 10000; 100 is linear.
    pub const fn with_aggression(mut self, aggression: u32) -> Self {
        self.aggression = aggression;
        self
    }

    /// Returns the slow start from this share of the weight, in percent, 1 to 100.
    pub const fn with_least(mut self, percent: u8) -> Self {
        self.least = percent;
        self
    }

    /// The first is the one that rules texts always say.
    pub(crate) const FIELDS: &[Field<Self>] =
        fields![duration 1 to MAX_TIMEOUT, aggression 1 to 10_000, least 1 to 100];
}
