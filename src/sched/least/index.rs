//! The index of the least loaded server: a tree of keys (`concurrent::min_tree`), of the width that these
//! weights need (`least::keys`).
//!
//! One type for all schedulers that search for the least load, so that an open or close updates it
//! without dispatching on the scheduler.

use crate::arena::id::ServerId;
use crate::arena::slots::ServerSlot;
use crate::concurrent::min_tree::{Least, MinTree, NO_INDEX};
use crate::concurrent::simd::Simd;
use crate::concurrent::simd::key::Key;
use crate::pool::positions::Positions;
use crate::pool::servers::{Candidate, Position, Servers};
use crate::sched::least::keys::{KeyRule, LoadKey, common_multiple};
use crate::sched::least::rule::Rule;

/// How many results of the index a pick compares with the counts before it falls back to a scan.
pub(in crate::sched) const ATTEMPTS: usize = 8;

/// An index of one pool's servers by load per weight.
pub(crate) enum LoadIndex {
    Narrow(Index<u32>),
    Wide(Index<u64>),
}

/// The same with keys of this width.
pub(crate) struct Index<K: Key> {
    simd: Simd,
    keys: MinTree<K>,
    rule: KeyRule,
    /// Of the servers that are not quiesced, with their scales: an update needs no other immutable data.
    positions: Positions<u32>,
}

macro_rules! by_width {
    ($self:expr, $index:pat => $result:expr) => {
        match $self {
            LoadIndex::Narrow($index) => $result,
            LoadIndex::Wide($index) => $result,
        }
    };
}

impl LoadIndex {
    pub(in crate::sched) fn of(rule: Rule, servers: &Servers) -> Self {
        match common_multiple(rule, servers.weights()) {
            Some(multiple) => LoadIndex::Narrow(Index::of(KeyRule::new(rule, multiple), servers)),
            None => LoadIndex::Wide(Index::of(KeyRule::new(rule, 0), servers)),
        }
    }

    /// Updates the index after a change of the counts in this slot. Returns the server's position if it
    /// may have become the least loaded. O(log n), lock-free.
    #[inline(always)]
    pub(crate) fn load_changed(&self, number: u32, slot: &ServerSlot) -> Option<Position> {
        let position = self.update(number, slot);
        (position != NO_INDEX).then_some(position)
    }

    /// Not inlined, so that callers contain one call instead of one for each width and processor.
    #[inline(never)]
    fn update(&self, number: u32, slot: &ServerSlot) -> Position {
        match self {
            LoadIndex::Narrow(index) => index.update(number, slot),
            LoadIndex::Wide(index) => index.update_apart(number, slot),
        }
    }

    /// Recomputes all keys once the pool is published: counts may have changed while this index was not
    /// yet reachable through it.
    pub(crate) fn published(&self, servers: &Servers) {
        by_width!(self, index => (0..servers.len()).for_each(|at| index.refresh(servers, at)));
    }

    /// The first available server with the least load. `None` if the index has no available server, or
    /// if [`find_untried`](Self::find_untried) is needed: changes have not reached the index yet.
    #[inline(always)]
    pub(in crate::sched) fn find(&self, servers: &Servers) -> Option<Position> {
        let found = self.find_or_none(servers);
        (found != NO_INDEX).then_some(found)
    }

    /// As for [`update`](Self::update).
    #[inline(never)]
    fn find_or_none(&self, servers: &Servers) -> Position {
        by_width!(self, index => index.find_or_none(servers))
    }

    /// The first available server with the least load among those that were not tried. `None` if the index
    /// has none, or is too contended.
    pub(in crate::sched) fn find_untried(
        &self,
        servers: &Servers,
        tried: &[ServerId],
    ) -> Option<Position> {
        by_width!(self, index => index.find_untried(servers, tried))
    }

    /// Like [`find_untried`](Self::find_untried), on a tie the first from this position on, cyclically.
    pub(in crate::sched) fn find_from(
        &self,
        servers: &Servers,
        tried: &[ServerId],
        first: Position,
    ) -> Option<Position> {
        by_width!(self, index => index.find_from(servers, tried, first))
    }
}

#[cfg(test)]
impl LoadIndex {
    /// The first position of the least key, whether it is current or not.
    pub(in crate::sched) fn known(&self, excluded: &[u32]) -> Option<Position> {
        by_width!(self, index => index.keys.least_except(excluded).map(|least| least.index))
    }
}

