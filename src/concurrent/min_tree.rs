//! A concurrent tree of minima: the least of many keys, the first index among equals, kept current
//! while threads change keys.
//!
//! Fan-out 32: the leaves are the keys, and a node holds the least key of its block of 32 children. Keys
//! have 32 or 64 bits ([`Key`]).
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
//! The same holds one row lower for a leaf and the value that `current` returns, even if the thread that has
//! changed the value stores no key, but only compares it with the leaf's ([`MinTree::key`]). So `current`,
//! too, must load in one total order with the stores (SeqCst).
//!
//! | location | operation                     | ordering | partner                               |
//! |----------|-------------------------------|----------|---------------------------------------|
//! | `blocks` | swaps in `set_once`, `set_again`, `recompute` | SeqCst | loads in `stored`, `climb`, `propagate`, `recompute`, `descend`, `least_in` |
//! | `blocks` | exchange in `propagate`       | SeqCst   | the same; before the load of the word |
//! | `blocks` | loads of a block              | SeqCst   | the swaps: a node is read after its block |
//! | `blocks` | vector loads of a block       | as SeqCst loads on x86, the only platform that has them | |

use crate::concurrent::simd::key::{Key, Word};
use crate::concurrent::simd::{Block, Blocks, FAN_OUT, ROOTS, Simd};
use crate::sync::Ordering;

/// Upper bound: more rows than 32-bit positions can fill.
const ROWS: usize = 8;

/// Past all words, and so are those after it.
const NO_ROW: usize = usize::MAX / 2;

/// No leaf. Instead of an `Option`, so that the last call of a function that returns it is a jump.
pub(crate) const NO_INDEX: u32 = u32::MAX;

/// How many descents [`MinTree::least`] tries before it gives up.
const ATTEMPTS: usize = 8;

pub(crate) struct MinTree<K: Key = u64> {
    /// The leaves, then the nodes of each row above; the last row is the top.
    blocks: Blocks<K>,
    /// The first word of each row, leaves first; [`NO_ROW`] above the top.
    rows: [usize; ROWS],
    /// Index of the last row.
    top: usize,
    /// The first word of the last row, and how many blocks it has.
    root: usize,
    roots: usize,
    simd: Simd,
}

/// What [`MinTree::least`] finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Least<K = u64> {
    pub(crate) index: u32,
    pub(crate) key: K,
}

/// Other threads changed the tree faster than it could be read and repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contended;

/// What a writer has stored in one word of the tree.
#[derive(Clone, Copy)]
struct Update<K> {
    /// The latest key stored.
    key: K,
    /// The least of the keys overwritten.
    over: K,
}

impl<K: Key> Update<K> {
    /// True if the node above the block, which makes this claim, stands for another word before and after.
    #[inline(always)]
    fn passes_by(self, claim: K) -> bool {
        self.key >= claim && self.over > claim
    }
}

/// Stores the least key of the block in the node until the two agree. Returns all that this writer has
/// stored in the node, `stored` included.
#[inline(always)]
fn recompute<K: Key>(
    simd: Simd,
    block: &Block<K>,
    node: &K::Word,
    stored: Option<Update<K>>,
) -> Option<Update<K>> {
    let mut stored = stored;
    loop {
        let key = simd.least(block);
        // SeqCst: after the loads of the block; pairs with the swaps and exchanges of others.
        if node.load(Ordering::SeqCst) == key {
            return stored;
        }
        // SeqCst: before the loads of the block in the next iteration.
        let over = node.swap(key, Ordering::SeqCst);
        let least = stored.map_or(over, |before: Update<K>| before.over.min(over));
        stored = Some(Update { key, over: least });
    }
}

impl<K: Key> MinTree<K> {
    /// Keys include [`UNAVAILABLE`](Key::UNAVAILABLE).
    pub(crate) fn new(keys: impl Iterator<Item = K>, simd: Simd) -> Self {
        const { assert!(ROOTS <= 2, "what `descend` reads") };
        let mut row: Vec<K> = keys.collect();
        let (mut words, mut rows, mut top) = (Vec::new(), [NO_ROW; ROWS], 0);
        loop {
            rows[top] = words.len();
            words.extend(&row);
            words.resize(words.len().next_multiple_of(FAN_OUT).max(FAN_OUT), K::UNAVAILABLE);
            if row.len() <= FAN_OUT * ROOTS || top + 1 == ROWS {
                break;
            }
            let least = |chunk: &[K]| chunk.iter().copied().min().unwrap_or(K::UNAVAILABLE);
            row = row.chunks(FAN_OUT).map(least).collect();
            top += 1;
        }
        let blocks = Blocks::of(&words);
        let roots = row.len().div_ceil(FAN_OUT);
        MinTree { blocks, rows, top, root: rows[top], roots, simd }
    }

