//! What is known of servers by service and address, for callers that read it without the director's lock.

use std::net::SocketAddr;
use std::ptr;

use crate::arena::id::ServerId;
use crate::config::{ServerState, ServiceKey};
use crate::director::Director;
use crate::director::allocator::Removed;
use crate::director::by_server::ByServer;
use crate::director::held::{Hold, Holder, Holds};
use crate::director::observe::View;
use crate::sync::Arc;

/// Who holds servers and why, and which were removed and still have a slot. Immutable: each change of it
/// publishes another one, which shares what has not changed.
///
/// A publication of the table that removes servers, or adds them again, is preceded by a roster that
/// knows the removed servers before and after it.
#[derive(Default)]
pub(crate) struct Roster {
    pub(super) held: ByServer<Holds>,
    /// Why the ejector holds servers.
    pub(super) ejected: ByServer<Arc<str>>,
    pub(super) removed: Removed,
    /// The servers that are removed as long as this publication has not come.
    pub(super) former: Option<(u64, Removed)>,
}

impl Roster {
    /// Bytes that publishing one allocates, at most.
    pub(super) const PUBLISHED: u64 = 2048;

    /// The servers that are removed in the table of this publication.
    pub(super) fn removed_at(&self, sequence: u64) -> &Removed {
        match &self.former {
            Some((next, removed)) if sequence < *next => removed,
            _ => &self.removed,
        }
    }

    /// Service and address of a server that was removed, or is being removed or added again.
    pub(super) fn name_of(&self, server: ServerId) -> Option<(ServiceKey, SocketAddr)> {
        let former = || self.former.as_ref().and_then(|(_, removed)| removed.name_of(server));
        self.removed.name_of(server).or_else(former)
    }

    /// Who holds this server, and why; `ejected` says whether its count word is marked.
    pub(super) fn holds(
        &self,
        service: &ServiceKey,
        server: SocketAddr,
        ejected: bool,
    ) -> Vec<Hold> {
        let hold = |(holder, state, reason): (_, _, Option<&Arc<str>>)| Hold {
            holder,
            state,
            reason: reason.map_or_else(String::new, |reason| reason.to_string()),
        };
        let held = self.held.get(service, server).into_iter().flat_map(Holds::iter).map(hold);
        let reason = match self.ejected.get(service, server) {
            Some(reason) => Some(reason.to_string()),
            // A worker has just ejected it; the next tick records that.
            None => ejected.then(|| "failures in a row".to_owned()),
        };
        let ejector = |reason| Hold { holder: Holder::Ejector, state: ServerState::Down, reason };
        held.chain(reason.map(ejector)).collect()
    }

    /// The state that results from these holds, if the service panics or if it does not.
    pub(super) fn state(
        &self,
        service: &ServiceKey,
        server: SocketAddr,
        (holds, panics): (&[Hold], bool),
    ) -> ServerState {
        let held = self.held.get(service, server);
        let state = held.map_or(ServerState::Up, |held| held.taking_part(panics));
        let ejected = holds.iter().any(|hold| hold.holder == Holder::Ejector);
        if ejected && !panics { ServerState::Down } else { state }
    }
}

impl Director {
    /// Looks at what runs, and at the roster of the same time: the one that was the latest when the table
    /// was. Lock-free: looks again only if another roster was published meanwhile.
    pub(super) fn view_with_roster<R>(&self, mut look: impl FnMut(&View<'_>, &Roster) -> R) -> R {
        loop {
            let seen = self.inner.roster.read(|roster| {
                self.view(|view| self.is_latest(roster).then(|| look(view, roster)))
            });
            if let Some(seen) = seen {
                return seen;
            }
        }
    }

    /// Looks for what a server's slot leads to, which changes after the roster does: it is not there only
    /// if the roster is the latest after that, too. Progress as of `view_with_roster`.
    pub(super) fn find_with_roster<R>(
        &self,
        mut find: impl FnMut(&View<'_>, &Roster) -> Option<R>,
    ) -> Option<R> {
        loop {
            let (found, is_latest) =
                self.view_with_roster(|view, roster| (find(view, roster), self.is_latest(roster)));
            if found.is_some() || is_latest {
                return found;
            }
        }
    }

    /// The caller's hazard slot names the roster, so no other one has its address.
    fn is_latest(&self, roster: &Roster) -> bool {
        self.inner.roster.read(|latest| ptr::eq(latest, roster))
    }
}

#[cfg(test)]
#[path = "roster_tests.rs"]
mod tests;
