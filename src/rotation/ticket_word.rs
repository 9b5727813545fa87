//! The word of a shared rotation, and whether the servers of its tickets have to be looked at.
//!
//! Tickets of a precomputed rotation name servers that need no look: they have no limits, and no holder holds one. But
//! of a rotation that several processes turn, another process may hold a server at any time, and every pick that begins
//! later obeys. So that picks need not ask, the process that holds a server puts `LOOK` into the word: tickets
//! are past the end of the schedule then, and the thread that takes one looks at its server.
//!
//! `looks` says whether a server may be held, and counts how often that was said. It is odd from
//! [`raise`](TicketWord::raise) on until [`lower`](TicketWord::lower) has found every server released. A thread
//! that takes a ticket with `LOOK` then takes that out of the word.
//!
//! | location | operation                            | ordering | partner                                    |
//! |----------|--------------------------------------|----------|--------------------------------------------|
//! | `looks`  | exchanges in `raise`, `lower`        | SeqCst   | load in `look_bits`; the servers' states   |
//! | `looks`  | load in `look_bits`                  | SeqCst   | exchange in `raise`; before that of `word` |
//! | `word`   | exchange in `raise`                  | SeqCst   | all exchanges of `word`                    |
//!
//! Why no ticket without `LOOK` is taken once a server is held. The holder sets the server's state, then `looks`, then
//! changes the word, and every such change makes another word of it: it counts on in the bits above the state, or above
//! the ticket's number. The thread that exchanges the word has loaded it first, then `looks`, and makes
//! a word without `LOOK` only if that is even.
//!
//! - It was even before the holder's exchange: then the holder changes the word after it was loaded, and the exchange
//!   fails, or has come before.
//! - It was lowered since: by a thread that loaded `looks`, and then found no server held. It has come before the
//!   holder set the state, because otherwise its exchange of `looks` fails.
//!
//! A version that is new begins with a flag. Its maker publishes it, then looks at the servers; a holder sets the
//! state, then looks for versions. So one of them sees the other.

use crate::rotation::version::MAX_STATE;
use crate::sync::{AtomicU64, Ordering};

pub(super) const SUPERSEDED: u64 = 1 << 63;
pub(super) const OFF_SCHEDULE: u64 = 1 << 62;
pub(super) const UNINITIALIZED: u64 = 1 << 61;
pub(super) const FLAGS: u64 = SUPERSEDED | OFF_SCHEDULE | UNINITIALIZED;

/// Low bits that invalid tickets may change. Each invalid ticket or chunk is followed by a step that clears
/// the bits or leaves this word for good, so at most one per worker is in flight.
pub(crate) const TICKET_BITS: u32 = 28;
/// Above them, of a precomputed rotation off its schedule, a turn's number and a mark. The largest number stands for
/// that of no turn, `u32::MAX`.
pub(crate) const TURN: u64 = (1 << 27) - 1;
const MARK: u64 = TURN + 1;
/// Where a state has its mark.
const STATE_MARK: u64 = 1 << 32;
/// Of words with flags, these bits count how often a server was held: those above every state.
const HOLDS: u64 = 0xf << HOLDS_AT;
const HOLDS_AT: u32 = 57;

const _: () = assert!((MARK | TURN) << TICKET_BITS < 1 << HOLDS_AT && MAX_STATE < 1 << HOLDS_AT);

/// Of words without flags: the ticket's server has to be looked at.
const LOOK: u64 = 1 << 60;
/// Then these bits count how often `LOOK` was put there.
const RAISES: u64 = LOOK - (1 << RAISES_AT);
const RAISES_AT: u32 = 44;
/// The number of a ticket without flags.
pub(super) const NUMBER: u64 = (1 << RAISES_AT) - 1;

/// The word of a counter.
#[repr(C, align(64))]
pub(crate) struct TicketWord {
    pub(super) word: AtomicU64,
    /// Only used by rotations that several processes turn.
    looks: AtomicU64,
}

impl TicketWord {
    pub(super) fn new(word: u64) -> Self {
        TicketWord { word: AtomicU64::new(word), looks: AtomicU64::new(0) }
    }

    /// A word that is not in use yet.
    pub(crate) fn uninitialized() -> Self {
        TicketWord::new(UNINITIALIZED)
    }

    /// A server may be held: after its state was set. Every ticket that is taken once this has returned leads to
    /// a look at its server. Lock-free.
    pub(crate) fn raise(&self) {
        let said = |looks: u64| (looks | 1).wrapping_add(2);
        let looks = said(exchange(&self.looks, said));
        exchange(&self.word, |word| {
            if word & FLAGS != 0 {
                word & !HOLDS | word.wrapping_add(1 << HOLDS_AT) & HOLDS
            } else if word & LOOK != 0 {
                word & !RAISES | word.wrapping_add(1 << RAISES_AT) & RAISES
            } else {
                word & NUMBER | LOOK | looks << RAISES_AT & RAISES
            }
        });
    }

    /// No server need be looked at, if none is held. Lock-free.
    pub(crate) fn lower(&self, is_any_held: impl Fn() -> bool) {
        // SeqCst: before the loads of the servers' states; pairs with the exchange in `raise`.
        let looks = self.looks.load(Ordering::SeqCst);
        if looks & 1 == 0 || is_any_held() {
            return;
        }
        // SeqCst: fails if a server may have been held since.
        let _ = self.looks.compare_exchange(looks, looks & !1, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// What of the bits above a ticket's number a word must have that is exchanged for this one, which was loaded
    /// before.
    pub(super) fn look_bits(&self, from: u64) -> u64 {
        // SeqCst: pairs with the exchange in `raise`; before the exchange of the word.
        let looks = self.looks.load(Ordering::SeqCst);
        if looks & 1 == 0 {
            0
        } else if from & FLAGS == 0 && from & LOOK != 0 {
            from & (LOOK | RAISES)
        } else {
            LOOK | looks << RAISES_AT & RAISES
        }
    }
}

/// The state of a precomputed rotation off its schedule, as it is in a word.
pub(super) fn off_schedule_bits(state: u64) -> u64 {
    let mark = if state & STATE_MARK != 0 { MARK } else { 0 };
    (mark | u64::from(state as u32).min(TURN)) << TICKET_BITS
}

/// The state that such a word has.
pub(super) fn off_schedule_state(word: u64) -> u64 {
    let bits = word >> TICKET_BITS;
    let mark = if bits & MARK != 0 { STATE_MARK } else { 0 };
    let number = bits & TURN;
    mark | if number == TURN { u32::MAX.into() } else { number }
}

/// Exchanges a word; returns what it was.
fn exchange(word: &AtomicU64, next: impl Fn(u64) -> u64) -> u64 {
    // SeqCst, all: pairs with the loads and exchanges of the same word.
    let mut now = word.load(Ordering::SeqCst);
    loop {
        let swap = word.compare_exchange_weak(now, next(now), Ordering::SeqCst, Ordering::SeqCst);
        match swap {
            Ok(before) => return before,
            Err(found) => now = found,
        }
    }
}
