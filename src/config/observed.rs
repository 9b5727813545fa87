//! The running state: a config with its counts. Filled by a `Director`, printed by
//! [`listing`](super::listing).

use std::time::Duration;

use crate::config::{Config, RealServer, ServerState, ServiceSettings, Settings};

/// Connection counts of one real server at one point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ServerCounts {
    /// Active connections.
    pub active: u32,
    /// Inactive connections.
    pub inactive: u32,
    /// Persistence templates.
    pub persistent: u32,
    /// True if the server reached its upper threshold and gets no new connections.
    pub overloaded: bool,
}

/// What a host has reported of a server, by [`Worker::report`](crate::Worker::report) and
/// [`Worker::close_with`](crate::Worker::close_with), at one point in time.
///
/// Each number is exact; reports that arrive during the call may be included in some and not in others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ServerHealth {
    /// The state in which the server takes part: that in which it is held, or down while it is ejected, or
    /// up while its service panics and takes it nevertheless.
    pub state: ServerState,
    /// True while the server is ejected; [`Director::holds`](crate::Director::holds) says why.
    pub ejected: bool,
    /// Connections that were done, since the server was added.
    pub done: u64,
    /// Connections that failed, since the server was added.
    pub failed: u64,
    /// Connections that were abandoned, since the server was added.
    pub abandoned: u64,
    /// Failures since the last connection that was done; at most 65,535.
    pub consecutive_failures: u32,
    /// Connections that were done in the current interval and the one before. An interval ends at the
    /// first tick 10 seconds after it began or later, so these are the last 10 to 20 seconds.
    pub recent_done: u64,
    /// Connections that failed in these two intervals.
    pub recent_failed: u64,
    /// Average latency of the connections that were done; `None` if none was measured, or all were long
    /// ago.
    ///
    /// The plain mean of the first 16; from then on each one moves it by a sixteenth of the difference.
    /// In each second of the ticks' time without a new one it decays, by half in 10 seconds, and the
    /// next one weighs more.
    ///
    /// In serde texts `latency_us`, in whole microseconds.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "latency_us", serialize_with = "super::text::microseconds")
    )]
    pub latency: Option<Duration>,
}

/// Totals since creation.
///
/// ```
/// use vsched::{Config, Director, Flow};
/// let config: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1 -x 1".parse()?;
/// let director = Director::new(&config)?;
/// let service = director.service("tcp 10.0.0.1:80")?;
/// let worker = director.worker();
/// let connection = worker.connect(service, &Flow::default())?;
/// assert!(worker.connect(service, &Flow::default()).is_err(), "one connection is the limit");
/// let statistics = director.observe().services[0].statistics;
/// assert_eq!((statistics.connections, statistics.refused), (1, 1));
/// # drop(connection);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Statistics {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Packets to clients.
    pub packets_out: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
    /// Picks that found no server. Not part of the ipvsadm views.
    pub refused: u64,
}

/// Usage of one of a service's address maps (affinity or persistence).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Remembered {
    /// Addresses remembered; temporarily more than `capacity` after that was lowered.
    pub entries: u32,
    /// The most addresses that can be remembered (`affinity.capacity`).
    pub capacity: u32,
    /// Picks that were not remembered because the map was full, where a kernel would have remembered
    /// them. Reset by a change of the scheduler or of persistence, not by reloads.
    pub refused: u64,
}

impl Remembered {
    /// Returns the usage of a map with these numbers.
    pub const fn new(entries: u32, capacity: u32, refused: u64) -> Self {
        Remembered { entries, capacity, refused }
    }
}

/// Current rates, per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Rates {
    /// Connections.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Packets to clients.
    pub packets_out: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
}

