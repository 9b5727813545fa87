//! The running state as metrics: Prometheus' text format and OpenMetrics.
//!
//! [`write()`] takes what a [`Director`](crate::Director) or a kernel observes;
//! [`Director::metrics`](crate::Director::metrics) adds what only a director knows. What each number
//! means, which to watch and which queries to ask is in `docs/operations.md` of the repository.
//!
//! Names and labels are stable. By default there are about 20 series per service and none per server,
//! because the number of series is what a monitoring system pays for; [`Options::with_servers`] adds about
//! 20 per server.
//!
//! - `service` is the service's key, such as `tcp 192.168.4.5:80`: its identity. No two series of a
//!   metric have the same labels.
//! - `server` is the server's address and port, its identity within its service.
//! - Counters start at 0 with their service or server. A server that was removed and is added again
//!   continues to count if it still had connections, and otherwise starts at 0, which `rate()` and
//!   `increase()` treat as the restart of a process.
//! - A gauge that does not apply, such as the latency of a server that reported none, has no series.
//!
//! ```
//! use vsched::{Config, Director, metrics};
//! let config: Config = "-A -t 10.0.0.1:80 -s wlc\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?;
//! let director = Director::new(&config)?;
//! let text = director.metrics(&metrics::Options::new());
//! assert!(text.contains("\nvsched_service_connections_total{service=\"tcp 10.0.0.1:80\"} 0\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod director;
mod family;
mod server;
mod service;
mod writer;

use std::fmt;

use crate::config::Observed;
use crate::metrics::family::{Family, Kind, Samples, Value};
use crate::metrics::writer::{Labels, Writer};

/// What to write, and how.
///
/// ```
/// use vsched::metrics::{Format, Options};
/// let options = Options::new().with_servers().with_format(Format::OpenMetrics);
/// assert!(options.servers && !options.traffic);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Options {
    /// The text format.
    pub format: Format,
    /// Whether to write metrics of each server.
    pub servers: bool,
    /// Whether to write packets and bytes, which a kernel counts and a director does not.
    pub traffic: bool,
}

impl Options {
    /// Returns the options for a director: Prometheus' format, services only, no traffic.
    pub const fn new() -> Self {
        Options { format: Format::Prometheus, servers: false, traffic: false }
    }

    /// Returns the options with metrics of each server.
    pub const fn with_servers(mut self) -> Self {
        self.servers = true;
        self
    }

    /// Returns the options with packets and bytes, for what a kernel observes.
    pub const fn with_traffic(mut self) -> Self {
        self.traffic = true;
        self
    }

    /// Returns the options with this format.
    pub const fn with_format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }
}

/// A text format for metrics.
///
/// ```
/// use vsched::{Config, Director, metrics::Format, metrics::Options};
/// let director = Director::new(&Config::new())?;
/// let text = director.metrics(&Options::new().with_format(Format::OpenMetrics));
/// assert!(text.ends_with("# EOF\n"), "so that a truncated answer is noticed");
/// assert_eq!(Format::Prometheus.content_type(), "text/plain; version=0.0.4; charset=utf-8");
/// # Ok::<(), vsched::error::ApplyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Format {
    /// Prometheus' text format, version 0.0.4.
    #[default]
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// Returns the HTTP content type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Metrics of everything observed.
const OBSERVED: &[Family<Observed>] = &[
    Family {
        name: "vsched_build_info",
        kind: Kind::Info,
        help: "The version of the library.",
        samples: Samples::Info(|_| vec![("version", env!("CARGO_PKG_VERSION").to_owned())]),
    },
    Family {
        name: "vsched_services",
        kind: Kind::Gauge,
        help: "Virtual services.",
        samples: Samples::One(|it| Some(Value::Count(it.services.len() as u64))),
    },
];

/// Writes metrics of this state. Services are in its order, and so are the servers of a service.
///
/// The result depends on the arguments alone. Allocates the labels; O(services + servers).
///
/// # Errors
/// Those of `to`; writing to a `String` has none.
///
/// ```
/// use vsched::{Config, config::Observed, metrics};
/// let config: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?;
/// let mut text = String::new();
/// metrics::write(&Observed::from(&config), &metrics::Options::new().with_servers(), &mut text)?;
/// assert!(text.contains("server=\"10.0.1.1:80\""));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write(observed: &Observed, options: &Options, to: &mut impl fmt::Write) -> fmt::Result {
    let mut writer = Writer::new(to, options.format);
    write_observed(observed, options, &mut writer)?;
    writer.end()
}

fn write_observed(observed: &Observed, options: &Options, writer: &mut Writer<'_>) -> fmt::Result {
    writer.families(OBSERVED, &[(Labels::default(), observed)])?;
    let services: Vec<_> =
        observed.services.iter().map(|service| (service::labels(service), service)).collect();
    writer.families(service::FAMILIES, &services)?;
    if options.traffic {
        writer.families(service::TRAFFIC, &services)?;
    }
    if options.servers {
        let servers = services.iter().flat_map(|(labels, service)| {
            service.servers.iter().map(|server| (server::labels(labels, server), server))
        });
        let servers: Vec<_> = servers.collect();
        writer.families(server::FAMILIES, &servers)?;
        if options.traffic {
            writer.families(server::TRAFFIC, &servers)?;
        }
    }
    Ok(())
}
