//! Virtual services: key, scheduling settings and servers.

use std::net::SocketAddr;

use crate::config::{
    Affinity, DEFAULT_MH_TABLE_INDEX, Ejection, MAX_SERVERS, Name, Persistence, RealServer,
    SchedulerFlags, SchedulerKind, ServiceKey, Sharing, SlowStart, mh_table_size,
};

/// A virtual service and its real servers; without them, [`ServiceSettings`].
///
/// `servers` is in the order in which they were added. The kernel puts each new server at the head of
/// its list, so the *last* server here is the first of the running list, which all "first in the list"
/// tie-breaks favor.
///
/// ```
/// use vsched::config::{Persistence, RealServer, SchedulerFlags, ServiceKey, VirtualService};
/// use vsched::SchedulerKind;
/// let service = VirtualService::new(ServiceKey::tcp("192.168.4.5:80".parse()?))
///     .with_scheduler(SchedulerKind::Sh)
///     .with_flags(SchedulerFlags::FALLBACK | SchedulerFlags::PORT)
///     .with_persistence(Persistence::new(600))
///     .with_server(RealServer::new("192.168.5.11:80".parse()?));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "VirtualService", transform = super::schema::service))]
#[non_exhaustive]
pub struct VirtualService<Servers = Vec<RealServer>> {
    /// The service's identity.
    pub key: ServiceKey,
    /// Its scheduler; `None` (in texts: `none`) refuses every new connection.
    pub scheduler: Option<SchedulerKind>,
    /// Scheduler flags, such as `sh-port`.
    pub flags: SchedulerFlags,
    /// Size of the table of scheduler `mh`, which also limits its servers: 8 to 17 for 251 to 131071
    /// slots, the primes below the powers of two. 12 (4093 slots) is the setting of Debian's kernels,
    /// and the only value allowed with other schedulers. In rules texts `--vsched-mh-table-index`.
    pub mh_table_index: u8,
    /// Persistence: all connections of one client go to one server.
    pub persistence: Option<Persistence>,
    /// Name of the persistence engine, such as `sip`.
    pub persistence_engine: Option<String>,
    /// One-packet scheduling: each UDP datagram is scheduled separately.
    pub one_packet: bool,
    /// How many addresses lblc, lblcr and persistence remember, and for how long lblc and lblcr do.
    pub affinity: Affinity,
    /// Whether all workers share one sequence of picks, and how closely. In rules texts
    /// `--vsched-sharing`.
    pub sharing: Sharing,
    /// Which of equally loaded servers lc, wlc, sed and nq pick. In rules texts `--vsched-ties`.
    pub ties: Ties,
    /// When servers are ejected for the failures that hosts report; `None` = never.
    pub ejection: Option<Ejection>,
    /// How the weight of a server grows that begins to get connections; `None` = at once.
    pub slow_start: Option<SlowStart>,
    /// How servers of lower priority take over from those of higher priority
    /// ([`RealServer::priority`]). `None`: all connections go to the highest priority with a server that
    /// is up. A number is the over-provisioning factor in percent, 100 to 1000: a priority keeps all its
    /// connections while its share of servers that are up, times this factor, is at least 100 %, and
    /// below that passes the rest on; only for schedulers that share connections by weight
    /// ([`SchedulerKind::shares_by_weight`]). In rules texts `--vsched-spill-over`.
    pub spill_over: Option<u32>,
    /// Panic threshold in percent, 0 to 100: while a smaller share of the servers is up, so many seem to
    /// be down that this is not believed, and all that are not draining and that no administrator holds
    /// down take part. 0 = never. In rules texts `--vsched-panic-threshold`.
    pub panic_threshold: u8,
    /// The service's name, unique within the config. In rules texts `--vsched-name`.
    pub name: Option<Name>,
    /// Real servers, oldest first; none in [`ServiceSettings`].
    pub servers: Servers,
}

