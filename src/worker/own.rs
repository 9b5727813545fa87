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
        self.own_changed(pool, server, opener, change, marked);
        opener
    }

    /// A connection of this opener has ended. The opener if it is still there, else nobody.
    #[inline(never)]
    pub(super) fn close_own(&self, server: ServerId, opener: Opener, activity: Activity) -> Opener {
        self.change_own(server, opener, Connections::one(activity).negative())
    }

    /// The same of one whose activity has changed.
    #[inline(never)]
    pub(super) fn move_own(&self, server: ServerId, opener: Opener, to: Activity) -> Opener {
        self.change_own(server, opener, Connections::moved(to))
    }

    #[inline]
    fn change_own(&self, server: ServerId, opener: Opener, change: Connections) -> Opener {
        let counted = if opener == self.opener {
            self.own().is_some_and(|own| own.add(server.slot, change))
        } else {
            let own = self.inner.arena.own.get(opener.number());
            own.is_some_and(|own| own.add_for(opener, server.slot, change))
        };
        if counted { opener } else { Opener::NOBODY }
    }

    /// Tells the pool, which goes by what workers have open, of what has ended.
    #[inline(never)]
    pub(super) fn own_closed(
        &self,
        pool: &Pool,
        server: ServerId,
        opener: Opener,
        activity: Activity,
        marked: bool,
    ) {
        self.own_changed(pool, server, opener, Connections::one(activity).negative(), marked);
    }

    /// The same of what has changed its activity.
    #[inline(never)]
    pub(super) fn own_moved(&self, pool: &Pool, server: ServerId, opener: Opener, to: Activity) {
        self.own_changed(pool, server, opener, Connections::moved(to), false);
    }

    /// Something has changed for the opener, or if there is none, for all; and if the server's mark has
    /// changed, for all as well.
    #[inline]
    fn own_changed(
        &self,
        pool: &Pool,
        server: ServerId,
        opener: Opener,
        change: Connections,
        marked: bool,
    ) {
        let own = if opener == self.opener {
            self.own()
        } else {
            self.inner.arena.own.get(opener.number())
        };
        match own.filter(|_| !opener.is_nobody()) {
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