    /// The key at this index of a row.
    #[inline(always)]
    fn word(&self, row: usize, at: usize) -> Option<&K::Word> {
        self.blocks.word(self.rows.get(row)? + at)
    }

    /// The block of a row that contains this index.
    #[inline(always)]
    fn block(&self, row: usize, at: usize) -> Option<&Block<K>> {
        self.blocks.block(self.rows.get(row)? + at)
    }

    /// A block of the top row.
    #[inline(always)]
    fn root(&self, number: usize) -> Option<&Block<K>> {
        self.blocks.block(self.root + number * FAN_OUT)
    }

    /// Sets the leaf to the key of what `current` returns, and repeats until it matches. Lock-free.
    /// `current` must load with SeqCst what others change with SeqCst.
    #[inline(always)]
    pub(crate) fn set<T: PartialEq + Copy>(
        &self,
        index: u32,
        current: impl Fn() -> T,
        key: impl Fn(T) -> K,
    ) {
        if let Err(over) = self.set_once(index, &current, &key) {
            self.set_again(index, over, current, key);
        }
    }

    /// Like [`set`](Self::set). Returns the index if there are nodes above and all of them now hold this
    /// key, else [`NO_INDEX`]. If `current` has changed meanwhile, returns the key that was overwritten: the
    /// caller must go on with [`set_again`](Self::set_again).
    #[inline(always)]
    pub(crate) fn set_once<T: PartialEq + Copy>(
        &self,
        index: u32,
        current: impl Fn() -> T,
        key: impl Fn(T) -> K,
    ) -> Result<u32, K> {
        let Some(leaf) = self.word(0, index as usize) else { return Ok(NO_INDEX) };
        let seen = current();
        let key = key(seen);
        // SeqCst: before the next load by `current`, and before the load of the node.
        let over = leaf.swap(key, Ordering::SeqCst);
        if current() == seen { Ok(self.stored(index, Update { key, over })) } else { Err(over) }
    }

    /// The rest of [`set_once`](Self::set_once) where `current` has changed.
    #[inline(never)]
    pub(crate) fn set_again<T: PartialEq + Copy>(
        &self,
        index: u32,
        over: K,
        current: impl Fn() -> T,
        key: impl Fn(T) -> K,
    ) -> u32 {
        let Some(leaf) = self.word(0, index as usize) else { return NO_INDEX };
        let (mut seen, mut over) = (current(), over);
        loop {
            let key = key(seen);
            // SeqCst: as in `set_once`.
            over = over.min(leaf.swap(key, Ordering::SeqCst));
            let now = current();
            if now == seen {
                return self.stored(index, Update { key, over });
            }
            seen = now;
        }
    }

    /// After a store in a leaf: corrects the nodes above if need be. Returns what
    /// [`set_once`](Self::set_once) does.
    #[inline(always)]
    fn stored(&self, index: u32, stored: Update<K>) -> u32 {
        let Some(node) = self.word(1, index as usize / FAN_OUT) else { return NO_INDEX };
        // SeqCst: after the swap of the leaf, which every writer to the node reads after its store.
        let claim = node.load(Ordering::SeqCst);
        if stored.passes_by(claim) {
            return NO_INDEX;
        }
        self.simd.run_with(
            (self, index, stored, claim),
            #[inline(always)]
            |simd, tree, index, stored, claim| {
                let place = (0, index as usize);
                match tree.propagate(simd, place, stored, claim) {
                    Some(above) => tree.climb_for(index, stored.key, above),
                    None => NO_INDEX,
                }
            },
        )
    }

    /// The rest of [`stored`](Self::stored) where the node above the leaf has changed.
    #[inline(never)]
    fn climb_for(&self, index: u32, key: K, above: Update<K>) -> u32 {
        let top = self.climb((1, index as usize / FAN_OUT), above);
        if top == Some(key) { index } else { NO_INDEX }
    }

