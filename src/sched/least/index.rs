//! The index of the least loaded: a tree of keys (`concurrent::min_tree`) in which a load per weight is one
//! number that orders exactly as the fractions do.
//!
//! One for all schedulers that ask for the least, so that a connection's begin and end come to it
//! without asking which scheduler it is.

use crate::arena::counts::Counts;
use crate::arena::id::ServerId;
use crate::arena::slots::ServerSlot;
use crate::concurrent::min_tree::{Least, MinTree};
use crate::concurrent::simd::{Simd, UNAVAILABLE};
use crate::config::KernelRules;
use crate::pool::positions::Positions;
use crate::pool::servers::{Position, Servers};

/// What one active connection weighs against an inactive one.
pub(in crate::sched) const ACTIVE: u32 = 256;

/// Up to here 64-bit floating point keeps any two loads per weight apart: a load has up to 35 bits,
/// so fractions differ by 2^-51 at least, where rounding moves one by 2^-53 at most.
pub(in crate::sched) const HEAVIEST: u32 = 1 << 16;

/// How often a pick compares the index' answer with the counts before it scans.
pub(in crate::sched) const ATTEMPTS: usize = 8;

/// What a scheduler calls load: a sum of an active connection's share, a connection's, and that of the
/// one to come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    /// At most [`ACTIVE`].
    active: u32,
    /// At most 1, as the next.
    total: u32,
    next: u32,
    /// It is compared per weight.
    weighted: bool,
    /// A server without active connections is taken at once.
    idle_first: bool,
}

impl Rule {
    /// The kernel's connection overhead per weight. In 64 bits: the kernel's 32 wrap at 8.3 million
    /// active connections, after which a loaded server would attract all others. That is left out on
    /// purpose.
    #[inline(always)]
    pub(in crate::sched) const fn overhead(generation: KernelRules) -> Self {
        // In kernel rules A an active connection counts no more as one of all.
        let active = match generation {
            KernelRules::A => ACTIVE - 1,
            KernelRules::B => ACTIVE,
        };
        Rule { active, total: 1, next: 0, weighted: true, idle_first: false }
    }

    /// The expected delay: active connections per weight, the one to come among them.
    pub(in crate::sched) const DELAY: Self =
        Rule { active: 1, total: 0, next: 1, weighted: true, idle_first: false };

    pub(in crate::sched) const fn unweighted(self) -> Self {
        Rule { weighted: false, ..self }
    }

    pub(in crate::sched) const fn idle_first(self) -> Self {
        Rule { idle_first: true, ..self }
    }

    /// At most 257 times the most connections a server can have.
    #[inline(always)]
    pub(in crate::sched) fn load(self, counts: Counts) -> u64 {
        u64::from(self.active) * u64::from(counts.active())
            + u64::from(self.total) * u64::from(counts.total())
            + u64::from(self.next)
    }

    /// The first such server is taken, whatever the load of others.
    #[inline(always)]
    pub(in crate::sched) fn at_once(self, counts: Counts) -> bool {
        self.idle_first && counts.active() == 0
    }

    /// A number that orders as the load per weight does; [`NEVER`] if the server is not available.
    #[inline(always)]
    pub(in crate::sched) fn key(self, weight: u32, counts: Counts) -> u64 {
        if weight == 0 || counts.overloaded() {
            UNAVAILABLE
        } else if self.at_once(counts) {
            0
        } else if self.weighted {
            quotient(self.load(counts), weight)
        } else {
            quotient(self.load(counts), 1)
        }
    }
}

/// Orders as the fraction does.
#[inline(always)]
pub(in crate::sched) fn quotient(load: u64, weight: u32) -> u64 {
    // Signed, which is one instruction: a load has up to 35 bits.
    (load as i64 as f64 / f64::from(weight)).to_bits()
}

/// Which servers are least loaded.
pub(crate) struct LoadIndex {
    simd: Simd,
    keys: MinTree,
    rule: Rule,
    /// With the weights: a change needs nothing else that is fixed.
    positions: Positions<u32>,
}

