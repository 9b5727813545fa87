//! A director for async tasks: usable from any thread, with connections that any thread may close.
//!
//! Each thread that uses a handle gets a [`Worker`] of its own at its first call, in [`PerThread`]. So a
//! handle decides, counts and costs what a worker does. `arc_swap`, which would need no worker to read the
//! current table, costs two locked instructions each time, and a call needs two or three reads.
//!
//! ```text
//! Handle ──► Root ──► Token, one per few threads ──► Threads ──► Worker, one per thread ──► Director
//! OwnedConnection ──────────┘
//! ```
//!
//! Connections count their references on a token, not on `Threads`: all threads would write its word.

use std::any::Any;
use std::cell::OnceCell;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::ReentrantMutex;

use crate::arena::counts::Activity;
use crate::arena::health::Outcome;
use crate::arena::id::{ServerId, ServiceId};
use crate::concurrent::per_thread::{Ending, Leave, PerThread};
use crate::director::Director;
use crate::error::{ConnectionError, Refused};
use crate::flow::Flow;
use crate::pool::endpoint::Pick;
use crate::worker::{Lease, Worker};

mod connection;
mod room;

pub use connection::OwnedConnection;
pub use room::Room;

/// Access to a [`Director`] from any thread and any task.
///
/// `Clone`, `Send`, `Sync` and `'static`: for async runtimes, whose tasks wander between threads, and for
/// hosts that do not manage threads. A thread's first call makes a [`Worker`] for the thread, which takes
/// the director's lock, allocates, and costs what [`Director::worker`] does; it ends with the thread.
/// Every later call is as lock-free and allocation-free as the worker's. It costs a few nanoseconds more;
/// `connect` and the drop also count a reference.
/// A thread that has stopped calling keeps at most one old service table alive.
///
/// A handle keeps its director alive, and so does a connection. In a service that is shared `per-worker`
/// each thread decides by itself; in one that is shared in chunks, each thread takes chunks.
///
/// ```
/// use vsched::{Config, Director, Flow};
/// let config: Config = "-A -t 10.0.0.1:80 -s lc\n-a -t 10.0.0.1:80 -r 10.0.1.1 -m".parse()?;
/// let director = Director::new(&config)?;
/// let (handle, service) = (director.handle(), director.service("tcp 10.0.0.1:80")?);
/// let connection = handle.connect(service, &Flow::default())?;
/// let counts = |server| director.counts(server).map(|counts| counts.active);
/// let server = connection.server();
/// assert_eq!(counts(server), Some(1));
/// std::thread::spawn(move || drop(connection)).join().expect("no panic");
/// assert_eq!(counts(server), Some(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Handle {
    root: Arc<Root>,
}

/// What the handles of a director share.
struct Root {
    threads: Arc<Threads>,
    /// As many as a power of two.
    tokens: Box<[Arc<Token>]>,
}

/// What a connection keeps of its handle. On a cache line of its own, with its count of references.
#[repr(align(128))]
pub(crate) struct Token {
    threads: Arc<Threads>,
}

/// The workers of all threads.
struct Threads {
    director: Director,
    workers: PerThread<Worker>,
    /// For threads that are ending, whose own workers are gone.
    late: ReentrantMutex<OnceCell<Worker>>,
}

impl Director {
    /// Returns a handle for async tasks and for threads that have no [`Worker`]. Takes a lock; allocates if
    /// there is none yet. All handles of a director share one worker per thread.
    pub fn handle(&self) -> Handle {
        let mut companion = self.companion().lock();
        let known = companion.upgrade().and_then(|root| root.downcast::<Root>().ok());
        let root = known.unwrap_or_else(|| {
            let root = Arc::new(Root::new(self.clone()));
            let weak: Weak<Root> = Arc::downgrade(&root);
            *companion = weak as Weak<dyn Any + Send + Sync>;
            root
        });
        Handle { root }
    }
}

/// Most tokens: with more threads some share one.
const TOKENS: usize = 128;

impl Root {
    fn new(director: Director) -> Self {
        let threads = Arc::new(Threads {
            director,
            workers: PerThread::new(),
            late: ReentrantMutex::default(),
        });
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let token = |_| Arc::new(Token { threads: Arc::clone(&threads) });
        let tokens = (0..count.next_power_of_two().min(TOKENS)).map(token).collect();
        Root { threads, tokens }
    }

    fn token(&self, thread: u32) -> &Arc<Token> {
        // At least one token.
        &self.tokens[thread as usize & (self.tokens.len() - 1)]
    }
}

impl Threads {
    /// Calls `act` with this thread's worker and the thread's number.
    #[inline(always)]
    fn act<R>(self: &Arc<Self>, act: impl FnOnce(&Worker, u32) -> R) -> R {
        self.workers.with(|worker, thread| match worker {
            Some(worker) => act(worker, thread),
            None => self.act_first(act),
        })
    }

    #[cold]
    #[inline(never)]
    fn act_first<R>(self: &Arc<Self>, act: impl FnOnce(&Worker, u32) -> R) -> R {
        let owner: Weak<Threads> = Arc::downgrade(self);
        self.workers.enter(owner as Weak<dyn Leave>, || self.director.worker());
        self.workers.with(|worker, thread| match worker {
            Some(worker) => act(worker, thread),
            None => act(self.late.lock().get_or_init(|| self.director.worker()), 0),
        })
    }
}