impl<K: LoadKey> Index<K> {
    pub(super) fn of(rule: KeyRule, servers: &Servers) -> Self {
        let scale = |weight| Some(rule.scale::<K>(weight)).filter(|scale| *scale > 0);
        let key = |server: Candidate| match scale(server.weight) {
            Some(scale) => rule.key(scale, server.counts),
            None => K::UNAVAILABLE,
        };
        let slots = servers.ids().map(|id| id.slot);
        let positions = Positions::of_slots(slots.zip(servers.weights().map(scale)));
        let simd = Simd::detect();
        Index { simd, keys: MinTree::new(servers.iter().map(key), simd), rule, positions }
    }

    #[inline(always)]
    fn update(&self, number: u32, slot: &ServerSlot) -> Position {
        match self.positions.find_close(number) {
            Some((position, scale)) => self.set(position, scale, slot),
            None => self.update_apart(number, slot),
        }
    }

    /// Not inlined, to save no registers where it is not called.
    #[inline(never)]
    fn update_apart(&self, number: u32, slot: &ServerSlot) -> Position {
        match self.positions.find(number) {
            Some((position, scale)) => self.set(position, scale, slot),
            None => NO_INDEX,
        }
    }

    #[inline(always)]
    fn find_or_none(&self, servers: &Servers) -> Position {
        self.simd.run(
            #[inline(always)]
            move |simd| match self.keys.descend(simd) {
                Ok(Some(found)) if self.is_current(servers, found) => found.index,
                _ => NO_INDEX,
            },
        )
    }

    /// Not inlined, as [`MinTree::least`] is not, here for each width.
    #[inline(never)]
    fn find_untried(&self, servers: &Servers, tried: &[ServerId]) -> Option<Position> {
        self.find_by(servers, || match tried {
            [] => self.keys.least().ok().flatten(),
            _ => self.untried(tried),
        })
    }

    #[inline(never)]
    fn find_from(
        &self,
        servers: &Servers,
        tried: &[ServerId],
        first: Position,
    ) -> Option<Position> {
        self.find_by(servers, || match tried {
            [] => self.keys.least_from(first).ok().flatten(),
            _ => self.untried_from(tried, first),
        })
    }

    fn find_by(&self, servers: &Servers, least: impl Fn() -> Option<Least<K>>) -> Option<Position> {
        for _ in 0..ATTEMPTS {
            let found = least()?;
            if self.is_current(servers, found) {
                return Some(found.index);
            }
            // Another thread has changed the counts and not updated the index yet.
            self.refresh(servers, found.index);
        }
        None
    }

    fn untried(&self, tried: &[ServerId]) -> Option<Least<K>> {
        untried(&self.positions, tried, |excluded| self.keys.least_except(excluded))
    }

    fn untried_from(&self, tried: &[ServerId], first: Position) -> Option<Least<K>> {
        let least = |excluded: &[u32]| self.keys.least_except_from(first, excluded);
        untried(&self.positions, tried, least)
    }

    /// True if the key that was found matches the counts.
    #[inline(always)]
    fn is_current(&self, servers: &Servers, found: Least<K>) -> bool {
        let server = servers.slot_and_weight(found.index);
        server.is_some_and(|(slot, weight)| {
            self.rule.is_key(found.key, weight, slot.counts_relaxed())
        })
    }

    #[cold]
    #[inline(never)]
    fn refresh(&self, servers: &Servers, position: Position) {
        let Some((slot, weight)) = servers.slot_and_weight(position) else { return };
        if weight > 0 {
            self.set(position, self.rule.scale::<K>(weight), slot);
        }
    }

    #[inline(always)]
    fn set(&self, position: Position, scale: u32, slot: &ServerSlot) -> Position {
        // SeqCst, in one total order with the tree's stores, as a tree requires; and after a publication,
        // with which a change of the counts pairs that has not seen it.
        let set = self.keys.set_once(
            position,
            #[inline(always)]
            || slot.counts_seqcst(),
            #[inline(always)]
            |counts| self.rule.key(scale, counts),
        );
        match set {
            Ok(least) => least,
            Err(over) => self.set_again(position, over, scale, slot),
        }
    }

    /// The rest of [`set`](Self::set) where the counts have changed meanwhile. Not inlined, and with few
    /// arguments, to save no registers where it is not called.
    #[cold]
    #[inline(never)]
    fn set_again(&self, position: Position, over: K, scale: u32, slot: &ServerSlot) -> Position {
        let key = |counts| self.rule.key(scale, counts);
        self.keys.set_again(position, over, || slot.counts_seqcst(), key)
    }
}

/// What `least` finds, given the positions of the servers that were tried; `None` if there are so many that
/// a scan is better.
pub(in crate::sched) fn untried<K>(
    positions: &Positions<u32>,
    tried: &[ServerId],
    least: impl FnOnce(&[u32]) -> Option<Least<K>>,
) -> Option<Least<K>> {
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
