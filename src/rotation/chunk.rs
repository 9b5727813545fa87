//! Tickets of the shared rotation that a worker has taken at once, by one addition, and redeems one by one.
//!
//! The word has one writer, the worker that owns the place: from the highest bit it says which sequence
//! the tickets are of (32 bits), how many are left (8), and the next one (24), an index of the schedule.
//!
//! A reload that leaves the sequence of servers as it is leaves its number, so the tickets remain valid:
//! none is lost, although the pool version is another. Another sequence has another number, so what is left
//! of an earlier one, or of another service in this slot, is not redeemed. (Numbers come again after 2^32.
//! Then a worker that has not picked since redeems fewer tickets than a chunk has, and past the end none.)
//! When a worker ends, its word stays: the next worker in its place redeems what is left.
//!
//! | location | operation        | ordering | partner                                                    |
//! |----------|------------------|----------|------------------------------------------------------------|
//! | `word`   | loads and stores | Relaxed  | none: the worker's own; a place is handed over by the director's lock |

use std::num::NonZeroU8;

use crate::rotation::schedule::Schedule;
use crate::rotation::shared::{MAX_TICKETS, TicketCounter};
use crate::sync::{AtomicU64, Ordering};

const SERIAL: u32 = 32;
const LEFT: u32 = 24;
/// The highest index of a ticket.
pub(crate) const NEXT: u64 = (1 << LEFT) - 1;
/// Past the end of every schedule.
const NONE: u64 = u64::MAX;

/// Names a schedule's servers and their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sequence(u64);

impl Sequence {
    /// No schedule: no ticket is of it.
    pub(crate) const NONE: Self = Sequence(0);

    /// `serial` is not 0: a new word is of no sequence.
    pub(crate) fn new(serial: u32) -> Self {
        Sequence(u64::from(serial) << SERIAL)
    }
}

/// One worker's tickets of one service.
#[derive(Default)]
pub(crate) struct TicketChunk {
    word: AtomicU64,
}

impl TicketChunk {
    /// The next ticket; past the end of every schedule if none of this sequence is left. The worker only,
    /// as all methods.
    #[inline(always)]
    pub(crate) fn next(&self, sequence: Sequence) -> u64 {
        let rest = self.load().wrapping_sub(sequence.0);
        if (1 << LEFT..1 << SERIAL).contains(&rest) { rest & NEXT } else { NONE }
    }

    /// Takes that ticket.
    #[inline(always)]
    pub(crate) fn take_next(&self) {
        self.store(self.load().wrapping_add(1).wrapping_sub(1 << LEFT));
    }

    /// The first available server of the next few tickets. After the last ticket it takes a chunk of `length`.
    /// `None` if no server of these is available, or the rotation gives no valid ticket: then the
    /// scheduler decides, from the rotation's state.
    pub(crate) fn redeem<A>(
        &self,
        (sequence, length): (Sequence, NonZeroU8),
        rotation: &TicketCounter,
        schedule: &Schedule,
        available: impl Fn(u32) -> Option<A>,
    ) -> Option<A> {
        for _ in 0..MAX_TICKETS {
            let mut ticket = self.next(sequence);
            if ticket == NONE {
                ticket = rotation.take_chunk(length, schedule)?;
                self.store(sequence.0 | u64::from(length.get()) << LEFT | ticket & NEXT);
            } else if schedule.ends_at(ticket) {
                self.store(self.load() & !NEXT);
                ticket = 0;
            }
            self.take_next();
            if let Some(found) = schedule.position(ticket).and_then(&available) {
                return Some(found);
            }
        }
        None
    }

    #[inline(always)]
    fn load(&self) -> u64 {
        // Relaxed: the worker's own.
        self.word.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn store(&self, word: u64) {
        // Relaxed: the worker's own.
        self.word.store(word, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[path = "chunk_tests.rs"]
mod tests;
