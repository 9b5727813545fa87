//! The control plane of the in-process data plane: accepts configs and commands, publishes service
//! tables, and reports the running state.

mod allocator;
mod applied;
mod budget;
mod command;
mod control;
mod ejection;
mod explain;
mod explanation;
mod headroom;
mod health;
mod held;
mod identity;
mod observe;
mod outliers;
mod phase;
mod policy;
mod registry;
mod removed;
mod repair;
mod running;
mod runtime;
mod service_edit;
mod shape;
mod state;
mod steps;
pub(crate) mod table;

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Weak;
use std::time::Duration;

use parking_lot::Mutex;

use crate::arena::Arena;
use crate::arena::id::{ServerId, ServiceId};
use crate::arena::statistics::Shard;
use crate::arena::worker_state::WorkerState;
use crate::concurrent::hazard::Snapshot;
use crate::concurrent::segments::ArcRef;
use crate::config::diff::diff_services;
use crate::config::{
    Command, Config, Guardrails, ResourceLimits, ServerCounts, ServiceKey, ServiceRef,
};
pub use crate::director::applied::{Applied, Item};
use crate::director::control::{Control, SWEPT};
pub use crate::director::explanation::{Bar, ExplainedPick, ExplainedServer, Explanation};
pub use crate::director::held::Holder;
use crate::director::observe::counts_of;
pub use crate::director::policy::ApplyPolicy;
pub use crate::director::removed::RemovedServer;
pub use crate::director::state::Hold;
use crate::director::steps::{to_apply, validate};
use crate::director::table::ServiceTable;
use crate::error::Refused;
use crate::error::{ApplyError, ServerError, ServiceError};
use crate::flow::Flow;
use crate::pool::endpoint::Pick;
use crate::sync::Arc;

/// Runs a config: compiles it, publishes it to workers, and keeps its state across changes.
///
/// A director is a handle: `Send`, `Sync`, and cheap to clone; all clones are one director. Its methods
/// belong to the control plane: they take locks, allocate, and free what is no longer needed. No pick
/// or connection waits for them. Each thread that picks servers does so through its own
/// [`Worker`](crate::Worker).
///
/// Connection counts, rotations and statistics outlive every change of the config. A server that is
/// removed keeps counting until its last connection closes, and gets its counts back if it is added
/// again before that.
///
/// ```
/// use vsched::{Config, Director, Flow};
/// let config: Config = "
///     -A -t 192.168.4.5:80 -s wrr
///     -a -t 192.168.4.5:80 -r 192.168.5.11 -m -w 2
///     -a -t 192.168.4.5:80 -r 192.168.5.12 -m
/// ".parse()?;
/// let director = Director::new(&config)?;
/// let service = director.service("tcp 192.168.4.5:80")?;
/// let worker = director.worker();
/// let pick = worker.pick_server(service, &Flow::default())?;
/// assert_eq!(pick.address(), "192.168.5.11:80".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Director {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) arena: Arc<Arena>,
    pub(crate) publication: Arc<Snapshot<ServiceTable>>,
    control: Mutex<Control>,
    /// What a layer above keeps one of per director: see `handle`.
    companion: Mutex<Weak<dyn Any + Send + Sync>>,
}

impl Director {
    /// Creates a director that runs this config, with the default [`ResourceLimits`].
    ///
    /// # Errors
    /// The config violates limits, or needs more slots or memory than available.
    pub fn new(config: &Config) -> Result<Self, ApplyError> {
        Self::with_limits(config, ResourceLimits::default())
    }

