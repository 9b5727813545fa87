//! From a server's slot back to its place in the list: O(1), for schedulers that remember servers.

use crate::state::servers::{Position, Servers};

/// An open-addressing table, at most half full, fixed when the pool is built.
pub(crate) struct Positions {
    mask: usize,
    places: Box<[(u32, Position)]>,
}

const FREE: (u32, Position) = (u32::MAX, 0);

impl Positions {
    pub(crate) fn of(servers: &Servers) -> Self {
        let length = (2 * servers.len() as usize).next_power_of_two();
        let mut positions = Positions { mask: length - 1, places: vec![FREE; length].into() };
        for (position, id) in (0..).zip(servers.ids()) {
            let mut at = positions.start(id.slot);
            while positions.places[at] != FREE {
                at = (at + 1) & positions.mask;
            }
            positions.places[at] = (id.slot, position);
        }
        positions
    }

    /// The place of the server in this slot; `None` if it is not in the list.
    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Option<Position> {
        let mut at = self.start(slot);
        loop {
            match *self.places.get(at)? {
                (found, position) if found == slot => return Some(position),
                FREE => return None,
                _ => at = (at + 1) & self.mask,
            }
        }
    }

    fn start(&self, slot: u32) -> usize {
        // Neighbouring slots are common and spread well by themselves.
        slot as usize & self.mask
    }
}
