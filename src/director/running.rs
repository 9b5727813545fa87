//! A running service as the control plane keeps it, and pending changes of slots.

use crate::arena::Arena;
use crate::arena::counts::Limits;
use crate::arena::id::ServiceId;
use crate::config::{KernelRules, VirtualService};
use crate::director::allocator::SlotClaim;
use crate::service::Service;
use crate::sync::Arc;

/// A running service.
pub(super) struct RunningService {
    /// As configured, servers oldest first.
    pub(super) service: VirtualService,
    /// Parallel to `service.servers`.
    pub(super) claims: Vec<SlotClaim>,
    pub(super) id: ServiceId,
    /// First publication that can name the service.
    pub(super) since: u64,
    pub(super) compiled: Arc<Service>,
    /// The slot's connections and refusals when it was assigned: those of previous owners.
    pub(super) base: (u64, u64),
    /// Upper bound of its memory, in bytes.
    pub(super) memory: u64,
}

/// A server slot's settings, to be stored once the config is published.
pub(super) struct SlotEdit {
    pub(super) slot: u32,
    pub(super) limits: Limits,
    pub(super) weight: u32,
}

impl SlotEdit {
    pub(super) fn carry_out(&self, arena: &Arena, rule: KernelRules) {
        if let Some(slot) = arena.servers.get(self.slot) {
            slot.limit(self.limits, rule);
            slot.set_weight(self.weight);
        }
    }
}
