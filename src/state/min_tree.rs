//! The least of many keys, and the first of equals, kept current while threads change keys.
//!
//! A tree of fan-out 32: the leaves are keys, a node is the least of its block of 32 below. Who
//! changes a leaf climbs: it stores the block's least in the node, looks at the block once more, and
//! goes on upwards as long as it stored something. Who looks for the least descends, and compares on
//! the way what a node claims with what its block holds; where they differ (a thread was stopped
//! between two stores) it repairs the path and begins again. So a key that is too low misleads nobody
//! for long, and no stopped thread holds up others. A key that is too high hides what is below it: a
//! thread stopped between a store and its second look may leave one, its least from before others'
//! changes, until it goes on or until another change reaches that node.
//!
//! Why the tree is right when nobody is in it: take the last store to a node and the last store to
//! its children. The threads of both look at the block and the node afterwards. The later of the two
//! looks finds what stays; if the node were not the block's least, it would store it. Leaves and what
//! `current` says are the same case one row below, so `current` too must look in one order with the
//! stores (SeqCst).
//!
//! | location | operation               | ordering | partner                              |
//! |----------|-------------------------|----------|--------------------------------------|
//! | `blocks` | stores in `set`,`climb` | SeqCst   | loads in both, in `least`            |
//! | `blocks` | loads of a block        | SeqCst   | the stores: a node's is read after it |
//! | `blocks` | vector loads of a block | as SeqCst loads on x86, where alone they exist | |

use crate::state::lanes::{Block, FAN_OUT, Lanes, NEVER, ROOTS};
use crate::sync::Ordering;

/// How often [`MinTree::least`] begins again before it gives up.
const ATTEMPTS: usize = 8;

pub(crate) struct MinTree {
    /// The leaves' blocks, then those of each row above; the last row is the top.
    blocks: Box<[Block]>,
    /// Where each row begins in `blocks`, leaves first.
    rows: Box<[usize]>,
    lanes: Lanes,
}

/// What [`MinTree::least`] finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Least {
    pub(crate) index: u32,
    pub(crate) key: u64,
}

/// Other threads changed the tree faster than it could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Restless;

impl MinTree {
    /// Keys are bits of numbers that are not negative, [`NEVER`] included.
    pub(crate) fn new(keys: impl Iterator<Item = u64>, lanes: Lanes) -> Self {
        let mut row: Vec<u64> = keys.collect();
        let (mut blocks, mut rows) = (Vec::new(), Vec::new());
        loop {
            rows.push(blocks.len());
            let chunks = row.chunks(FAN_OUT).chain(row.is_empty().then_some(&[][..]));
            blocks.extend(chunks.map(Block::of));
            if row.len() <= FAN_OUT * ROOTS {
                break;
            }
            let least = |chunk: &[u64]| chunk.iter().copied().min().unwrap_or(NEVER);
            row = row.chunks(FAN_OUT).map(least).collect();
        }
        MinTree { blocks: blocks.into(), rows: rows.into(), lanes }
    }

    fn block(&self, row: usize, at: usize) -> Option<&Block> {
        self.blocks.get(self.rows.get(row)? + at)
    }

    /// Makes the leaf the key of what `current` says, and goes on until it is. `current` loads by
    /// SeqCst what was changed by SeqCst.
    #[inline]
    pub(crate) fn set<T: PartialEq + Copy>(
        &self,
        index: u32,
        current: impl Fn() -> T,
        key: impl Fn(T) -> u64,
    ) {
        let (at, lane) = (index as usize / FAN_OUT, index as usize % FAN_OUT);
        let Some(leaf) = self.blocks.get(at).and_then(|block| block.lane(lane)) else { return };
        let mut stored = false;
        let mut seen = current();
        loop {
            let key = key(seen);
            // SeqCst: who stored what is there already climbs, or has climbed.
            if leaf.load(Ordering::SeqCst) == key {
                break;
            }
            // SeqCst: before the next look at `current`, and at the block in `climb`.
            leaf.store(key, Ordering::SeqCst);
            stored = true;
            let now = current();
            if now == seen {
                break;
            }
            seen = now;
        }
        if stored {
            self.climb(0, at);
        }
    }

    /// Tells the nodes above that block `at` of a row has changed.
    #[inline]
    fn climb(&self, row: usize, at: usize) {
        let (mut row, mut at) = (row, at);
        while row + 1 < self.rows.len() {
            let (Some(block), Some(above)) =
                (self.block(row, at), self.block(row + 1, at / FAN_OUT))
            else {
                return;
            };
            let Some(node) = above.lane(at % FAN_OUT) else { return };
            let mut stored = false;
            loop {
                let least = self.lanes.least(block);
                // SeqCst: as in `set`.
                if node.load(Ordering::SeqCst) == least {
                    break;
                }
                // SeqCst: before the look at the block in the next turn.
                node.store(least, Ordering::SeqCst);
                stored = true;
            }
            if !stored {
                return;
            }
            (row, at) = (row + 1, at / FAN_OUT);
        }
    }

    /// The first index of the least key; `None` if all are [`NEVER`].
    #[inline]
    pub(crate) fn least(&self) -> Result<Option<Least>, Restless> {
        let top = self.rows.len() - 1;
        'attempts: for _ in 0..ATTEMPTS {
            let (mut key, mut at) = (NEVER, 0);
            for (number, root) in self.roots().iter().enumerate() {
                let (least, lane) = self.lanes.first_least(root);
                if least < key {
                    (key, at) = (least, number * FAN_OUT + lane);
                }
            }
            if key == NEVER {
                return Ok(None);
            }
            for row in (0..top).rev() {
                let Some(block) = self.block(row, at) else { return Ok(None) };
                let (found, lane) = self.lanes.first_least(block);
                if found != key {
                    self.climb(row, at);
                    continue 'attempts;
                }
                at = at * FAN_OUT + lane;
            }
            return Ok(Some(Least { index: at as u32, key }));
        }
        Err(Restless)
    }

    /// The first index of the least key among those not `excluded`. Nodes are taken at their word.
    pub(crate) fn least_except(&self, excluded: &[u32]) -> Option<Least> {
        let top = self.rows.len() - 1;
        let roots = (0..self.roots().len()).filter_map(|at| self.least_in(top, at, excluded));
        // The first of equals.
        roots.reduce(|best, next| if next.key < best.key { next } else { best })
    }

    #[inline]
    fn roots(&self) -> &[Block] {
        self.rows.last().and_then(|top| self.blocks.get(*top..)).unwrap_or(&[])
    }

    fn least_in(&self, row: usize, at: usize, excluded: &[u32]) -> Option<Least> {
        let block = self.block(row, at)?;
        let below = |index: u32| index as usize >> (FAN_OUT.trailing_zeros() * row as u32);
        let mut best: Option<Least> = None;
        for lane in 0..FAN_OUT {
            let child = at * FAN_OUT + lane;
            // SeqCst: pairs with the stores.
            let claim = block.lane(lane)?.load(Ordering::SeqCst);
            if claim == NEVER || best.is_some_and(|best| best.key <= claim) {
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
