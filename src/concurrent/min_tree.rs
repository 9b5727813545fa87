//! The least of many keys, and the first of equals, kept current while threads change keys.
//!
//! A tree of fan-out 32: the leaves are keys, a node is the least of its block of 32 below. Who
//! changes a leaf climbs as long as he changes something: a key below the node goes into the node as
//! it is; one that took the place of the node's key makes him look for the block's least, store it,
//! and look once more; any other has changed nothing for the node. Who looks for the least descends,
//! and compares on the way what a node claims with what its block holds; where they differ (a thread
//! was stopped between two stores) it repairs the path and begins again. So a key that is too low
//! misleads nobody for long, and no stopped thread holds up others. A key that is too high hides what
//! is below it: a thread stopped between a store and its second look may leave one, its least from
//! before others' changes, until it goes on or until another change reaches that node.
//!
//! Why the tree is right when nobody is in it: take the last store of a node, of the key `v`.
//! 1. Nothing in the block is less. Who stores less in a word sees the node afterwards, and stores it
//!    there if it sees more; a node is raised only by one who looks at the whole block afterwards.
//! 2. Something in the block is `v`. Who stored `v` in the node has looked for it since: at the word
//!    that it came from, or at all. Who takes it away later finds `v` in the node and in what he
//!    overwrote (a swap says exactly what that was, where a load before a store would not), and looks
//!    at all: he finds another `v`, or stores in the node, which nobody did.
//!
//! Leaves and what `current` says are a like case one row below, so `current` too must look in one
//! order with the stores (SeqCst).
//!
//! | location | operation               | ordering | partner                              |
//! |----------|-------------------------|----------|--------------------------------------|
//! | `blocks` | swaps in `set`, `look`  | SeqCst   | loads in `set`, `tell`, `look`, `least` |
//! | `blocks` | exchange in `tell`      | SeqCst   | the same; before the load of the word |
//! | `blocks` | loads of a block        | SeqCst   | the swaps: a node's is read after it |
//! | `blocks` | vector loads of a block | as SeqCst loads on x86, where alone they exist | |

use crate::concurrent::simd::{Block, FAN_OUT, ROOTS, Simd, UNAVAILABLE};
use crate::sync::{AtomicU64, Ordering};

/// More rows than positions can fill.
const ROWS: usize = 8;

/// How often [`MinTree::least`] begins again before it gives up.
const ATTEMPTS: usize = 8;

pub(crate) struct MinTree {
    /// The leaves' blocks, then those of each row above; the last row is the top.
    blocks: Box<[Block]>,
    /// Where each row begins in `blocks`, leaves first.
    rows: [usize; ROWS],
    /// The number of the last row.
    top: usize,
    simd: Simd,
}

/// What [`MinTree::least`] finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Least {
    pub(crate) index: u32,
    pub(crate) key: u64,
}

/// Other threads changed the tree faster than it could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contended;

/// What a thread has stored in a word of the tree.
#[derive(Clone, Copy)]
struct Update {
    /// Last.
    key: u64,
    /// The least of what that took the place of.
    over: u64,
}

impl Update {
    #[inline(always)]
    fn after(before: Option<Update>, key: u64, over: u64) -> Self {
        Update { key, over: before.map_or(over, |before| before.over.min(over)) }
    }

    /// Tells the node above a block of this store in one of the block's words. What was stored in the
    /// node for it.
    #[inline(always)]
    fn propagate(
        self,
        simd: Simd,
        block: &Block,
        word: &AtomicU64,
        node: &AtomicU64,
    ) -> Option<Update> {
        // SeqCst: after the swap in the word, which who stores in the node looks at afterwards.
        let claim = node.load(Ordering::SeqCst);
        if self.key >= claim {
            // The word was not what the node stands for, and is not now.
            return if self.over > claim { None } else { recompute(simd, block, node, None) };
        }
        // SeqCst: before the second look at the word. An exchange: somebody may have stored less.
        let (success, failure) = (Ordering::SeqCst, Ordering::SeqCst);
        if node.compare_exchange(claim, self.key, success, failure).is_err() {
            return recompute(simd, block, node, None);
        }
        let stored = Update { key: self.key, over: claim };
        // SeqCst: who takes the key away from here on finds it in the node.
        if word.load(Ordering::SeqCst) == self.key {
            return Some(stored);
        }
        recompute(simd, block, node, Some(stored))
    }
}

