//! Where a service's rotation stands in one pool, so that a turn is drawn by one addition.
//!
//! While turns are given, the word is the number of the next one: who draws gets it and adds one,
//! whatever else happens, and never tries again. Numbers behind the cycle's end begin it anew; who
//! draws one brings the word back by whole cycles. In the word's other states a drawn number is none,
//! and the draw has changed nothing but the low bits, which are kept free for that:
//!
//! - *apart*: the scheduler's state is no turn of the cycle (before the first server), or the cycle is
//!   not written out. A turn is taken by compare-and-swap.
//! - *fresh*: the pool takes over from a former one and nobody has worked with it yet. Who does so
//!   first, the director or a picker, closes the former round and translates its state by the
//!   scheduler's `translate`. All who try find the same.
//! - *closed*: a later pool has taken over. The word keeps the last state for those who translate it.
//!   A picker that meets it reads the publication again, and finds the newer pool there, because only
//!   who has read that from the publication closes its former's round.
//!
//! So every turn is taken from the former pool's state or from the translated one, none from both, and
//! no thread waits. (`translate` decides what the new state is: that of wrr begins its pass again after an
//! edit.) A word of its own for each pool, because a picker with a retired pool draws before it can know: from a word that pools
//! shared it would take a turn that is not its own.
//!
//! | location | operation                        | ordering | partner                        |
//! |----------|----------------------------------|----------|--------------------------------|
//! | `word`   | additions in `draw`              | SeqCst   | the swaps                      |
//! | `word`   | loads in `turn`, `begin`, `close`| SeqCst   | the additions and swaps        |
//! | `word`   | swaps in all but `draw`          | SeqCst   | the others; the publication's `current` |

use std::num::NonZeroU32;

use crate::rotation::schedule::{Schedule, repeats};
use crate::rotation::version::{MAX_STATE, Superseded};
use crate::sync::{Arc, AtomicU64, Ordering};

const SUPERSEDED: u64 = 1 << 63;
const OFF_SCHEDULE: u64 = 1 << 62;
const UNINITIALIZED: u64 = 1 << 61;
const FLAGS: u64 = SUPERSEDED | OFF_SCHEDULE | UNINITIALIZED;

/// Low bits that draws may change while they get nothing. Every such draw is followed by a look at
/// what is the matter, which clears them or leads away; so there are never more than workers.
const TICKET_BITS: u32 = 28;
/// What is left of a written-out rotation's state: a turn's number and a mark.
const OFF_SCHEDULE_STATE: u64 = (1 << 33) - 1;

/// The former pool's round, to take over from; `None` where there was no former pool.
pub(crate) type Previous<'a> = Option<&'a TicketCounter>;

/// Numbers that one picker has drawn, without gaps.
#[derive(Clone, Copy)]
pub(crate) struct TicketRange {
    first: u64,
    pub(crate) last: u64,
}

impl TicketRange {
    #[inline(always)]
    pub(crate) fn single(number: u64) -> Self {
        TicketRange { first: number, last: number }
    }

    /// These and one more. After a gap, others' turns, it is the only one: theirs come after ours.
    pub(crate) fn extended(self, next: u64) -> Self {
        let first = if next == self.last + 1 { self.first } else { next };
        TicketRange { first, last: next }
    }
}

/// A pool's round, and its former pool's, which it takes over from.
pub(crate) struct SharedRotation {
    pub(crate) current: Arc<TicketCounter>,
    previous: Option<Arc<TicketCounter>>,
}

impl SharedRotation {
    /// `start` is the state that a new service begins with.
    pub(crate) fn new(
        cycle: u32,
        previous: Option<&SharedRotation>,
        start: impl FnOnce() -> u64,
    ) -> Self {
        let previous = previous.map(|previous| Arc::clone(&previous.current));
        let now = match previous {
            Some(_) => TicketCounter::uninitialized(cycle),
            None => TicketCounter::new(cycle, start()),
        };
        SharedRotation { current: Arc::new(now), previous }
    }

    /// As [`Round::turn`].
    pub(crate) fn advance<R>(
        &self,
        ticket: Option<&TicketRange>,
        translate: impl Fn(u64) -> u64,
        step: impl Fn(u64) -> (R, u64),
    ) -> Result<R, Superseded> {
        self.current.advance(self.previous.as_deref(), ticket, translate, step)
    }

    /// The position of a ticket's server, which may be unavailable; `None` if the ticket is invalid.
    #[inline]
    pub(crate) fn redeem(&self, ticket: u64, schedule: &Schedule) -> Option<u32> {
        if schedule.past_end(ticket) {
            schedule.position(self.current.valid_ticket(ticket)?)
        } else {
            schedule.position(ticket)
        }
    }

    /// The ticket's server was picked: wraps the counter if that was past the end.
    #[inline]
    pub(crate) fn redeemed(&self, ticket: u64, schedule: &Schedule) {
        if schedule.past_end(ticket) {
            self.current.wrap(ticket);
        }
    }

    /// One more ticket after one whose server was passed over; `None` if the last was invalid.
    pub(crate) fn another(&self, tickets: TicketRange) -> Option<TicketRange> {
        self.current.valid_ticket(tickets.last)?;
        Some(tickets.extended(self.current.take_ticket()))
    }

    /// The state that a worker by itself has noted in this pool: its latest turn's number counts on to
    /// the end of what is written out.
    pub(crate) fn normalize(&self, state: u64) -> u64 {
        self.current.normalize(state)
    }

    /// The same in the former pool.
    pub(crate) fn normalize_previous(&self, state: u64) -> u64 {
        self.previous.as_ref().map_or(state, |previous| previous.normalize(state))
    }

