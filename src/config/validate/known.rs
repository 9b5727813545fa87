//! What needs no second look, because it is part of a config that is valid.

use crate::config::diff::common_ends;
use crate::config::{RealServer, VirtualService};

/// How many servers are looked for in the whole list one by one before a table of all is made.
const FEW: usize = 16;

/// A valid service with the key of one that is to be checked.
#[derive(Clone, Copy)]
pub(crate) enum Known<'a> {
    /// There is none.
    No,
    /// It wants the same.
    Same,
    /// It wanted this.
    Former(&'a VirtualService),
}

/// A list of servers beside a valid one.
pub(super) struct Beside<'a> {
    former: &'a [RealServer],
    servers: &'a [RealServer],
    head: usize,
    tail: usize,
}

impl<'a> Beside<'a> {
    pub(super) fn new(known: Known<'a>, servers: &'a [RealServer]) -> Self {
        let former: &[RealServer] = match known {
            Known::Former(service) => &service.servers,
            Known::No | Known::Same => &[],
        };
        let (head, tail) = common_ends(former, servers);
        Beside { former, servers, head, tail }
    }

    /// True if it is easily seen that no address stands there twice.
    pub(super) fn are_distinct(&self) -> bool {
        let others = &self.servers[self.head..self.servers.len() - self.tail];
        let times = |address| self.servers.iter().filter(|known| known.address == address).count();
        others.len() <= FEW && others.iter().all(|server| times(server.address) == 1)
    }

    /// True if the server at this place is one of the valid list.
    pub(super) fn has(&self, place: usize) -> bool {
        let from_end = self.servers.len() - place;
        let former = if place < self.head {
            self.former.get(place)
        } else if from_end <= self.tail {
            self.former.get(self.former.len() - from_end)
        } else {
            None
        };
        former.is_some() && former == self.servers.get(place)
    }
}
