//! One thread's access to a director: picks and connection counts, lock-free and without allocation.

use std::fmt;

use crate::arena::counts::Activity;
use crate::arena::id::{ServerId, ServiceId};
use crate::arena::service_slot::ServiceSlot;
use crate::arena::slots::ServerSlot;
use crate::arena::statistics::Shard;
use crate::arena::worker_state::{WorkerState, WorkerTag};
use crate::concurrent::hazard::{Reader, Snapshot};
use crate::concurrent::segments::ArcRef;
use crate::director::table::ServiceTable;
use crate::director::{Director, Inner};
use crate::error::ConnectionError;
use crate::error::Refused;
use crate::flow::Flow;
use crate::memory::templates::{TemplateId, Templates};
use crate::pool::endpoint::Pick;
use crate::service::{LoadUpdates, Service};
use crate::sync::Arc;

mod close;
mod connection;
mod lease;
mod outcomes;
mod per_worker;
mod pick;
mod pick_server;
mod pick_slow;
mod shared;
mod tried;

pub use connection::Connection;
pub use lease::Lease;
pub use tried::Tried;

/// One thread's access to a [`Director`].
///
/// `Send`, not `Sync`: make one per thread. Creating a worker takes the director's lock and allocates;
/// dropping it takes the lock and frees. Every other method is lock-free, allocates and frees nothing,
/// makes no system call, reads no clock and panics on no input, even while configs change and on a
/// thread to which the worker was moved. (One exception: a close that makes room also wakes the task that
/// waits for it in [`Handle::room`](crate::Handle::room), and a waker may do anything.) An idle worker keeps
/// at most one old service table alive.
///
/// ```
/// use vsched::{Activity, Config, Director, Flow};
/// let config: Config = "-A -t 10.0.0.1:80 -s lc\n-a -t 10.0.0.1:80 -r 10.0.1.1 -m".parse()?;
/// let director = Director::new(&config)?;
/// let worker = director.worker();
/// let flow = Flow::tcp("10.9.9.9:40000".parse()?, "10.0.0.1:80".parse()?);
/// let service = worker.service_for(&flow).expect("the flow goes to a service");
/// let mut connection = worker.connect(service, &flow)?;
/// assert_eq!(connection.address(), "10.0.1.1:80".parse()?);
/// connection.closing();
/// assert_eq!(director.counts(connection.server()).expect("it runs").inactive, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Worker {
    inner: Arc<Inner>,
    reader: Reader<ServiceTable>,
    shard: Arc<Shard>,
    /// `None` beyond [`MAX_WORKERS`](crate::arena::worker_state::MAX_WORKERS): the worker uses the
    /// shared rotations.
    state: Option<ArcRef<WorkerState>>,
    /// The tag of `state`, cached: it is constant, and every connection asks.
    tag: WorkerTag,
    /// The first segment of `state`'s rotations, cached: a pick then needs no segment lookup.
    rotations: Arc<[ServiceSlot]>,
}

impl Director {
    /// Creates a worker for one thread. Its phase is the director's plus its number, from 0; see
    /// [`worker_with`](Self::worker_with).
    ///
    /// Takes the director's lock and allocates; the worker's own methods do neither. Creating or
    /// dropping a worker costs O(services + servers + workers). If a service is shared
    /// `per-worker`, a step between one worker and two, and each doubling or halving of the number of
    /// workers, costs O(servers) for every worker.
    pub fn worker(&self) -> Worker {
        self.new_worker(None)
    }

    /// Like [`worker`](Self::worker), with this phase: in services that are shared `per-worker`, the
    /// worker's own rotations (of rr, wrr and `ties: rotate`) start apart from those of other phases, and
    /// it draws other random numbers (twos, p2c). Use it where the number of the worker in its director
    /// does not tell it from all others: with one director per process, or with workers that come and
    /// go. Its rotations keep apart through all reloads.
    ///
    /// In a service that is shared exactly or in chunks, all workers of a director share one rotation, which has
    /// the director's phase; see [`set_phase`](Self::set_phase). A single worker of a director still counts
    /// all connections, and without `ties: rotate` picks the first in the list among equals, whatever
    /// its phase.
    pub fn worker_with(&self, phase: u32) -> Worker {
        self.new_worker(Some(phase))
    }

