//! A running service as the control plane keeps it, and pending changes of slots.

use std::ops::Deref;

use crate::arena::Arena;
use crate::arena::counts::Limits;
use crate::config::KernelRules;
use crate::director::record::ServiceRecord;
use crate::service::Service;
use crate::sync::Arc;

/// A running service.
pub(super) struct RunningService {
    pub(super) record: Arc<ServiceRecord>,
    /// First publication that can name the service.
    pub(super) since: u64,
    pub(super) compiled: Arc<Service>,
    /// Upper bound of its memory, in bytes.
    pub(super) memory: u64,
}

impl Deref for RunningService {
    type Target = ServiceRecord;

    fn deref(&self) -> &ServiceRecord {
        &self.record
    }
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
            arena.limit(self.slot, self.limits, rule);
            slot.set_weight(self.weight);
        }
    }
}