/// The running state of one real server.
///
/// In serde texts the fields of `server` stand beside the others.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObservedServer {
    /// The server as configured.
    pub server: RealServer,
    /// The weight with which it takes part: another one in slow start, with spill-over, and 0 in a tier
    /// that does not serve. Compare it with the others' alone: all of them may be scaled.
    pub effective_weight: u32,
    /// Its connections.
    pub counts: ServerCounts,
    /// Its state at run time; always up in the kernel plane, which has none.
    pub state: ServerState,
    /// What the host has reported of it; nothing in the kernel plane.
    pub health: ServerHealth,
    /// Its totals.
    pub statistics: Statistics,
    /// Its rates.
    pub rates: Rates,
}

/// The running state of one virtual service.
///
/// In serde texts the fields of `settings` stand beside the others, as in a config.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObservedService {
    /// Its settings.
    pub settings: ServiceSettings,
    /// Its totals.
    pub statistics: Statistics,
    /// Its rates.
    pub rates: Rates,
    /// Its scheduler's affinity cache; `None` if the scheduler has none.
    pub remembered: Option<Remembered>,
    /// Its persistence templates; `None` if it is not persistent.
    pub templates: Option<Remembered>,
    /// True while too few servers are up to believe it, and all that are not meant to be out take part
    /// ([`panic_threshold`](super::VirtualService::panic_threshold)).
    pub panics: bool,
    /// Its servers in list order: newest first, unlike in a config.
    pub servers: Vec<ObservedServer>,
}

/// The running state of everything.
///
/// Its serde text is that of a config, with more fields in each service and server. It is for output:
/// it cannot be read back as a config, whose servers are in the opposite order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Observed {
    /// Settings that belong to no service: kernel rules, seed, timeouts, daemons.
    pub settings: Settings,
    /// The services.
    pub services: Vec<ObservedService>,
}

impl ObservedServer {
    /// Returns the state of a server without connections, with all counts at zero.
    ///
    /// ```
    /// use vsched::config::{ObservedServer, RealServer};
    /// let mut observed = ObservedServer::new(RealServer::new("192.168.5.11:80".parse()?));
    /// observed.counts.active = 7;
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn new(server: RealServer) -> Self {
        ObservedServer {
            effective_weight: server.weight,
            server,
            counts: ServerCounts::default(),
            state: ServerState::Up,
            health: ServerHealth::default(),
            statistics: Statistics::default(),
            rates: Rates::default(),
        }
    }
}

impl ObservedService {
    /// Returns the state of a service without servers, with all counts at zero.
    pub fn new(settings: ServiceSettings) -> Self {
        ObservedService {
            settings,
            statistics: Statistics::default(),
            rates: Rates::default(),
            remembered: None,
            templates: None,
            panics: false,
            servers: Vec::new(),
        }
    }
}

impl Default for Observed {
    /// The state of an empty config.
    fn default() -> Self {
        Observed::from(&Config::default())
    }
}

impl Observed {
    /// Returns the running config, with servers in the order in which they were added.
    ///
    /// ```
    /// use vsched::Config;
    /// use vsched::config::Observed;
    /// let config: Config =
    ///     "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1\n-a -t 10.0.0.1:80 -r 10.0.1.2".parse()?;
    /// let observed = Observed::from(&config);
    /// assert_eq!(observed.services[0].servers[0].server, config.services[0].servers[1]);
    /// assert_eq!(observed.config(), config);
    /// # Ok::<(), vsched::error::RulesError>(())
    /// ```
    pub fn config(&self) -> Config {
        let services = self.services.iter().map(|service| {
            let servers =
                service.servers.iter().rev().map(|server| server.server.clone()).collect();
            service.settings.clone().with_servers(servers)
        });
        self.settings.clone().with_services(services.collect())
    }
}

impl From<&Config> for Observed {
    /// The state of a config with all counts at zero.
    fn from(config: &Config) -> Self {
        let services = config.services.iter().map(|service| ObservedService {
            servers: service.servers.iter().rev().cloned().map(ObservedServer::new).collect(),
            ..ObservedService::new(service.settings())
        });
        Observed { services: services.collect(), settings: config.settings() }
    }
}
