//! A service that runs, as the control plane knows it.

use crate::config::VirtualService;
use crate::director::owners::Owner;
use crate::pool::Pool;
use crate::state::slots::ServiceId;
use crate::sync::Arc;

/// A service that runs.
pub(super) struct Live {
    /// As configured, servers oldest first.
    pub(super) service: VirtualService,
    /// Beside `service.servers`.
    pub(super) owners: Vec<Owner>,
    pub(super) id: ServiceId,
    pub(super) born: u64,
    pub(super) pool: Arc<Pool>,
    /// Connections and refusals its slot had counted for its former owners.
    pub(super) base: (u64, u64),
    /// What it takes, at most.
    pub(super) memory: u64,
}
