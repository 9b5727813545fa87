//! Passive ejection: when a server that fails is held down, and for how long.

use crate::config::MAX_TIMEOUT;
use crate::config::field::{Field, fields};

/// When a service's servers are ejected for what hosts report of them ([`Outcome`](crate::Outcome)).
///
/// An ejected server is down ([`ServerState::Down`](super::ServerState::Down), held by
/// [`Holder::Ejector`](crate::Holder::Ejector)) for `base_time` times the number of its ejections, at
/// most `max_time`. Then it gets `trials` connections at a time: the first failure ejects it again, the
/// first success ends the trial. After each interval that it has passed without an ejection, the number
/// of its ejections falls by one.
///
/// In rules texts `--vsched-ejection`, with the fields' names and values such as
/// `failures=5,base-time=30,outliers=median`. A kernel has no such thing.
///
/// ```
/// use vsched::config::{Ejection, OutlierMethod, Outliers};
/// let outliers = Outliers::default().with_method(OutlierMethod::Median);
/// let ejection = Ejection::default().with_failures(3).with_outliers(outliers);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self", deny_unknown_fields, default))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Ejection", transform = super::schema::ejection))]
#[non_exhaustive]
pub struct Ejection {
    /// Number of failures in a row that ejects a server, in the call that reports the last of them; 0
    /// to 65535, 0 = never.
    pub failures: u32,
    /// Comparison with the service's other servers at the end of each interval; `None` = none.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub outliers: Option<Outliers>,
    /// Seconds of an interval, 1 to 2678400.
    pub interval: u32,
    /// Seconds of a server's first ejection, 1 to 2678400.
    pub base_time: u32,
    /// Maximum seconds of an ejection, 1 to 2678400; `base_time` if it is less than that.
    pub max_time: u32,
    /// Largest share of the service's servers ejected at any time, in percent, 0 to 100, rounded down
    /// to whole servers. A service whose limit is below one server ejects none.
    pub max_share: u8,
    /// Connections that a server that returns may have at a time beyond those that are still open, 1 to
    /// 65535.
    pub trials: u32,
}

impl Default for Ejection {
    /// At 5 failures in a row; 30 seconds, up to 300; at most half of the servers; one trial at a time.
    fn default() -> Self {
        Ejection {
            failures: 5,
            outliers: None,
            interval: 10,
            base_time: 30,
            max_time: 300,
            max_share: 50,
            trials: 1,
        }
    }
}

impl Ejection {
    /// Returns the ejection at this many failures in a row, 0 to 65535; 0 = never.
    pub const fn with_failures(mut self, failures: u32) -> Self {
        self.failures = failures;
        self
    }

    /// Returns the ejection with a comparison of the servers at the end of each interval.
    pub const fn with_outliers(mut self, outliers: Outliers) -> Self {
        self.outliers = Some(outliers);
        self
    }

    /// Returns the ejection with intervals of this many seconds, 1 to 2678400.
    pub const fn with_interval(mut self, seconds: u32) -> Self {
        self.interval = seconds;
        self
    }

    /// Returns the ejection with this many seconds for the first one, 1 to 2678400.
    pub const fn with_base_time(mut self, seconds: u32) -> Self {
        self.base_time = seconds;
        self
    }

    /// Returns the ejection with at most this many seconds, 1 to 2678400.
    pub const fn with_max_time(mut self, seconds: u32) -> Self {
        self.max_time = seconds;
        self
    }

    /// Returns the ejection of at most this share of the service's servers, in percent, 0 to 100.
    pub const fn with_max_share(mut self, percent: u8) -> Self {
        self.max_share = percent;
        self
    }

    /// Returns the ejection with this many trials at a time, 1 to 65535.
    pub const fn with_trials(mut self, trials: u32) -> Self {
        self.trials = trials;
        self
    }

    /// The first is the one that rules texts always say.
    pub(crate) const FIELDS: &[Field<Self>] = fields![
        failures 0 to 65_535,
        interval 1 to MAX_TIMEOUT,
        base_time 1 to MAX_TIMEOUT,
        max_time 1 to MAX_TIMEOUT,
        max_share 0 to 100,
        trials 1 to 65_535
    ];
}

/// Ejection of servers that fail more often than the others do.
///
/// At the end of each interval, among the servers with at least `least_outcomes` outcomes in it, if
/// there are `least_servers` of them: a server is ejected if its share of successes is below the center
/// of all shares by more than `factor` times their spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self", deny_unknown_fields, default))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Outliers", transform = super::schema::outliers))]
#[non_exhaustive]
pub struct Outliers {
    /// Center and spread.
    pub method: OutlierMethod,
    /// Number of spreads below the center, in thousandths, 1 to 1000000.
    pub factor: u32,
    /// Least outcomes (done and failed) that make a server's share count, 1 to 4294967295.
    pub least_outcomes: u32,
    /// Least number of such servers, 2 to 1048576.
    pub least_servers: u32,
}

impl Default for Outliers {
    /// As Envoy: the mean, 1.9 standard deviations, 100 outcomes, 5 servers.
    fn default() -> Self {
        Outliers {
            method: OutlierMethod::Mean,
            factor: 1900,
            least_outcomes: 100,
            least_servers: 5,
        }
    }
}

impl Outliers {
    /// Returns the comparison with this center and spread.
    pub const fn with_method(mut self, method: OutlierMethod) -> Self {
        self.method = method;
        self
    }

    /// Returns the comparison with this many spreads, in thousandths, 1 to 1000000.
    pub const fn with_factor(mut self, factor: u32) -> Self {
        self.factor = factor;
        self
    }

    /// Returns the comparison with this many outcomes that make a server's share count, at least 1.
    pub const fn with_least_outcomes(mut self, outcomes: u32) -> Self {
        self.least_outcomes = outcomes;
        self
    }

    /// Returns the comparison with this least number of such servers, 2 to 1048576.
    pub const fn with_least_servers(mut self, servers: u32) -> Self {
        self.least_servers = servers;
        self
    }

    pub(crate) const FIELDS: &[Field<Self>] = fields![
        factor 1 to 1_000_000,
        least_outcomes 1 to u32::MAX,
        least_servers 2 to 1 << 20
    ];
}

/// What a server's share of successes is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self", rename_all = "kebab-case"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "OutlierMethod", transform = super::schema::plain))]
#[non_exhaustive]
pub enum OutlierMethod {
    /// The mean, and the standard deviation: as Envoy and gRPC. A second bad server widens the
    /// deviation, and may hide both.
    #[default]
    Mean,
    /// The median, and the median absolute deviation times 1.4826, but at least 5 percentage points:
    /// almost half of the servers may be bad.
    Median,
}

impl OutlierMethod {
    pub(crate) const ALL: [Self; 2] = [OutlierMethod::Mean, OutlierMethod::Median];

    /// Returns the name, as in every text.
    pub const fn name(self) -> &'static str {
        match self {
            OutlierMethod::Mean => "mean",
            OutlierMethod::Median => "median",
        }
    }
}