impl LoadIndex {
    pub(in crate::sched) fn of(rule: Rule, servers: &Servers) -> Self {
        let keys = servers.iter().map(|server| rule.key(server.weight, server.counts));
        let simd = Simd::detect();
        LoadIndex {
            simd,
            keys: MinTree::new(keys, simd),
            rule,
            positions: Positions::with_weights(servers),
        }
    }

    /// A count of the server in this slot has changed. The server's position if it may have become the
    /// least loaded.
    #[inline(always)]
    pub(crate) fn load_changed(&self, number: u32, slot: &ServerSlot) -> Option<Position> {
        self.simd.run(
            #[inline(always)]
            move |simd| {
                let (position, weight) = self.positions.find(number)?;
                self.refresh_with(simd, position, weight, slot).then_some(position)
            },
        )
    }

    /// Counts may have changed before this index was reached through the published table.
    pub(crate) fn published(&self, servers: &Servers) {
        for position in 0..servers.len() {
            if let Some((slot, weight)) = servers.slot_and_weight(position) {
                self.refresh(position, weight, slot);
            }
        }
    }

    /// The first available server of least load. `None` if nobody is available as far as the index
    /// knows, or others are too busy in it.
    #[inline(always)]
    pub(in crate::sched) fn find(&self, servers: &Servers) -> Option<Position> {
        let found = self.simd.run(
            #[inline(always)]
            move |simd| {
                let found = self.keys.descend(simd).ok()??;
                self.is_current(servers, found).then_some(found.index)
            },
        );
        found.or_else(|| self.find_again(servers))
    }

    #[cold]
    #[inline(never)]
    fn find_again(&self, servers: &Servers) -> Option<Position> {
        self.find_by(servers, || self.keys.least().ok().flatten())
    }

    /// The same among those that were not tried.
    #[cold]
    #[inline(never)]
    pub(in crate::sched) fn find_untried(
        &self,
        servers: &Servers,
        tried: &[ServerId],
    ) -> Option<Position> {
        self.find_by(servers, || self.untried(tried))
    }

    fn find_by(&self, servers: &Servers, least: impl Fn() -> Option<Least>) -> Option<Position> {
        for _ in 0..ATTEMPTS {
            let found = least()?;
            if self.is_current(servers, found) {
                return Some(found.index);
            }
            // Somebody has not told yet what he changed.
            let (slot, weight) = servers.slot_and_weight(found.index)?;
            self.refresh(found.index, weight, slot);
        }
        None
    }

    /// The counts say it too.
    #[inline(always)]
    fn is_current(&self, servers: &Servers, found: Least) -> bool {
        servers
            .slot_and_weight(found.index)
            .is_some_and(|(slot, weight)| self.rule.key(weight, slot.counts_relaxed()) == found.key)
    }

    fn untried(&self, tried: &[ServerId]) -> Option<Least> {
        const MANY: usize = 64;
        let mut excluded = [0; MANY];
        // More than the stack array holds: the scan's turn.
        let excluded = excluded.get_mut(..tried.len())?;
        let mut length = 0;
        let known = tried.iter().filter_map(|id| self.positions.get(id.slot));
        for (place, position) in excluded.iter_mut().zip(known) {
            *place = position;
            length += 1;
        }
        self.keys.least_except(excluded.get(..length)?)
    }

    #[cold]
    #[inline(never)]
    fn refresh(&self, position: Position, weight: u32, slot: &ServerSlot) {
        self.simd.run(
            #[inline(always)]
            move |simd| _ = self.refresh_with(simd, position, weight, slot),
        );
    }

    #[inline(always)]
    fn refresh_with(&self, simd: Simd, position: Position, weight: u32, slot: &ServerSlot) -> bool {
        // In one order with the tree's stores: a glance could come before the leaf's store, and miss
        // the change of one who found the leaf as it was before.
        self.keys.set_by(
            simd,
            position,
            #[inline(always)]
            || slot.counts_seqcst(),
            #[inline(always)]
            |counts| self.rule.key(weight, counts),
        )
    }

    #[cfg(test)]
    pub(in crate::sched) fn keys(&self) -> &MinTree {
        &self.keys
    }
}
