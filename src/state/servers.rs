//! The servers of one service as a scheduler sees them: by position in the kernel's list order,
//! with weights that are fixed and counts that live in the arena.

use crate::config::RealServer;
use crate::state::Arena;
use crate::state::counts::Counts;
use crate::state::segments::Place;
use crate::state::slots::{ServerId, ServerSlot};
use crate::sync::Arc;

/// Place in the list, newest server first.
pub(crate) type Position = u32;

/// A server as its service's next pool is given it.
#[derive(Clone, Copy)]
pub(crate) struct Member {
    pub(crate) id: ServerId,
    pub(crate) server: RealServer,
    /// Its last weight that was not 0; 0 if it was added with 0 and never edited to another.
    pub(crate) last_weight: u32,
}

pub(crate) struct Servers {
    arena: Arc<Arena>,
    list: Box<[Seat]>,
}

/// A listed server and its slot, looked up once: in the scans that is a third of the time.
struct Seat {
    slot: Option<Place<ServerSlot>>,
    id: ServerId,
    weight: u32,
}

/// What of a server is fixed as long as the pool lives.
#[derive(Clone, Copy)]
pub(crate) struct Listed {
    pub(crate) id: ServerId,
    pub(crate) weight: u32,
}

impl Servers {
    pub(crate) fn new(arena: Arc<Arena>, list: impl Iterator<Item = Listed>) -> Self {
        let seat = |Listed { id, weight }| Seat { slot: arena.servers.place(id.slot), id, weight };
        let list = list.map(seat).collect();
        Servers { arena, list }
    }

    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.list.len() as u32
    }

    /// The ids, in list order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = ServerId> + '_ {
        self.list.iter().map(|server| server.id)
    }

    /// Id and counts, whatever the server's weight and mark.
    #[inline]
    pub(crate) fn look(&self, position: Position) -> Option<(ServerId, Candidate)> {
        let server = self.list.get(position as usize)?;
        let counts = server.slot.as_ref()?.get().glance();
        Some((server.id, Candidate { position, weight: server.weight, counts }))
    }

    /// Every server, whatever its weight and mark.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Candidate> + '_ {
        (0..self.len()).filter_map(|position| self.look(position).map(|(_, found)| found))
    }

    pub(crate) fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }

    /// The weights, in list order.
    pub(crate) fn weights(&self) -> impl Iterator<Item = u32> + '_ {
        self.list.iter().map(|server| server.weight)
    }

    #[inline]
    pub(crate) fn weight(&self, position: Position) -> u32 {
        self.list.get(position as usize).map_or(0, |server| server.weight)
    }

    /// The server's counts if it may get a new connection: not quiesced, not overloaded, not tried.
    #[inline]
    pub(crate) fn available(&self, position: Position, tried: &[ServerId]) -> Option<Counts> {
        self.counts_if_available(self.list.get(position as usize)?, tried)
    }

    /// True if the server may get a new connection: not quiesced, not overloaded.
    #[inline(always)]
    pub(crate) fn is_free(&self, position: Position) -> bool {
        let server = self.list.get(position as usize);
        server.is_some_and(|server| self.counts_if_available(server, &[]).is_some())
    }

    /// All available servers in list order, with position, weight and counts.
    #[inline]
    pub(crate) fn iter_available<'a>(
        &'a self,
        tried: &'a [ServerId],
    ) -> impl Iterator<Item = Candidate> + 'a {
        self.list.iter().zip(0..).filter_map(move |(server, position)| {
            let counts = self.counts_if_available(server, tried)?;
            Some(Candidate { position, weight: server.weight, counts })
        })
    }

    #[inline]
    fn counts_if_available(&self, server: &Seat, tried: &[ServerId]) -> Option<Counts> {
        let counts = server.slot.as_ref()?.get().glance();
        let free = server.weight > 0 && !counts.overloaded();
        (free && (tried.is_empty() || !tried.contains(&server.id))).then_some(counts)
    }
}

/// A server that may be chosen.
#[derive(Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) position: Position,
    pub(crate) weight: u32,
    pub(crate) counts: Counts,
}
