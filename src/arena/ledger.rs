//! What one owner of a shared block holds: the connections that it has open at each server.
//!
//! A process may die between any two instructions, so neither a server's count nor an owner's ledger can be
//! trusted to say both. The ledgers of the living are what is true, and a server's count is made from them
//! again once an owner has died ([`settle`]). So nothing has to be known of what the dead owner was doing, and
//! a process that settles may die of it too: the next one does the same again.
//!
//! Each change announces itself in the ledger before it changes the server's count, and says there when it
//! is done. While no living owner is in the middle of a change of a server, and no ledger changes, the server's
//! count is the sum of their entries and of what the dead have left.
//!
//! | location | operation                              | ordering | partner                          |
//! |----------|----------------------------------------|----------|----------------------------------|
//! | `Ledger` | additions and exchanges                | SeqCst   | loads in `get`; around the exchange of the server's count |
//! | `Ledger` | load in `get`                          | SeqCst   | additions and exchanges          |
//!
//! Why the exchange in [`settle`] is right. It reads all entries, the count, and all entries again, and finds
//! every entry the same, with no change under way. So when it read the count, that was the sum and what the dead
//! have left. Then it exchanges the count for the sum. If others have changed the count since, and it is the
//! same again, then they have opened as many connections as they have closed, and the sum is the same too.
//! (Another thread that settled it has changed its version. An entry counts its changes in 8 bits: it looks the same after exactly 256, if they cancel out. Then the
//! count is off until it is settled again.)

use crate::arena::counts::{Activity, Counts, MAX_CONNECTIONS};
use crate::arena::sizes::LOOKS;
use crate::arena::slots::ServerSlot;
use crate::config::KernelRules;
use crate::error::ConnectionError;
use crate::sync::{AtomicU64, Ordering, spin_loop, yield_now};

/// From the lowest bit: changes under way:12, active:22, total:22, number of changes:8, which wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry(u64);

const CHANGING_BITS: u32 = 12;
const ACTIVE: u32 = CHANGING_BITS;
const FIELD: u32 = 22;
const TOTAL: u32 = ACTIVE + FIELD;
const CHANGE: u32 = TOTAL + FIELD;
/// Threads of one process that may be in the middle of a change of one server's connections. Some fewer than
/// there is room for, because a thread announces itself before it looks.
const MOST_CHANGING: u64 = (1 << CHANGING_BITS) - 64;
/// Most connections of one owner at one server.
pub(crate) const MOST_OWNED: u32 = (1 << FIELD) - 1;

impl Entry {
    pub(crate) fn active(self) -> u32 {
        (self.0 >> ACTIVE) as u32 & MOST_OWNED
    }

    pub(crate) fn total(self) -> u32 {
        (self.0 >> TOTAL) as u32 & MOST_OWNED
    }

    fn changing(self) -> u64 {
        self.0 & ((1 << CHANGING_BITS) - 1)
    }

    pub(crate) fn is_settled(self) -> bool {
        self.changing() == 0
    }

    /// True if the entry neither counts a connection nor is being changed.
    pub(crate) fn is_empty(self) -> bool {
        self.is_settled() && self.total() == 0
    }
}

fn one(activity: Activity) -> u64 {
    (1 << TOTAL) + (u64::from(activity == Activity::Active) << ACTIVE)
}

/// One owner's entry for one server.
#[derive(Default)]
pub(crate) struct Ledger(AtomicU64);

impl Ledger {
    #[inline(always)]
    pub(crate) fn get(&self) -> Entry {
        // SeqCst: pairs with the changes of the word.
        Entry(self.0.load(Ordering::SeqCst))
    }

