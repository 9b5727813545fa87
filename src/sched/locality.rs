//! Shared by lblc and lblcr: the affinity cache and its expiration.

use crate::arena::Arena;
use crate::concurrent::zeroed::OutOfMemory;
use crate::config::ServiceSettings;
use crate::memory::address_map::{Affinity, Payload};
use crate::memory::one_server::OneServer;
use crate::memory::server_set::ServerSet;
use crate::sched::hash::buckets::GOLDEN_RATIO;
use crate::sync::{Arc, Mutex};

/// The kernel checks once per minute, and sweeps everything every half hour.
const PERIOD: u64 = 60_000;
const PERIODS_A_SWEEP: u64 = 30;
/// With more entries than this, a partial sweep removes idle ones every minute.
const MANY: u32 = 16_384;
const IDLE: u64 = 360_000;
const MOST_AT_ONCE: u32 = 8_192;
const BUCKET_BITS: u32 = 10;

/// A service's affinity cache, carried over from pool to pool.
pub(crate) struct AffinityCache<P: Payload> {
    pub(crate) map: Affinity<P>,
    collector: Mutex<Collector>,
}

#[derive(Clone, Copy)]
struct Collector {
    /// When the next period ends, in milliseconds of the clock.
    next: u64,
    /// Periods since the last sweep, from 1.
    count: u64,
    /// The bucket at which the latest partial sweep ended.
    rover: u32,
}

/// The affinity cache with which a scheduler is built, by type of entry.
#[derive(Default)]
pub(crate) struct AffinityCaches {
    pub(super) server: Option<Arc<AffinityCache<OneServer>>>,
    pub(super) set: Option<Arc<AffinityCache<ServerSet>>>,
}

impl<P: Payload> AffinityCache<P> {
    /// The previous pool's cache with the capacity now configured, or a new one.
    pub(super) fn reserve(
        arena: &Arc<Arena>,
        settings: &ServiceSettings,
        former: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, OutOfMemory> {
        let capacity = settings.affinity.capacity;
        let (map, collector) = match former {
            Some(former) => match former.map.next(capacity)? {
                None => return Ok(Arc::clone(former)),
                Some(map) => (map, *former.collector.lock()),
            },
            None => {
                let next = arena.clock().saturating_add(PERIOD);
                let collector = Collector { next, count: 1, rover: 0 };
                (Affinity::new(Arc::clone(arena), capacity)?, collector)
            }
        };
        Ok(Arc::new(AffinityCache { map, collector: Mutex::new(collector) }))
    }

    /// The reserved cache. Always present, because the director reserves before it compiles; else a
    /// minimal one.
    pub(super) fn reserved(memory: Option<&Arc<Self>>, arena: &Arc<Arena>) -> Arc<Self> {
        memory.map_or_else(
            || {
                let collector = Mutex::new(Collector { next: 0, count: 1, rover: 0 });
                Arc::new(AffinityCache { map: Affinity::smallest(Arc::clone(arena)), collector })
            },
            Arc::clone,
        )
    }

    /// Runs the sweeps due up to `now`. The next full sweep removes entries idle for `expiration`
    /// milliseconds.
    pub(crate) fn tick(&self, now: u64, expiration: u64) {
        let mut collector = self.collector.lock();
        // If the clock jumped, skip whole rounds in which nothing happened.
        let round = PERIOD * PERIODS_A_SWEEP;
        let late = now.saturating_sub(collector.next);
        collector.next += (late / round).saturating_sub(1) * round;
        while collector.next <= now {
            let at = collector.next;
            collector.next = at.saturating_add(PERIOD);
            if at == u64::MAX {
                return;
            }
            if collector.count.is_multiple_of(PERIODS_A_SWEEP) {
                self.map.expire(at.checked_sub(expiration));
                collector.count = 1;
            } else if self.map.entries() <= MANY {
                collector.count += 1;
            } else {
                collector.rover = self.some(at, collector.rover);
            }
        }
    }

    fn some(&self, at: u64, rover: u32) -> u32 {
        let excess = self.map.entries().saturating_sub(MANY);
        let goal = (excess * 4 / 3).min(MOST_AT_ONCE);
        let buckets = 1 << BUCKET_BITS;
        let order = (1..=buckets).map(|step| (rover + step) % buckets);
        let last = self.map.expire_some(at.checked_sub(IDLE), goal, bucket_of, order);
        last.unwrap_or(rover)
    }
}

/// The kernel's 10-bit hash of an address, which gives the order of partial sweeps.
fn bucket_of(word: u64) -> u32 {
    (word as u32).wrapping_mul(GOLDEN_RATIO) >> (32 - BUCKET_BITS)
}

#[cfg(test)]
mod tests {
    #[test]
    fn buckets_are_the_kernels() {
        let bucket = |address: [u8; 4]| super::bucket_of(u32::from_be_bytes(address).into());
        assert_eq!(
            [[192, 168, 7, 1], [192, 168, 7, 2], [10, 0, 0, 1]].map(bucket),
            [240, 631, 159]
        );
    }
}
