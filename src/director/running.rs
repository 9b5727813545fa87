//! A service that runs, as the control plane knows it, and what a change tells slots of it.

use crate::arena::Arena;
use crate::arena::counts::Limits;
use crate::arena::id::ServiceId;
use crate::config::{KernelRules, VirtualService};
use crate::director::allocator::SlotClaim;
use crate::service::Service;
use crate::sync::Arc;

/// A service that runs.
pub(super) struct RunningService {
    /// As configured, servers oldest first.
    pub(super) service: VirtualService,
    /// Beside `service.servers`.
    pub(super) claims: Vec<SlotClaim>,
    pub(super) id: ServiceId,
    pub(super) since: u64,
    pub(super) compiled: Arc<Service>,
    /// Connections and refusals its slot had counted for its former owners.
    pub(super) base: (u64, u64),
    /// What it takes, at most.
    pub(super) memory: u64,
}

/// What a server's slot holds of the config, to be changed once the config runs.
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
