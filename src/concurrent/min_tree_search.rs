//! Searches of a tree among some of its indices, and from an index on.

use crate::concurrent::min_tree::{ATTEMPTS, Contended, Least, MinTree};
use crate::concurrent::simd::key::{Key, Word};
use crate::concurrent::simd::{FAN_OUT, Simd};
use crate::sync::Ordering;

impl<K: Key> MinTree<K> {
    /// The first index of the least key among those not `excluded`. Trusts the nodes: does not repair.
    pub(crate) fn least_except(&self, excluded: &[u32]) -> Option<Least<K>> {
        let top = self.top;
        let roots = (0..self.roots).filter_map(|at| self.least_in(top, at, excluded));
        // On a tie, the first.
        roots.reduce(|best, next| if next.key < best.key { next } else { best })
    }

    /// The first index of the least key at or after `first`, else before it; `None` if all keys are
    /// [`UNAVAILABLE`](Key::UNAVAILABLE). Lock-free; O(log n) while no writer is inside the tree.
    ///
    /// Not inlined, like [`least`](Self::least).
    #[inline(never)]
    pub(crate) fn least_from(&self, first: u32) -> Result<Option<Least<K>>, Contended> {
        self.run(
            #[inline(always)]
            |tree, simd| {
                for _ in 0..ATTEMPTS {
                    let roots = (0..tree.roots).filter_map(|number| tree.root(number));
                    let key = roots.map(|root| simd.least(root)).min();
                    let key = key.unwrap_or(K::UNAVAILABLE);
                    if key == K::UNAVAILABLE {
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
    pub(crate) fn least_except_from(&self, first: u32, excluded: &[u32]) -> Option<Least<K>> {
        let key = self.least_except(excluded)?.key;
        self.run(
            #[inline(always)]
            |tree, simd| tree.cyclically(simd, key, first, excluded),
        )
    }

    #[inline(always)]
    fn cyclically(&self, simd: Simd, key: K, first: u32, excluded: &[u32]) -> Option<Least<K>> {
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
    fn first_up_to(&self, simd: Simd, key: K, first: u32, excluded: &[u32]) -> Option<Least<K>> {
        let (mut row, mut at) = (0, first as usize);
        loop {
            let block = self.block(row, at)?;
            let start = at / FAN_OUT * FAN_OUT;
            match simd.first_up_to(block, key, at % FAN_OUT) {
                Some(lane) if row > 0 => {
                    at = (start + lane) * FAN_OUT;
                    row -= 1;
                    continue;
                }
                Some(lane) => {
                    at = start + lane;
                    let index = at as u32;
                    // SeqCst: pairs with the swaps. Changed meanwhile, or less than any node says: a
                    // writer was stopped before it propagated that.
                    let found = self.word(0, at)?.load(Ordering::SeqCst);
                    if found <= key && !excluded.contains(&index) {
                        return Some(Least { index, key: found });
                    }
                    at += 1;
                }
                None => at = start + FAN_OUT,
            }
            // Past the end of a block: on with the next node above.
            while at.is_multiple_of(FAN_OUT) && row < self.top {
                at /= FAN_OUT;
                row += 1;
            }
        }
    }

    fn least_in(&self, row: usize, at: usize, excluded: &[u32]) -> Option<Least<K>> {
        let below = |index: u32| index as usize >> (FAN_OUT.trailing_zeros() * row as u32);
        let mut best: Option<Least<K>> = None;
        for lane in 0..FAN_OUT {
            let child = at * FAN_OUT + lane;
            // SeqCst: pairs with the stores.
            let claim = self.word(row, child)?.load(Ordering::SeqCst);
            if claim == K::UNAVAILABLE || best.is_some_and(|best| best.key <= claim) {
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
