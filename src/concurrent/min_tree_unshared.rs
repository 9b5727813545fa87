//! Changes of a tree that one thread alone writes and searches.

use crate::concurrent::min_tree::MinTree;
use crate::concurrent::simd::key::{Key, Word};
use crate::concurrent::simd::{FAN_OUT, Simd};
use crate::sync::Ordering;

impl<K: Key> MinTree<K> {
    /// Like [`set`](Self::set) in a tree that no other thread writes, nor searches: no locked instruction,
    /// and no second look. O(log n), wait-free.
    #[inline(always)]
    pub(crate) fn set_unshared(&self, index: u32, key: K) {
        let Some(leaf) = self.word(0, index as usize) else { return };
        // Relaxed, here and below: no other thread goes by the tree.
        let over = leaf.load(Ordering::Relaxed);
        // Relaxed: as above.
        leaf.store(key, Ordering::Relaxed);
        let Some(node) = self.word(1, index as usize / FAN_OUT) else { return };
        // Relaxed: as above.
        let claim = node.load(Ordering::Relaxed);
        if key >= claim && over > claim {
            return;
        }
        self.simd.run_with(
            (self, index, over, key),
            #[inline(always)]
            |simd, tree, index, over, key| tree.climb_unshared(simd, index, over, key),
        );
    }

    /// Corrects the nodes above a leaf that had the key `over`.
    #[inline(always)]
    fn climb_unshared(&self, simd: Simd, index: u32, over: K, key: K) {
        let (mut row, mut at, mut over, mut key) = (0, index as usize, over, key);
        while let Some(node) = self.word(row + 1, at / FAN_OUT) {
            // Relaxed: as in `set_unshared`.
            let claim = node.load(Ordering::Relaxed);
            let least = if key < claim {
                key
            } else if over == claim {
                self.block(row, at).map_or(claim, |block| simd.least(block))
            } else {
                claim
            };
            if least == claim {
                return;
            }
            // Relaxed: as in `set_unshared`.
            node.store(least, Ordering::Relaxed);
            (row, at, over, key) = (row + 1, at / FAN_OUT, claim, least);
        }
    }
}
