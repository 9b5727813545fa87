//! Ejection of a server, in one step, by any thread.
//!
//! A server is ejected by the thread that reports the failure which reaches the limit. It takes a place
//! from the service's budget first, then marks the server's count word, and gives the place back if the
//! word has changed its owner or its service, or is marked already. So at any time at most as many words
//! are marked as places are taken, and at most `most` places are. Every operation that clears the mark
//! gives its place back; only the director clears marks.
//!
//! A server whose service is deleted keeps its slot while it has connections, and may come back in another
//! service; one that is forgotten belongs to none. `detach` changes the service, then the word: an exchange
//! that took its place before fails, and sees that the place is not one of the server's service any more.

use crate::arena::ejection_budget::EjectionBudget;
use crate::arena::slots::{NO_SERVICE, ServerSlot};
use crate::config::ServerState;
use crate::error::ConnectionError;

/// Ejects the server with this generation, with a place of this service's budget: every later pick
/// passes over it. False if it is down or ejected already, if its slot has another owner or service, or if
/// the budget is used up. Lock-free.
pub(crate) fn eject(
    slot: &ServerSlot,
    generation: u32,
    (service, budget): (u32, &EjectionBudget),
) -> bool {
    if slot.counts_relaxed().is_down() {
        return false;
    }
    let Some(place) = budget.take() else { return false };
    let ejected = slot.eject(generation, || slot.service() == service && budget.is_of(place));
    if !ejected {
        budget.give_back(place);
    }
    ejected
}

impl ServerSlot {
    /// Ejects the server; false if it is down already, if this is not its generation, or if it may not.
    /// Lock-free.
    fn eject(&self, generation: u32, may: impl Fn() -> bool) -> bool {
        let ejected = self.change(|counts| {
            let owned = !counts.vacant() && self.is(generation) && may();
            counts.ejected().filter(|_| owned).ok_or(ConnectionError::Stale)
        });
        ejected.is_ok()
    }

    /// From now on the server belongs to no service, and is in this state. True if it was ejected: then the
    /// caller gives the place back. Director only.
    pub(crate) fn detach(&self, state: ServerState) -> bool {
        self.set_service(NO_SERVICE);
        let change = self.change(|counts| Ok(counts.detached(state)));
        change.is_ok_and(|change| change.before.is_ejected())
    }

    /// Ends the server's ejection: from now on it is in this state. False if it is not ejected.
    /// Director only.
    pub(crate) fn end_ejection(&self, state: ServerState) -> bool {
        let ended = self.change(|counts| {
            let released = counts.is_ejected().then(|| counts.in_state(state));
            released.ok_or(ConnectionError::Stale)
        });
        ended.is_ok()
    }
}
