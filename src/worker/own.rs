//! Connections in services whose workers go by what they opened themselves: who counts one, and who is
//! told that it has changed.

use crate::pool::Pool;
use crate::state::counts::Activity;
use crate::state::own::Opener;
use crate::state::slots::ServerId;
use crate::state::tally::Connections;
use crate::worker::Worker;

impl Worker {
    /// Counts a connection that has been opened as the worker's own, or if it cannot, as nobody's.
    #[inline(never)]
    pub(super) fn open_own(
        &self,
        pool: &Pool,
        server: ServerId,
        activity: Activity,
        marked: bool,
    ) -> Opener {
        let change = Connections::one(activity);
        let counted = self.own().is_some_and(|own| own.add(server.slot, change));
        let opener = if counted { self.opener } else { Opener::NOBODY };
        self.own_changed(pool, server, counted.then_some(opener), change, marked);
        opener
    }

    /// Changes what the opener of a connection has open; false if that is gone.
    #[inline(never)]
    pub(super) fn change_own(&self, server: ServerId, opener: Opener, change: Connections) -> bool {
        if opener == self.opener {
            return self.own().is_some_and(|own| own.add(server.slot, change));
        }
        let own = self.inner.arena.own.get(opener.number());
        own.is_some_and(|own| own.add_for(opener, server.slot, change))
    }

    /// Tells the pool, which goes by what workers have open, that this has changed for one of them, or
    /// if none has counted it, for all; and if the server's mark has changed, for all as well.
    #[inline(never)]
    pub(super) fn own_changed(
        &self,
        pool: &Pool,
        server: ServerId,
        counted: Option<Opener>,
        change: Connections,
        marked: bool,
    ) {
        match counted.and_then(|opener| self.inner.arena.own.get(opener.number())) {
            Some(own) => {
                pool.own_load_changed(server, Some(own));
                if marked {
                    pool.own_load_changed(server, None);
                }
            }
            None => pool.common_changed(server, change),
        }
    }
}
