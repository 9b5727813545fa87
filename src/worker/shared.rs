//! Connections of a director whose state is in a block: each is recorded in the owner's ledger, so that it can be
//! given back should the process die.

use crate::arena::counts::Activity;
use crate::arena::id::ServerId;
use crate::arena::slots::ServerSlot;
use crate::error::ConnectionError;
use crate::memory::templates::TemplateId;
use crate::worker::{Lease, Worker};

/// Repetitions of a connect that others' progress explains. More mean that the block is corrupt: a server that
/// is picked cannot be opened.
pub(super) const MOST_REPEATS: u32 = 1_000;

impl Worker {
    #[inline(never)]
    pub(super) fn open_shared(
        &self,
        lease: &mut Lease,
        server: ServerId,
        template: TemplateId,
        activity: Activity,
        below_limit: bool,
    ) -> Result<(), ConnectionError> {
        let arena = &self.inner.arena;
        let attached = arena.attached().ok_or(ConnectionError::Stale)?;
        let slot = arena.servers.get(server.slot).ok_or(ConnectionError::Stale)?;
        let ledger = attached.ledger(server.slot).ok_or(ConnectionError::Stale)?;
        let (generation, rules) = (server.generation, arena.kernel_rules());
        ledger.open(activity, || slot.open(generation, activity, rules, below_limit))?;
        *lease = Lease::new(server, template, activity);
        lease.set_tag(attached.tag);
        let service = slot.service();
        self.shard.count_connection(server.slot, service);
        self.reader.catch_up();
        if !template.is_none() {
            self.acquire_template(service, template);
        }
        Ok(())
    }

    #[inline(never)]
    pub(super) fn close_shared(
        &self,
        lease: &mut Lease,
        slot: &ServerSlot,
        activity: Activity,
    ) -> Result<(), ConnectionError> {
        let (server, template, arena) = (lease.server, lease.template, &self.inner.arena);
        let attached = arena.attached().ok_or(ConnectionError::Stale)?;
        let ledger = attached.ledger(server.slot).ok_or(ConnectionError::Stale)?;
        let (service, rules) = (slot.service(), arena.kernel_rules());
        if !slot.is(server.generation) || lease.tag() != attached.tag {
            return Err(ConnectionError::Stale);
        }
        let marked = ledger.close(activity, || slot.close(server.generation, activity, rules))?;
        *lease = Lease::default();
        self.reader.catch_up();
        if marked {
            arena.room_made(service);
        }
        if !template.is_none() {
            self.release_template(service, template);
        }
        Ok(())
    }

    #[inline(never)]
    pub(super) fn update_shared(
        &self,
        lease: &mut Lease,
        slot: &ServerSlot,
        to: Activity,
    ) -> Result<(), ConnectionError> {
        let server = lease.server;
        let attached = self.inner.arena.attached().ok_or(ConnectionError::Stale)?;
        let ledger = attached.ledger(server.slot).ok_or(ConnectionError::Stale)?;
        if !slot.is(server.generation) || lease.tag() != attached.tag {
            return Err(ConnectionError::Stale);
        }
        ledger.update(to, || slot.update(server.generation, to))?;
        lease.set_activity(to);
        Ok(())
    }
}
