//! What is running: a config together with its counts. Filled by a `Director`, printed by
//! [`listing`](super::listing).

use crate::config::{Config, RealServer, VirtualService};

/// Connections of one real server at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ServerCounts {
    /// Active connections.
    pub active: u32,
    /// Inactive connections.
    pub inactive: u32,
    /// Persistence templates.
    pub persistent: u32,
    /// The upper threshold was reached and the server gets no new connections.
    pub overloaded: bool,
}

/// Totals since creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
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
    /// Picks for which no server could be found. Not part of the ipvsadm views.
    pub refused: u64,
}

/// What a service remembers of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Remembered {
    /// Addresses remembered; more than `capacity` for a while after that was lowered.
    pub entries: u32,
    /// How many there is room for (`affinity.capacity`).
    pub capacity: u32,
    /// Picks that found no room and were not remembered, where a kernel would have. Reloads do not
    /// set it back; a change of the scheduler does, or of persistence.
    pub refused: u64,
}

/// Current rates, per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
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

/// Live figures of one real server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObservedServer {
    /// The server as configured.
    pub server: RealServer,
    /// Its connections.
    pub counts: ServerCounts,
    /// Its totals.
    pub statistics: Statistics,
    /// Its rates.
    pub rates: Rates,
}

/// Live figures of one virtual service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedService {
    /// Its settings; `settings.servers` is empty, the servers are beside it.
    pub settings: VirtualService,
    /// Its totals.
    pub statistics: Statistics,
    /// Its rates.
    pub rates: Rates,
    /// What its scheduler remembers of addresses; `None` if it is not of that kind.
    pub remembered: Option<Remembered>,
    /// Its persistence templates; `None` if it is not persistent.
    pub templates: Option<Remembered>,
    /// Its servers in list order: the newest first, unlike in a config.
    pub servers: Vec<ObservedServer>,
}

/// Everything that is running, with live figures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// What is not a service: generation, seed, timeouts, daemons. Its `services` is empty.
    pub settings: Config,
    /// The services.
    pub services: Vec<ObservedService>,
}

impl Observed {
    /// The config that runs here, servers in the order of adding again.
    pub fn config(&self) -> Config {
        let services = self.services.iter().map(|service| VirtualService {
            servers: service.servers.iter().rev().map(|server| server.server).collect(),
            ..service.settings.clone()
        });
        Config { services: services.collect(), ..self.settings.clone() }
    }
}

impl From<&Config> for Observed {
    /// The config with all figures at zero.
    fn from(config: &Config) -> Self {
        let services = config.services.iter().map(|service| ObservedService {
            settings: service.settings(),
            statistics: Statistics::default(),
            rates: Rates::default(),
            remembered: None,
            templates: None,
            servers: service
                .servers
                .iter()
                .rev()
                .map(|server| ObservedServer {
                    server: *server,
                    counts: ServerCounts::default(),
                    statistics: Statistics::default(),
                    rates: Rates::default(),
                })
                .collect(),
        });
        Observed {
            services: services.collect(),
            settings: Config { services: Vec::new(), ..config.clone() },
        }
    }
}