    /// Creates a director that runs this config. [`apply`](Self::apply) and [`execute`](Self::execute)
    /// will refuse every config that exceeds these limits.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with_limits(config: &Config, limits: ResourceLimits) -> Result<Self, ApplyError> {
        let arena = Arc::new(Arena::new());
        let empty = ServiceTable::new(0, Box::default(), Arc::default());
        let publication = Arc::new(Snapshot::new(Arc::new(empty)));
        let control = Control::new(Arc::clone(&arena), Arc::clone(&publication), limits);
        let control = Mutex::new(control);
        let companion: Weak<()> = Weak::new();
        let companion = Mutex::new(companion as Weak<dyn Any + Send + Sync>);
        let inner = Arc::new(Inner { arena, publication, control, companion });
        let director = Director { inner };
        director.apply(config)?;
        Ok(director)
    }

    /// Replaces the running config, regardless of what that removes.
    ///
    /// All changes take effect in one publication: a pick that begins after `apply` has returned sees
    /// the new config; a concurrent pick sees either all of the old one or all of the new one. An
    /// empty config removes everything: if the config comes from a file, use
    /// [`apply_with`](Self::apply_with).
    ///
    /// New thresholds of running servers, and new kernel rules, take effect one by one between the
    /// publication and the end of this call. During that time
    /// [`Worker::connect`](crate::Worker::connect) opens no connection above the larger of a server's
    /// old and new upper thresholds.
    ///
    /// Services and servers in both configs keep their state. If the configs are equivalent, nothing
    /// is published. New services are compiled with all their servers; in existing services, new
    /// servers are added at the head of the list, in the config's order.
    ///
    /// O(services + servers), plus compiling the services that change. Takes the director's lock;
    /// workers do not wait for it.
    ///
    /// # Errors
    /// The config violates limits, or needs more slots or memory than available; nothing changes then.
    ///
    /// ```
    /// use vsched::{Config, Director};
    /// let director = Director::new(&"-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?)?;
    /// let wanted: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.2".parse()?;
    /// let applied = director.apply(&wanted)?;
    /// assert_eq!(applied.added[0].server, Some("10.0.1.2:80".parse()?));
    /// assert_eq!(applied.removed[0].server, Some("10.0.1.1:80".parse()?));
    /// assert!(director.apply(&wanted)?.is_empty(), "it runs already");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply(&self, config: &Config) -> Result<Applied, ApplyError> {
        self.apply_with(config, &ApplyPolicy::new(Guardrails::OFF))
    }

    /// Like [`apply`](Self::apply), but refuses a config that removes more than this policy allows: by
    /// default, more than half of the servers, or a service's last eligible server.
    ///
    /// # Errors
    /// As for `apply`, and [`ApplyError::Guardrails`], which says what would be removed, the limit, and
    /// the field of the policy that would allow it. Nothing changes then.
    pub fn apply_with(&self, config: &Config, policy: &ApplyPolicy) -> Result<Applied, ApplyError> {
        let mut control = self.inner.control.lock();
        to_apply(&control, config).check()?;
        let running = control.services.values().map(|live| &live.service);
        let changes = diff_services(running, &config.services);
        let wanted = config.settings();
        if changes.is_empty() && wanted == control.settings {
            // Equal to what runs, so it is valid.
            control.sweep(SWEPT);
            return Ok(Applied::default());
        }
        validate(&control, config, &changes)?;
        policy::check(policy, &control, config, &changes)?;
        let settings = wanted != control.settings;
        let mut applied = Applied { settings, ..Applied::of(&changes, &control) };
        control.advance(&changes, &wanted)?;
        applied.find_added(&control);
        Ok(applied)
    }

    /// Executes one administrative command as a kernel would: the service is changed in place, even by
    /// an edit that changes nothing.
    ///
    /// O(servers of the service), plus copying the service table, one word per service; adding or
    /// deleting a service also copies the index of services. [`Command::Clear`] and [`Command::Set`]
    /// are O(services + servers). Takes the director's lock; workers do not wait for it.
    ///
    /// # Errors
    /// The command adds something that already exists, edits or deletes something that does not
    /// exist, or violates a limit, or there is not enough memory; nothing changes then.
    ///
    /// ```
    /// use vsched::{Config, Director, Flow, config::rules::Rules};
    /// let director = Director::new(&Config::default())?;
    /// let rules: Rules = "
    ///     ipvsadm -A -t 192.168.5.50:80 -s wrr
    ///     ipvsadm -a -t 192.168.5.50:80 -r 192.168.5.11 -g -w 2
    ///     ipvsadm -a -t 192.168.5.50:80 -r 192.168.5.12 -g -w 1
    /// ".parse()?;
    /// for command in rules.commands() {
    ///     director.execute(command)?;
    /// }
    /// let service = director.service("tcp 192.168.5.50:80")?;
    /// let worker = director.worker();
    /// let answers: Vec<_> = (0..4)
    ///     .map(|_| worker.pick_server(service, &Flow::default()))
    ///     .map(|pick| Ok(pick?.address().ip().to_string()))
    ///     .collect::<Result<_, vsched::Refused>>()?;
    /// assert_eq!(answers, ["192.168.5.12", "192.168.5.11", "192.168.5.11", "192.168.5.12"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn execute(&self, command: &Command) -> Result<Applied, ApplyError> {
        self.inner.control.lock().execute(command)
    }

    /// Sets the time, and does what is due: frees old service tables and the slots of removed servers
    /// without connections, forgets expired addresses, and ages what was reported of servers. Call it
    /// about once per second.
    ///
    /// `now` counts from any fixed moment, in steps of 1 ms; a time before the latest one is ignored.
    /// O(services + removed servers + remembered addresses); once outcomes are reported, also O(servers)
    /// in each second. Takes the director's lock; workers do not wait for it.
    pub fn tick(&self, now: Duration) {
        self.inner.arena.set_clock(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        self.inner.control.lock().tick();
    }

    /// Returns the latest time passed to [`tick`](Self::tick), in whole milliseconds; 0 before the
    /// first call. Lock-free.
    pub fn now(&self) -> Duration {
        Duration::from_millis(self.inner.arena.clock())
    }

    /// Returns the id of the service with this key, such as `tcp 192.168.4.5:80` or `fwmark 7`, or with
    /// this [name](crate::config::Name), such as `web`. Takes a lock; O(1).
    ///
    /// # Errors
    /// The text is neither a key nor a name, or there is no such service.
    pub fn service(&self, key: &str) -> Result<ServiceId, ServiceError> {
        let found = match ServiceRef::read(key)? {
            ServiceRef::Key(key) => self.service_by_key(&key),
            ServiceRef::Name(name) => self.with_table(|table| table.index().by_name(name)),
        };
        found.ok_or_else(|| ServiceError::Unknown(key.to_owned()))
    }

    /// Returns the id of the service with this key; `None` if there is none. Takes a lock; O(1).
    pub fn service_by_key(&self, key: &ServiceKey) -> Option<ServiceId> {
        self.with_table(|table| table.index().by_key(key))
    }

    /// Returns the service that takes this flow; see
    /// [`Worker::service_for`](crate::Worker::service_for), which takes no lock.
    pub fn service_for(&self, flow: &Flow) -> Option<ServiceId> {
        self.with_table(|table| table.by_flow(flow))
    }

    /// Returns the id of a service's server with this address and port, such as `192.168.5.11:80`, or
    /// with this [name](crate::config::Name). Takes the director's lock; O(servers of the service).
    ///
    /// # Errors
    /// The service was deleted, or it has no such server.
    ///
    /// ```
    /// use vsched::{Config, Director};
    /// let config: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?;
    /// let director = Director::new(&config)?;
    /// let service = director.service("tcp 10.0.0.1:80")?;
    /// let server = director.server(service, "10.0.1.1:80")?;
    /// assert_eq!(director.server_by_address(service, "10.0.1.1:80".parse()?), Some(server));
    /// assert_eq!(
    ///     director.server(service, "10.0.1.2:80").unwrap_err().to_string(),
    ///     "service tcp 10.0.0.1:80: server 10.0.1.2:80: no such server"
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn server(&self, service: ServiceId, server: &str) -> Result<ServerId, ServerError> {
        let control = self.inner.control.lock();
        let Some(live) = control.find_id(service) else {
            return Err(ServerError::no_service(service, server));
        };
        let place = live.service.place_of(server);
        place
            .and_then(|place| live.claims.get(place))
            .map(|claim| claim.id)
            .ok_or_else(|| ServerError::no_server(live.service.key, server))
    }

    /// Returns the id of a service's server with this address and port; `None` if there is none. Takes
    /// the director's lock; O(servers of the service).
    pub fn server_by_address(&self, service: ServiceId, server: SocketAddr) -> Option<ServerId> {
        let control = self.inner.control.lock();
        let live = control.find_id(service)?;
        let place = live.service.servers.iter().position(|known| known.address == server)?;
        live.claims.get(place).map(|claim| claim.id)
    }

    /// The same by the service's key.
    #[cfg(feature = "capi")]
    pub(crate) fn server_of(&self, service: &ServiceKey, server: SocketAddr) -> Option<ServerId> {
        self.service_by_key(service).and_then(|service| self.server_by_address(service, server))
    }

    /// The key of the service with this name.
    #[cfg(feature = "capi")]
    pub(crate) fn key_of(&self, name: &str) -> Option<ServiceKey> {
        self.inner.control.lock().find_name(name).map(|live| live.service.key)
    }

    /// The address of the service's server with this name.
    #[cfg(feature = "capi")]
    pub(crate) fn address_of(&self, service: &ServiceKey, name: &str) -> Option<SocketAddr> {
        let control = self.inner.control.lock();
        control.find(service)?.service.server(name).map(|server| server.address)
    }

    /// Picks a server for a caller without a worker. Takes a lock and counts nothing, not even a
    /// refusal; a data plane uses [`Worker::pick_server`](crate::Worker::pick_server).
    ///
    /// # Errors
    /// As for [`Worker::pick_server`](crate::Worker::pick_server).
    pub fn pick_server(&self, service: ServiceId, flow: &Flow) -> Result<Pick, Refused> {
        // Under the snapshot's lock no newer table can be published, so the pick cannot be superseded.
        let picked = self.with_table(|table| {
            let compiled = table.service(service)?;
            if !compiled.accepts(flow) {
                return Some(Err(Refused::NotScheduled));
            }
            let twin = |key: &ServiceKey| table.service_of(key);
            let pick = compiled.pick_general(flow, &[], None, None, twin).ok().flatten();
            Some(pick.ok_or_else(|| compiled.why_refused(&[])))
        });
        picked.unwrap_or(Err(Refused::NoService))
    }

    /// Returns the present counts of a server; `None` if the id is stale. Takes a lock; O(1), or
    /// O(templates) in a persistent service.
    ///
    /// ```
    /// use vsched::{Activity, Director};
    /// let director = Director::new(&"-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?)?;
    /// let server = director.server(director.service("tcp 10.0.0.1:80")?, "10.0.1.1:80")?;
    /// let worker = director.worker();
    /// let lease = worker.open(server, Activity::Active)?;
    /// assert_eq!(director.counts(server).expect("it runs").active, 1);
    /// worker.close(lease)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn counts(&self, server: ServerId) -> Option<ServerCounts> {
        let slot = self.inner.arena.servers.get(server.slot)?;
        let templates = self.with_table(|table| {
            let templates = table.service_at(slot.service())?.templates()?;
            Some(templates.of_server(server.slot))
        });
        slot.is(server.generation).then(|| counts_of(slot.counts_relaxed(), templates))
    }

    /// Returns the number of servers that were removed from the config and still occupy a slot: they
    /// have connections (see [`removed_with_connections`](Self::removed_with_connections)), are named
    /// by a table that a worker protects or by a remembered address, or wait for the next
    /// [`tick`](Self::tick). Takes the director's lock.
    pub fn removed_servers(&self) -> usize {
        self.inner.control.lock().removed_servers()
    }

    fn with_table<R: Default>(&self, look: impl FnOnce(&ServiceTable) -> R) -> R {
        self.inner.publication.with_live(|tables| match tables.last() {
            Some(table) => look(table),
            None => R::default(),
        })
    }

    pub(crate) fn companion(&self) -> &Mutex<Weak<dyn Any + Send + Sync>> {
        &self.inner.companion
    }

    pub(crate) fn register(
        &self,
        shard: &Arc<Shard>,
        phase: Option<u32>,
    ) -> (Arc<Inner>, Option<ArcRef<WorkerState>>) {
        let state = self.inner.control.lock().register(shard, phase);
        (Arc::clone(&self.inner), state)
    }
}

impl Inner {
    pub(crate) fn unregister(&self, shard: &Arc<Shard>, state: Option<&WorkerState>) {
        self.control.lock().unregister(shard, state);
    }
}
