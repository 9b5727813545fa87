//! Change stamps: which elements of a list have changed since a reader last checked.
//!
//! A tree of version numbers: one per group of elements, one per group of those, and so on up to one
//! for all. A writer that has changed an element increments each number above it, the nearest first. A
//! reader keeps a copy of the numbers, compares from the top, and descends where they differ.
//!
//! Cost: a change costs the same regardless of the number of readers. A reader that missed nothing
//! spends one load; a reader that missed something visits what changed, and its neighbors.
//!
//! | location  | operation                 | ordering | partner                                     |
//! |-----------|---------------------------|----------|---------------------------------------------|
//! | `Stamps`  | additions in `changed`    | SeqCst   | loads in `are_newer`, `catch_up`, `seen`    |
//! | `Seen`    | all                       | Relaxed  | none: one reader, or the director before it |
//!
//! Why a reader misses no change. A writer changes the element first, then the numbers above it, from
//! the bottom to the top. A reader loads from the top down, and the element last. So a change that the
//! reader does not see increments the top number after the reader loaded it, and the next check finds
//! it. A writer that is stopped in between hides only its own change, which is still in progress.

use std::ops::Range;

use crate::concurrent::sizes::GROUP;
use crate::sync::{AtomicU64, Ordering};

/// Version numbers, a row per level: one per group of elements, one per group of those, and so on,
/// until a row is a single group.
type Rows = Box<[Box<[AtomicU64]>]>;

/// The current version numbers.
pub(crate) struct Stamps {
    /// The number for all elements: a separate field, because every reader compares it, and few
    /// descend.
    top: AtomicU64,
    rows: Rows,
    length: usize,
}

/// One reader's copy of the version numbers.
pub(crate) struct Seen {
    top: AtomicU64,
    rows: Rows,
}

impl Stamps {
    /// Stamps for `length` elements. Allocates.
    pub(crate) fn new(length: u32) -> Self {
        let (length, mut rows) = (length as usize, Vec::new());
        let mut numbers = length;
        loop {
            numbers = numbers.div_ceil(GROUP);
            rows.push((0..numbers).map(|_| AtomicU64::new(0)).collect());
            if numbers <= GROUP {
                return Stamps { top: AtomicU64::new(0), rows: rows.into(), length };
            }
        }
    }

    /// Records that the element has changed. O(log n), wait-free; ignores an index past the end.
    pub(crate) fn changed(&self, index: u32) {
        let mut at = index as usize;
        for row in &self.rows {
            at /= GROUP;
            if let Some(number) = row.get(at) {
                number.fetch_add(1, Ordering::SeqCst);
            }
        }
        self.top.fetch_add(1, Ordering::SeqCst);
    }

    /// A copy for a new reader, which must read all elements afterward. Allocates.
    pub(crate) fn seen(&self) -> Seen {
        let copy = |number: &AtomicU64| AtomicU64::new(number.load(Ordering::SeqCst));
        let top = copy(&self.top);
        Seen { top, rows: self.rows.iter().map(|row| row.iter().map(copy).collect()).collect() }
    }

    /// True if something has changed that the reader has not seen. One load.
    #[inline(always)]
    pub(crate) fn are_newer(&self, seen: &Seen) -> bool {
        // Relaxed: only the reader accesses its copy.
        self.top.load(Ordering::SeqCst) != seen.top.load(Ordering::Relaxed)
    }

    /// Calls `look` with each element that has changed, and with its neighbors.
    pub(crate) fn catch_up(&self, seen: &Seen, mut look: impl FnMut(u32)) {
        if is_news(&self.top, &seen.top) {
            let last = self.rows.len().saturating_sub(1);
            self.descend(seen, last, 0..GROUP, &mut look);
        }
    }

    fn descend(&self, seen: &Seen, row: usize, range: Range<usize>, look: &mut impl FnMut(u32)) {
        let (Some(numbers), Some(known)) = (self.rows.get(row), seen.rows.get(row)) else { return };
        for at in range {
            let (Some(number), Some(known)) = (numbers.get(at), known.get(at)) else { return };
            if !is_news(number, known) {
                continue;
            }
            let below = at * GROUP..(at + 1) * GROUP;
            match row.checked_sub(1) {
                Some(row) => self.descend(seen, row, below, look),
                None => below.filter(|at| *at < self.length).for_each(|at| look(at as u32)),
            }
        }
    }
}

/// Updates the reader's copy of a number; true if it differed. To be called before the reader loads
/// anything below that number.
fn is_news(number: &AtomicU64, known: &AtomicU64) -> bool {
    let now = number.load(Ordering::SeqCst);
    // Relaxed, here and below: only the reader accesses its copy.
    let is_news = known.load(Ordering::Relaxed) != now;
    if is_news {
        known.store(now, Ordering::Relaxed);
    }
    is_news
}

#[cfg(test)]
#[path = "stamps_tests.rs"]
mod tests;