    /// Corrects the nodes above a word, `place` being its row and index, after this writer's store in it.
    /// Returns the key that this writer has stored in the top row, if it got that far.
    #[inline(always)]
    fn climb(&self, place: (usize, usize), stored: Update<K>) -> Option<K> {
        let ((mut row, mut at), mut stored) = (place, stored);
        while let Some(node) = self.word(row + 1, at / FAN_OUT) {
            // SeqCst: after the store in the word, which every writer to the node reads after its store.
            let claim = node.load(Ordering::SeqCst);
            if stored.passes_by(claim) {
                return None;
            }
            stored = self.run(
                #[inline(always)]
                |tree, simd| tree.propagate(simd, (row, at), stored, claim),
            )?;
            (row, at) = (row + 1, at / FAN_OUT);
        }
        Some(stored.key)
    }

    /// Propagates a store to one of a block's words into the node above the block, which claimed `claim` after
    /// that store. Returns what it stored in the node; `None` if the node stands as it was.
    #[inline(always)]
    fn propagate(
        &self,
        simd: Simd,
        (row, at): (usize, usize),
        stored: Update<K>,
        claim: K,
    ) -> Option<Update<K>> {
        let (node, mut known) = (self.word(row + 1, at / FAN_OUT)?, None);
        if stored.key < claim {
            // SeqCst: before the second load of the word. An exchange, because another writer may have
            // stored a lesser key.
            let (success, failure) = (Ordering::SeqCst, Ordering::SeqCst);
            if node.compare_exchange(claim, stored.key, success, failure).is_ok() {
                known = Some(Update { key: stored.key, over: claim });
                // SeqCst: after the exchange: a writer that replaces the key from here on finds it in the
                // node.
                if self.word(row, at)?.load(Ordering::SeqCst) == stored.key {
                    return known;
                }
            }
        }
        recompute(simd, self.block(row, at)?, node, known)
    }

    /// The leaf's key; `None` past the leaves.
    #[inline(always)]
    pub(crate) fn key(&self, index: u32) -> Option<K> {
        // SeqCst: pairs with the swaps in `set_once`; after what the caller has loaded to compare it with.
        Some(self.word(0, index as usize)?.load(Ordering::SeqCst))
    }

    /// The first index of the least key; `None` if all keys are [`UNAVAILABLE`](Key::UNAVAILABLE). Lock-free.
    ///
    /// Not inlined: in a caller's loop the calls for each processor would become one through a pointer, which
    /// the walk through the object code does not follow.
    #[inline(never)]
    pub(crate) fn least(&self) -> Result<Option<Least<K>>, Contended> {
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
    fn least_by(&self, simd: Simd) -> Result<Option<Least<K>>, Contended> {
        for _ in 0..ATTEMPTS {
            match self.descend(simd) {
                Ok(found) => return Ok(found),
                Err((row, at)) => self.repair(row, at),
            }
        }
        Err(Contended)
    }

    /// Like [`least`](Self::least), in one attempt. The error is the row and first index of a block
    /// whose least key differs from what the node above claims.
    #[inline(always)]
    pub(crate) fn descend(&self, simd: Simd) -> Result<Option<Least<K>>, (usize, usize)> {
        let Some(root) = self.root(0) else { return Ok(None) };
        let (mut key, mut at) = simd.first_least(root);
        if self.roots > 1 {
            let Some(root) = self.root(1) else { return Ok(None) };
            let (least, lane) = simd.first_least(root);
            if least < key {
                (key, at) = (least, FAN_OUT + lane);
            }
        }
        if key == K::UNAVAILABLE {
            return Ok(None);
        }
        let mut row = self.top;
        while row > 0 {
            (row, at) = (row - 1, at * FAN_OUT);
            let Some(block) = self.block(row, at) else { return Ok(None) };
            let Some(lane) = simd.lane_of_least(block, key) else { return Err((row, at)) };
            at += lane;
        }
        Ok(Some(Least { index: at as u32, key }))
    }

    /// Propagates another thread's store that has not reached the node above its block.
    #[cold]
    #[inline(never)]
    fn repair(&self, row: usize, at: usize) {
        let stored = self.run(
            #[inline(always)]
            |tree, simd| {
                let node = tree.word(row + 1, at / FAN_OUT)?;
                recompute(simd, tree.block(row, at)?, node, None)
            },
        );
        if let Some(stored) = stored {
            self.climb((row + 1, at / FAN_OUT), stored);
        }
    }
}

#[path = "min_tree_search.rs"]
mod search;
#[path = "min_tree_unshared.rs"]
mod unshared;

#[cfg(test)]
#[path = "min_tree_tests.rs"]
mod tests;
