//! The configuration that an operator wants to run: plain data.
//!
//! A [`Config`] is deserialized by serde (JSON, TOML, …), parsed from the rules text that
//! `ipvsadm --save` prints and administrators type ([`rules`]), or built in Rust. It has no runtime
//! state: no counts, no atomics.

mod affinity;
mod command;
mod daemon;
pub mod diff;
mod ejection;
mod field;
mod flags;
pub(crate) mod guardrails;
mod inet;
mod kernel_rules;
mod key;
mod limits;
mod linux;
pub mod listing;
mod memory;
mod mh;
mod name;
mod observed;
mod order;
mod reason;
pub mod rules;
pub(crate) mod scheduler;
#[cfg(feature = "schema")]
mod schema;
mod server;
mod service;
mod setting;
mod sharing;
mod slow_start;
mod state;
mod steps;
#[cfg(feature = "serde")]
mod text;
mod timeouts;
mod validate;

pub use affinity::{Affinity, Netmask, Persistence};
pub use command::Command;
pub use daemon::{SyncDaemon, SyncRole};
pub use ejection::{Ejection, OutlierMethod, Outliers};
pub use flags::SchedulerFlags;
pub use guardrails::Guardrails;
pub use kernel_rules::KernelRules;
pub use key::{Family, Protocol, ServiceKey};
pub use limits::{MAX_SERVERS, MAX_SERVICES, MAX_TIMEOUT, MAX_WEIGHT};
pub use linux::NotInLinux;
pub use memory::ResourceLimits;
pub(crate) use memory::{
    DIRECTOR, Excess, LBLC_ENTRY, LBLCR_ENTRY, MANY_ENTRIES, Memory, TEMPLATE_ENTRY,
    affinity_entries, shaped_turns,
};
pub use mh::{DEFAULT_MH_TABLE_INDEX, MAX_MH_TABLE_INDEX, MIN_MH_TABLE_INDEX, mh_table_size};
pub use name::Name;
pub(crate) use name::ServiceRef;
#[cfg(feature = "capi")]
pub(crate) use name::is_name;
pub use observed::{
    Observed, ObservedServer, ObservedService, Rates, Remembered, ServerCounts, ServerHealth,
    Statistics,
};
pub use reason::PickReason;
pub use scheduler::{GENERIC_FLAG_NAMES, SchedulerKind};
pub use server::{Forwarding, RealServer, Thresholds, Tunnel, TunnelChecksum};
pub use service::{ServiceSettings, Ties, VirtualService};
pub use setting::Setting;
pub use sharing::Sharing;
pub(crate) use sharing::{MAX_CHUNK, SHARINGS};
pub use slow_start::SlowStart;
pub use state::ServerState;
pub use timeouts::Timeouts;
pub(crate) use validate::{Known, also_of};

/// A complete configuration: virtual services, and settings that apply to all of them; without
/// services, [`Settings`].
///
/// ```
/// use vsched::config::Config;
/// let config: Config = "
///     -A -t 192.168.4.5:80 -s wrr
///     -a -t 192.168.4.5:80 -r 192.168.5.11 -m -w 2
///     -a -t 192.168.4.5:80 -r 192.168.5.12 -m
/// ".parse()?;
/// assert_eq!(config.services[0].servers[0].weight, 2);
/// config.validate()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self", deny_unknown_fields, default))]
#[cfg_attr(
    feature = "serde",
    serde(bound(deserialize = "Services: serde::Deserialize<'de>, Config<Services>: Default"))
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Config", transform = schema::config, bound = "Services: schemars::JsonSchema + serde::Serialize, Config<Services>: Default"))]
#[non_exhaustive]
pub struct Config<Services = Vec<VirtualService>> {
    /// Which kernel rules to follow: those of older or of newer kernels.
    pub kernel_rules: KernelRules,
    /// Seed of the random schedulers; equal seeds give equal picks.
    #[cfg_attr(feature = "serde", serde(with = "text::wide"))]
    #[cfg_attr(feature = "schema", schemars(with = "schema::Wide"))]
    pub seed: u64,
    /// Whether a quiesced server also loses its persistent clients at their next connection. In the
    /// kernel this is the sysctl `net.ipv4.vs.expire_quiescent_template`.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub expire_quiescent_template: bool,
    /// Connection timeouts.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Timeouts::is_default"))]
    pub timeouts: Timeouts,
    /// Connection synchronization daemons of the kernel.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Vec::is_empty"))]
    pub daemons: Vec<SyncDaemon>,
    /// Virtual services; none in [`Settings`].
    pub services: Services,
}

