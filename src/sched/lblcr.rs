//! Locality-based least connections with replication: maps each destination to a set of servers that
//! grows while they are busy and shrinks after a while.
//!
//! Formula: of the servers remembered for the destination address, the one with the least connection
//! overhead per weight, unless it is busy (see lblc) or there is none; else the wlc rule over all
//! servers, whose result joins the set. A set of several servers that has not changed for
//! `affinity.expiration` loses the member with the most overhead per weight.
//! Source: Linux IPVS `lblcr`, as observed (ipvsadm(8), `-s lblcr`); Zhang, "Linux Virtual Server
//! for scalable network services", 2000.
//! Weight 0 and overloaded: skipped. Empty, or none available: no server, and remembered entries stay.
//! State: a map of fixed capacity that survives reloads, but not a change of the scheduler; entries
//! expire as in lblc. If another thread is writing the set at that moment, the pick goes by wlc.
//! Cost: O(servers of the set) for a remembered destination; for another, amortized O(log n), and O(n)
//! at most (see `locality_index`).
//! Differences from the kernel: a set holds the 16 newest servers; the map has a capacity; its sweeps
//! run at exact minutes.
//! Choose it for caches if a single destination can overload a server.

use std::cmp::Ordering;

use crate::arena::Arena;
use crate::arena::counts::Counts;
use crate::concurrent::zeroed::OutOfMemory;
use crate::config::{KernelRules, LBLCR_ENTRY, PickReason, ServiceSettings};
use crate::memory::address_map::AffinityEntry;
use crate::memory::server_set::{Members, ServerSet};
use crate::pool::positions::Positions;
use crate::pool::servers::{Candidate, Position};
use crate::rotation::version::Superseded;
use crate::sched::least::overhead;
use crate::sched::locality::{AffinityCache, AffinityCaches};
use crate::sched::locality_index::LocalityIndex;
use crate::sched::{Build, Explained, LoadUpdates, PickRequest, Remembered, Scheduler};
use crate::sync::Arc;

pub(crate) struct Lblcr {
    memory: Arc<AffinityCache<ServerSet>>,
    positions: Positions,
    index: Arc<LocalityIndex>,
    generation: KernelRules,
    expiration: u64,
}

const _: () = assert!(size_of::<AffinityEntry<ServerSet>>() == LBLCR_ENTRY);

impl Scheduler for Lblcr {
    const REASON: PickReason = PickReason::LeastLoad;
    const PER_WORKER: bool = false;

    fn reserve(
        arena: &Arc<Arena>,
        settings: &ServiceSettings,
        former: Option<&Self>,
    ) -> Result<AffinityCaches, OutOfMemory> {
        let memory = AffinityCache::reserve(arena, settings, former.map(|former| &former.memory))?;
        Ok(AffinityCaches { set: Some(memory), ..AffinityCaches::default() })
    }

    fn build(build: &Build<'_>, _: Option<&Self>) -> Self {
        Lblcr {
            memory: AffinityCache::reserved(build.caches.set.as_ref(), build.servers.arena()),
            positions: Positions::of(build.servers),
            index: LocalityIndex::new(build.servers, build.generation),
            generation: build.generation,
            expiration: u64::from(build.settings.affinity.expiration) * 1000,
        }
    }

    #[inline]
    fn pick(&self, request: PickRequest<'_>) -> Result<Option<Position>, Superseded> {
        let map = &self.memory.map;
        let key = map.key(request.flow.destination_words(), request.flow.family());
        let entry = map.find(key);
        let now = map.arena().clock();
        let mut set = entry.and_then(|entry| {
            entry.touch(now);
            entry.payload.read(key)
        });
        let mut changed = false;
        if let Some(members) = &mut set {
            let least = self.least_of(members, request);
            let due = members.modified.saturating_add(self.expiration);
            let shrinks = members.slots().len() > 1 && now > due;
            if let Some(slot) = shrinks.then(|| self.most(members)).flatten() {
                members.remove(slot, now);
                changed = true;
            }
            if let Some(server) =
                least.filter(|server| !self.index.is_busy(*server, request.servers))
            {
                if let (true, Some(entry)) = (changed, entry) {
                    map.write(entry, |set| set.write(map.arena(), key, members));
                }
                return Ok(Some(server.position));
            }
        }
        let chosen = self.index.find(request);
        let joins = chosen.and_then(|position| request.servers.counts_relaxed(position));
        let entry = entry.or_else(|| joins.and_then(|_| map.claim(key)));
        if let Some(entry) = entry {
            // A new entry's set is read here, and is empty.
            if let Some(mut members) = set.or_else(|| entry.payload.read(key)) {
                if let Some((id, _)) = joins {
                    entry.touch(now);
                    members.add(id.slot, now);
                    changed = true;
                }
                if changed {
                    map.write(entry, |set| set.write(map.arena(), key, &members));
                }
            }
        }
        Ok(chosen)
    }

    fn explain(&self, request: PickRequest<'_>) -> Result<Explained, Superseded> {
        let map = &self.memory.map;
        let key = map.key(request.flow.destination_words(), request.flow.family());
        let members = map.find(key).and_then(|entry| entry.payload.read(key));
        let least = members.and_then(|members| self.least_of(&members, request));
        let found = least.filter(|server| !self.index.is_busy(*server, request.servers));
        let chosen = || self.index.find(request).map(|position| (position, Self::REASON));
        Ok(found.map(|server| (server.position, PickReason::Remembered)).or_else(chosen))
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

impl Lblcr {
    /// The available member with the least overhead per weight, the first in the set on a tie.
    fn least_of(&self, members: &Members, request: PickRequest<'_>) -> Option<Candidate> {
        let available = |slot: &u32| {
            let (id, server) = request.servers.counts_relaxed(self.positions.get(*slot)?)?;
            let free = server.weight > 0 && server.counts.available();
            (free && !request.tried.contains(&id)).then_some(server)
        };
        members.slots().iter().filter_map(available).min_by(|a, b| {
            let (a, b) = ((a.counts, a.weight), (b.counts, b.weight));
            self.compare(a, b)
        })
    }

    /// The member with the most overhead per weight, whether it is still in the service or not; the
    /// first in the set on a tie. Skips members with weight 0.
    fn most(&self, members: &Members) -> Option<u32> {
        let load = |slot: u32| {
            let server = self.memory.map.arena().servers.get(slot)?;
            Some((server.counts_relaxed(), server.weight())).filter(|(_, weight)| *weight > 0)
        };
        let weighted = members.slots().iter().filter_map(|slot| Some((*slot, load(*slot)?)));
        // On a tie `max_by` returns the last, which in reverse order is the first.
        weighted.rev().max_by(|(_, a), (_, b)| self.compare(*a, *b)).map(|(slot, _)| slot)
    }

    /// Compares overheads per weight, by cross-multiplication.
    fn compare(&self, a: (Counts, u32), b: (Counts, u32)) -> Ordering {
        let of = |counts| u128::from(overhead(counts, self.generation));
        (of(a.0) * u128::from(b.1)).cmp(&(of(b.0) * u128::from(a.1)))
    }
}
