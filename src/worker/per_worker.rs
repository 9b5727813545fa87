//! Connections in services whose workers decide by the connections that they opened themselves: which
//! worker's count changes, and which load indexes learn of it. Also which calls update the index of lblc and
//! lblcr.

use crate::arena::counts::Activity;
use crate::arena::id::ServerId;
use crate::arena::tally::Connections;
use crate::arena::worker_state::WorkerTag;
use crate::service::{LoadUpdates, OtherUpdates, Service};
use crate::worker::Worker;

impl Worker {
    /// Counts a new connection as this worker's own; as no worker's if the worker has no state. Returns
    /// the tag for the lease.
    #[inline(never)]
    pub(super) fn count_open(
        &self,
        compiled: &Service,
        server: ServerId,
        activity: Activity,
        marked: bool,
    ) -> WorkerTag {
        if let LoadUpdates::Other(OtherUpdates::Locality(index)) = compiled.load_updates() {
            // A changed mark may also make the server available.
            index.opened(server.slot, &self.inner.arena, marked);
            return WorkerTag::NONE;
        }
        let change = Connections::one(activity);
        let counted = self.state().is_some_and(|state| state.add(server.slot, change));
        let tag = if counted { self.tag } else { WorkerTag::NONE };
        self.worker_load_changed(compiled, server, tag, change, marked);
        tag
    }

    /// Uncounts a connection with this tag, which was closed. Returns the tag if its worker still
    /// exists, else [`WorkerTag::NONE`].
    #[inline(never)]
    pub(super) fn count_close(
        &self,
        server: ServerId,
        tag: WorkerTag,
        activity: Activity,
    ) -> WorkerTag {
        self.count_change(server, tag, Connections::one(activity).negative())
    }

    /// Like [`count_close`](Self::count_close), for a connection whose activity has changed.
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

    /// Updates the load indexes after a close.
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

    /// Updates the load indexes after a change of activity.
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

    /// Updates the index of the worker that opened the connection, or of all workers if no worker
    /// did. A changed overload mark concerns all workers in either case.
    #[inline]
    fn worker_load_changed(
        &self,
        compiled: &Service,
        server: ServerId,
        tag: WorkerTag,
        change: Connections,
        marked: bool,
    ) {
        if let LoadUpdates::Other(OtherUpdates::Locality(index)) = compiled.load_updates() {
            return index.closed(server.slot, &self.inner.arena);
        }
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
