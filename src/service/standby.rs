//! Servers of tiers that do not serve: they take what those that serve cannot, until the director gives
//! them weights.

use crate::arena::id::ServerId;
use crate::pool::servers::{Member, Position, Servers};

/// Servers of such tiers, the next tier first, then in list order. Most services have none.
pub(super) struct Standby(Box<[Spare]>);

struct Spare {
    priority: u8,
    position: Position,
    weight: u32,
}

impl Standby {
    pub(super) fn new(members: &[Member]) -> Self {
        let spare = |(position, member): (Position, &Member)| {
            let (priority, weight) = (member.server.priority, member.standby);
            (weight > 0).then_some(Spare { priority, position, weight })
        };
        let mut spares: Vec<Spare> = (0..).zip(members).filter_map(spare).collect();
        spares.sort_by_key(|spare| spare.priority);
        Standby(spares.into())
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first tier with an available server; of it the server with the least (active + 1) / weight,
    /// the first in the list on a tie. O(servers).
    #[cold]
    #[inline(never)]
    pub(super) fn pick(&self, servers: &Servers, tried: &[ServerId]) -> Option<Position> {
        let mut best: Option<(&Spare, u64)> = None;
        for spare in &self.0 {
            if best.is_some_and(|(best, _)| best.priority != spare.priority) {
                break;
            }
            let Some(server) = servers.all_connections(spare.position) else { continue };
            if !server.counts.available() || servers.is_tried(spare.position, tried) {
                continue;
            }
            let load = u64::from(server.counts.active()) + 1;
            let lighter = |(held, least): (&Spare, u64)| {
                // Active connections have less than 31 bits, weights 31.
                load * u64::from(held.weight) < least * u64::from(spare.weight)
            };
            if best.is_none_or(lighter) {
                best = Some((spare, load));
            }
        }
        best.map(|(spare, _)| spare.position)
    }
}
