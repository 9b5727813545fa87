//! The rotation that all workers of a service share: a ticket counter per pool version.
//!
//! A picker takes a ticket with one `fetch_add`; it never retries. A ticket past the end of the schedule
//! wraps: the picker that took it subtracts whole cycles from the word.
//!
//! | state of the word | a ticket is | the next picker |
//! |-------------------|-------------|-----------------|
//! | no flag           | the number of a turn | takes a ticket |
//! | `OFF_SCHEDULE`    | invalid     | advances the scheduler's state by compare-and-swap: the state is no turn of the schedule (before the first server), or nothing is precomputed |
//! | `UNINITIALIZED`   | invalid     | supersedes the previous version's word and translates its state (`Scheduler::translate`), unless the director has done so; every thread that tries computes the same word |
//! | `SUPERSEDED`      | invalid     | reads the snapshot again, and finds the newer version there, because only a thread that has read it from the snapshot supersedes the word; the word keeps the last state for `translate` |
//!
//! With a flag set, a ticket changes only the low bits of the word, which are reserved for that. So
//! every pick advances either the previous state or the translated one, never both, and no thread waits.
//! (`translate` decides what the new state is: wrr restarts its pass after an edit.)
//!
//! Each pool version has a word of its own, because a picker with an old version takes its ticket before
//! it can know that: from a word that versions shared it would take another version's ticket.
//!
//! | location | operation                                  | ordering | partner                  |
//! |----------|--------------------------------------------|----------|--------------------------|
//! | `word`   | additions in `take_ticket`, `take_chunk`   | SeqCst   | the swaps                |
//! | `word`   | loads in `advance`, `adopt`, `supersede`, `copy` | SeqCst | the additions and swaps  |
//! | `word`   | swaps in all but these two                 | SeqCst   | the others; the snapshot's `current` |

use std::num::{NonZeroU8, NonZeroU32};

use crate::concurrent::segments::ArcRef;
use crate::rotation::schedule::{Schedule, repeats};
use crate::rotation::ticket_word::{
    FLAGS, NUMBER, OFF_SCHEDULE, SUPERSEDED, TicketWord, UNINITIALIZED, off_schedule_bits,
    off_schedule_state,
};
use crate::rotation::version::{MAX_STATE, Superseded};
use crate::sync::{AtomicU64, Ordering};

/// A pick passes over at most this many servers ticket by ticket. Then it asks the scheduler, which
/// has a shorter way past unavailable servers and knows whether any is available.
pub(super) const MAX_TICKETS: usize = 8;

/// The previous pool version's counter; `None` for the first version.
pub(crate) type Previous<'a> = Option<&'a TicketCounter>;

/// Consecutive tickets of one picker.
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

    /// These and one more. After a gap (tickets of other pickers) only the new one remains: the others'
    /// tickets come after ours.
    pub(crate) fn extended(self, next: u64) -> Self {
        let first = if next == self.last + 1 { self.first } else { next };
        TicketRange { first, last: next }
    }
}

/// A pool version's counter, and the previous version's, whose state it takes over.
pub(crate) struct SharedRotation {
    pub(crate) current: TicketCounter,
    previous: Option<TicketCounter>,
}

impl SharedRotation {
    /// `start` is the state that a new service begins with.
    pub(crate) fn new(
        cycle: u32,
        previous: Option<&SharedRotation>,
        start: impl FnOnce() -> u64,
    ) -> Self {
        let previous = previous.map(|previous| previous.current.clone());
        let current = match previous {
            Some(_) => TicketCounter::uninitialized(cycle),
            None => TicketCounter::new(cycle, start()),
        };
        SharedRotation { current, previous }
    }

    /// A rotation that other processes turn too, whose word this is. It takes over nothing: the process
    /// that made the word has done that.
    pub(crate) fn of(word: ArcRef<TicketWord>, cycle: u32) -> Self {
        let current = TicketCounter { is_foreign: true, ..TicketCounter::of(word, cycle) };
        SharedRotation { current, previous: None }
    }

    /// The scheduler's state now, if the word is in use.
    pub(crate) fn state(&self) -> Option<u64> {
        self.current.current_state()
    }

    /// As [`TicketCounter::advance`].
    pub(crate) fn advance<R>(
        &self,
        ticket: Option<&TicketRange>,
        translate: impl Fn(u64) -> u64,
        step: impl Fn(u64) -> (R, u64),
    ) -> Result<R, Superseded> {
        self.current.advance(self.previous.as_ref(), ticket, translate, step)
    }

