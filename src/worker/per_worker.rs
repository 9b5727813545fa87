//! Connections in services whose workers decide by the connections that they opened themselves: counted in the
//! worker's own words (`arena::own_count`), and in the server's slot where those are not sole.
//!
//! Also which calls update the index of lblc and lblcr.

use crate::arena::counts::Activity;
use crate::arena::id::ServerId;
use crate::arena::own_count::{Counted, OwnCount};
use crate::arena::slots::ServerSlot;
use crate::arena::tally::Connections;
use crate::arena::worker_state::WorkerTag;
use crate::error::ConnectionError;
use crate::memory::templates::TemplateId;
use crate::service::{LoadUpdates, OtherUpdates, Service};
use crate::worker::{Lease, Worker};

/// A change of a server's connections, as load indexes learn of it.
#[derive(Clone, Copy)]
struct LoadChange {
    server: ServerId,
    /// The worker that counts the connection as its own.
    tag: WorkerTag,
    by: Connections,
    /// The server became overloaded, or ceased to be.
    marked: bool,
}

impl Worker {
    /// Opens a connection to a server that workers count connections for. It is this worker's own, or no
    /// worker's if the worker has no state.
    #[inline(never)]
    pub(super) fn open_own(
        &self,
        lease: &mut Lease,
        server: ServerId,
        template: TemplateId,
        activity: Activity,
        below_limit: bool,
    ) -> Result<(), ConnectionError> {
        let slot = self.inner.arena.servers.get(server.slot).ok_or(ConnectionError::Stale)?;
        let (generation, state) = (server.generation, self.state());
        let own = state.and_then(|state| state.own(server.slot));
        let counted = match own {
            Some(own) => Some(own.open(generation, activity, || slot.is(generation))?),
            None if self.inner.arena.is_shared() => {
                return self.open_shared(lease, server, template, activity, below_limit);
            }
            None => None,
        };
        if counted != Some(Counted::Here) {
            return self.open_in_slot(lease, server, template, activity, below_limit);
        }
        *lease = Lease::new(server, template, activity);
        lease.set_tag(self.tag);
        let (service, told) = slot.service_to_tell_all();
        self.shard.count_connection(server.slot, service);
        self.tell_own(server, slot, (service, told));
        if !template.is_none() {
            self.acquire_template(service, template);
        }
        Ok(())
    }

    /// The rest of [`open_own`](Self::open_own) where the slot counts the connection too.
    #[inline(never)]
    fn open_in_slot(
        &self,
        lease: &mut Lease,
        server: ServerId,
        template: TemplateId,
        activity: Activity,
        below_limit: bool,
    ) -> Result<(), ConnectionError> {
        let slot = self.inner.arena.servers.get(server.slot).ok_or(ConnectionError::Stale)?;
        let (generation, rules) = (server.generation, self.inner.arena.kernel_rules());
        let own = self.state().and_then(|state| state.own(server.slot));
        let tag = if own.is_some() { self.tag } else { WorkerTag::NONE };
        let marked = match slot.open(generation, activity, rules, below_limit) {
            Ok(marked) => marked,
            Err(why) => {
                if let Some(own) = own {
                    own.close(generation, activity);
                }
                // It may have been marked just now, and the worker's count was another for a moment.
                self.load_changed(server, slot, (slot.service(), true), |compiled| {
                    compiled.changed_for_all(server, slot);
                });
                return Err(why);
            }
        };
        *lease = Lease::new(server, template, activity);
        lease.set_tag(tag);
        let (service, told) = slot.service_to_tell_all();
        self.shard.count_connection(server.slot, service);
        if told || own.is_none() || marked {
            self.tell(slot, &LoadChange { server, tag, by: Connections::one(activity), marked });
        } else {
            self.reader.catch_up();
        }
        if !template.is_none() {
            self.acquire_template(service, template);
        }
        Ok(())
    }

    /// Ends a connection of a server that workers count connections for.
    #[inline(never)]
    pub(super) fn close_own(
        &self,
        lease: &mut Lease,
        slot: &ServerSlot,
        activity: Activity,
    ) -> Result<(), ConnectionError> {
        let (server, template) = (lease.server, lease.template);
        if self.tag.is_none() && self.inner.arena.is_shared() {
            return self.close_shared(lease, slot, activity);
        }
        if !slot.is(server.generation) {
            return Err(ConnectionError::Stale);
        }
        let (tag, counted) = self.change_own(lease, |own| own.close(server.generation, activity));
        if counted != Some(Counted::Here) || tag != self.tag {
            return self.close_in_slot(lease, slot, activity, (tag, counted));
        }
        *lease = Lease::default();
        let (service, told) = slot.service_to_tell_all();
        self.tell_own(server, slot, (service, told));
        if !template.is_none() {
            self.release_template(service, template);
        }
        Ok(())
    }

    /// The rest of [`close_own`](Self::close_own) where the slot or another worker counts the connection.
    #[inline(never)]
    fn close_in_slot(
        &self,
        lease: &mut Lease,
        slot: &ServerSlot,
        activity: Activity,
        (tag, counted): (WorkerTag, Option<Counted>),
    ) -> Result<(), ConnectionError> {
        let (server, template, arena) = (lease.server, lease.template, &self.inner.arena);
        let service = slot.service();
        let by = Connections::one(activity).negative();
        let mut change = LoadChange { server, tag, by, marked: false };
        if counted != Some(Counted::Here) {
            match slot.close(server.generation, activity, arena.kernel_rules()) {
                Ok(marked) => change.marked = marked,
                Err(why) => {
                    let is_current = || slot.is(server.generation);
                    let again =
                        |own: &OwnCount| own.open(server.generation, activity, is_current).ok();
                    self.change_own(lease, again);
                    return Err(why);
                }
            }
        }
        *lease = Lease::default();
        if slot.service_to_tell_all().1 || counted.is_none() || change.marked {
            self.tell(slot, &change);
        } else {
            self.reader.catch_up();
        }
        if change.marked {
            // After the load index: who is woken picks by it.
            arena.room_made(slot.service());
        }
        if !template.is_none() {
            self.release_template(service, template);
        }
        Ok(())
    }

