//! What hosts report of servers, under the director's lock.

use super::Control;
use crate::director::health::Due;

impl Control {
    /// Whether an interval begins, and latencies decay; nothing if nothing was reported.
    pub(super) fn health_due(&mut self) -> Due {
        let due = self.health_clock.advance(self.arena.clock());
        // Of a block, one owner does it for all; any of them may have been told of outcomes.
        let is_due = match self.arena.attached() {
            Some(attached) => attached.is_first(self.arena.clock()),
            None => self.arena.has_reports(),
        };
        if is_due { due } else { Due::default() }
    }

    /// Does what is due for `most` slots of servers from this one on. Returns the next one; `None` at the
    /// end.
    pub(super) fn age_health(&self, due: &Due, from: u32, most: usize) -> Option<u32> {
        let Due { interval, seconds } = *due;
        if !interval && seconds == 0 {
            return None;
        }
        let (servers, _) = self.allocator.high_water();
        let next = from.saturating_add(u32::try_from(most).unwrap_or(u32::MAX)).min(servers);
        for health in (from..next).filter_map(|slot| self.arena.health.get(slot)) {
            if interval {
                health.begin_interval();
            }
            if seconds > 0 {
                health.decay(seconds);
            }
        }
        (next < servers).then_some(next)
    }
}