/// The settings of a virtual service: its key and everything else except its servers.
pub type ServiceSettings = VirtualService<()>;

impl VirtualService {
    /// Returns a service without servers and with ipvsadm's defaults: scheduler `wlc`, no persistence.
    pub fn new(service: ServiceKey) -> Self {
        VirtualService {
            key: service,
            scheduler: Some(SchedulerKind::Wlc),
            flags: SchedulerFlags::default(),
            mh_table_index: DEFAULT_MH_TABLE_INDEX,
            persistence: None,
            persistence_engine: None,
            one_packet: false,
            affinity: Affinity::default(),
            sharing: Sharing::Exact,
            ties: Ties::Kernel,
            ejection: None,
            slow_start: None,
            spill_over: None,
            panic_threshold: 0,
            name: None,
            servers: Vec::new(),
        }
    }

    /// Returns the service with one more server, added last.
    pub fn with_server(mut self, server: RealServer) -> Self {
        self.servers.push(server);
        self
    }
}

impl VirtualService {
    /// Returns the server with this address and port, such as `192.168.5.11:80`, or with this name;
    /// `None` if there is none. O(servers).
    pub fn server(&self, server: &str) -> Option<&RealServer> {
        self.place_of(server).and_then(|place| self.servers.get(place))
    }

    /// Returns the server with this address and port; `None` if there is none. O(servers).
    pub fn server_by_address(&self, address: SocketAddr) -> Option<&RealServer> {
        self.servers.iter().find(|server| server.address == address)
    }

    pub(crate) fn place_of(&self, server: &str) -> Option<usize> {
        let is = |known: &RealServer| known.name.as_ref().is_some_and(|name| name == server);
        match server.parse::<SocketAddr>() {
            Ok(address) => self.servers.iter().position(|known| known.address == address),
            Err(_) => self.servers.iter().position(is),
        }
    }
}

impl<Servers> VirtualService<Servers> {
    /// Returns everything except the servers: what an edit of the service replaces.
    pub fn settings(&self) -> ServiceSettings {
        self.copy_with(())
    }

    /// Returns the service with these servers instead, oldest first.
    pub fn with_servers<Others>(self, servers: Others) -> VirtualService<Others> {
        self.copy_with(servers)
    }

    /// Returns the service with this scheduler.
    pub fn with_scheduler(mut self, scheduler: SchedulerKind) -> Self {
        self.scheduler = Some(scheduler);
        self
    }

