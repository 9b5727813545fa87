//! The control plane of the in-process data plane: accepts configs and commands, publishes service
//! tables, and reports the running state.

mod allocator;
mod applied;
mod ask;
mod budget;
mod by_server;
mod changing;
mod command;
mod control;
mod ejection;
mod explain;
mod explanation;
mod hash_trie;
mod headroom;
mod health;
mod held;
mod identity;
mod look_up;
mod observe;
mod outliers;
mod phase;
mod policy;
mod record;
mod registry;
mod removed;
mod repair;
mod roster;
mod running;
mod runtime;
mod service_edit;
mod shape;
mod shards;
mod shareable;
mod state;
mod steps;
pub(crate) mod table;

use std::any::Any;
use std::sync::Weak;
use std::time::Duration;

use parking_lot::Mutex;

use crate::arena::Arena;
use crate::arena::block::Block;
use crate::arena::block::owners::OwnerId;
use crate::arena::id::ServiceId;
use crate::arena::statistics::Shard;
use crate::arena::worker_state::WorkerState;
use crate::concurrent::hazard::Snapshot;
use crate::concurrent::segments::ArcRef;
use crate::concurrent::waiters::Waiters;
use crate::config::diff::diff_services;
use crate::config::{Command, Config, Guardrails, ResourceLimits};
pub use crate::director::applied::{Applied, Item};
use crate::director::changing::ControlLock;
use crate::director::control::{Control, SWEPT, Tick};
pub use crate::director::explanation::{Bar, ExplainedPick, ExplainedServer, Explanation};
pub use crate::director::held::{Hold, Holder};
use crate::director::observe::{View, counts_of};
pub use crate::director::policy::ApplyPolicy;
pub use crate::director::removed::RemovedServer;
use crate::director::roster::Roster;
use crate::director::shards::Shards;
use crate::director::steps::{to_apply, validate};
use crate::director::table::ServiceTable;
use crate::error::ApplyError;
use crate::sync::Arc;