impl Leave for Threads {
    fn leave(&self, thread: &Ending) {
        self.workers.leave(thread);
    }
}

impl Token {
    #[inline(always)]
    fn act<R>(&self, act: impl FnOnce(&Worker) -> R) -> R {
        self.threads.act(|worker, _| act(worker))
    }
}

impl Handle {
    /// Returns the director.
    pub fn director(&self) -> &Director {
        &self.threads().director
    }

    /// Returns the service that takes this flow; `None` if there is none. See [`Worker::service_for`].
    pub fn service_for(&self, flow: &Flow) -> Option<ServiceId> {
        self.act(|worker| worker.service_for(flow))
    }

    /// Picks a server of the service for this flow: a decision only. See [`Worker::pick_server`].
    ///
    /// # Errors
    /// As for [`Worker::pick_server`].
    pub fn pick_server(&self, service: ServiceId, flow: &Flow) -> Result<Pick, Refused> {
        self.act(|worker| worker.pick_server(service, flow))
    }

    /// Picks among the servers that are not in `tried`. See [`Worker::pick_server_excluding`].
    ///
    /// # Errors
    /// As for [`Worker::pick_server_excluding`].
    pub fn pick_server_excluding(
        &self,
        service: ServiceId,
        flow: &Flow,
        tried: &[ServerId],
    ) -> Result<Pick, Refused> {
        self.act(|worker| worker.pick_server_excluding(service, flow, tried))
    }

    /// Picks a server and opens a connection on it. See [`Worker::connect`]: thresholds hold exactly.
    ///
    /// The connection closes when it is dropped, on whatever thread: a task that is cancelled, or whose
    /// runtime is dropped, leaves nothing open.
    ///
    /// # Errors
    /// As for [`Worker::connect`].
    pub fn connect(&self, service: ServiceId, flow: &Flow) -> Result<OwnedConnection, Refused> {
        self.connect_excluding(service, flow, &[])
    }

    /// Like [`connect`](Self::connect), but only among servers that are not in `tried`: for the next
    /// attempt after one has failed.
    ///
    /// # Errors
    /// As for [`Worker::connect_excluding`].
    pub fn connect_excluding(
        &self,
        service: ServiceId,
        flow: &Flow,
        tried: &[ServerId],
    ) -> Result<OwnedConnection, Refused> {
        self.threads().act(|worker, thread| {
            let mut lease = Lease::default();
            let pick = worker.connect_into(service, flow, tried, &mut lease)?;
            let token = Arc::clone(self.root.token(thread));
            Ok(OwnedConnection::new(token, pick, lease, Worker::counts_activity(flow)))
        })
    }

    /// Makes a connection of a lease: of one that was split ([`OwnedConnection::into_parts`]), or that
    /// [`open_pick`](Self::open_pick) or a worker returned. Changes no count. Its
    /// [`established`](OwnedConnection::established) counts it as active, whatever its protocol.
    pub fn adopt(&self, pick: Pick, lease: Lease) -> OwnedConnection {
        let token = self.threads().act(|_, thread| Arc::clone(self.root.token(thread)));
        OwnedConnection::new(token, pick, lease, true)
    }

    /// Counts a connection to a server that the host chose itself. See [`Worker::open`].
    ///
    /// # Errors
    /// As for [`Worker::open`].
    pub fn open(&self, server: ServerId, activity: Activity) -> Result<Lease, ConnectionError> {
        self.act(|worker| worker.open(server, activity))
    }

    /// Counts a connection to the server of a pick. See [`Worker::open_pick`].
    ///
    /// # Errors
    /// As for [`Worker::open_pick`].
    pub fn open_pick(&self, pick: &Pick, activity: Activity) -> Result<Lease, ConnectionError> {
        self.act(|worker| worker.open_pick(pick, activity))
    }

    /// Counts the connection as active or inactive from now on. See [`Worker::update`].
    ///
    /// # Errors
    /// As for [`Worker::update`].
    pub fn update(&self, lease: &mut Lease, activity: Activity) -> Result<(), ConnectionError> {
        self.act(|worker| worker.update(lease, activity))
    }

    /// Ends the connection. See [`Worker::close`].
    ///
    /// # Errors
    /// As for [`Worker::close`].
    pub fn close(&self, lease: Lease) -> Result<(), ConnectionError> {
        self.act(|worker| worker.close(lease))
    }

    /// Ends the connection and counts how it went. See [`Worker::close_with`].
    ///
    /// # Errors
    /// As for [`Worker::close_with`].
    pub fn close_with(
        &self,
        lease: Lease,
        outcome: Outcome,
        latency: Option<Duration>,
    ) -> Result<(), ConnectionError> {
        self.act(|worker| worker.close_with(lease, outcome, latency))
    }

    /// Counts how a connection or a request went, without a lease. See [`Worker::report`].
    ///
    /// # Errors
    /// As for [`Worker::report`].
    pub fn report(
        &self,
        server: ServerId,
        outcome: Outcome,
        latency: Option<Duration>,
    ) -> Result<(), ConnectionError> {
        self.act(|worker| worker.report(server, outcome, latency))
    }

    fn threads(&self) -> &Arc<Threads> {
        &self.root.threads
    }

    #[inline(always)]
    fn act<R>(&self, act: impl FnOnce(&Worker) -> R) -> R {
        self.threads().act(|worker, _| act(worker))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("director", self.director()).finish_non_exhaustive()
    }
}
