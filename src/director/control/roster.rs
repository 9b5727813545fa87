//! When what readers know of servers by service and address is published: at the end of each call, and
//! before what makes it visible elsewhere.

use std::net::SocketAddr;

use super::Control;
use crate::config::ServiceKey;
use crate::director::allocator::{Removed, SlotClaim};
use crate::director::ask::ask;
use crate::director::roster::Roster;
use crate::sync::Arc;

impl Control {
    /// Publishes what has changed since it was last published; nothing if nothing has. O(1).
    pub(in crate::director) fn publish_roster(&mut self) {
        self.publish_roster_after(None);
    }

    /// Records the servers that publication `next` of the service table removes, and publishes that before
    /// it. Until then, those that were removed are `removed`.
    pub(super) fn leave(
        &mut self,
        gone: &[(ServiceKey, SocketAddr, SlotClaim)],
        next: u64,
        removed: Removed,
    ) {
        for (service, server, claim) in gone {
            self.allocator.leave(*service, *server, *claim, next);
        }
        if !removed.is_copy_of(self.allocator.removed()) {
            self.publish_roster_after(Some((next, removed)));
        }
    }

    fn publish_roster_after(&mut self, former: Option<(u64, Removed)>) {
        let known = &self.roster;
        let is_known = self.held.by_server().is_copy_of(&known.held)
            && self.ejected.is_copy_of(&known.ejected)
            && self.allocator.removed().is_copy_of(&known.removed)
            && known.former.is_none()
            && former.is_none();
        // Without memory it is published after the next call, or by the next tick.
        if is_known || ask(Roster::PUBLISHED, String::new).is_err() {
            return;
        }
        self.roster = Arc::new(Roster {
            held: self.held.by_server().clone(),
            ejected: self.ejected.clone(),
            removed: self.allocator.removed().clone(),
            former,
        });
        self.rosters.publish(Arc::clone(&self.roster));
        drop(self.rosters.reclaim());
    }

    /// True if readers see what is so, and `ejected` is what `runtimes` say.
    #[cfg(test)]
    pub(in crate::director) fn is_roster_true(&self) -> bool {
        let (known, removed) = (&self.roster, self.allocator.removed());
        let records = || self.runtimes.iter().map(|(key, runtime)| (key, &runtime.ejections));
        let reasons: usize = records().map(|(_, ejections)| ejections.reasons().count()).sum();
        self.rosters.read(|latest| std::ptr::eq(latest, Arc::as_ptr(known)))
            && known.held.is_copy_of(self.held.by_server())
            && known.ejected.is_copy_of(&self.ejected)
            && known.removed.is_copy_of(removed)
            && known.former.is_none()
            && removed.len() == self.allocator.removed_and_forgotten()
            && self.ejected.len() == reasons
            && records().all(|(key, ejections)| ejections.has_reasons(self.ejected.of(key)))
    }

    /// Frees rosters that no reader looks at any more.
    pub(super) fn reclaim_rosters(&self) {
        if self.rosters.with_live(|rosters| rosters.len() > 1) {
            drop(self.rosters.reclaim());
        }
    }
}