/// Runs a config: compiles it, publishes it to workers, and keeps its state across changes.
///
/// A director is a handle: `Send`, `Sync`, and cheap to clone; all clones are one director. Its methods
/// belong to the control plane. Those that change something take the director's lock, allocate, and free
/// what is no longer needed; those that read take no lock, so they wait for no change. No pick or
/// connection waits for either. Each thread that picks servers does so through its own
/// [`Worker`](crate::Worker), and tasks through a [`Handle`](crate::Handle).
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
    /// Each worker that comes or goes is a publication.
    statistics: Arc<Snapshot<Shards>>,
    /// Holds, and servers that were removed. A publication each time they change.
    roster: Arc<Snapshot<Roster>>,
    control: ControlLock,
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
        Self::in_arena(Arena::new(), config, limits)
    }

    /// Creates a director whose state is in a block: that of all directors on it, in any process. It is one
    /// owner of the block until it is dropped; then what it held is given back. The block forgets what it knows
    /// of a server once no director has it in its config.
    ///
    /// Takes the block's claim: while another director changes what runs, it waits, at most ten seconds.
    ///
    /// # Errors
    /// As for [`new`](Self::new); [`ApplyError::Block`] if the block has no place for another owner, or no
    /// room for the config, or the config has a setting whose state cannot be shared.
    pub fn in_block(config: &Config, block: &Block) -> Result<Self, ApplyError> {
        let arena = Arena::in_block(block).map_err(ApplyError::Block)?;
        let director = Self::in_arena(arena, config, ResourceLimits::default())?;
        director.inner.changing().follow_weights();
        Ok(director)
    }

    /// Returns this director's place in its block; `None` if its state is its own.
    pub fn owner(&self) -> Option<OwnerId> {
        self.inner.arena.attached().map(|attached| attached.owner)
    }

    fn in_arena(arena: Arena, config: &Config, limits: ResourceLimits) -> Result<Self, ApplyError> {
        let arena = Arc::new(arena);
        let publication = Arc::new(Snapshot::new(Arc::new(ServiceTable::empty())));
        let shards = Arc::new(Shards::default());
        let statistics = Arc::new(Snapshot::new(Arc::clone(&shards)));
        let workers = (shards, Arc::clone(&statistics));
        let first = Arc::new(Roster::default());
        let roster = Arc::new(Snapshot::new(Arc::clone(&first)));
        let rosters = (first, Arc::clone(&roster));
        let table = Arc::clone(&publication);
        let control = Control::new(Arc::clone(&arena), table, workers, rosters, limits);
        let control = ControlLock::new(control);
        let companion: Weak<()> = Weak::new();
        let companion = Mutex::new(companion as Weak<dyn Any + Send + Sync>);
        let inner = Arc::new(Inner { arena, publication, statistics, roster, control, companion });
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
        let mut control = self.inner.changing();
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
    /// O(servers of the service), plus copying the service table, two words per service; adding or
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
        self.inner.changing().execute(command)
    }

    /// Sets the time, and does what is due: frees old service tables and the slots of removed servers
    /// without connections, removes expired addresses, and ages what was reported of servers. Call it
    /// about once per second.
    ///
    /// `now` counts from any fixed moment, in steps of 1 ms; a time before the latest one is ignored.
    ///
    /// An address that expires is not found any more, nor counted in any figure, once `tick` has returned,
    /// whatever the number of addresses, and however far the clock has jumped. Its entry is removed by a
    /// sweep, of which a call does a part in a large map: 131,072 entries of each map, which has two to four
    /// per address of `affinity.capacity`, and at least 32. So a map for up to 65,536 addresses is swept in
    /// every call, one for a million in 16 calls, and the largest in 256. Until then the entry pins the slot of
    /// a removed server. A full map is swept whole at once, so that new addresses have room.
    ///
    /// O(services + removed servers), plus for each map what its sweep visits; once outcomes are reported,
    /// also O(servers) in each second. In a service of lblc or lblcr that remembers more than 16,384 addresses,
    /// the first call in each minute visits all of them; a clock that jumps costs no more than that. Takes
    /// the director's lock, and lets other threads have it after each millisecond or so, except while
    /// services are compiled again; workers do not wait for it.
    ///
    /// ```
    /// use std::time::Duration;
    /// # let director = vsched::Director::new(&vsched::Config::new())?;
    /// director.tick(Duration::from_secs(7));
    /// director.tick(Duration::from_secs(5));
    /// assert_eq!(director.now(), Duration::from_secs(7), "time never goes back");
    /// # Ok::<(), vsched::error::ApplyError>(())
    /// ```
    pub fn tick(&self, now: Duration) {
        self.inner.arena.set_clock(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        let mut control = self.inner.changing();
        let mut tick = Tick::default();
        while control.go_on(&mut tick) {
            let freed = tick.take_freed();
            if freed.is_empty() {
                control.give_way();
            } else {
                control.unlocked(|| drop(freed));
            }
        }
    }

    /// Returns the latest time passed to [`tick`](Self::tick), in whole milliseconds; 0 before the
    /// first call. Lock-free.
    pub fn now(&self) -> Duration {
        Duration::from_millis(self.inner.arena.clock())
    }

    /// Returns the number of servers that were removed from the config and still occupy a slot: they
    /// have connections (see [`removed_with_connections`](Self::removed_with_connections)), are named
    /// by a table that a worker protects or by a remembered address, or wait for the next
    /// [`tick`](Self::tick). Lock-free; O(1).
    ///
    /// ```
    /// use std::time::Duration;
    /// use vsched::Activity;
    /// # use vsched::{Config, Director};
    /// # let config: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?;
    /// # let director = Director::new(&config)?;
    /// # let server = director.server(director.service("tcp 10.0.0.1:80")?, "10.0.1.1:80")?;
    /// let worker = director.worker();
    /// let lease = worker.open(server, Activity::Active)?;
    /// director.apply(&Config::new())?;
    /// director.tick(Duration::from_secs(1));
    /// assert_eq!(director.removed_servers(), 1, "it has a connection");
    /// worker.close(lease)?;
    /// director.tick(Duration::from_secs(2));
    /// assert_eq!(director.removed_servers(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn removed_servers(&self) -> usize {
        let at = |view: &View<'_>, roster: &Roster| roster.removed_at(view.table.sequence).len();
        self.view_with_roster(at)
    }

    /// The tasks that wait for room in this service.
    pub(crate) fn waiters(&self, service: ServiceId) -> Option<&Waiters> {
        self.inner.arena.waiters(service.slot)
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
