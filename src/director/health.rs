//! What hosts report of servers: read out, and when it ages.

use crate::arena::Arena;
use crate::arena::counts::Counts;
use crate::arena::health::HealthSlot;
use crate::arena::id::ServerId;
use crate::arena::slots::ServerSlot;
use crate::config::ServerHealth;
use crate::director::Director;
use crate::sync::{Ordering, fence};

/// Milliseconds of the ticks' clock after which an interval of the window ends.
const INTERVAL: u64 = 10_000;
/// Milliseconds of a step in which latencies decay.
const STEP: u64 = 1_000;

/// When an interval began, and until when latencies have decayed: times of ticks.
#[derive(Default)]
pub(super) struct HealthClock {
    /// `None` before the first tick: until then the time is unknown.
    began: Option<u64>,
    decayed: u64,
}

/// What is due at a tick.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) interval: bool,
    /// Seconds by which latencies decay.
    pub(super) seconds: u64,
}

impl HealthClock {
    /// True once a tick has told the time.
    pub(super) fn is_running(&self) -> bool {
        self.began.is_some()
    }

    pub(super) fn advance(&mut self, now: u64) -> Due {
        let Some(began) = self.began else {
            *self = HealthClock { began: Some(now), decayed: now };
            return Due::default();
        };
        let seconds = now.saturating_sub(self.decayed) / STEP;
        self.decayed += seconds * STEP;
        let interval = now.saturating_sub(began) >= INTERVAL;
        if interval {
            self.began = Some(now);
        }
        Due { interval, seconds }
    }
}

impl Director {
    /// Returns what was reported of a server, and its state; `None` if the id is stale.
    ///
    /// It belongs to the server as its counts do: it survives every [`apply`](Self::apply) and
    /// [`execute`](Self::execute), also while the server is removed and still has connections, and
    /// starts at zero for a new server. Lock-free; O(1).
    ///
    /// ```
    /// # use std::time::Duration;
    /// use vsched::{Config, Director, Flow, Outcome};
    /// let config: Config = "-A -t 10.0.0.1:80 -s wlc\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?;
    /// let director = Director::new(&config)?;
    /// let (worker, service) = (director.worker(), director.service("tcp 10.0.0.1:80")?);
    /// let connection = worker.connect(service, &Flow::default())?;
    /// let server = connection.server();
    /// connection.finish(Outcome::Done, Some(Duration::from_millis(3)))?;
    /// worker.report(server, Outcome::Failed, None)?;
    /// let health = director.health(server).expect("it runs");
    /// assert_eq!((health.done, health.failed, health.consecutive_failures), (1, 1, 1));
    /// assert_eq!(health.latency, Some(Duration::from_millis(3)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn health(&self, server: ServerId) -> Option<ServerHealth> {
        let slot = self.inner.arena.servers.get(server.slot)?;
        let known = || slot.is(server.generation) && !slot.counts_relaxed().vacant();
        if !known() {
            return None;
        }
        let health = health_of(&self.inner.arena, server.slot);
        // Acquire: if the slot got another owner while it was read, that is seen below.
        fence(Ordering::Acquire);
        known().then_some(health)
    }
}

/// What was reported of the server that has this slot, and its state.
pub(super) fn health_of(arena: &Arena, slot: u32) -> ServerHealth {
    let health = arena.health.get(slot).map(HealthSlot::read).unwrap_or_default();
    let counts = arena.servers.get(slot).map(ServerSlot::counts_relaxed);
    ServerHealth {
        state: counts.map(Counts::state).unwrap_or_default(),
        ejected: counts.is_some_and(Counts::is_ejected),
        done: health.done,
        failed: health.failed,
        abandoned: health.abandoned,
        consecutive_failures: health.consecutive_failures,
        recent_done: health.recent_done,
        recent_failed: health.recent_failed,
        latency: health.latency,
    }
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