    /// Tells this worker's index of a change of its own connections, which no other memory counts.
    #[inline(always)]
    fn tell_own(&self, server: ServerId, slot: &ServerSlot, to_tell: (u32, bool)) {
        self.load_changed(server, slot, to_tell, |compiled| {
            if let (LoadUpdates::Other(OtherUpdates::WorkerCounts(loads)), Some(state)) =
                (compiled.load_updates(), self.state())
            {
                loads.changed(&compiled.servers, state, server.slot);
            }
        });
    }

    /// Counts a connection of such a server as active or inactive.
    #[inline(never)]
    pub(super) fn update_own(
        &self,
        lease: &mut Lease,
        slot: &ServerSlot,
        to: Activity,
    ) -> Result<(), ConnectionError> {
        if self.tag.is_none() && self.inner.arena.is_shared() {
            return self.update_shared(lease, slot, to);
        }
        let server = lease.server;
        if !slot.is(server.generation) {
            return Err(ConnectionError::Stale);
        }
        let (tag, counted) = self.change_own(lease, |own| own.update(server.generation, to));
        if counted != Some(Counted::Here) {
            if let Err(why) = slot.update(server.generation, to) {
                let back = match to {
                    Activity::Active => Activity::Inactive,
                    Activity::Inactive => Activity::Active,
                };
                self.change_own(lease, |own| own.update(server.generation, back));
                return Err(why);
            }
        }
        lease.set_activity(to);
        let by = Connections::moved(to);
        self.tell(slot, &LoadChange { server, tag, by, marked: false });
        Ok(())
    }

    /// Changes the count of the worker that opened the connection. Returns how it is counted, and the
    /// worker's tag; none if no living worker counts it.
    #[inline]
    pub(super) fn change_own(
        &self,
        lease: &Lease,
        change: impl FnOnce(&OwnCount) -> Option<Counted>,
    ) -> (WorkerTag, Option<Counted>) {
        let (tag, slot) = (lease.tag(), lease.server.slot);
        let counted = if !lease.has_tag() {
            None
        } else if tag == self.tag {
            self.state().and_then(|state| state.own(slot)).and_then(change)
        } else {
            let state = self.inner.arena.workers.get(tag.number());
            state.and_then(|state| state.change_for(tag, slot, change))
        };
        (if counted.is_some() { tag } else { WorkerTag::NONE }, counted)
    }

    /// Tells the load indexes. A service whose workers keep none need not be told of connections that are some
    /// worker's own.
    #[inline(never)]
    fn tell(&self, slot: &ServerSlot, change: &LoadChange) {
        self.load_changed(change.server, slot, (slot.service(), true), |compiled| {
            self.changed(compiled, change);
        });
    }

    /// Updates the load indexes after a new connection that no worker counts as its own.
    #[inline(never)]
    pub(super) fn opened(
        &self,
        compiled: &Service,
        server: ServerId,
        activity: Activity,
        marked: bool,
    ) {
        if let LoadUpdates::Other(OtherUpdates::Locality(index)) = compiled.load_updates() {
            // A changed mark may also make the server available.
            return index.opened(server.slot, &self.inner.arena, marked);
        }
        let by = Connections::one(activity);
        self.changed(compiled, &LoadChange { server, tag: WorkerTag::NONE, by, marked });
    }

    /// Updates the load indexes after the end of a connection that the worker with this tag counted.
    #[inline(never)]
    pub(super) fn gone(
        &self,
        compiled: &Service,
        server: ServerId,
        tag: WorkerTag,
        activity: Activity,
        marked: bool,
    ) {
        let by = Connections::one(activity).negative();
        self.changed(compiled, &LoadChange { server, tag, by, marked });
    }

    /// Updates the load indexes after a change of activity of a connection that no worker counts as its own.
    #[inline(never)]
    pub(super) fn moved(&self, compiled: &Service, server: ServerId, to: Activity) {
        let by = Connections::moved(to);
        self.changed(compiled, &LoadChange { server, tag: WorkerTag::NONE, by, marked: false });
    }

    /// Updates the index of the worker that opened the connection, or of all workers if no worker
    /// did. A changed overload mark concerns all workers in either case.
    #[inline]
    fn changed(&self, compiled: &Service, change: &LoadChange) {
        let LoadChange { server, tag, by, marked } = *change;
        match compiled.load_updates() {
            LoadUpdates::Other(OtherUpdates::Locality(index)) => {
                index.closed(server.slot, &self.inner.arena);
            }
            LoadUpdates::Other(OtherUpdates::WorkerCounts(loads)) => {
                let own = tag == self.tag;
                let state =
                    if own { self.state() } else { self.inner.arena.workers.get(tag.number()) };
                let Some(state) = state.filter(|_| !tag.is_none()) else {
                    return compiled.common_changed(server, by);
                };
                if own {
                    loads.changed(&compiled.servers, state, server.slot);
                } else {
                    loads.changed_by_another(state, server.slot);
                }
                if marked {
                    loads.changed_for_all(server.slot);
                }
            }
            LoadUpdates::Nothing | LoadUpdates::Counts(_) => {}
        }
    }
}