    fn new_worker(&self, phase: Option<u32>) -> Worker {
        let shard = Arc::new(Shard::new());
        let (inner, state) = self.register(&shard, phase);
        let reader = Snapshot::reader(&inner.publication);
        let first = |state: &ArcRef<WorkerState>| state.get().first_services();
        let own_services = state.as_ref().map_or_else(|| Arc::new([]) as Arc<_>, first);
        let tag = state.as_ref().map_or(WorkerTag::NONE, |state| state.get().tag());
        Worker { inner, reader, shard, state, tag, rotations: own_services }
    }
}

impl Worker {
    /// Returns the service that takes this flow; `None` if there is none.
    ///
    /// The order is the kernel's: the firewall mark; the exact protocol, address and port; for FTP
    /// data, port 21; then port 0, which stands for every port of a persistent service. O(1).
    ///
    /// FTP data is TCP to port 20 or to a port from 1024 up. If the service of port 21 is not
    /// persistent, neither it nor a service of port 0 takes FTP data: the result is `None`, and the
    /// packet does not belong to the director.
    #[inline]
    pub fn service_for(&self, flow: &Flow) -> Option<ServiceId> {
        self.reader.with(|table| table.by_flow(flow))
    }

    /// Picks a server and opens a connection on it.
    ///
    /// TCP (and a flow without protocol) opens active: the kernel counts a TCP connection as active
    /// from its first SYN. UDP and SCTP open inactive. If another thread fills the server to its
    /// upper threshold between the pick and the opening, the pick is repeated: the limit holds
    /// exactly, except where an overloaded server may be picked deliberately (persistent clients,
    /// lblc).
    ///
    /// Costs a pick plus [`open`](Self::open); each repetition is caused by another thread's progress.
    ///
    /// # Errors
    /// As for [`pick_server`](Self::pick_server). If the service is deleted between the pick and the
    /// opening, the error may be [`NoService`](Refused::NoService) too. A server that already has
    /// [`MAX_CONNECTIONS`](crate::MAX_CONNECTIONS) is [`AllOverloaded`](Refused::AllOverloaded).
    #[inline]
    pub fn connect(&self, service: ServiceId, flow: &Flow) -> Result<Connection<'_>, Refused> {
        self.connect_excluding(service, flow, &[])
    }

    /// Like [`connect`](Self::connect), but only among servers that are not in `tried`; see
    /// [`pick_server_excluding`](Self::pick_server_excluding).
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    #[inline]
    pub fn connect_excluding(
        &self,
        service: ServiceId,
        flow: &Flow,
        tried: &[ServerId],
    ) -> Result<Connection<'_>, Refused> {
        let mut lease = Lease::default();
        let pick = self.connect_into(service, flow, tried, &mut lease)?;
        let counts_activity = Self::counts_activity(flow);
        Ok(Connection { worker: self, pick, lease, counts_activity })
    }

    /// UDP connections are never active.
    #[inline(always)]
    pub(crate) fn counts_activity(flow: &Flow) -> bool {
        flow.protocol() != UDP
    }

    /// Like [`connect_excluding`](Self::connect_excluding), with the result in parts. `lease` is empty, and
    /// stays so on an error. It is written early and in place, which takes a few nanoseconds less than
    /// assembling the result at the end.
    #[inline(always)]
    pub(crate) fn connect_into(
        &self,
        service: ServiceId,
        flow: &Flow,
        tried: &[ServerId],
        lease: &mut Lease,
    ) -> Result<Pick, Refused> {
        let streams = !matches!(flow.protocol(), UDP | SCTP);
        let activity = if streams { Activity::Active } else { Activity::Inactive };
        // Early and in place too.
        let mut chosen = None;
        self.pick(service, flow, tried, into(&mut chosen))?;
        // `into` has run: there is a pick.
        let Some(pick) = &chosen else { return Err(Refused::NotThisFlow) };
        let server = pick.server();
        let slot = self.inner.arena.servers.get(server.slot);
        let opened = if slot.is_some_and(ServerSlot::is_counted_by_worker) {
            self.open_own(lease, server, pick.template, activity, true)
        } else {
            self.open_into(lease, slot, server, pick.template, activity, true)
        };
        match opened {
            Ok(()) => chosen.ok_or(Refused::NotThisFlow),
            Err(why) => self.connect_slow(lease, chosen, (service, flow, tried), activity, why),
        }
    }

    /// The rest of a connect whose pick could not be opened, for this reason.
    #[cold]
    #[inline(never)]
    fn connect_slow(
        &self,
        lease: &mut Lease,
        mut chosen: Option<Pick>,
        (service, flow, tried): (ServiceId, &Flow, &[ServerId]),
        activity: Activity,
        why: ConnectionError,
    ) -> Result<Pick, Refused> {
        let mut opened = Err(why);
        let mut repeats = 0;
        loop {
            let pick = chosen.ok_or(Refused::NotThisFlow)?;
            let (server, template) = (pick.server(), pick.template);
            opened = match opened {
                Err(ConnectionError::Overloaded) => {
                    self.open_overloaded(lease, service, server, template, activity)
                }
                opened => opened,
            };
            match opened {
                Ok(()) => return Ok(pick),
                // Filled or removed since the pick: each iteration is another thread's progress. A full
                // counter is different: nothing promises that it changes soon.
                Err(ConnectionError::Overloaded | ConnectionError::Stale) => {}
                Err(ConnectionError::Full | ConnectionError::Busy) => {
                    return Err(Refused::AllOverloaded);
                }
            }
            repeats += 1;
            if repeats > shared::MOST_REPEATS && self.inner.arena.attached().is_some() {
                return Err(Refused::NotThisFlow);
            }
            // The slow path checks each server. The fast path relies on the limits that the service was
            // compiled with, and a reload under way may already have stored other limits.
            self.pick_slow(service.word(), flow, into(&mut chosen), tried)?;
            let pick = chosen.ok_or(Refused::NotThisFlow)?;
            opened = self.open_any(lease, pick.server(), pick.template, activity, true);
        }
    }

    /// Counts a connection to a server that was picked, or that the host chose itself.
    ///
    /// Hosts that only know when a connection begins and ends use [`Activity::Active`]. Any worker of
    /// the same director may close the lease; a lease that is dropped instead stays counted. O(1);
    /// O(log n) if the service's scheduler keeps a load index over its n servers.
    ///
    /// An overloaded or quiesced server is not an error: a caller that names a server gets it, as a
    /// persistent client does in the kernel.
    ///
    /// # Errors
    /// [`Stale`](ConnectionError::Stale) if the server is gone, [`Full`](ConnectionError::Full) if it
    /// already has [`MAX_CONNECTIONS`](crate::MAX_CONNECTIONS). Nothing is counted then.
    #[inline]
    pub fn open(&self, server: ServerId, activity: Activity) -> Result<Lease, ConnectionError> {
        self.open_with(server, TemplateId::default(), activity)
    }

    /// Counts a connection to the server of a pick. Like [`open`](Self::open), but a persistent
    /// client's template does not expire while the connection is open.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    #[inline]
    pub fn open_pick(&self, pick: &Pick, activity: Activity) -> Result<Lease, ConnectionError> {
        self.open_with(pick.server(), pick.template, activity)
    }

    /// Counts the connection as active or inactive from now on; no change if it already is. The cost is
    /// that of [`open`](Self::open).
    ///
    /// # Errors
    /// [`Stale`](ConnectionError::Stale) if the lease is empty, closed, or of another director; nothing
    /// changes then.
    #[inline]
    pub fn update(&self, lease: &mut Lease, activity: Activity) -> Result<(), ConnectionError> {
        let now = lease.activity().ok_or(ConnectionError::Stale)?;
        let slot = self.inner.arena.servers.get(lease.server.slot).ok_or(ConnectionError::Stale)?;
        if now == activity {
            let known = slot.is(lease.server.generation);
            return if known { Ok(()) } else { Err(ConnectionError::Stale) };
        }
        if lease.has_tag() || slot.is_counted_by_worker() {
            return self.update_own(lease, slot, activity);
        }
        slot.update(lease.server.generation, activity)?;
        lease.set_activity(activity);
        let server = lease.server;
        self.load_changed(server, slot, slot.service_to_tell(), |compiled| {
            self.moved(compiled, server, activity);
        });
        Ok(())
    }

    /// Opens on an overloaded server if the service picks such servers deliberately; else refuses.
    #[cold]
    #[inline(never)]
    fn open_overloaded(
        &self,
        lease: &mut Lease,
        service: ServiceId,
        server: ServerId,
        template: TemplateId,
        activity: Activity,
    ) -> Result<(), ConnectionError> {
        if self.reader.with(|table| table.service(service).is_some_and(Service::takes_overloaded)) {
            self.open_any(lease, server, template, activity, false)
        } else {
            Err(ConnectionError::Overloaded)
        }
    }

    #[inline(always)]
    fn open_with(
        &self,
        server: ServerId,
        template: TemplateId,
        activity: Activity,
    ) -> Result<Lease, ConnectionError> {
        let mut lease = Lease::default();
        self.open_any(&mut lease, server, template, activity, false)?;
        Ok(lease)
    }

    /// Opens a connection, however the server's connections are counted.
    #[inline(always)]
    fn open_any(
        &self,
        lease: &mut Lease,
        server: ServerId,
        template: TemplateId,
        activity: Activity,
        below_limit: bool,
    ) -> Result<(), ConnectionError> {
        let slot = self.inner.arena.servers.get(server.slot);
        if slot.is_some_and(ServerSlot::is_counted_by_worker) {
            self.open_own(lease, server, template, activity, below_limit)
        } else {
            self.open_into(lease, slot, server, template, activity, below_limit)
        }
    }

    #[inline(always)]
    fn open_into(
        &self,
        lease: &mut Lease,
        slot: Option<&ServerSlot>,
        server: ServerId,
        template: TemplateId,
        activity: Activity,
        below_limit: bool,
    ) -> Result<(), ConnectionError> {
        let slot = slot.ok_or(ConnectionError::Stale)?;
        let arena = &self.inner.arena;
        let marked = slot.open(server.generation, activity, arena.kernel_rules(), below_limit)?;
        *lease = Lease::new(server, template, activity);
        let (service, told) = slot.service_to_tell();
        self.shard.count_connection(server.slot, service);
        self.load_changed(server, slot, (service, told), |compiled| {
            self.opened(compiled, server, activity, marked);
        });
        if !template.is_none() {
            self.acquire_template(service, template);
        }
        Ok(())
    }

    #[inline(never)]
    fn acquire_template(&self, service: u32, template: TemplateId) {
        self.with_templates(service, |templates| templates.acquire(template));
    }

    #[inline(never)]
    fn release_template(&self, service: u32, template: TemplateId) {
        self.with_templates(service, |templates| templates.release(template));
    }

    fn with_templates(&self, service: u32, act: impl FnOnce(&Templates)) {
        self.reader.with(|table| {
            if let Some(templates) = table.service_at(service).and_then(Service::templates) {
                act(templates);
            }
        });
    }

    #[inline(always)]
    fn load_changed(
        &self,
        server: ServerId,
        slot: &ServerSlot,
        (service, told): (u32, bool),
        state: impl FnOnce(&Service),
    ) {
        if !told {
            // Nor does a worker that only closes keep old tables.
            self.reader.catch_up();
            return;
        }
        // SeqCst, in `load_latest`: pairs with the store in `Snapshot::publish`. A service published
        // before this count changed has not seen the change; one published later reads all counts
        // itself.
        let table = self.reader.load_latest();
        let Some(compiled) = table.service_at(service) else { return };
        match compiled.load_updates() {
            LoadUpdates::Nothing => {}
            LoadUpdates::Counts(index) => {
                if let Some(next) = index.load_changed(server.slot, slot) {
                    compiled.prefetch(next);
                }
            }
            LoadUpdates::Other(_) => state(compiled),
        }
    }

    /// The worker's state, if workers decide by themselves in this service.
    #[inline(always)]
    fn state_for(&self, service: &Service) -> Option<&WorkerState> {
        if service.per_worker() { self.state() } else { None }
    }

    #[inline]
    fn state(&self) -> Option<&WorkerState> {
        self.state.as_ref().map(ArcRef::get)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.inner.unregister(&self.shard, self.state());
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Worker")
            .field("number", &state.map(WorkerState::number))
            .field("phase", &state.map(WorkerState::phase))
            .finish_non_exhaustive()
    }
}

/// Keeps the pick here.
#[inline(always)]
fn into(chosen: &mut Option<Pick>) -> impl FnOnce(Pick) + '_ {
    |pick| *chosen = Some(pick)
}

const UDP: u8 = 17;
const SCTP: u8 = 132;