/// Makes the node the least of its block, and looks until it is. What was stored in it, this and
/// before.
#[inline(always)]
fn recompute(
    simd: Simd,
    block: &Block,
    node: &AtomicU64,
    stored: Option<Update>,
) -> Option<Update> {
    let mut stored = stored;
    loop {
        let key = simd.least(block);
        // SeqCst: after the loads of the block; pairs with the swaps and exchanges of others.
        if node.load(Ordering::SeqCst) == key {
            return stored;
        }
        // SeqCst: before the look at the block in the next turn.
        let over = node.swap(key, Ordering::SeqCst);
        stored = Some(Update::after(stored, key, over));
    }
}

impl MinTree {
    /// Keys are bits of numbers that are not negative, [`NEVER`] included.
    pub(crate) fn new(keys: impl Iterator<Item = u64>, simd: Simd) -> Self {
        let mut row: Vec<u64> = keys.collect();
        let (mut blocks, mut rows, mut top) = (Vec::new(), [0; ROWS], 0);
        loop {
            rows[top] = blocks.len();
            let chunks = row.chunks(FAN_OUT).chain(row.is_empty().then_some(&[][..]));
            blocks.extend(chunks.map(Block::of));
            if row.len() <= FAN_OUT * ROOTS || top + 1 == ROWS {
                break;
            }
            let least = |chunk: &[u64]| chunk.iter().copied().min().unwrap_or(UNAVAILABLE);
            row = row.chunks(FAN_OUT).map(least).collect();
            top += 1;
        }
        MinTree { blocks: blocks.into(), rows, top, simd: simd }
    }

    fn block(&self, row: usize, at: usize) -> Option<&Block> {
        self.blocks.get(self.rows.get(row)? + at)
    }

    /// Makes the leaf the key of what `current` says, and goes on until it is. `current` loads by
    /// SeqCst what was changed by SeqCst.
    pub(crate) fn set<T: PartialEq + Copy>(
        &self,
        index: u32,
        current: impl Fn() -> T,
        key: impl Fn(T) -> u64,
    ) {
        self.run(
            #[inline(always)]
            move |tree, simd| _ = tree.set_by(simd, index, current, key),
        );
    }

    /// As [`set`](Self::set), where blocks are read so. True if the key has become that of each node
    /// above, and there are some.
    #[inline(always)]
    pub(crate) fn set_by<T: PartialEq + Copy>(
        &self,
        simd: Simd,
        index: u32,
        current: impl Fn() -> T,
        key: impl Fn(T) -> u64,
    ) -> bool {
        let (at, lane) = (index as usize / FAN_OUT, index as usize % FAN_OUT);
        let Some(block) = self.blocks.get(at) else { return false };
        let Some(leaf) = block.lane(lane) else { return false };
        let mut stored: Option<Update> = None;
        let mut seen = current();
        loop {
            let key = key(seen);
            // SeqCst: who stored what is there already climbs, or has climbed.
            if leaf.load(Ordering::SeqCst) == key {
                break;
            }
            // SeqCst: before the next look at `current`, and at the node in `tell`.
            let over = leaf.swap(key, Ordering::SeqCst);
            stored = Some(Update::after(stored, key, over));
            let now = current();
            if now == seen {
                break;
            }
            seen = now;
        }
        let Some(stored) = stored else { return false };
        self.climb(simd, block, (0, at), Some((leaf, stored)))
            .is_some_and(|above| self.top > 0 && above.key == stored.key)
    }

    /// Makes the nodes above a block, which is the `at`th of a row, right again: after a store in one
    /// word of the block, or after whatever somebody else did there. What was stored in the top row, if
    /// it came so far.
    #[inline(always)]
    fn climb<'a>(
        &'a self,
        simd: Simd,
        block: &'a Block,
        place: (usize, usize),
        known: Option<(&'a AtomicU64, Update)>,
    ) -> Option<Update> {
        let (mut block, (mut row, mut at), mut known) = (block, place, known);
        while row < self.top {
            row += 1;
            let lane = at % FAN_OUT;
            at /= FAN_OUT;
            let above = self.block(row, at)?;
            let node = above.lane(lane)?;
            let stored = match known {
                Some((word, stored)) => stored.propagate(simd, block, word, node),
                None => recompute(simd, block, node, None),
            };
            (block, known) = (above, Some((node, stored?)));
        }
        known.map(|(_, stored)| stored)
    }