    /// As [`Round::begin`].
    pub(crate) fn adopt(&self, translate: impl Fn(u64) -> u64) {
        self.current.adopt(self.previous.as_deref(), translate);
    }
}

#[repr(align(64))]
pub(crate) struct TicketCounter {
    word: AtomicU64,
    /// Turns of the cycle; `None` if it is not written out, and nobody draws.
    cycle: Option<NonZeroU32>,
}

impl TicketCounter {
    /// The round of a new service.
    pub(crate) fn new(cycle: u32, state: u64) -> Self {
        let round = Self::uninitialized(cycle);
        round.word.store(round.word_for(state), Ordering::SeqCst);
        round
    }

    /// A round that goes on where a former one will be closed.
    pub(crate) fn uninitialized(cycle: u32) -> Self {
        TicketCounter { word: AtomicU64::new(UNINITIALIZED), cycle: NonZeroU32::new(cycle) }
    }

    /// Draws a number. Of a turn, if it is below the cycle's length or [`turn_of`](Self::turn_of)
    /// says so.
    #[inline(always)]
    pub(crate) fn take_ticket(&self) -> u64 {
        self.word.fetch_add(1, Ordering::SeqCst)
    }

    /// The turn of a drawn number; `None` if none was drawn.
    #[inline]
    pub(crate) fn valid_ticket(&self, ticket: u64) -> Option<u64> {
        let cycle = self.cycle.filter(|_| ticket & FLAGS == 0)?;
        Some(ticket % u64::from(cycle.get()))
    }

    /// Brings the word back by whole cycles, after a number behind the end was drawn. If somebody else
    /// has drawn since, it is up to them.
    pub(crate) fn wrap(&self, ticket: u64) {
        let Some(turn) = self.valid_ticket(ticket) else { return };
        let next = self.word_for(turn);
        let _ = self.swap(ticket + 1, next);
    }

    /// Takes one turn: `step` maps the state to an answer and the next state, and may run again if
    /// another picker was faster. With turns that were drawn and whose servers are not available, the
    /// step begins with the first of them, as if it were still to be taken, unless others have drawn
    /// since.
    pub(crate) fn advance<R>(
        &self,
        previous: Previous<'_>,
        ticket: Option<&TicketRange>,
        translate: impl Fn(u64) -> u64,
        step: impl Fn(u64) -> (R, u64),
    ) -> Result<R, Superseded> {
        if let Some(&TicketRange { first, last }) =
            ticket.filter(|ticket| self.valid_ticket(ticket.last).is_some())
        {
            let (answer, state) = step(self.state(first));
            if self.swap(last + 1, self.word_for(state)).is_ok() {
                return Ok(answer);
            }
        }
        let mut word = self.word.load(Ordering::SeqCst);
        loop {
            if word & SUPERSEDED != 0 {
                return Err(Superseded);
            }
            if word & UNINITIALIZED != 0 {
                self.adopt(previous, &translate);
                word = self.word.load(Ordering::SeqCst);
                continue;
            }
            let (answer, state) = step(self.state(word));
            let next = self.word_for(state);
            if next == word {
                return Ok(answer);
            }
            match self.swap(word, next) {
                Ok(()) => return Ok(answer),
                Err(now) => word = now,
            }
        }
    }

    /// Takes over from the former round, unless that has been done.
    pub(crate) fn adopt(&self, previous: Previous<'_>, translate: impl Fn(u64) -> u64) {
        let mut word = self.word.load(Ordering::SeqCst);
        if word & UNINITIALIZED == 0 {
            return;
        }
        let next = self.word_for(translate(previous.map_or(0, TicketCounter::supersede)));
        // Again only if somebody has drawn meanwhile.
        while word & UNINITIALIZED != 0 {
            match self.swap(word, next) {
                Ok(()) => return,
                Err(now) => word = now,
            }
        }
    }

    /// Gives no more turns; the last state.
    fn supersede(&self) -> u64 {
        let mut word = self.word.load(Ordering::SeqCst);
        loop {
            let state = self.state(word);
            if word & SUPERSEDED != 0 {
                return state;
            }
            match self.swap(word, SUPERSEDED | self.off_schedule(state)) {
                Ok(()) => return state,
                Err(now) => word = now,
            }
        }
    }

    fn swap(&self, from: u64, to: u64) -> Result<(), u64> {
        self.word.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).map(|_| ())
    }

    /// The scheduler's state: the latest turn's number, or what it is apart from the cycle.
    fn state(&self, word: u64) -> u64 {
        match self.cycle {
            None => word & MAX_STATE,
            Some(_) if word & FLAGS != 0 => word >> TICKET_BITS & OFF_SCHEDULE_STATE,
            Some(cycle) => {
                let cycle = u64::from(cycle.get());
                (word % cycle).checked_sub(1).unwrap_or(cycle - 1)
            }
        }
    }

    fn normalize(&self, state: u64) -> u64 {
        let written = |cycle: &NonZeroU32| u64::from(cycle.get()) * u64::from(repeats(cycle.get()));
        let cycle = self.cycle.filter(|cycle| state < written(cycle));
        cycle.map_or(state, |cycle| state % u64::from(cycle.get()))
    }

    fn word_for(&self, state: u64) -> u64 {
        match self.cycle.map(|cycle| u64::from(cycle.get())) {
            Some(cycle) if state + 1 < cycle => state + 1,
            Some(cycle) if state + 1 == cycle => 0,
            _ => OFF_SCHEDULE | self.off_schedule(state),
        }
    }

    fn off_schedule(&self, state: u64) -> u64 {
        match self.cycle {
            None => state & MAX_STATE,
            Some(_) => (state & OFF_SCHEDULE_STATE) << TICKET_BITS,
        }
    }
}

#[cfg(test)]
#[path = "shared_tests.rs"]
mod tests;
