//! The servers of one service as a scheduler sees them: by position in the kernel's list order, with
//! immutable weights, and counts that live in the arena.

use crate::arena::Arena;
use crate::arena::counts::Counts;
use crate::arena::id::ServerId;
use crate::arena::slots::ServerSlot;
use crate::concurrent::segments::SlotRefs;
use crate::concurrent::simd::prefetch;
use crate::config::RealServer;
use crate::pool::endpoint::Endpoint;
use crate::sync::Arc;

/// Index in the list, newest server first.
pub(crate) type Position = u32;

/// A server from which the service's next pool is built.
pub(crate) struct Member {
    pub(crate) id: ServerId,
    /// Without its name, which picks do not need.
    pub(crate) server: RealServer,
    /// Its last weight that was not 0; 0 if it was added with 0 and never edited to another.
    pub(crate) last_weight: u32,
    /// Configured weight of a server in a tier that does not serve, whose weight is 0 for that; else 0.
    pub(crate) standby: u32,
}

pub(crate) struct Servers {
    arena: Arc<Arena>,
    /// Per server its slot, looked up once, and the settings that picks read: close together for scans.
    list: SlotRefs<ServerSlot, Eligibility>,
    /// One endpoint per server, in a separate array: a pick from a schedule reads nothing else.
    endpoints: Box<[Endpoint]>,
}

struct Eligibility {
    weight: u32,
    /// The server has an upper threshold, so it can become overloaded.
    limited: bool,
    /// In a tier that does not serve.
    standby: bool,
}