    /// Opens a connection by `open`, and records it.
    ///
    /// # Errors
    /// Those of `open`; [`Full`](ConnectionError::Full) above [`MOST_OWNED`]. Nothing is recorded then.
    #[inline(always)]
    pub(crate) fn open<T>(
        &self,
        activity: Activity,
        open: impl FnOnce() -> Result<T, ConnectionError>,
    ) -> Result<T, ConnectionError> {
        // SeqCst: before the exchange of the server's count.
        let before = Entry(self.0.fetch_add(1, Ordering::SeqCst));
        // One connection for each thread that may be opening one.
        let room = u64::from(before.total()) + MOST_CHANGING < u64::from(MOST_OWNED);
        let opened = if room && before.changing() < MOST_CHANGING {
            open()
        } else {
            Err(ConnectionError::Full)
        };
        let change = if opened.is_ok() { one(activity) + (1 << CHANGE) } else { 0 };
        self.end(change);
        opened
    }

    /// Ends a connection by `close`, and strikes it out.
    ///
    /// # Errors
    /// Those of `close`; [`Stale`](ConnectionError::Stale) if no such connection is recorded.
    #[inline(always)]
    pub(crate) fn close<T>(
        &self,
        activity: Activity,
        close: impl FnOnce() -> Result<T, ConnectionError>,
    ) -> Result<T, ConnectionError> {
        let by = one(activity);
        let is_recorded = |entry: Entry| match activity {
            Activity::Active => entry.active() > 0 && entry.total() > 0,
            Activity::Inactive => entry.total() > entry.active(),
        };
        self.announce(is_recorded, 0u64.wrapping_sub(by))?;
        let closed = close();
        // Back, if it was not closed.
        self.end(if closed.is_ok() { 1 << CHANGE } else { by });
        closed
    }

    /// Makes a connection active or inactive by `update`, and records that.
    ///
    /// # Errors
    /// As for [`close`](Self::close).
    #[inline(always)]
    pub(crate) fn update<T>(
        &self,
        to: Activity,
        update: impl FnOnce() -> Result<T, ConnectionError>,
    ) -> Result<T, ConnectionError> {
        let by = match to {
            Activity::Active => 1 << ACTIVE,
            Activity::Inactive => 0u64.wrapping_sub(1 << ACTIVE),
        };
        let is_recorded = |entry: Entry| match to {
            Activity::Active => entry.total() > entry.active(),
            Activity::Inactive => entry.active() > 0,
        };
        self.announce(is_recorded, by)?;
        let updated = update();
        self.end(if updated.is_ok() { 1 << CHANGE } else { 0u64.wrapping_sub(by) });
        updated
    }

    /// Announces a change and makes it, if the entry is such.
    #[inline(always)]
    fn announce(&self, is: impl Fn(Entry) -> bool, by: u64) -> Result<(), ConnectionError> {
        let mut before = self.get();
        loop {
            if !is(before) {
                return Err(ConnectionError::Stale);
            }
            if before.changing() >= MOST_CHANGING {
                return Err(ConnectionError::Full);
            }
            let after = before.0.wrapping_add(by).wrapping_add(1);
            // SeqCst: before the exchange of the server's count.
            let swap =
                self.0.compare_exchange_weak(before.0, after, Ordering::SeqCst, Ordering::SeqCst);
            match swap {
                Ok(_) => return Ok(()),
                Err(now) => before = Entry(now),
            }
        }
    }

    /// The announced change is done, and changes the entry by this.
    #[inline(always)]
    fn end(&self, change: u64) {
        // SeqCst: after the exchange of the server's count. Sums of single connections: no field overflows.
        self.0.fetch_add(change.wrapping_sub(1), Ordering::SeqCst);
    }

    /// Other connections, if the entry is still the same and settled.
    fn replace(&self, before: Entry, active: u32, total: u32) -> bool {
        let changes = (before.0 >> CHANGE).wrapping_add(1) << CHANGE;
        let after = changes | u64::from(total) << TOTAL | u64::from(active) << ACTIVE;
        // SeqCst: pairs with the load in `get`.
        let swap = || self.0.compare_exchange(before.0, after, Ordering::SeqCst, Ordering::SeqCst);
        before.is_settled() && swap().is_ok()
    }

