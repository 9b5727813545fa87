//! What a service is compiled from, and the part of it that memory may not suffice for.

use crate::arena::Arena;
use crate::arena::id::ServiceId;
use crate::concurrent::zeroed::OutOfMemory;
use crate::config::{KernelRules, ServiceSettings};
use crate::memory::templates::Templates;
use crate::pool::history::History;
use crate::sched::{AffinityCaches, AnyScheduler};
use crate::service::Service;
use crate::service::persistence::Persistent;
use crate::sync::Arc;

/// What a service is compiled from.
pub(crate) struct ServiceSpec<'a> {
    pub(crate) id: ServiceId,
    pub(crate) settings: &'a ServiceSettings,
    pub(crate) generation: KernelRules,
    /// The config's seed.
    pub(crate) seed: u64,
    /// The config's `expire_quiescent_template`.
    pub(crate) expire_quiescent: bool,
    /// A server is held draining or down: no ticket is redeemed without a look at its server.
    pub(crate) holds: bool,
    pub(crate) history: &'a History,
    /// The version that it takes over from; `None` for a new service.
    pub(crate) former: Option<&'a Service>,
    pub(crate) maps: Maps,
}

/// What a service remembers of addresses: the former version's maps where they fit, else new ones.
#[derive(Default)]
pub(crate) struct Maps {
    /// `None` unless the service is persistent.
    pub(super) templates: Option<Arc<Templates>>,
    pub(super) caches: AffinityCaches,
}

impl Maps {
    /// The maps for these settings. `former` is the running version; `bound` says that its scheduler, with
    /// what that remembers, is replaced. Changes nothing that runs.
    pub(crate) fn reserve(
        arena: &Arc<Arena>,
        settings: &ServiceSettings,
        former: Option<&Service>,
        bound: bool,
    ) -> Result<Self, OutOfMemory> {
        let scheduler = former.filter(|_| !bound).map(|compiled| &compiled.scheduler);
        let persistence = former.and_then(|compiled| compiled.persistence.as_ref());
        Ok(Maps {
            templates: Persistent::reserve(arena, settings, persistence)?,
            caches: AnyScheduler::reserve(arena, settings, scheduler)?,
        })
    }
}
