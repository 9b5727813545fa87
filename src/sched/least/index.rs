//! The index of the least loaded server: a tree of keys (`concurrent::min_tree`). A key encodes a load
//! per weight as one number that orders exactly as the fractions do.
//!
//! One type for all schedulers that search for the least load, so that an open or close updates it
//! without dispatching on the scheduler.

use crate::arena::counts::{Counts, layout};
use crate::arena::id::ServerId;
use crate::arena::slots::ServerSlot;
use crate::concurrent::min_tree::{Least, MinTree};
use crate::concurrent::simd::quotients::{Dividend, Word};
use crate::concurrent::simd::{Simd, UNAVAILABLE};
use crate::config::KernelRules;
use crate::pool::positions::Positions;
use crate::pool::servers::{Position, Servers};

/// Weight of an active connection relative to an inactive one.
pub(in crate::sched) const ACTIVE: u32 = 256;

/// Largest weight for which 64-bit floating point distinguishes any two loads per weight: a load has up
/// to 35 bits, so fractions differ by at least 2^-51, while rounding moves one by at most 2^-53.
pub(in crate::sched) const HEAVIEST: u32 = 1 << 16;

/// How many results of the index a pick compares with the counts before it falls back to a scan.
pub(in crate::sched) const ATTEMPTS: usize = 8;

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
        Dividend::new(word, [active, total], next, idle_first)
    }

    /// A number that orders as the load per weight does; [`UNAVAILABLE`] if the server is quiesced,
    /// overloaded, draining or down.
    #[inline(always)]
    pub(in crate::sched) fn key(self, weight: u32, counts: Counts) -> u64 {
        if weight == 0 || !counts.available() {
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

/// The bits of the quotient, which order as the fractions do.
#[inline(always)]
pub(in crate::sched) fn quotient(load: u64, weight: u32) -> u64 {
    // The signed conversion is one instruction, and a load has at most 35 bits.
    (load as i64 as f64 / f64::from(weight)).to_bits()
}

/// An index of one pool's servers by load per weight.
pub(crate) struct LoadIndex {
    simd: Simd,
    keys: MinTree,
    rule: Rule,
    /// With the weights: an update needs no other immutable data.
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

    /// Updates the index after a change of the counts in this slot. Returns the server's position if it
    /// may have become the least loaded. O(log n), lock-free.
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

    /// Recomputes all keys once the pool is published: counts may have changed while this index was not
    /// yet reachable through it.
    pub(crate) fn published(&self, servers: &Servers) {
        for position in 0..servers.len() {
            if let Some((slot, weight)) = servers.slot_and_weight(position) {
                self.refresh(position, weight, slot);
            }
        }
    }

    /// The first available server with the least load. `None` if the index has no available server, or
    /// is too contended.
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

    /// Like [`find`](Self::find), among the servers that were not tried.
    #[cold]
    #[inline(never)]
    pub(in crate::sched) fn find_untried(
        &self,
        servers: &Servers,
        tried: &[ServerId],
    ) -> Option<Position> {
        self.find_by(servers, || {
            untried(&self.positions, tried, |excluded| self.keys.least_except(excluded))
        })
    }

    /// Like [`find`](Self::find), among the servers that were not tried; on a tie the first from this
    /// position on, cyclically.
    #[inline(never)]
    pub(in crate::sched) fn find_from(
        &self,
        servers: &Servers,
        tried: &[ServerId],
        first: Position,
    ) -> Option<Position> {
        if tried.is_empty() {
            self.find_by(servers, || self.keys.least_from(first).ok().flatten())
        } else {
            let least = |excluded: &[u32]| self.keys.least_except_from(first, excluded);
            self.find_by(servers, || untried(&self.positions, tried, least))
        }
    }

    fn find_by(&self, servers: &Servers, least: impl Fn() -> Option<Least>) -> Option<Position> {
        for _ in 0..ATTEMPTS {
            let found = least()?;
            if self.is_current(servers, found) {
                return Some(found.index);
            }
            // Another thread has changed the counts and not updated the index yet.
            let (slot, weight) = servers.slot_and_weight(found.index)?;
            self.refresh(found.index, weight, slot);
        }
        None
    }

    /// True if the key that was found matches the counts.
    #[inline(always)]
    fn is_current(&self, servers: &Servers, found: Least) -> bool {
        servers
            .slot_and_weight(found.index)
            .is_some_and(|(slot, weight)| self.rule.key(weight, slot.counts_relaxed()) == found.key)
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
        // SeqCst, in one total order with the tree's stores: a relaxed load could be ordered before the
        // store of the leaf, and miss the change of a thread that found the leaf's previous key.
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

/// What `least` finds, given the positions of the servers that were tried; `None` if there are so many that
/// a scan is better.
pub(in crate::sched) fn untried(
    positions: &Positions<u32>,
    tried: &[ServerId],
    least: impl FnOnce(&[u32]) -> Option<Least>,
) -> Option<Least> {
    const MANY: usize = 64;
    let mut excluded = [0; MANY];
    let excluded = excluded.get_mut(..tried.len())?;
    let mut length = 0;
    let known = tried.iter().filter_map(|id| positions.get(id.slot));
    for (place, position) in excluded.iter_mut().zip(known) {
        *place = position;
        length += 1;
    }
    least(excluded.get(..length)?)
}
