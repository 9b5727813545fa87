//! Locality-based least connections with replication: one destination, a set of servers that grows
//! while they are overwhelmed and shrinks after a while.
//!
//! Formula: of the servers remembered for the destination address the one of least connection
//! overhead for its weight, unless it is busy (see lblc) or there is none; else the wlc rule over
//! all servers, and its answer joins the set. A set of several that has not changed for
//! `affinity.expiration` loses the member of most overhead for its weight.
//! Source: Linux IPVS `lblcr`, as observed (ipvsadm(8), `-s lblcr`); Zhang, "Linux Virtual Server
//! for scalable network services", 2000.
//! Weight 0 and overloaded: passed over. Empty, or none available: no server, and what is
//! remembered stays.
//! State: a map of fixed capacity that outlives reloads, not a change of the scheduler; forgets as
//! lblc's does. A set that another thread is writing at that moment answers by wlc.
//! Cost: O(servers of the set) while one of them is not above its weight, O(log n) for a destination
//! that is not remembered, O(n) to see whether a server above its weight is busy.
//! Differences from the kernel: a set holds 16 servers, the newest; the map's capacity; its sweeps
//! keep exact minutes.
//! Choose it for caches, if single destinations can overwhelm a server.

use std::cmp::Ordering;

use crate::arena::Arena;
use crate::arena::counts::Counts;
use crate::concurrent::zeroed::OutOfMemory;
use crate::config::{KernelRules, LBLCR_ENTRY, VirtualService};
use crate::memory::address_map::AffinityEntry;
use crate::memory::server_set::{Members, ServerSet};
use crate::pool::positions::Positions;
use crate::pool::servers::{Candidate, Position};
use crate::rotation::version::Superseded;
use crate::sched::least::{Least, Overhead, overhead};
use crate::sched::locality::{AffinityCache, AffinityCaches, is_busy};
use crate::sched::{Build, PickRequest, Remembered, Scheduler};
use crate::sync::Arc;

pub(crate) struct Lblcr {
    memory: Arc<AffinityCache<ServerSet>>,
    positions: Positions,
    least: Least<Overhead>,
    generation: KernelRules,
    expiration: u64,
}

const _: () = assert!(size_of::<AffinityEntry<ServerSet>>() == LBLCR_ENTRY);

impl Scheduler for Lblcr {
    const PER_WORKER: bool = false;

    fn reserve(
        arena: &Arc<Arena>,
        settings: &VirtualService,
        former: Option<&Self>,
    ) -> Result<AffinityCaches, OutOfMemory> {
        let memory = AffinityCache::reserve(arena, settings, former.map(|former| &former.memory))?;
        Ok(AffinityCaches { set: Some(memory), ..AffinityCaches::default() })
    }

    fn build(build: &Build<'_>, _: Option<&Self>) -> Self {
        Lblcr {
            memory: AffinityCache::reserved(build.caches.set.as_ref(), build.servers.arena()),
            positions: Positions::of(build.servers),
            least: Least::of(Overhead(build.generation), build.servers),
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
            if let Some(server) = least.filter(|server| !is_busy(*server, request.servers)) {
                if let (true, Some(entry)) = (changed, entry) {
                    map.write(entry, |set| set.write(map.arena(), key, members));
                }
                return Ok(Some(server.position));
            }
        }
        let chosen = self.least.find(request);
        let joins = chosen.and_then(|position| request.servers.counts_relaxed(position));
        let entry = entry.or_else(|| joins.and_then(|_| map.claim(key)));
        if let Some(entry) = entry {
            // Read again if it is new: empty then.
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

    fn tick(&self, now: u64) {
        self.memory.tick(now, self.expiration);
    }

    fn remembered(&self) -> Option<Remembered> {
        Some(self.memory.map.remembered())
    }

    keeps_least!(least);
}

impl Lblcr {
    /// The available member of least overhead for its weight, the first of the set on a tie.
    fn least_of(&self, members: &Members, request: PickRequest<'_>) -> Option<Candidate> {
        let available = |slot: &u32| {
            let (id, server) = request.servers.counts_relaxed(self.positions.get(*slot)?)?;
            let free = server.weight > 0 && !server.counts.overloaded();
            (free && !request.tried.contains(&id)).then_some(server)
        };
        members.slots().iter().filter_map(available).min_by(|a, b| {
            let (a, b) = ((a.counts, a.weight), (b.counts, b.weight));
            self.compare(a, b)
        })
    }

    /// The member with a weight of most overhead for it, be it in the service or not; the first of
    /// the set on a tie.
    fn most(&self, members: &Members) -> Option<u32> {
        let load = |slot: u32| {
            let server = self.memory.map.arena().servers.get(slot)?;
            Some((server.counts_relaxed(), server.weight())).filter(|(_, weight)| *weight > 0)
        };
        let weighted = members.slots().iter().filter_map(|slot| Some((*slot, load(*slot)?)));
        // The last of equals in reverse order is the first.
        weighted.rev().max_by(|(_, a), (_, b)| self.compare(*a, *b)).map(|(slot, _)| slot)
    }

    /// Overhead for the weight, by cross-multiplication.
    fn compare(&self, a: (Counts, u32), b: (Counts, u32)) -> Ordering {
        let of = |counts| u128::from(overhead(counts, self.generation));
        (of(a.0) * u128::from(b.1)).cmp(&(of(b.0) * u128::from(a.1)))
    }
}
