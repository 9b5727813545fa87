//! A concurrent tree of minima: the least of many keys, the first index among equals, kept current
//! while threads change keys.
//!
//! Fan-out 32: the leaves are the keys, and a node holds the least key of its block of 32 children.
//!
//! A writer ([`MinTree::set`]) stores a leaf, then propagates upward until a node is unchanged:
//!
//! | the stored key                     | what the writer does to the node                          |
//! |------------------------------------|-----------------------------------------------------------|
//! | is below the node's key            | exchanges the node's key for it, then re-reads the child  |
//! | replaced the key the node stands for | stores the least of the block, then reads the block again |
//! | is neither                         | nothing: the node is unaffected                           |
//!
//! A reader ([`MinTree::least`]) descends, and compares on the way what a node claims with what its
//! block holds. Where they differ (a writer was stopped between two stores), the reader repairs the
//! path and starts over. Hence:
//!
//! - A key that is too low misleads readers only until one of them repairs it, and a stopped writer
//!   never blocks other threads.
//! - A key that is too high hides the keys below it. A writer stopped between a store and its second
//!   read of the block may leave one behind (the least key from before others' changes), until it
//!   resumes or until another change reaches that node.
//!
//! Why the tree is correct while no writer is inside it. Consider the last store to a node, of key `v`.
//!
//! 1. No key in the block is less. A writer that stores a lesser key in a word loads the node
//!    afterward, and stores its key there if the node holds a greater one. Only a writer that reads the
//!    whole block afterward raises a node.
//! 2. Some key in the block is `v`. The writer that stored `v` in the node has looked for `v` since: it
//!    read the word that `v` came from, or the whole block. A writer that later replaces that `v` finds
//!    `v` both in the node and in what it overwrote (a swap returns exactly that, where a load before a
//!    store would not), and reads the whole block: it either finds another `v`, or stores to the node,
//!    which contradicts that the store of `v` was the last.
//!
//! The same holds one row lower for a leaf and the value that `current` returns. So `current`, too,
//! must load in one total order with the stores (SeqCst).
//!
//! | location | operation                     | ordering | partner                               |
//! |----------|-------------------------------|----------|---------------------------------------|
//! | `blocks` | swaps in `set_by`, `recompute` | SeqCst  | loads in `set_by`, `propagate`, `recompute`, `descend`, `least_in` |
//! | `blocks` | exchange in `propagate`       | SeqCst   | the same; before the load of the word |
//! | `blocks` | loads of a block              | SeqCst   | the swaps: a node is read after its block |
//! | `blocks` | vector loads of a block       | as SeqCst loads on x86, the only platform that has them | |

use crate::concurrent::simd::{Block, FAN_OUT, ROOTS, Simd, UNAVAILABLE};
use crate::sync::{AtomicU64, Ordering};

/// Upper bound: more rows than 32-bit positions can fill.
const ROWS: usize = 8;

/// How many descents [`MinTree::least`] tries before it gives up.
const ATTEMPTS: usize = 8;

pub(crate) struct MinTree {
    /// The blocks of the leaves, then those of each row above; the last row is the top.
    blocks: Box<[Block]>,
    /// Where each row begins in `blocks`, leaves first.
    rows: [usize; ROWS],
    /// Index of the last row.
    top: usize,
    simd: Simd,
}

/// What [`MinTree::least`] finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Least {
    pub(crate) index: u32,
    pub(crate) key: u64,
}

/// Other threads changed the tree faster than it could be read and repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contended;

/// What a writer has stored in one word of the tree.
#[derive(Clone, Copy)]
struct Update {
    /// The latest key stored.
    key: u64,
    /// The least of the keys overwritten.
    over: u64,
}

impl Update {
    #[inline(always)]
    fn after(before: Option<Update>, key: u64, over: u64) -> Self {
        Update { key, over: before.map_or(over, |before| before.over.min(over)) }
    }

    /// Propagates this store to one of a block's words into the node above the block. Returns what it
    /// stored in the node; `None` if the node stands as it was.
    #[inline(always)]
    fn propagate(
        self,
        simd: Simd,
        block: &Block,
        word: &AtomicU64,
        node: &AtomicU64,
    ) -> Option<Update> {
        // SeqCst: after the swap of the word, which every writer to the node reads after its store.
        let claim = node.load(Ordering::SeqCst);
        if self.key >= claim {
            // The node did not stand for this word, and does not now.
            return if self.over > claim { None } else { recompute(simd, block, node, None) };
        }
        // SeqCst: before the second load of the word. An exchange, because another writer may have
        // stored a lesser key.
        let (success, failure) = (Ordering::SeqCst, Ordering::SeqCst);
        if node.compare_exchange(claim, self.key, success, failure).is_err() {
            return recompute(simd, block, node, None);
        }
        let stored = Update { key: self.key, over: claim };
        // SeqCst: after the exchange: a writer that replaces the key from here on finds it in the node.
        if word.load(Ordering::SeqCst) == self.key {
            return Some(stored);
        }
        recompute(simd, block, node, Some(stored))
    }
}

/// Stores the least key of the block in the node until the two agree. Returns all that this writer has
/// stored in the node, `stored` included.
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
        // SeqCst: before the loads of the block in the next iteration.
        let over = node.swap(key, Ordering::SeqCst);
        stored = Some(Update::after(stored, key, over));
    }
}

