//! Locality-based least connections: maps each destination to one server as long as that server is not
//! busy.
//!
//! Formula: the server remembered for the destination address, unless it is quiesced, deleted, or busy
//! (more active connections than its weight, while another server has fewer than half of its weight);
//! else the wlc rule, whose result is remembered.
//! Source: Linux IPVS `lblc`, as observed (ipvsadm(8), `-s lblc`); Zhang, "Linux Virtual Server for
//! scalable network services", 2000.
//! Weight 0: the destination moves to another server. Overloaded: a remembered server keeps getting its
//! destination's connections (as in the kernel; not in a retry), but is not newly chosen. Empty, or
//! none available: no server, and remembered entries stay.
//! State: a map of fixed capacity that survives reloads, but not a change of the scheduler. A sweep
//! every half hour of the director's clock removes entries unused for `affinity.expiration`. If the map
//! is full, the pick goes by wlc and is not remembered; this is counted.
//! Cost: O(1) for a remembered destination, also whether its server is busy; for another, amortized
//! O(log n), and O(n) at most (see `locality_index`).
//! Differences from the kernel: the map has a capacity; its sweeps run at exact minutes.
//! Choose it for caches with different content, with destinations selected by firewall mark.

use crate::arena::Arena;
use crate::concurrent::zeroed::OutOfMemory;
use crate::config::{LBLC_ENTRY, PickReason, ServiceSettings};
use crate::memory::address_map::AffinityEntry;
use crate::memory::one_server::OneServer;
use crate::pool::servers::{Candidate, Position};
use crate::rotation::version::Superseded;
use crate::sched::locality::{AffinityCache, AffinityCaches};
use crate::sched::locality_index::LocalityIndex;
use crate::sched::{Build, Explained, LoadUpdates, PickRequest, Remembered, Scheduler};
use crate::sync::Arc;

pub(crate) struct Lblc {
    memory: Arc<AffinityCache<OneServer>>,
    index: Arc<LocalityIndex>,
    expiration: u64,
}

const _: () = assert!(size_of::<AffinityEntry<OneServer>>() == LBLC_ENTRY);

impl Scheduler for Lblc {
    const REASON: PickReason = PickReason::LeastLoad;
    const PER_WORKER: bool = false;
    const TAKES_OVERLOADED: bool = true;

    fn reserve(
        arena: &Arc<Arena>,
        settings: &ServiceSettings,
        former: Option<&Self>,
    ) -> Result<AffinityCaches, OutOfMemory> {
        let memory = AffinityCache::reserve(arena, settings, former.map(|former| &former.memory))?;
        Ok(AffinityCaches { server: Some(memory), ..AffinityCaches::default() })
    }

    fn build(build: &Build<'_>, _: Option<&Self>) -> Self {
        Lblc {
            memory: AffinityCache::reserved(build.caches.server.as_ref(), build.servers.arena()),
            index: LocalityIndex::new(build.servers, build.generation),
            expiration: u64::from(build.settings.affinity.expiration) * 1000,
        }
    }

    #[inline]
    fn pick(&self, request: PickRequest<'_>) -> Result<Option<Position>, Superseded> {
        let map = &self.memory.map;
        let servers = request.servers;
        let key = map.key(request.flow.destination_words(), request.flow.family());
        let entry = map.find(key);
        let now = map.arena().clock();
        if let Some(entry) = entry {
            entry.touch(now);
            if let Some(found) = self.remembered_server(entry.payload.get(key), request) {
                return Ok(Some(found));
            }
        }
        let Some(position) = self.index.find(request) else {
            return Ok(None);
        };
        if let (Some((id, _)), Some(entry)) =
            (servers.counts_relaxed(position), entry.or_else(|| map.claim(key)))
        {
            entry.touch(now);
            map.write(entry, |server| server.set(map.arena(), key, id.slot));
        }
        Ok(Some(position))
    }

    fn explain(&self, request: PickRequest<'_>) -> Result<Explained, Superseded> {
        let map = &self.memory.map;
        let key = map.key(request.flow.destination_words(), request.flow.family());
        let slot = map.find(key).and_then(|entry| entry.payload.get(key));
        let found = self.remembered_server(slot, request);
        let chosen = || self.index.find(request).map(|position| (position, Self::REASON));
        Ok(found.map(|position| (position, PickReason::Remembered)).or_else(chosen))
    }

    fn tick(&self, now: u64) {
        self.memory.tick(now, self.expiration);
    }

    fn remembered(&self) -> Option<Remembered> {
        Some(self.memory.map.remembered())
    }

    fn load_updates(&self) -> LoadUpdates {
        self.index.load_updates()
    }

    fn load(&self, server: Candidate) -> Option<(u64, u32)> {
        Some(self.index.load_of(server))
    }
}

impl Lblc {
    /// The server remembered for the destination, unless it is quiesced, held, gone or busy.
    #[inline(always)]
    fn remembered_server(&self, slot: Option<u32>, request: PickRequest<'_>) -> Option<Position> {
        let servers = request.servers;
        let (id, server) = servers.counts_relaxed(self.index.position(slot?)?)?;
        let bars = server.counts.overloaded() || request.tried.contains(&id);
        let barred = !request.tried.is_empty() && bars;
        let usable = !server.counts.is_held() && server.weight > 0 && !barred;
        (usable && !self.index.is_busy(server, servers)).then_some(server.position)
    }
}
