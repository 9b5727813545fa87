//! Finds the next server of sufficient weight, for wrr.

const FAN_OUT: usize = 16;

/// A tree of maxima: the weights, the maxima of blocks of weights, the maxima of blocks of those, and so
/// on. Finds the next weight that reaches a level in O(log n) steps. Chosen over a bitmap per level,
/// which costs n bits per distinct weight, and over the precomputed schedule, which is as long as the
/// sum of the weights.
pub(super) struct MaxTree {
    weights: Box<[u32]>,
    /// From the lowest row up. The highest has one block.
    rows: Vec<Box<[u32]>>,
}

impl MaxTree {
    pub(super) fn of(weights: Box<[u32]>) -> Self {
        let mut rows: Vec<Box<[u32]>> = Vec::new();
        loop {
            let below = rows.last().unwrap_or(&weights);
            if below.len() <= FAN_OUT {
                return MaxTree { weights, rows };
            }
            let maximum = |block: &[u32]| block.iter().copied().max().unwrap_or(0);
            let row = below.chunks(FAN_OUT).map(maximum).collect();
            rows.push(row);
        }
    }

    /// The first place from `start` on whose weight is at least `level`; `None` if there is none.
    #[inline]
    pub(super) fn next(&self, start: u32, level: u32) -> Option<u32> {
        let mut at = start as usize;
        let mut row = &self.weights;
        let mut above = self.rows.iter();
        loop {
            let block_end = ((at / FAN_OUT + 1) * FAN_OUT).min(row.len());
            if let Some(ahead) = first_reaching(row.get(at..block_end)?, level) {
                let height = self.rows.len() - above.len();
                return self.descend(at + ahead, height, level);
            }
            if block_end == row.len() {
                return None;
            }
            at = block_end / FAN_OUT;
            row = above.next()?;
        }
    }

    /// Descends from a place in a row of maxima to the weight.
    #[inline]
    fn descend(&self, found: usize, height: usize, level: u32) -> Option<u32> {
        let mut at = found;
        for height in (0..height).rev() {
            let row =
                height.checked_sub(1).map_or(Some(&self.weights), |row| self.rows.get(row))?;
            at = at * FAN_OUT + first_reaching(row.get(at * FAN_OUT..)?, level)?;
        }
        u32::try_from(at).ok()
    }
}

#[inline]
fn first_reaching(weights: &[u32], level: u32) -> Option<usize> {
    weights.iter().position(|weight| *weight >= level)
}

#[cfg(test)]
#[path = "max_tree_tests.rs"]
mod tests;