    /// The first available server of this ticket and those that follow it; else the tickets taken, none
    /// of which led to one.
    #[inline(always)]
    pub(crate) fn redeem<A>(
        &self,
        ticket: u64,
        schedule: &Schedule,
        available: impl Fn(u32) -> Option<A>,
    ) -> Result<A, TicketRange> {
        let mut tickets = TicketRange::single(ticket);
        for _ in 0..MAX_TICKETS {
            if let Some(found) = self.position(tickets.last, schedule).and_then(&available) {
                if schedule.past_end(tickets.last) {
                    self.current.wrap(tickets.last);
                }
                return Ok(found);
            }
            // No more after an invalid one.
            if self.current.valid_ticket(tickets.last).is_none() {
                break;
            }
            tickets = tickets.extended(self.current.take_ticket());
        }
        Err(tickets)
    }

    /// The position of a ticket's server, which may be unavailable; `None` if the ticket is invalid.
    #[inline]
    fn position(&self, ticket: u64, schedule: &Schedule) -> Option<u32> {
        if schedule.past_end(ticket) {
            schedule.position(self.current.valid_ticket(ticket)?)
        } else {
            schedule.position(ticket)
        }
    }

    /// The state that a [`WorkerRotation`](crate::rotation::worker::WorkerRotation) keeps for this pool
    /// version, as a turn of one cycle: its number runs to the end of the repeated schedule.
    pub(crate) fn normalize(&self, state: u64) -> u64 {
        self.current.normalize(state)
    }

    /// The same for the previous version.
    pub(crate) fn normalize_previous(&self, state: u64) -> u64 {
        self.previous.as_ref().map_or(state, |previous| previous.normalize(state))
    }

    /// A rotation in the same state that nothing else advances. Of the published version, whose state has
    /// been adopted.
    pub(crate) fn copy(&self) -> Self {
        SharedRotation { current: self.current.copy(), previous: None }
    }

    /// Adopts this state, in a word that is not initialized and that other threads may raise.
    pub(crate) fn adopt_state(&self, state: u64, is_any_held: impl Fn() -> bool) {
        if is_any_held() {
            self.current.word.get().raise();
        } else {
            // What is left of the word's last use.
            self.lower(is_any_held);
        }
        self.current.adopt(None, |_| state);
    }

    /// No server need be looked at for the sake of other processes' holds, if none is held.
    pub(crate) fn lower(&self, is_any_held: impl Fn() -> bool) {
        if self.current.is_foreign {
            self.current.word.get().lower(is_any_held);
        }
    }

    /// As [`TicketCounter::restart`].
    pub(crate) fn restart(&self, state: u64) {
        self.current.restart(state);
    }

    /// As [`TicketCounter::adopt`].
    pub(crate) fn adopt(&self, translate: impl Fn(u64) -> u64) {
        self.current.adopt(self.previous.as_ref(), translate);
    }
}

/// The counter of a pool version: its word, which all copies of the counter share.
#[derive(Clone)]
pub(crate) struct TicketCounter {
    word: ArcRef<TicketWord>,
    /// Length of the cycle; `None` if nothing is precomputed, and all tickets are invalid.
    cycle: Option<NonZeroU32>,
    /// Other processes turn it too: no process supersedes it, and the word may be anything.
    is_foreign: bool,
}

impl TicketCounter {
    /// The counter of a new service.
    pub(crate) fn new(cycle: u32, state: u64) -> Self {
        let counter = Self::uninitialized(cycle);
        counter.initialize(state);
        counter
    }

    fn of(word: ArcRef<TicketWord>, cycle: u32) -> Self {
        TicketCounter { word, cycle: NonZeroU32::new(cycle), is_foreign: false }
    }

    /// Begins in this state. Before it is in use.
    fn initialize(&self, state: u64) {
        self.word().store(self.word_for(state), Ordering::SeqCst);
    }

    /// Not in use from now on, whatever the word was.
    pub(crate) fn uninitialize(&self) {
        self.word().store(UNINITIALIZED, Ordering::SeqCst);
    }

    #[inline(always)]
    fn word(&self) -> &AtomicU64 {
        &self.word.get().word
    }

    fn current_state(&self) -> Option<u64> {
        let word = self.word().load(Ordering::SeqCst);
        (word & (UNINITIALIZED | SUPERSEDED) == 0).then(|| self.state(word))
    }

    /// A counter that will take over the state of a previous one.
    pub(crate) fn uninitialized(cycle: u32) -> Self {
        Self::of(ArcRef::standalone(TicketWord::uninitialized()), cycle)
    }

    fn copy(&self) -> Self {
        let word = TicketWord::new(self.word().load(Ordering::SeqCst));
        TicketCounter { word: ArcRef::standalone(word), cycle: self.cycle, is_foreign: false }
    }

    /// Takes a ticket. It is valid if it is below the cycle's length, or if
    /// [`valid_ticket`](Self::valid_ticket) says so.
    #[inline(always)]
    pub(crate) fn take_ticket(&self) -> u64 {
        self.word().fetch_add(1, Ordering::SeqCst)
    }