    /// Returns the service with these scheduler flags.
    pub fn with_flags(mut self, flags: SchedulerFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Returns the service with this size of the table of scheduler `mh`, 8 to 17.
    pub fn with_mh_table_index(mut self, index: u8) -> Self {
        self.mh_table_index = index;
        self
    }

    /// Returns the service with persistence.
    pub fn with_persistence(mut self, persistence: Persistence) -> Self {
        self.persistence = Some(persistence);
        self
    }

    /// Returns the service with this persistence engine, such as `sip`.
    pub fn with_persistence_engine(mut self, engine: impl Into<String>) -> Self {
        self.persistence_engine = Some(engine.into());
        self
    }

    /// Returns the service with one-packet scheduling.
    pub fn with_one_packet(mut self) -> Self {
        self.one_packet = true;
        self
    }

    /// Returns the service with this size and expiration of its address maps.
    pub fn with_affinity(mut self, affinity: Affinity) -> Self {
        self.affinity = affinity;
        self
    }

    /// Returns the service without a scheduler: it refuses every new connection.
    pub fn without_scheduler(mut self) -> Self {
        self.scheduler = None;
        self
    }

    /// Returns the service with this sharing.
    pub fn with_sharing(mut self, sharing: Sharing) -> Self {
        self.sharing = sharing;
        self
    }

    /// Returns the service with this choice among equally loaded servers.
    pub fn with_ties(mut self, ties: Ties) -> Self {
        self.ties = ties;
        self
    }

    /// Returns the service with passive ejection.
    pub fn with_ejection(mut self, ejection: Ejection) -> Self {
        self.ejection = Some(ejection);
        self
    }

    /// Returns the service with slow start.
    pub fn with_slow_start(mut self, slow_start: SlowStart) -> Self {
        self.slow_start = Some(slow_start);
        self
    }

    /// Returns the service with this over-provisioning factor in percent, 100 to 1000, by which servers
    /// of lower priority take over.
    ///
    /// ```
    /// use vsched::config::{Config, RealServer, ServiceKey, VirtualService};
    /// let backup = RealServer::new("192.168.5.12:80".parse()?).with_priority(1);
    /// let service = VirtualService::new(ServiceKey::tcp("192.168.4.5:80".parse()?))
    ///     .with_spill_over(140)
    ///     .with_panic_threshold(50)
    ///     .with_server(RealServer::new("192.168.5.11:80".parse()?))
    ///     .with_server(backup);
    /// assert_eq!(Config::new().with_service(service).validate(), Ok(()));
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn with_spill_over(mut self, percent: u32) -> Self {
        self.spill_over = Some(percent);
        self
    }

    /// Returns the service with this panic threshold in percent, 0 to 100; 0 = never.
    pub fn with_panic_threshold(mut self, percent: u8) -> Self {
        self.panic_threshold = percent;
        self
    }

    /// Returns the service with this name.
    pub fn with_name(mut self, name: Name) -> Self {
        self.name = Some(name);
        self
    }

    /// Field by field: `..self.clone()` would clone the servers, too.
    fn copy_with<Others>(&self, servers: Others) -> VirtualService<Others> {
        VirtualService {
            key: self.key,
            scheduler: self.scheduler,
            flags: self.flags,
            mh_table_index: self.mh_table_index,
            persistence: self.persistence,
            persistence_engine: self.persistence_engine.clone(),
            one_packet: self.one_packet,
            affinity: self.affinity,
            sharing: self.sharing,
            ties: self.ties,
            ejection: self.ejection,
            slow_start: self.slow_start,
            spill_over: self.spill_over,
            panic_threshold: self.panic_threshold,
            name: self.name.clone(),
            servers,
        }
    }

    /// Most servers that the service can have.
    pub(crate) fn max_servers(&self) -> usize {
        match (self.scheduler, mh_table_size(self.mh_table_index)) {
            (Some(SchedulerKind::Mh), Some(slots)) => slots as usize,
            _ => MAX_SERVERS,
        }
    }
}

/// Which of several equally loaded servers lc, wlc, sed and nq pick.
///
/// ```
/// use vsched::config::Ties;
/// use vsched::{Config, Director, Flow};
/// let mut config: Config =
///     "-A -t 10.0.0.1:80 -s lc\n-a -t 10.0.0.1:80 -r 10.0.1.1\n-a -t 10.0.0.1:80 -r 10.0.1.2"
///         .parse()?;
/// let director = Director::new(&config)?;
/// let service = director.service("tcp 10.0.0.1:80")?;
/// let worker = director.worker();
/// // Without connections all loads are equal.
/// let pick = || worker.pick_server(service, &Flow::default());
/// assert_eq!(pick()?, pick()?);
/// config.services[0].ties = Ties::Rotate;
/// director.apply(&config)?;
/// assert_ne!(pick()?, pick()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self", rename_all = "kebab-case"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Ties", transform = super::schema::plain))]
#[non_exhaustive]
pub enum Ties {
    /// The first in the list, the one that was added last, as a kernel does: while connections are short
    /// and few, it gets them all.
    #[default]
    Kernel,
    /// In turn. Each pick is still of a least loaded server.
    Rotate,
}

impl Ties {
    /// Returns the name, as in every text.
    pub const fn name(self) -> &'static str {
        match self {
            Ties::Kernel => "kernel",
            Ties::Rotate => "rotate",
        }
    }
}
