//! Parts of a config that need no check, because they are part of a config known to be valid.

use crate::config::diff::common_ends;
use crate::config::{RealServer, VirtualService};

/// Up to this many servers are compared with the whole list, instead of building a table.
const FEW: usize = 16;

/// What is known of the valid config's service with the key of the one to check.
#[derive(Clone, Copy)]
pub(crate) enum Known<'a> {
    /// There is no such service.
    No,
    /// It is equal.
    Same,
    /// It is this one.
    Former(&'a VirtualService),
}

/// A list of servers to check, compared with a valid one.
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

    /// True if few servers changed and no address occurs twice; false means that it is unknown.
    pub(super) fn are_distinct(&self) -> bool {
        let others = &self.servers[self.head..self.servers.len() - self.tail];
        let times = |address| self.servers.iter().filter(|known| known.address == address).count();
        others.len() <= FEW && others.iter().all(|server| times(server.address) == 1)
    }

    /// True if the server at this index equals one in the valid list.
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