    /// The first index of the least key; `None` if all are [`NEVER`].
    #[inline]
    pub(crate) fn least(&self) -> Result<Option<Least>, Contended> {
        self.run(
            #[inline(always)]
            |tree, simd| tree.least_by(simd),
        )
    }

    /// Runs `act`, and [`least_by`](Self::least_by) in it, as one function for this processor.
    #[inline(always)]
    pub(crate) fn run<R>(&self, act: impl FnOnce(&Self, Simd) -> R) -> R {
        self.simd.run(
            #[inline(always)]
            move |simd| act(self, simd),
        )
    }

    /// As [`least`](Self::least), where blocks are read so.
    #[inline(always)]
    fn least_by(&self, simd: Simd) -> Result<Option<Least>, Contended> {
        for _ in 0..ATTEMPTS {
            match self.descend(simd) {
                Ok(found) => return Ok(found),
                Err((row, at)) => self.repair(row, at),
            }
        }
        Err(Contended)
    }

    /// As [`least`](Self::least), in one attempt: else which block is not what is claimed of it.
    #[inline(always)]
    pub(crate) fn descend(&self, simd: Simd) -> Result<Option<Least>, (usize, usize)> {
        let (mut key, mut at) = (UNAVAILABLE, 0);
        for (number, root) in self.roots().iter().enumerate() {
            let (least, lane) = simd.first_least(root);
            if least < key {
                (key, at) = (least, number * FAN_OUT + lane);
            }
        }
        if key == UNAVAILABLE {
            return Ok(None);
        }
        for row in (0..self.top).rev() {
            let Some(block) = self.block(row, at) else { return Ok(None) };
            let Some(lane) = simd.lane_of_least(block, key) else { return Err((row, at)) };
            at = at * FAN_OUT + lane;
        }
        Ok(Some(Least { index: at as u32, key }))
    }

    /// Somebody has stored below a node what he has not told it.
    #[cold]
    #[inline(never)]
    fn repair(&self, row: usize, at: usize) {
        self.run(
            #[inline(always)]
            |tree, simd| {
                if let Some(block) = tree.block(row, at) {
                    tree.climb(simd, block, (row, at), None);
                }
            },
        );
    }

    /// The first index of the least key among those not `excluded`. Nodes are taken at their word.
    pub(crate) fn least_except(&self, excluded: &[u32]) -> Option<Least> {
        let top = self.top;
        let roots = (0..self.roots().len()).filter_map(|at| self.least_in(top, at, excluded));
        // The first of equals.
        roots.reduce(|best, next| if next.key < best.key { next } else { best })
    }

    #[inline]
    fn roots(&self) -> &[Block] {
        self.rows.get(self.top).and_then(|top| self.blocks.get(*top..)).unwrap_or(&[])
    }

    fn least_in(&self, row: usize, at: usize, excluded: &[u32]) -> Option<Least> {
        let block = self.block(row, at)?;
        let below = |index: u32| index as usize >> (FAN_OUT.trailing_zeros() * row as u32);
        let mut best: Option<Least> = None;
        for lane in 0..FAN_OUT {
            let child = at * FAN_OUT + lane;
            // SeqCst: pairs with the stores.
            let claim = block.lane(lane)?.load(Ordering::SeqCst);
            if claim == UNAVAILABLE || best.is_some_and(|best| best.key <= claim) {
                continue;
            }
            let found = match (row, excluded.iter().any(|index| below(*index) == child)) {
                (0, false) => Some(Least { index: child as u32, key: claim }),
                (0, true) => None,
                (_, false) => self.least_in(row - 1, child, &[]),
                (_, true) => self.least_in(row - 1, child, excluded),
            };
            if let Some(found) = found {
                if best.is_none_or(|best| found.key < best.key) {
                    best = Some(found);
                }
            }
        }
        best
    }
}

#[cfg(test)]
#[path = "min_tree_tests.rs"]
mod tests;
