//! The servers of one service as a scheduler sees them: by position in the kernel's list order,
//! with weights that are fixed and counts that live in the arena.

use crate::state::Arena;
use crate::state::counts::Counts;
use crate::state::slots::{ServerId, ServerSlot};
use crate::sync::Arc;

/// Place in the list, newest server first.
pub(crate) type Position = u32;

pub(crate) struct Servers {
    arena: Arc<Arena>,
    ids: Box<[ServerId]>,
    weights: Box<[u32]>,
}

impl Servers {
    pub(crate) fn new(arena: Arc<Arena>, ids: Box<[ServerId]>, weights: Box<[u32]>) -> Self {
        Servers { arena, ids, weights }
    }

    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.ids.len() as u32
    }

    /// The weights, in list order.
    pub(crate) fn weights(&self) -> &[u32] {
        &self.weights
    }

    #[inline]
    pub(crate) fn weight(&self, position: Position) -> u32 {
        self.weights.get(position as usize).copied().unwrap_or(0)
    }

    #[inline]
    pub(crate) fn id(&self, position: Position) -> Option<ServerId> {
        self.ids.get(position as usize).copied()
    }

    pub(crate) fn slot(&self, id: ServerId) -> Option<&ServerSlot> {
        self.arena.servers.get(id.slot)
    }

    /// The server's counts if it may get a new connection: not quiesced, not overloaded, not tried.
    #[inline]
    pub(crate) fn available(&self, position: Position, tried: &[ServerId]) -> Option<Counts> {
        let id = self.id(position)?;
        let counts = self.slot(id)?.glance();
        let free = self.weight(position) > 0 && !counts.overloaded();
        (free && (tried.is_empty() || !tried.contains(&id))).then_some(counts)
    }

    /// All available servers in list order, with position, weight and counts.
    #[inline]
    pub(crate) fn iter_available<'a>(
        &'a self,
        tried: &'a [ServerId],
    ) -> impl Iterator<Item = Candidate> + 'a {
        self.ids.iter().zip(&self.weights).zip(0..).filter_map(move |((id, &weight), position)| {
            let counts = self.slot(*id)?.glance();
            let free = weight > 0 && !counts.overloaded();
            (free && (tried.is_empty() || !tried.contains(id))).then_some(Candidate {
                position,
                weight,
                counts,
            })
        })
    }
}

/// A server that may be chosen.
#[derive(Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) position: Position,
    pub(crate) weight: u32,
    pub(crate) counts: Counts,
}
