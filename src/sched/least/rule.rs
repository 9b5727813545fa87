//! What schedulers mean by load.

use crate::arena::counts::{Counts, layout};
use crate::concurrent::simd::quotients::{Dividend, Word};
use crate::config::KernelRules;

/// Weight of an active connection relative to an inactive one.
pub(in crate::sched) const ACTIVE: u32 = 256;

/// A scheduler's definition of load: a linear function of the active connections, all connections, and
/// the connection to come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    /// Factor of the active connections, at most [`ACTIVE`].
    active: u32,
    /// Factor of all connections, at most 1.
    total: u32,
    /// Share of the connection to come, at most 1.
    next: u32,
    /// The load is divided by the weight.
    weighted: bool,
    /// A server without active connections is picked immediately.
    idle_first: bool,
}

impl Rule {
    /// The kernel's connection overhead per weight, in 64 bits. The kernel's 32 bits wrap at 8.3 million
    /// active connections, after which a loaded server would attract all new ones; that is deliberately
    /// not reproduced.
    #[inline(always)]
    pub(in crate::sched) const fn overhead(generation: KernelRules) -> Self {
        // Kernel rules A add the inactive connections instead of the total, so an active connection
        // counts `ACTIVE` altogether.
        let active = match generation {
            KernelRules::A => ACTIVE - 1,
            KernelRules::B => ACTIVE,
        };
        Rule { active, total: 1, next: 0, weighted: true, idle_first: false }
    }

    /// The expected delay: active connections, including the one to come, per weight.
    pub(in crate::sched) const DELAY: Self =
        Rule { active: 1, total: 0, next: 1, weighted: true, idle_first: false };

    pub(in crate::sched) const fn unweighted(self) -> Self {
        Rule { weighted: false, ..self }
    }

    #[inline(always)]
    pub(in crate::sched) const fn is_weighted(self) -> bool {
        self.weighted
    }

    pub(in crate::sched) const fn idle_first(self) -> Self {
        Rule { idle_first: true, ..self }
    }

    /// The load, at most 257 times the maximum number of connections of a server.
    #[inline(always)]
    pub(in crate::sched) fn load(self, counts: Counts) -> u64 {
        u64::from(self.active) * u64::from(counts.active())
            + u64::from(self.total) * u64::from(counts.total())
            + u64::from(self.next)
    }

    /// True if the first such server is picked regardless of the load of others.
    #[inline(always)]
    pub(in crate::sched) fn at_once(self, counts: Counts) -> bool {
        self.idle_first && counts.active() == 0
    }

    /// The load as a function of a count word.
    pub(in crate::sched) fn dividend(self) -> Dividend {
        let Rule { active, total, next, idle_first, .. } = self;
        let word = Word { at: layout::AT, bits: layout::BITS, excluded: layout::UNAVAILABLE };
        Dividend::new(word, active, total == 1, next, idle_first)
    }

    /// The factors of the active and of all connections, and the share of the connection to come.
    pub(in crate::sched) fn factors(self) -> [u32; 3] {
        [self.active, self.total, self.next]
    }

    /// True if a server without active connections is picked immediately.
    pub(in crate::sched) fn is_idle_first(self) -> bool {
        self.idle_first
    }
}