/// The settings of a config: everything except its services.
pub type Settings = Config<()>;

impl<Services> Config<Services> {
    /// Returns everything except the services.
    pub fn settings(&self) -> Settings {
        self.copy_with(())
    }

    /// Returns the config with these services instead.
    pub fn with_services<Others>(self, services: Others) -> Config<Others> {
        self.copy_with(services)
    }

    /// Returns the config with these kernel rules.
    pub fn with_kernel_rules(mut self, rules: KernelRules) -> Self {
        self.kernel_rules = rules;
        self
    }

    /// Returns the config with this seed of the random schedulers.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Returns the config in which a quiesced server also loses its persistent clients.
    pub fn with_expire_quiescent_template(mut self) -> Self {
        self.expire_quiescent_template = true;
        self
    }

    /// Returns the config with these timeouts.
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Returns the config with one more synchronization daemon.
    pub fn with_daemon(mut self, daemon: SyncDaemon) -> Self {
        self.daemons.push(daemon);
        self
    }

    fn copy_with<Others>(&self, services: Others) -> Config<Others> {
        Config {
            kernel_rules: self.kernel_rules,
            seed: self.seed,
            expire_quiescent_template: self.expire_quiescent_template,
            timeouts: self.timeouts,
            daemons: self.daemons.clone(),
            services,
        }
    }
}

impl Config {
    /// Returns a config without services, with the default of every setting.
    ///
    /// ```
    /// use vsched::config::{Config, RealServer, ServiceKey, VirtualService};
    /// let service = VirtualService::new(ServiceKey::tcp("192.168.4.5:80".parse()?))
    ///     .with_server(RealServer::new("192.168.5.11:80".parse()?).with_weight(2));
    /// let config = Config::new().with_service(service);
    /// assert_eq!(config.validate(), Ok(()));
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn new() -> Self {
        Config::default()
    }

    /// Returns the config with one more service, added last.
    pub fn with_service(mut self, service: VirtualService) -> Self {
        self.services.push(service);
        self
    }

    /// Returns the service with this key, such as `tcp 192.168.4.5:80`, or with this name; `None` if there
    /// is none. O(services).
    ///
    /// ```
    /// use vsched::Config;
    /// let config: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?;
    /// let service = config.service("tcp 10.0.0.1:80").expect("it is there");
    /// assert!(service.server("10.0.1.1:80").is_some() && service.server("web-2").is_none());
    /// # Ok::<(), vsched::error::RulesError>(())
    /// ```
    pub fn service(&self, service: &str) -> Option<&VirtualService> {
        match ServiceRef::read(service).ok()? {
            ServiceRef::Key(key) => self.service_by_key(&key),
            ServiceRef::Name(name) => {
                let has = |it: &&VirtualService| it.name.as_ref().is_some_and(|own| own == name);
                self.services.iter().find(has)
            }
        }
    }

    /// Returns the service with this key; `None` if there is none. O(services).
    pub fn service_by_key(&self, key: &ServiceKey) -> Option<&VirtualService> {
        self.services.iter().find(|service| service.key == *key)
    }

    /// Returns the service with this key, mutably; `None` if there is none. O(services).
    pub fn service_by_key_mut(&mut self, key: &ServiceKey) -> Option<&mut VirtualService> {
        self.services.iter_mut().find(|service| service.key == *key)
    }
}

// Not derived: a second type with a default would leave `Config::default()` ambiguous.
impl Default for Config {
    /// No services, the defaults of every setting.
    fn default() -> Self {
        Config {
            kernel_rules: KernelRules::default(),
            seed: 0,
            expire_quiescent_template: false,
            timeouts: Timeouts::default(),
            daemons: Vec::new(),
            services: Vec::new(),
        }
    }
}
