//! What a request's context keeps of its attempts.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use vsched::{Outcome, OwnedConnection, ServerId};

/// The attempts of one request: part of the proxy's `CTX`, one per request, made by `Attempts::default()`.
///
/// It holds the connection that is counted on the chosen server. Dropping it closes the connection as
/// [`Abandoned`](Outcome::Abandoned), so nothing stays counted when a client leaves, a task is canceled or a
/// runtime ends. Allocates only when an attempt has failed.
#[derive(Default)]
pub struct Attempts {
    current: Option<Attempt>,
    /// The server of the next attempt, already counted.
    pub(crate) reserved: Option<OwnedConnection>,
    /// Servers that failed.
    pub(crate) tried: Vec<ServerId>,
    made: usize,
    last: Option<(ServerId, SocketAddr)>,
    latency: Option<Duration>,
}

/// An attempt that is under way.
struct Attempt {
    connection: OwnedConnection,
    since: Instant,
    /// How the response's head looked.
    head: Option<Outcome>,
}

impl Attempts {
    /// Returns the server of the latest attempt, for logs; `None` before the first.
    pub fn server(&self) -> Option<ServerId> {
        self.last.map(|(server, _)| server)
    }

    /// Returns the address of the latest attempt's server; `None` before the first.
    pub fn address(&self) -> Option<SocketAddr> {
        self.last.map(|(_, address)| address)
    }

    /// Returns the servers that failed, in order. No further attempt goes to them.
    pub fn tried(&self) -> &[ServerId] {
        &self.tried
    }

    /// Returns the number of attempts so far.
    pub fn made(&self) -> usize {
        self.made
    }

    /// Returns the time from the latest attempt's start to its response's head; `None` without a response.
    pub fn latency(&self) -> Option<Duration> {
        self.latency
    }

    pub(crate) fn begin(&mut self, mut connection: OwnedConnection) {
        connection.set_outcome(Outcome::Abandoned, None);
        self.last = Some((connection.server(), connection.address()));
        self.made += 1;
        self.latency = None;
        self.current = Some(Attempt { connection, since: Instant::now(), head: None });
    }

    /// The response's head arrived.
    pub(crate) fn answered(&mut self, outcome: Outcome) {
        if let Some(attempt) = &mut self.current {
            attempt.head = Some(outcome);
            self.latency = Some(attempt.since.elapsed());
            if outcome == Outcome::Failed {
                attempt.connection.set_outcome(outcome, None);
            }
        }
    }

    /// How the current attempt's head looked; `None` without an attempt or a head.
    pub(crate) fn head(&self) -> Option<Outcome> {
        self.current.as_ref()?.head
    }

    /// The current attempt's server is to blame: counts that, and excludes it from now on.
    pub(crate) fn fail(&mut self) {
        if let Some(attempt) = self.current.take() {
            self.tried.push(attempt.connection.server());
            finish(attempt.connection, Outcome::Failed, None);
        }
    }

    /// The current attempt ends for a reason that says nothing about its server.
    pub(crate) fn abandon(&mut self) {
        // The outcome is set.
        self.current = None;
    }

    pub(crate) fn finish(&mut self, outcome: Outcome) {
        if let Some(attempt) = self.current.take() {
            let latency = self.latency.filter(|_| outcome == Outcome::Done);
            finish(attempt.connection, outcome, latency);
        }
        self.reserved = None;
    }
}

fn finish(connection: OwnedConnection, outcome: Outcome, latency: Option<Duration>) {
    // Stale only if the host has reset the counts; then there is nothing to close.
    let _ = connection.finish(outcome, latency);
}

impl fmt::Debug for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempts")
            .field("made", &self.made)
            .field("latest", &self.address())
            .field("open", &self.current.is_some())
            .field("tried", &self.tried)
            .field("latency", &self.latency)
            .finish_non_exhaustive()
    }
}