    /// Takes this many tickets, and wraps the word if the last is past the end of the schedule. The first of
    /// them, as an index of the schedule; `None` if they are invalid.
    pub(super) fn take_chunk(&self, length: NonZeroU8, schedule: &Schedule) -> Option<u64> {
        let length = u64::from(length.get());
        let first = self.word().fetch_add(length, Ordering::SeqCst);
        let last = first + length - 1;
        if !schedule.past_end(last) {
            return Some(first);
        }
        self.wrap(last);
        if schedule.past_end(first) { self.valid_ticket(first) } else { Some(first) }
    }

    /// The turn of a ticket; `None` if the ticket is invalid.
    #[inline]
    pub(crate) fn valid_ticket(&self, ticket: u64) -> Option<u64> {
        let cycle = self.cycle.filter(|_| ticket & FLAGS == 0)?;
        Some((ticket & NUMBER) % u64::from(cycle.get()))
    }

    /// Subtracts whole cycles from the word, after a ticket past the end. Leaves that to the later
    /// picker if another ticket was taken since.
    pub(crate) fn wrap(&self, ticket: u64) {
        let Some(number) = self.valid_ticket(ticket) else { return };
        let next = self.word_after(ticket, number);
        let _ = self.swap(ticket + 1, next);
    }

    /// Advances by one pick: `step` maps the state to an answer and the next state, and may run again if
    /// another picker was faster. With tickets whose servers were unavailable, `step` starts at the
    /// first of them, as if it were not yet taken, unless other pickers have taken tickets since.
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
            if self.swap(last + 1, self.word_after(last, state)).is_ok() {
                return Ok(answer);
            }
        }
        let mut word = self.word().load(Ordering::SeqCst);
        loop {
            if word & SUPERSEDED != 0 {
                if self.is_foreign {
                    // Corrupted: it begins again.
                    let _ = self.swap(word, self.word_after(word, 0));
                    word = self.word().load(Ordering::SeqCst);
                    continue;
                }
                return Err(Superseded);
            }
            if word & UNINITIALIZED != 0 {
                self.adopt(previous, &translate);
                word = self.word().load(Ordering::SeqCst);
                continue;
            }
            let (answer, state) = step(self.state(word));
            let next = self.word_after(word, state);
            if next == word {
                return Ok(answer);
            }
            match self.swap(word, next) {
                Ok(()) => return Ok(answer),
                Err(now) => word = now,
            }
        }
    }

    /// Takes over the previous counter's state, unless that is done already.
    pub(crate) fn adopt(&self, previous: Previous<'_>, translate: impl Fn(u64) -> u64) {
        let mut word = self.word().load(Ordering::SeqCst);
        if word & UNINITIALIZED == 0 {
            return;
        }
        let state = translate(previous.map_or(0, TicketCounter::supersede));
        // Retries only if another thread took a ticket meanwhile.
        while word & UNINITIALIZED != 0 {
            match self.swap(word, self.word_after(word, state)) {
                Ok(()) => return,
                Err(now) => word = now,
            }
        }
    }

    /// Moves the rotation to another state, whatever its own is: the pick after it takes the next turn. A
    /// concurrent pick takes its turn before or after. Director only, of the published version, whose
    /// state has been adopted.
    pub(crate) fn restart(&self, state: u64) {
        self.word().swap(self.word_for(state), Ordering::SeqCst);
    }

    /// Ends this counter: all later tickets are invalid. Returns the last state.
    fn supersede(&self) -> u64 {
        let mut word = self.word().load(Ordering::SeqCst);
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
        self.word().compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).map(|_| ())
    }

    /// The scheduler's state: the number of the latest turn, or the state off the schedule.
    fn state(&self, word: u64) -> u64 {
        match self.cycle {
            None => word & MAX_STATE,
            Some(_) if word & FLAGS != 0 => off_schedule_state(word),
            Some(cycle) => {
                let cycle = u64::from(cycle.get());
                ((word & NUMBER) % cycle).checked_sub(1).unwrap_or(cycle - 1)
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

    /// The word of this state, to be exchanged for this word: other processes' holds stay.
    fn word_after(&self, from: u64, state: u64) -> u64 {
        let word = self.word_for(state);
        if self.is_foreign && word & FLAGS == 0 {
            word | self.word.get().look_bits(from)
        } else {
            word
        }
    }

    fn off_schedule(&self, state: u64) -> u64 {
        match self.cycle {
            None => state & MAX_STATE,
            Some(_) => off_schedule_bits(state),
        }
    }
}

#[cfg(test)]
#[path = "shared_tests.rs"]
mod tests;
