//! What hosts report of servers, under the director's lock.

use super::Control;
use crate::director::health::Due;

impl Control {
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
