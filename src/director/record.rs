//! A running service as it is read out: published with the service table.

use crate::arena::id::ServiceId;
use crate::config::VirtualService;
use crate::director::allocator::SlotClaim;

/// A running service as configured, with what its totals are counted from.
pub(crate) struct ServiceRecord {
    /// Services are listed by number: in the order in which they were added.
    pub(super) number: u64,
    pub(super) id: ServiceId,
    /// As configured, servers oldest first.
    pub(super) service: VirtualService,
    /// Parallel to `service.servers`.
    pub(super) claims: Vec<SlotClaim>,
    /// The slot's connections and refusals when it was assigned: those of previous owners.
    pub(super) base: (u64, u64),
}
