//! What a scheduler is compiled from.

use crate::config::{KernelRules, VirtualService};
use crate::pool::history::History;
use crate::pool::servers::{Member, Servers};
use crate::sched::AffinityCaches;

/// The service, its servers, and what the former pool leaves.
pub(crate) struct Build<'a> {
    pub(crate) servers: &'a Servers,
    /// The same servers, with what only compiling looks at.
    pub(crate) members: &'a [Member],
    /// The service's settings; its servers are `members`.
    pub(crate) settings: &'a VirtualService,
    pub(crate) generation: KernelRules,
    /// Seed of this service's random draws.
    pub(crate) seed: u64,
    /// What happened since its last pool, for those that carry something over.
    pub(crate) history: &'a History,
    /// What [`Scheduler::reserve`](crate::sched::Scheduler::reserve) has made.
    pub(crate) caches: &'a AffinityCaches,
}
