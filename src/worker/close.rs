//! The end of a connection.

use crate::arena::counts::Activity;
use crate::arena::slots::ServerSlot;
use crate::arena::worker_state::WorkerTag;
use crate::error::ConnectionError;
use crate::worker::{Lease, Worker};

impl Worker {
    /// Ends the connection, regardless of the reloads since it was opened. The cost is that of
    /// [`open`](Self::open).
    ///
    /// # Errors
    /// [`Stale`](ConnectionError::Stale) if the lease is empty, closed, or of another director. No
    /// count changes then, and none ever goes below zero.
    #[inline]
    pub fn close(&self, mut lease: Lease) -> Result<(), ConnectionError> {
        self.close_in_place(&mut lease)
    }

    /// Like [`close`](Self::close), for hosts that keep leases in their own memory: a closed lease
    /// becomes empty, so that a second close changes nothing.
    ///
    /// # Errors
    /// As for [`close`](Self::close). The lease is unchanged then.
    #[inline]
    pub fn close_in_place(&self, lease: &mut Lease) -> Result<(), ConnectionError> {
        let server = lease.server;
        let activity = lease.activity().ok_or(ConnectionError::Stale)?;
        let slot = self.inner.arena.servers.get(server.slot).ok_or(ConnectionError::Stale)?;
        if slot.is_counted_by_worker() {
            return self.close_own(lease, slot, activity);
        }
        // Before the close: it may free the slot for a server of another service.
        let service = slot.service();
        let marked = slot.close(server.generation, activity, self.inner.arena.kernel_rules())?;
        if marked {
            self.closed_and_marked(lease, slot, service, activity);
        } else {
            self.closed(lease, slot, service, activity, false);
        }
        Ok(())
    }

    /// The rest of a close after which an overloaded server takes connections again. Apart, so that other
    /// closes need not remember whether that is so.
    #[cold]
    #[inline(never)]
    fn closed_and_marked(
        &self,
        lease: &mut Lease,
        slot: &ServerSlot,
        service: u32,
        activity: Activity,
    ) {
        self.closed(lease, slot, service, activity, true);
        // After the load index: who is woken picks by it.
        self.inner.arena.room_made(slot.service());
    }

    /// The service's workers did count their connections when this one was opened.
    #[cold]
    #[inline(never)]
    fn uncount_own(&self, lease: &Lease, activity: Activity) -> WorkerTag {
        self.change_own(lease, |own| own.close(lease.server.generation, activity)).0
    }

    #[inline(always)]
    fn closed(
        &self,
        lease: &mut Lease,
        slot: &ServerSlot,
        service: u32,
        activity: Activity,
        marked: bool,
    ) {
        let server = lease.server;
        let (template, mut tag) = (lease.template, WorkerTag::NONE);
        if lease.has_tag() {
            tag = self.uncount_own(lease, activity);
        }
        *lease = Lease::default();
        // Loaded again: meanwhile the server may have been added to a new service that was published
        // before this close. Only this update then tells that service's load index.
        let now = slot.service_to_tell();
        self.load_changed(server, slot, now, |compiled| {
            self.gone(compiled, server, tag, activity, marked);
        });
        if !template.is_none() {
            self.release_template(service, template);
        }
    }
}
