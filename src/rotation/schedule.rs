//! A precomputed rotation: for each ticket the position of its server.

use crate::sync::Arc;

/// Short cycles repeat up to this length: wrapping is expensive.
pub(super) const SHORT: u32 = 64;

/// How often a cycle of this length repeats.
pub(super) fn repeats(cycle: u32) -> u32 {
    SHORT.div_ceil(cycle.max(1))
}

/// Marks the position of a server that may be unavailable: it is quiesced, or has a limit. Beyond every
/// position, so that a look-up with it fails, and the other servers need no check.
const CHECK: u32 = 1 << 31;

/// One cycle or several, or nothing.
#[derive(Default)]
pub(crate) struct Schedule {
    words: Arc<[u32]>,
    cycle: u32,
}

impl Schedule {
    pub(crate) fn new(cycle: Arc<[u32]>, always_available: impl Fn(u32) -> bool) -> Self {
        let length = cycle.len() as u32;
        let repeats = repeats(length);
        let plain = cycle.iter().all(|position| always_available(*position));
        let words = if length == 0 || repeats == 1 && plain {
            cycle
        } else {
            let check = |position: u32| if always_available(position) { 0 } else { CHECK };
            let words: Vec<u32> = cycle.iter().map(|it| *it | check(*it)).collect();
            words.repeat(repeats as usize).into()
        };
        Schedule { words, cycle: length }
    }

    /// True if every ticket's server is at the same position, whether it needs a check or not.
    pub(crate) fn is_same(&self, other: &Schedule) -> bool {
        self.words.len() == other.words.len()
            && self.words.iter().zip(other.words.iter()).all(|(a, b)| (a ^ b) & !CHECK == 0)
    }

    /// Tickets of one cycle; 0 = nothing is precomputed.
    pub(crate) fn cycle(&self) -> u32 {
        self.cycle
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    #[inline(always)]
    pub(crate) fn ends_at(&self, ticket: u64) -> bool {
        ticket == self.words.len() as u64
    }

    #[inline(always)]
    pub(crate) fn past_end(&self, ticket: u64) -> bool {
        ticket >= self.words.len() as u64
    }

    /// The position of this ticket's server if that is always available. Else `None`, or a number that
    /// is no position.
    #[inline(always)]
    pub(crate) fn unconditional(&self, ticket: u64) -> Option<u32> {
        self.words.get(usize::try_from(ticket).ok()?).copied()
    }

    /// The position of this ticket's server, which may be unavailable.
    #[inline]
    pub(crate) fn position(&self, ticket: u64) -> Option<u32> {
        self.words.get(usize::try_from(ticket).ok()?).map(|word| *word & !CHECK)
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
