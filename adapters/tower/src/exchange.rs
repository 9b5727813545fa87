//! One request to one server.

use std::time::{Duration, Instant};

use vsched::{Outcome, OwnedConnection, ServerId};

use crate::telemetry::Telemetry;

/// One request to one server: the open connection of the core, and what will be reported of it.
///
/// The connection closes when the exchange is dropped. Until an outcome is set that is
/// [`Outcome::Abandoned`]: so a request whose future is dropped says nothing about the server.
#[derive(Debug)]
#[must_use = "the connection closes when the exchange is dropped"]
pub struct Exchange {
    connection: OwnedConnection,
    outcome: Outcome,
    started: Instant,
    latency: Option<Duration>,
    telemetry: Telemetry,
}

impl Exchange {
    pub(crate) fn new(mut connection: OwnedConnection, telemetry: Telemetry) -> Self {
        connection.set_outcome(Outcome::Abandoned, None);
        let (outcome, started) = (Outcome::Abandoned, Instant::now());
        Exchange { connection, outcome, started, latency: None, telemetry }
    }

    /// Returns the server's id.
    pub fn server(&self) -> ServerId {
        self.connection.server()
    }

    /// Returns the connection.
    pub fn connection(&self) -> &OwnedConnection {
        &self.connection
    }

    /// Returns the outcome that will be reported.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Returns the time from the pick to the response's head; `None` before that.
    pub fn latency(&self) -> Option<Duration> {
        self.latency
    }

    /// Sets the outcome that will be reported; the latest counts.
    pub fn set_outcome(&mut self, outcome: Outcome) {
        self.outcome = outcome;
        self.connection.set_outcome(outcome, self.latency);
    }

    /// Closes the connection now and reports this outcome.
    pub fn finish(mut self, outcome: Outcome) {
        self.set_outcome(outcome);
    }

    /// The response's head is here. An answer that took longer than the limit is no success.
    pub(crate) fn answered(&mut self, outcome: Outcome, slow_after: Option<Duration>) {
        let latency = self.started.elapsed();
        self.latency = Some(latency);
        let is_slow = outcome == Outcome::Done && slow_after.is_some_and(|limit| latency > limit);
        self.set_outcome(if is_slow { Outcome::Failed } else { outcome });
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.telemetry.closed(self.outcome, self.latency);
    }
}