impl Servers {
    /// Builds the list from members in list order, whose slots the director has made. Allocates.
    pub(crate) fn new(arena: Arc<Arena>, members: &[Member]) -> Self {
        let listed = |Member { id, server, standby, .. }: &Member| {
            let (weight, limited) = (server.weight, server.thresholds.upper != 0);
            (id.slot, Eligibility { weight, limited, standby: *standby != 0 })
        };
        let list = arena.servers.slot_refs(members.iter().map(listed)).unwrap_or_default();
        debug_assert_eq!(list.len(), members.len(), "slots");
        let answers = members.iter().map(|Member { id, server, .. }| Endpoint::new(*id, server));
        Servers { arena, list, endpoints: answers.collect() }
    }

    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.list.len() as u32
    }

    /// The ids, in list order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = ServerId> + Clone + '_ {
        self.endpoints.iter().map(Endpoint::server)
    }

    /// Id and recent counts, even if the server is quiesced or overloaded.
    #[inline]
    pub(crate) fn counts_relaxed(&self, position: Position) -> Option<(ServerId, Candidate)> {
        let (slot, listed) = self.list.get(position as usize)?;
        let (server, counts) = (self.endpoint(position)?.server(), slot.counts_relaxed());
        Some((server, Candidate { position, weight: listed.weight, counts }))
    }

    /// Like [`counts_relaxed`](Self::counts_relaxed) without the id, ordered after this thread's own
    /// stores.
    #[inline]
    pub(crate) fn counts_seqcst(&self, position: Position) -> Option<Candidate> {
        let (slot, listed) = self.list.get(position as usize)?;
        Some(Candidate { position, weight: listed.weight, counts: slot.counts_seqcst() })
    }

    #[inline]
    pub(crate) fn slot_and_weight(&self, position: Position) -> Option<(&ServerSlot, u32)> {
        self.list.get(position as usize).map(|(slot, listed)| (slot, listed.weight))
    }

    /// True if a server is draining or down. O(n).
    pub(crate) fn is_any_held(&self) -> bool {
        self.list.iter().any(|(slot, _)| slot.counts_seqcst().is_held())
    }

    /// Every server, including quiesced and overloaded ones.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Candidate> + '_ {
        self.list.iter().zip(0..).map(|((slot, listed), position)| {
            let counts = slot.counts_relaxed();
            Candidate { position, weight: listed.weight, counts }
        })
    }

    /// Like [`counts_relaxed`](Self::counts_relaxed) without the id, with the connections that workers count
    /// alone; see [`Arena::all_connections`].
    pub(crate) fn all_connections(&self, position: Position) -> Option<Candidate> {
        let counts = self.arena.all_connections(self.endpoint(position)?.server().slot)?;
        Some(Candidate { position, weight: self.weight(position), counts })
    }

    /// See [`ServerSlot::set_counted_by_worker`].
    pub(crate) fn set_counted_by_worker(&self, by_worker: bool) {
        self.list.iter().for_each(|(slot, _)| slot.set_counted_by_worker(by_worker));
    }

    /// See [`ServerSlot::set_told`].
    pub(crate) fn set_told(&self, told: bool) {
        self.list.iter().for_each(|(slot, _)| slot.set_told(told));
    }

    pub(crate) fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }

    /// The weights, in list order.
    pub(crate) fn weights(&self) -> impl Iterator<Item = u32> + Clone + '_ {
        self.list.iter().map(|(_, listed)| listed.weight)
    }

    #[inline]
    pub(crate) fn weight(&self, position: Position) -> u32 {
        self.list.get(position as usize).map_or(0, |(_, listed)| listed.weight)
    }

    /// True if the server stays available as long as this list lives: a weight, and no upper threshold.
    pub(crate) fn always_available(&self, position: Position) -> bool {
        let listed = self.list.get(position as usize).map(|(_, listed)| listed);
        listed.is_some_and(|listed| listed.weight > 0 && !listed.limited)
    }

    /// The server's counts if it may get a new connection: not quiesced, not overloaded, not
    /// draining or down, not tried.
    #[inline]
    pub(crate) fn available(&self, position: Position, tried: &[ServerId]) -> Option<Counts> {
        self.counts_if_available(self.list.get(position as usize)?, position, tried)
    }

    /// True if the server is held draining or down, or in a tier that does not serve, not merely quiesced
    /// or overloaded: a client that hashes to it goes elsewhere.
    #[cold]
    pub(crate) fn is_held(&self, position: Position) -> bool {
        let listed = self.list.get(position as usize);
        listed.is_some_and(|(slot, listed)| listed.standby || slot.counts_relaxed().is_held())
    }

    /// True if the server is in a tier that does not serve.
    pub(crate) fn is_standby(&self, position: Position) -> bool {
        self.list.get(position as usize).is_some_and(|(_, listed)| listed.standby)
    }

    /// The server, if it may get a new connection: not quiesced, not overloaded, not held.
    #[inline(always)]
    pub(crate) fn available_endpoint(&self, position: Position) -> Option<&Endpoint> {
        self.available(position, &[])?;
        self.endpoint(position)
    }

    /// The endpoint that a pick of this server returns.
    #[inline(always)]
    pub(crate) fn endpoint(&self, position: Position) -> Option<&Endpoint> {
        self.endpoints.get(position as usize)
    }

    /// Prefetches what a pick of this server reads, except its counts.
    #[inline(always)]
    pub(crate) fn prefetch(&self, position: Position) {
        if let Some(answer) = self.endpoint(position) {
            prefetch(answer);
            self.list.prefetch(position as usize);
        }
    }

    /// Prefetches the endpoint of a server that may be picked.
    #[inline(always)]
    pub(crate) fn prefetch_endpoint(&self, position: Position) {
        if let Some(endpoint) = self.endpoint(position) {
            prefetch(endpoint);
        }
    }

    /// True if the server is one of these.
    #[inline]
    pub(crate) fn is_tried(&self, position: Position, tried: &[ServerId]) -> bool {
        let is_tried = |endpoint: &Endpoint| tried.contains(&endpoint.server());
        !tried.is_empty() && self.endpoint(position).is_some_and(is_tried)
    }

    /// All available servers in list order, with position, weight and counts.
    #[inline]
    pub(crate) fn iter_available<'a>(
        &'a self,
        tried: &'a [ServerId],
    ) -> impl Iterator<Item = Candidate> + 'a {
        self.list.iter().zip(0..).filter_map(move |(slot_ref, position)| {
            let counts = self.counts_if_available(slot_ref, position, tried)?;
            Some(Candidate { position, weight: slot_ref.1.weight, counts })
        })
    }

    #[inline(always)]
    fn counts_if_available(
        &self,
        (slot, listed): (&ServerSlot, &Eligibility),
        position: Position,
        tried: &[ServerId],
    ) -> Option<Counts> {
        let counts = slot.counts_relaxed();
        if listed.weight == 0 || !counts.available() {
            return None;
        }
        (!self.is_tried(position, tried)).then_some(counts)
    }
}

/// A server that a scheduler may choose.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) position: Position,
    pub(crate) weight: u32,
    pub(crate) counts: Counts,
}

impl Candidate {
    /// True if it may get a new connection: not quiesced, not overloaded, not held.
    #[inline(always)]
    pub(crate) fn is_available(&self) -> bool {
        self.weight > 0 && self.counts.available()
    }
}

#[cfg(test)]
impl Servers {
    /// Servers with these weights, in an arena of their own: in slots 0, 1, ….
    pub(crate) fn in_slots(count: u32, weight: impl Fn(u32) -> u32) -> Self {
        let arena = Arc::new(Arena::new());
        assert!(arena.servers.grow_to_with(count, || ServerSlot::new(0)));
        let member = |slot| {
            let address = ([10, 0, (slot >> 8) as u8, slot as u8], 80).into();
            let server = RealServer::new(address).with_weight(weight(slot));
            arena.servers.get(slot).expect("it was made").occupy(0);
            Member { id: ServerId { slot, generation: 0 }, server, last_weight: 0, standby: 0 }
        };
        let members: Vec<Member> = (0..count).map(member).collect();
        Servers::new(arena.clone(), &members)
    }
}
