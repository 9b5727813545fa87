//! Maps a server's slot back to its position in the list, in O(1), for schedulers that remember servers.

use crate::pool::servers::{Position, Servers};

/// Immutable once the pool is built. Each position may carry a value that callers need with it.
///
/// Slots close together, as those of a service created in one step are, have an array: a quarter of the memory,
/// and one load. Others have a table. The one that is not used is empty.
pub(crate) struct Positions<B = ()> {
    /// By the slot minus the lowest slot.
    close: Box<[(Position, B)]>,
    lowest: u32,
    /// By the slot's lower bits, then the next free place; at most half full.
    scattered: Box<[(u32, (Position, B))]>,
}

const NOBODY: Position = Position::MAX;
const FREE: u32 = u32::MAX;

/// Slots are close together if their range has at most this many slots per server: then the array takes
/// no more memory than the table.
const SPREAD: usize = 4;

impl Positions {
    pub(crate) fn of(servers: &Servers) -> Self {
        Self::of_slots(servers.ids().map(|id| (id.slot, Some(()))))
    }
}

impl Positions<u32> {
    /// Positions that carry the servers' weights.
    pub(crate) fn with_weights(servers: &Servers) -> Self {
        let weights = servers.weights().map(Some);
        Self::of_slots(servers.ids().map(|id| id.slot).zip(weights))
    }
}

impl<B: Copy + Default> Positions<B> {
    /// Of these slots in list order, with what each position carries; `None` leaves it out.
    pub(crate) fn of_slots(slots: impl Iterator<Item = (u32, Option<B>)> + Clone) -> Self {
        let places = (0..).zip(slots);
        let places =
            places.filter_map(|(position, (slot, beside))| Some((slot, (position, beside?))));
        let ends = |(low, high, count): (u32, u32, usize), (slot, _): (u32, _)| {
            (low.min(slot), high.max(slot), count + 1)
        };
        let (first, last, count) = places.clone().fold((u32::MAX, 0, 0), ends);
        let reach = if count == 0 { 0 } else { (last - first) as usize + 1 };
        let none = (NOBODY, B::default());
        if reach <= SPREAD * count {
            let mut array = vec![none; reach];
            for (slot, place) in places {
                array[(slot - first) as usize] = place;
            }
            let (close, scattered) = (array.into(), [].into());
            return Positions { close, lowest: first, scattered };
        }
        let length = (2 * count).next_power_of_two();
        let (mask, mut table) = (length - 1, vec![(FREE, none); length]);
        for (slot, place) in places {
            let mut at = start(slot, mask);
            while table[at].0 != FREE {
                at = (at + 1) & mask;
            }
            table[at] = (slot, place);
        }
        Positions { close: [].into(), lowest: 0, scattered: table.into() }
    }

    /// The position of the server in this slot; `None` if it is not in the list. O(1).
    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Option<Position> {
        self.find(slot).map(|(position, _)| position)
    }

    /// Like [`get`](Self::get), with the value that the position carries.
    #[inline]
    pub(crate) fn find(&self, slot: u32) -> Option<(Position, B)> {
        if let Some(place) = self.find_close(slot) {
            return (place.0 != NOBODY).then_some(place);
        }
        let mask = self.scattered.len().wrapping_sub(1);
        let mut at = start(slot, mask);
        loop {
            match *self.scattered.get(at)? {
                (found, place) if found == slot => return (slot != FREE).then_some(place),
                (FREE, _) => return None,
                _ => at = (at + 1) & mask,
            }
        }
    }

    /// Like [`find`](Self::find) in a list of slots close together; the position may be past the end of any
    /// list. For a caller that checks the position anyway.
    #[inline(always)]
    pub(crate) fn find_close(&self, slot: u32) -> Option<(Position, B)> {
        // A slot below the lowest wraps past the end.
        self.close.get(slot.wrapping_sub(self.lowest) as usize).copied()
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