    /// An empty entry, for an owner that has just come.
    pub(crate) fn reset(&self) {
        // SeqCst: before the owner's first change.
        self.0.store(0, Ordering::SeqCst);
    }
}

/// Sets what the owner of this ledger has open at a server, so that all living owners together have these
/// connections, or as near as that comes: what others have stays. Then makes the server's count again. Only while
/// the owner itself makes no other such correction.
pub(crate) fn correct<'a>(
    slot: &ServerSlot,
    own: &Ledger,
    (active, total): (u32, u32),
    rule: KernelRules,
    living: impl Fn() -> LivingEntries<'a>,
) -> Settled {
    let mut corrected = false;
    for look in 0..10 * LOOKS {
        let before = own.get();
        if let Some((counts, sum)) = moment(slot, &living).filter(|_| own.get() == before) {
            if corrected {
                if recount(slot, counts, sum, rule) {
                    return Settled::Yes;
                }
            } else {
                let others =
                    (sum.0.saturating_sub(before.active()), sum.1.saturating_sub(before.total()));
                let total = total.saturating_sub(others.1).min(MOST_OWNED);
                let active = active.saturating_sub(others.0).min(total);
                corrected = own.replace(before, active, total);
            }
        }
        spin_loop();
        if look % LOOKS == LOOKS - 1 {
            yield_now();
        }
    }
    Settled::NotYet
}

/// Whether a server's count is that of the living again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    Yes,
    /// Living owners kept changing it, or one was stopped in the middle of a change.
    NotYet,
}

/// Makes a server's count from the entries of the owners that are alive. The entry of the dead one stays: by
/// now it may be that of the next owner in its place. Any number of threads may do this at once. Waits for no other thread.
pub(crate) fn settle<'a>(
    slot: &ServerSlot,
    dead: &Ledger,
    rule: KernelRules,
    living: impl Fn() -> LivingEntries<'a>,
) -> Settled {
    if dead.get().is_empty() {
        return Settled::Yes;
    }
    for _ in 0..LOOKS {
        if let Some((counts, sum)) = moment(slot, &living) {
            if recount(slot, counts, sum, rule) {
                return Settled::Yes;
            }
        }
        spin_loop();
    }
    Settled::NotYet
}

/// The entries of living owners for one server.
pub(crate) type LivingEntries<'a> = Box<dyn Iterator<Item = &'a Ledger> + 'a>;

/// The count at a moment in which no living owner is changing it, and the sum, active and total, of their
/// entries.
fn moment<'a>(
    slot: &ServerSlot,
    living: &impl Fn() -> LivingEntries<'a>,
) -> Option<(Counts, (u32, u32))> {
    let first: Vec<Entry> = living().map(Ledger::get).collect();
    if !first.iter().copied().all(Entry::is_settled) {
        return None;
    }
    let counts = slot.counts_seqcst();
    let again = living().map(Ledger::get);
    if !again.eq(first.iter().copied()) {
        return None;
    }
    let sum = first.iter().fold((0u32, 0u32), |(active, total), entry| {
        (active.saturating_add(entry.active()), total.saturating_add(entry.total()))
    });
    Some((counts, sum))
}

/// Exchanges these counts for this sum, active and total, unless others have changed them. Marks as after a
/// correction. A vacant slot keeps its counts.
pub(crate) fn recount(
    slot: &ServerSlot,
    known: Counts,
    (active, total): (u32, u32),
    rule: KernelRules,
) -> bool {
    if known.vacant() || (known.active(), known.total()) == (active, total) {
        return true;
    }
    let (active, total) = (active.min(MAX_CONNECTIONS), total.min(MAX_CONNECTIONS));
    let recounted = slot.change(|counts| {
        let corrected = counts.corrected(active, total.saturating_sub(active), slot.limits(), rule);
        let corrected = corrected.filter(|_| counts == known).map(Counts::next_version);
        corrected.ok_or(ConnectionError::Stale)
    });
    recounted.is_ok()
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
