//! Connections in services whose workers go by what they opened themselves: who counts one, and who is
//! told that it has changed.

use crate::arena::counts::Activity;
use crate::arena::id::ServerId;
use crate::arena::tally::Connections;
use crate::arena::worker_state::WorkerTag;
use crate::service::Service;
use crate::worker::Worker;

impl Worker {
    /// Counts a new connection as the worker's own, or if it cannot, as no worker's.
    #[inline(never)]
    pub(super) fn count_open(
        &self,
        compiled: &Service,
        server: ServerId,
        activity: Activity,
        marked: bool,
    ) -> WorkerTag {
        let change = Connections::one(activity);
        let counted = self.state().is_some_and(|state| state.add(server.slot, change));
        let tag = if counted { self.tag } else { WorkerTag::NONE };
        self.worker_load_changed(compiled, server, tag, change, marked);
        tag
    }

    /// A connection with this tag has ended. The tag if its worker still exists, else none.
    #[inline(never)]
    pub(super) fn count_close(
        &self,
        server: ServerId,
        tag: WorkerTag,
        activity: Activity,
    ) -> WorkerTag {
        self.count_change(server, tag, Connections::one(activity).negative())
    }

    /// The same of one whose activity has changed.
    #[inline(never)]
    pub(super) fn count_move(&self, server: ServerId, tag: WorkerTag, to: Activity) -> WorkerTag {
        self.count_change(server, tag, Connections::moved(to))
    }

    #[inline]
    fn count_change(&self, server: ServerId, tag: WorkerTag, change: Connections) -> WorkerTag {
        let counted = if tag == self.tag {
            self.state().is_some_and(|state| state.add(server.slot, change))
        } else {
            let state = self.inner.arena.workers.get(tag.number());
            state.is_some_and(|state| state.add_for(tag, server.slot, change))
        };
        if counted { tag } else { WorkerTag::NONE }
    }

    /// Tells the pool, which goes by what workers have open, of what has ended.
    #[inline(never)]
    pub(super) fn worker_load_closed(
        &self,
        compiled: &Service,
        server: ServerId,
        tag: WorkerTag,
        activity: Activity,
        marked: bool,
    ) {
        self.worker_load_changed(
            compiled,
            server,
            tag,
            Connections::one(activity).negative(),
            marked,
        );
    }

    /// The same of what has changed its activity.
    #[inline(never)]
    pub(super) fn worker_load_moved(
        &self,
        compiled: &Service,
        server: ServerId,
        tag: WorkerTag,
        to: Activity,
    ) {
        self.worker_load_changed(compiled, server, tag, Connections::moved(to), false);
    }

    /// Something has changed for the opener, or if there is none, for all; and if the server's mark has
    /// changed, for all as well.
    #[inline]
    fn worker_load_changed(
        &self,
        compiled: &Service,
        server: ServerId,
        tag: WorkerTag,
        change: Connections,
        marked: bool,
    ) {
        let state =
            if tag == self.tag { self.state() } else { self.inner.arena.workers.get(tag.number()) };
        match state.filter(|_| !tag.is_none()) {
            Some(state) => {
                compiled.worker_load_changed(server, Some(state));
                if marked {
                    compiled.worker_load_changed(server, None);
                }
            }
            None => compiled.common_changed(server, change),
        }
    }
}
