//! What hosts report of servers, under the director's lock.

use super::Control;
use crate::arena::counts::Counts;
use crate::arena::health::HealthSlot;
use crate::arena::slots::ServerSlot;
use crate::config::ServerHealth;
use crate::director::health::Due;

impl Control {
    /// What was reported of the server that has this slot, and its state.
    pub(in crate::director) fn health_of(&self, slot: u32) -> ServerHealth {
        let health = self.arena.health.get(slot).map(HealthSlot::read).unwrap_or_default();
        let counts = self.arena.servers.get(slot).map(ServerSlot::counts_relaxed);
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

    /// Begins an interval and lets latencies decay, if that is due. O(servers) then.
    pub(super) fn tick_health(&mut self) {
        let Due { interval, seconds } = self.health_clock.advance(self.arena.clock());
        if !self.arena.has_reports() || !interval && seconds == 0 {
            return;
        }
        let (servers, _) = self.allocator.high_water();
        for health in (0..servers).filter_map(|slot| self.arena.health.get(slot)) {
            if interval {
                health.begin_interval();
            }
            if seconds > 0 {
                health.decay(seconds);
            }
        }
    }
}
