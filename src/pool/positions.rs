//! Maps a server's slot back to its position in the list, in O(1), for schedulers that remember servers.

use crate::pool::servers::{Position, Servers};

/// Immutable once the pool is built. Each position may carry a value that callers need with it.
pub(crate) enum Positions<B = ()> {
    /// For slots close together, as those of a service created in one step are: an array indexed by the
    /// slot minus the lowest slot. A quarter of the memory, and one load.
    Close { first: u32, places: Box<[(Position, B)]> },
    /// An open-addressing table, at most half full.
    Scattered { mask: usize, places: Box<[(u32, (Position, B))]> },
}

const NOBODY: Position = Position::MAX;
const FREE: u32 = u32::MAX;

/// Slots are close together if their range has at most this many slots per server: then the array takes
/// no more memory than the table.
const SPREAD: usize = 4;

impl Positions {
    pub(crate) fn of(servers: &Servers) -> Self {
        Self::of_slots(servers.ids().map(|id| (id.slot, ())))
    }
}

impl Positions<u32> {
    /// Positions that carry the servers' weights.
    pub(crate) fn with_weights(servers: &Servers) -> Self {
        Self::of_slots(servers.ids().map(|id| id.slot).zip(servers.weights()))
    }
}

impl<B: Copy + Default> Positions<B> {
    fn of_slots(slots: impl Iterator<Item = (u32, B)> + Clone) -> Self {
        let ends = |(low, high, count): (u32, u32, usize), (slot, _): (u32, B)| {
            (low.min(slot), high.max(slot), count + 1)
        };
        let (first, last, count) = slots.clone().fold((u32::MAX, 0, 0), ends);
        let reach = if count == 0 { 0 } else { (last - first) as usize + 1 };
        let none = (NOBODY, B::default());
        if reach <= SPREAD * count {
            let mut places = vec![none; reach];
            for (position, (slot, beside)) in (0..).zip(slots) {
                places[(slot - first) as usize] = (position, beside);
            }
            return Positions::Close { first, places: places.into() };
        }
        let length = (2 * count).next_power_of_two();
        let (mask, mut places) = (length - 1, vec![(FREE, none); length]);
        for (position, (slot, beside)) in (0..).zip(slots) {
            let mut at = start(slot, mask);
            while places[at].0 != FREE {
                at = (at + 1) & mask;
            }
            places[at] = (slot, (position, beside));
        }
        Positions::Scattered { mask, places: places.into() }
    }

    /// The position of the server in this slot; `None` if it is not in the list. O(1).
    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Option<Position> {
        self.find(slot).map(|(position, _)| position)
    }

    /// Like [`get`](Self::get), with the value that the position carries.
    #[inline]
    pub(crate) fn find(&self, slot: u32) -> Option<(Position, B)> {
        match self {
            Positions::Close { first, places } => {
                // A slot below the first wraps past the end.
                let place = *places.get(slot.wrapping_sub(*first) as usize)?;
                (place.0 != NOBODY).then_some(place)
            }
            Positions::Scattered { mask, places } => {
                let mut at = start(slot, *mask);
                loop {
                    match *places.get(at)? {
                        (found, place) if found == slot => {
                            return (slot != FREE).then_some(place);
                        }
                        (FREE, _) => return None,
                        _ => at = (at + 1) & mask,
                    }
                }
            }
        }
    }
}

#[inline]
fn start(slot: u32, mask: usize) -> usize {
    // Neighboring slots are common, and spread well without hashing.
    slot as usize & mask
}

#[cfg(test)]
#[path = "positions_tests.rs"]
mod tests;
