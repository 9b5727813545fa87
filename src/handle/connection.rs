//! An open connection that any thread may close.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::arena::counts::Activity;
use crate::arena::health::Outcome;
use crate::arena::id::ServerId;
use crate::config::Forwarding;
use crate::error::ConnectionError;
use crate::handle::Token;
use crate::pool::endpoint::Pick;
use crate::worker::Lease;

/// An open connection that closes itself when dropped, on whatever thread: `Send`, `Sync` and `'static`.
///
/// [`Handle::connect`](crate::Handle::connect) returns it. It keeps its director alive. Its methods, and
/// the drop, are as lock-free and allocation-free as the [`Handle`](crate::Handle)'s.
#[must_use = "a connection that is dropped is closed"]
pub struct OwnedConnection {
    token: Arc<Token>,
    pick: Pick,
    lease: Lease,
    /// What the drop reports.
    outcome: Option<Outcome>,
    /// The latency of that, in microseconds.
    latency: Option<u32>,
    /// UDP connections are never active.
    counts_activity: bool,
}

impl OwnedConnection {
    #[inline(always)]
    pub(super) fn new(token: Arc<Token>, pick: Pick, lease: Lease, counts_activity: bool) -> Self {
        OwnedConnection { token, pick, lease, outcome: None, latency: None, counts_activity }
    }

    /// Returns the server's id.
    pub fn server(&self) -> ServerId {
        self.pick.server()
    }

    /// Returns the server's address and port.
    pub fn address(&self) -> SocketAddr {
        self.pick.address()
    }

    /// Returns how packets reach the server.
    pub fn forwarding(&self) -> Forwarding {
        self.pick.forwarding()
    }

    /// Returns the pick that led to this connection.
    pub fn pick(&self) -> Pick {
        self.pick
    }

    /// Counts the connection as active, except for UDP: call it when the connection is established.
    pub fn established(&mut self) {
        if self.counts_activity {
            self.set(Activity::Active);
        }
    }

    /// Counts the connection as inactive: call it when the connection is closing.
    pub fn closing(&mut self) {
        self.set(Activity::Inactive);
    }

    /// Sets what the drop reports of the server; at first nothing. The latest call counts. So a task that
    /// may be cancelled sets [`Outcome::Abandoned`] at its start, and the true outcome when it knows it.
    /// See [`Worker::close_with`](crate::Worker::close_with).
    ///
    /// ```
    /// # use vsched::{Config, Director, Flow, Outcome};
    /// # let config: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?;
    /// # let director = Director::new(&config)?;
    /// # let (handle, service) = (director.handle(), director.service("tcp 10.0.0.1:80")?);
    /// let mut connection = handle.connect(service, &Flow::default())?;
    /// let server = connection.server();
    /// connection.set_outcome(Outcome::Failed, None);
    /// drop(connection);
    /// assert_eq!(director.health(server).expect("it runs").failed, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_outcome(&mut self, outcome: Outcome, latency: Option<Duration>) {
        let micros = |latency: Duration| u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        (self.outcome, self.latency) = (Some(outcome), latency.map(micros));
    }

    /// Closes the connection now and reports its outcome.
    ///
    /// # Errors
    /// As for [`Connection::finish`](crate::Connection::finish).
    pub fn finish(
        mut self,
        outcome: Outcome,
        latency: Option<Duration>,
    ) -> Result<(), ConnectionError> {
        let lease = std::mem::take(&mut self.lease);
        self.token.act(|worker| worker.close_with(lease, outcome, latency))
    }

    /// Returns the lease, for hosts that keep connections elsewhere. The connection stays open until a
    /// handle's or worker's `close` gets the lease. What [`set_outcome`](Self::set_outcome) has set is
    /// forgotten.
    pub fn into_lease(mut self) -> Lease {
        std::mem::take(&mut self.lease)
    }

    /// Splits the connection, which stays open, into plain data without a destructor.
    /// [`Handle::adopt`](crate::Handle::adopt) puts the parts together again.
    ///
    /// ```
    /// # use vsched::{Config, Director, Flow};
    /// # let config: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?;
    /// # let director = Director::new(&config)?;
    /// # let (handle, service) = (director.handle(), director.service("tcp 10.0.0.1:80")?);
    /// let (pick, lease) = handle.connect(service, &Flow::default())?.into_parts();
    /// let active = || director.counts(pick.server()).map(|counts| counts.active);
    /// assert_eq!(active(), Some(1), "parts that are dropped stay counted");
    /// drop(handle.adopt(pick, lease));
    /// assert_eq!(active(), Some(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_parts(self) -> (Pick, Lease) {
        (self.pick, self.into_lease())
    }

    fn set(&mut self, activity: Activity) {
        // Stale only if the host has reset the counts; then there is nothing to update.
        let _ = self.token.act(|worker| worker.update(&mut self.lease, activity));
    }
}

impl Drop for OwnedConnection {
    fn drop(&mut self) {
        if self.lease.is_empty() {
            return;
        }
        // As in `set`.
        let _ = self.token.act(|worker| match self.outcome {
            Some(outcome) => {
                let latency = self.latency.map(|micros| Duration::from_micros(micros.into()));
                worker.close_in_place_with(&mut self.lease, outcome, latency)
            }
            None => worker.close_in_place(&mut self.lease),
        });
    }
}

impl fmt::Debug for OwnedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedConnection")
            .field("pick", &self.pick)
            .field("activity", &self.lease.activity())
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}
