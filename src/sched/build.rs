//! The input from which a scheduler is compiled.

use crate::config::{KernelRules, ServiceSettings};
use crate::pool::history::History;
use crate::pool::servers::{Member, Servers};
use crate::sched::AffinityCaches;

/// The service, its servers, and what the previous pool hands over.
pub(crate) struct Build<'a> {
    pub(crate) servers: &'a Servers,
    /// The same servers, with settings that only compilation reads.
    pub(crate) members: &'a [Member],
    /// The service's settings; its servers are `members`.
    pub(crate) settings: &'a ServiceSettings,
    pub(crate) generation: KernelRules,
    /// Seed of this service's random numbers.
    pub(crate) seed: u64,
    /// Changes since the previous pool, for schedulers that carry state over.
    pub(crate) history: &'a History,
    /// What [`Scheduler::reserve`](crate::sched::Scheduler::reserve) has reserved.
    pub(crate) caches: &'a AffinityCaches,
}
