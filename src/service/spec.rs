//! What a service is compiled from, and the part of it that memory may not suffice for.

use crate::arena::Arena;
use crate::arena::block::maps::SharedMap;
use crate::arena::id::ServiceId;
use crate::concurrent::zeroed::OutOfMemory;
use crate::config::{KernelRules, SchedulerKind, ServiceSettings, Ties};
use crate::memory::templates::Templates;
use crate::pool::history::History;
use crate::pool::servers::Member;
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
    /// what that remembers, is replaced, and `shared` is a block's map for templates. Changes nothing that runs.
    pub(crate) fn reserve(
        arena: &Arc<Arena>,
        settings: &ServiceSettings,
        former: Option<&Service>,
        (bound, shared): (bool, Option<Arc<SharedMap>>),
    ) -> Result<Self, OutOfMemory> {
        let scheduler = former.filter(|_| !bound).map(|compiled| &compiled.scheduler);
        let persistence = former.and_then(|compiled| compiled.persistence.as_ref());
        Ok(Maps {
            templates: match shared.and_then(|map| Templates::shared(Arc::clone(arena), map)) {
                Some(templates) => Some(Arc::new(templates)),
                None => Persistent::reserve(arena, settings, persistence)?,
            },
            caches: AnyScheduler::reserve(arena, settings, scheduler)?,
        })
    }
}

/// Differs between versions of a service whose sequences differ: what decides them is the scheduler, how ties are
/// broken, and the servers with their weights, in order. `cycle` is the length of the precomputed sequence.
pub(super) fn digest(spec: &ServiceSpec<'_>, members: &[Member], cycle: u32) -> u64 {
    // FNV-1a: the same in every process, unlike a keyed hash.
    let step = |state: u64, word: u64| (state ^ word).wrapping_mul(0x100_0000_01b3);
    let name = spec.settings.scheduler.map_or("", SchedulerKind::name);
    let rotates = spec.settings.ties == Ties::Rotate;
    let words = name.bytes().map(u64::from).chain([u64::from(rotates), u64::from(cycle)]);
    let servers = members.iter().flat_map(|member| {
        [
            u64::from(member.id.slot),
            u64::from(member.id.generation),
            u64::from(member.server.weight),
        ]
    });
    let digest = words.chain(servers).fold(0xcbf2_9ce4_8422_2325, step);
    // The lower bits of FNV-1a are weak.
    digest ^ digest >> 32
}