impl MinTree {
    /// Keys are the bits of non-negative numbers, [`UNAVAILABLE`] included.
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
        MinTree { blocks: blocks.into(), rows, top, simd }
    }

    fn block(&self, row: usize, at: usize) -> Option<&Block> {
        self.blocks.get(self.rows.get(row)? + at)
    }

    /// Sets the leaf to the key of what `current` returns, and repeats until it matches. Lock-free; does
    /// nothing past the leaves. `current` must load with SeqCst what others change with SeqCst.
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

    /// Like [`set`](Self::set), reading blocks by `simd`. True if there are nodes above and all of them
    /// now hold this key.
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
            // SeqCst: pairs with the swaps; the writer that stored this key propagates it, or has done.
            if leaf.load(Ordering::SeqCst) == key {
                break;
            }
            // SeqCst: before the next load by `current`, and before the load of the node in `propagate`.
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

    /// Corrects the nodes above a block, `place` being its row and index: after this writer's store in
    /// one word of the block (`known`), or after another thread's unpropagated store (`None`). Returns
    /// what it stored in the top row, if it got that far.
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

    /// The leaf's key; `None` past the leaves.
    #[inline(always)]
    pub(crate) fn key(&self, index: u32) -> Option<u64> {
        let (at, lane) = (index as usize / FAN_OUT, index as usize % FAN_OUT);
        // SeqCst: pairs with the swaps in `set_by`; after what the caller has loaded to compare it with.
        Some(self.blocks.get(at)?.lane(lane)?.load(Ordering::SeqCst))
    }

    /// The first index of the least key; `None` if all keys are [`UNAVAILABLE`]. Lock-free.
    #[inline]
    pub(crate) fn least(&self) -> Result<Option<Least>, Contended> {
        self.run(
            #[inline(always)]
            |tree, simd| tree.least_by(simd),
        )
    }

    /// Runs `act`, and the block reads inlined into it, as one function compiled for this processor.
    #[inline(always)]
    pub(crate) fn run<R>(&self, act: impl FnOnce(&Self, Simd) -> R) -> R {
        self.simd.run(
            #[inline(always)]
            move |simd| act(self, simd),
        )
    }

    /// Like [`least`](Self::least), reading blocks by `simd`.
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

    /// Like [`least`](Self::least), in one attempt. The error is the row and index of a block whose
    /// least key differs from what the node above claims.
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

    /// Propagates another thread's store that has not reached the node above its block.
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

    /// The first index of the least key among those not `excluded`. Trusts the nodes: does not repair.
    pub(crate) fn least_except(&self, excluded: &[u32]) -> Option<Least> {
        let top = self.top;
        let roots = (0..self.roots().len()).filter_map(|at| self.least_in(top, at, excluded));
        // On a tie, the first.
        roots.reduce(|best, next| if next.key < best.key { next } else { best })
    }

    /// The first index of the least key at or after `first`, else before it; `None` if all keys are
    /// [`UNAVAILABLE`]. Lock-free; O(log n) while no writer is inside the tree.
    pub(crate) fn least_from(&self, first: u32) -> Result<Option<Least>, Contended> {
        self.run(
            #[inline(always)]
            |tree, simd| {
                for _ in 0..ATTEMPTS {
                    let keys = tree.roots().iter().map(|root| simd.least(root));
                    let key = keys.min().unwrap_or(UNAVAILABLE);
                    if key == UNAVAILABLE {
                        return Ok(None);
                    }
                    if let Some(found) = tree.cyclically(simd, key, first, &[]) {
                        return Ok(Some(found));
                    }
                    if let Err((row, at)) = tree.descend(simd) {
                        tree.repair(row, at);
                    }
                }
                Err(Contended)
            },
        )
    }

    /// Like [`least_from`](Self::least_from), among the indices that are not `excluded`. Trusts the
    /// nodes: does not repair.
    pub(crate) fn least_except_from(&self, first: u32, excluded: &[u32]) -> Option<Least> {
        let key = self.least_except(excluded)?.key;
        self.run(
            #[inline(always)]
            |tree, simd| tree.cyclically(simd, key, first, excluded),
        )
    }

    #[inline(always)]
    fn cyclically(&self, simd: Simd, key: u64, first: u32, excluded: &[u32]) -> Option<Least> {
        [first, 0].into_iter().find_map(
            #[inline(always)]
            |first| self.first_up_to(simd, key, first, excluded),
        )
    }

    /// The first index at or after `first`, and not excluded, whose key is not above this one.
    ///
    /// Reads from left to right, and of each block only the lanes that are not above the key: O(log n)
    /// if no key is less, except that of excluded leaves.
    #[inline(always)]
    fn first_up_to(&self, simd: Simd, key: u64, first: u32, excluded: &[u32]) -> Option<Least> {
        let (mut row, mut at) = (0, first as usize);
        loop {
            let number = at / FAN_OUT;
            let block =
                if row < self.top { self.block(row, number)? } else { self.roots().get(number)? };
            match simd.first_up_to(block, key, at % FAN_OUT) {
                Some(lane) if row > 0 => {
                    at = (number * FAN_OUT + lane) * FAN_OUT;
                    row -= 1;
                    continue;
                }
                Some(lane) => {
                    at = number * FAN_OUT + lane;
                    let index = at as u32;
                    // SeqCst: pairs with the swaps. Changed meanwhile, or less than any node says: a
                    // writer was stopped before it propagated that.
                    let found = block.lane(lane)?.load(Ordering::SeqCst);
                    if found <= key && !excluded.contains(&index) {
                        return Some(Least { index, key: found });
                    }
                    at += 1;
                }
                None => at = (number + 1) * FAN_OUT,
            }
            // Past the end of a block: on with the next node above.
            while at.is_multiple_of(FAN_OUT) && row < self.top {
                at /= FAN_OUT;
                row += 1;
            }
        }
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
