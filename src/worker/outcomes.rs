//! How connections ended, as the host saw it: counted per server.

use std::time::Duration;

use crate::arena::health::Outcome;
use crate::arena::id::ServerId;
use crate::error::ConnectionError;
use crate::worker::{Connection, Lease, Worker};

impl Worker {
    /// Ends the connection, like [`close`](Self::close), and counts how it went for its server.
    ///
    /// `latency` is what the host measured, from any moment to any other that it always uses, such as
    /// from the request to the first byte of the answer. Only that of [`Outcome::Done`] enters the
    /// server's average: a server that refuses every connection does so fast. More than 71 minutes count
    /// as 71 minutes.
    ///
    /// A plain `close`, and a [`Connection`] that is dropped, report nothing.
    /// [`Director::health`](crate::Director::health) returns what was counted. Outcomes change picks only
    /// if the service [ejects](crate::config::Ejection) servers: then the call that reports the failure
    /// which reaches the limit ejects the server, and every pick that begins later passes over it. It counts for the server
    /// that has the connection, after every reload, also if the server was removed.
    ///
    /// Costs a `close` and up to three atomic exchanges on the server's own cache line.
    ///
    /// # Errors
    /// As for `close`; no outcome is counted then.
    #[inline]
    pub fn close_with(
        &self,
        mut lease: Lease,
        outcome: Outcome,
        latency: Option<Duration>,
    ) -> Result<(), ConnectionError> {
        self.close_in_place_with(&mut lease, outcome, latency)
    }

    /// Like [`close_with`](Self::close_with), for hosts that keep leases in their own memory; see
    /// [`close_in_place`](Self::close_in_place).
    ///
    /// # Errors
    /// As for `close_in_place`; no outcome is counted then.
    #[inline]
    pub fn close_in_place_with(
        &self,
        lease: &mut Lease,
        outcome: Outcome,
        latency: Option<Duration>,
    ) -> Result<(), ConnectionError> {
        let server = lease.server;
        // Before the report: only the close tells whether the lease was open.
        self.close_in_place(lease)?;
        // Stale if the slot has another server by now: then this one's id is stale too.
        let _ = self.count_outcome(server, outcome, latency);
        Ok(())
    }

    /// Counts how a connection or a request went, for hosts that have no lease, or that report each
    /// request of a connection. Like [`close_with`](Self::close_with), but closes nothing. O(1).
    ///
    /// A server that was removed counts as long as its id is not stale. Draining, down, quiesced and
    /// overloaded servers count like any other.
    ///
    /// # Errors
    /// [`Stale`](ConnectionError::Stale) if the server is gone; nothing is counted then.
    #[inline]
    pub fn report(
        &self,
        server: ServerId,
        outcome: Outcome,
        latency: Option<Duration>,
    ) -> Result<(), ConnectionError> {
        let slot = self.inner.arena.servers.get(server.slot).ok_or(ConnectionError::Stale)?;
        if !slot.is(server.generation) {
            return Err(ConnectionError::Stale);
        }
        self.count_outcome(server, outcome, latency)
    }

    #[inline(never)]
    fn count_outcome(
        &self,
        server: ServerId,
        outcome: Outcome,
        latency: Option<Duration>,
    ) -> Result<(), ConnectionError> {
        let arena = &self.inner.arena;
        let health = arena.health.get(server.slot).ok_or(ConnectionError::Stale)?;
        arena.expect_reports();
        let failures = health.report(server.generation, outcome, latency)?;
        if failures > 0 && arena.eject_failing(server, failures) {
            self.ejected(server);
        }
        Ok(())
    }

    /// Tells the scheduler of a server that this worker has just ejected.
    #[cold]
    #[inline(never)]
    fn ejected(&self, server: ServerId) {
        // As in `load_changed`.
        let table = self.reader.load_latest();
        let Some(slot) = self.inner.arena.servers.get(server.slot) else { return };
        if let Some(service) = table.service_at(slot.service()) {
            service.changed_for_all(server, slot);
        }
    }
}

impl Connection<'_> {
    /// Closes the connection and counts how it went for its server; see
    /// [`Worker::close_with`]. A connection that is dropped reports nothing.
    ///
    /// ```
    /// use std::time::Duration;
    /// use vsched::Outcome;
    /// # use vsched::{Config, Director, Flow};
    /// # let config: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?;
    /// # let director = Director::new(&config)?;
    /// # let (worker, service) = (director.worker(), director.service("tcp 10.0.0.1:80")?);
    /// let connection = worker.connect(service, &Flow::default())?;
    /// let server = connection.server();
    /// connection.finish(Outcome::Done, Some(Duration::from_millis(3)))?;
    /// let health = director.health(server).expect("it runs");
    /// assert_eq!((health.done, health.latency), (1, Some(Duration::from_millis(3))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Stale`](ConnectionError::Stale) if the host has reset the counts
    /// ([`Director::set_counts`](crate::Director::set_counts),
    /// [`Director::forget_removed`](crate::Director::forget_removed)); no outcome is counted then.
    pub fn finish(
        self,
        outcome: Outcome,
        latency: Option<Duration>,
    ) -> Result<(), ConnectionError> {
        let worker = self.worker;
        worker.close_with(self.into_lease(), outcome, latency)
    }
}
