//! Shared by lblc and lblcr: the affinity cache.

use crate::arena::Arena;
use crate::concurrent::zeroed::OutOfMemory;
use crate::config::ServiceSettings;
use crate::memory::address_map::{Affinity, Payload};
use crate::memory::expiry::Expiry;
use crate::memory::one_server::OneServer;
use crate::memory::pace::Pace;
use crate::memory::server_set::ServerSet;
use crate::sched::collector::Collector;
use crate::sync::{Arc, Mutex};

/// A service's affinity cache, carried over from pool to pool.
pub(crate) struct AffinityCache<P: Payload> {
    pub(crate) map: Affinity<P>,
    collector: Mutex<Collector>,
}

/// The affinity cache with which a scheduler is built, by type of entry.
#[derive(Clone, Default)]
pub(crate) struct AffinityCaches {
    pub(super) server: Option<Arc<AffinityCache<OneServer>>>,
    pub(super) set: Option<Arc<AffinityCache<ServerSet>>>,
}

impl AffinityCaches {
    /// True if no other address has room in one of them.
    pub(crate) fn is_full(&self) -> bool {
        self.server.as_ref().is_some_and(|cache| cache.map.is_full())
            || self.set.as_ref().is_some_and(|cache| cache.map.is_full())
    }

    /// Does what is due, as far as `pace` allows. True if that is all for this call. Director only.
    pub(crate) fn go_on(&self, pace: &mut Pace<'_>) -> bool {
        self.server.as_ref().is_none_or(|cache| cache.go_on(pace))
            && self.set.as_ref().is_none_or(|cache| cache.go_on(pace))
    }
}

impl<P: Payload<Expiry = Expiry>> AffinityCache<P> {
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
                Some(map) => (map, former.collector.lock().to_carry_over()),
            },
            None => {
                let map = Affinity::new(Arc::clone(arena), capacity)?;
                (map, Collector::new(arena.clock()))
            }
        };
        Ok(Arc::new(AffinityCache { map, collector: Mutex::new(collector) }))
    }

    /// The reserved cache. Always present, because the director reserves before it compiles; else a
    /// minimal one.
    pub(super) fn reserved(memory: Option<&Arc<Self>>, arena: &Arc<Arena>) -> Arc<Self> {
        memory.map_or_else(
            || {
                let collector = Mutex::new(Collector::new(arena.clock()));
                Arc::new(AffinityCache { map: Affinity::smallest(Arc::clone(arena)), collector })
            },
            Arc::clone,
        )
    }

    /// Collections are due up to `now`; [`go_on`](Self::go_on) makes them. Full ones end entries that were
    /// idle for `expiration` milliseconds.
    pub(crate) fn tick(&self, now: u64, expiration: u64) {
        self.collector.lock().advance(now, expiration);
    }

    fn go_on(&self, pace: &mut Pace<'_>) -> bool {
        // Picks go by the collections before the entries are removed.
        if !self.collector.lock().collect(&self.map, pace.slice) {
            return false;
        }
        self.map.sweep(pace);
        self.map.is_swept() || *pace.call == 0
    }
}
