//! What hosts report of each server: outcomes of connections, and how long they took.
//!
//! One slot per server slot, in an array of its own, so that the reports of a server write no memory
//! that picks read. Plain numbers; found by index and generation.
//!
//! | location     | operation               | ordering | partner                                   |
//! |--------------|-------------------------|----------|-------------------------------------------|
//! | report words | exchanges in `change`   | SeqCst   | swaps in `assign`, loads in `change`      |
//! | report words | loads in `value`        | Relaxed  | none: they order nothing                  |
//! | `starts`     | stores in `set`         | Release  | loads in `get`                            |
//! | `starts`     | loads in `get`          | Acquire  | stores in `set`                           |
//!
//! A report counts for the owner that it names, or not at all. Each of its words contains the low 16
//! bits of the owner's generation, and the exchange that counts compares them: of a report that is late,
//! because its slot got another owner in between, nothing is left. (A thread that is suspended between
//! load and exchange for exactly 65,536 owners of one slot, all of whose counts were equal, counts for
//! the last of them.)
//!
//! Failed and consecutive failures are one word. Each failure gets its own consecutive number, so
//! exactly one thread gets the number at which something is to be done.
//!
//! The window needs no words of its own on the hot path: it is the difference between the totals and
//! what they were when an interval began. So no report is lost while the director begins an interval.

use std::time::Duration;

use crate::arena::latency::Latency;
use crate::error::ConnectionError;
use crate::sync::{AtomicU64, Ordering};

/// How a connection or request ended, as the host saw it.
///
/// ```
/// use std::time::Duration;
/// use vsched::Outcome;
/// # use vsched::{Config, Director};
/// # let config: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?;
/// # let director = Director::new(&config)?;
/// # let server = director.server(director.service("tcp 10.0.0.1:80")?, "10.0.1.1:80")?;
/// let worker = director.worker();
/// for outcome in [Outcome::Failed, Outcome::Abandoned, Outcome::Failed] {
///     worker.report(server, outcome, None)?;
/// }
/// let health = director.health(server).expect("it runs");
/// assert_eq!((health.failed, health.consecutive_failures), (2, 2));
/// worker.report(server, Outcome::Done, Some(Duration::from_millis(3)))?;
/// let health = director.health(server).expect("it runs");
/// assert_eq!((health.failed, health.consecutive_failures), (2, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Outcome {
    /// The server did what it should. Ends a series of consecutive failures.
    Done = 1,
    /// The server failed: it refused the connection, reset it, timed out, or answered with an error.
    Failed = 2,
    /// Ended for a reason that says nothing about the server, such as a client that left. Counted, but
    /// as neither success nor failure: a series of consecutive failures continues.
    Abandoned = 3,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: &'static [Outcome] = &[Outcome::Done, Outcome::Failed, Outcome::Abandoned];
}

const VALUE_BITS: u32 = 48;
const VALUE: u64 = (1 << VALUE_BITS) - 1;
/// In `failures`, below: failed, 32 bits; above: consecutive failures.
const CONSECUTIVE: u32 = 32;
const MOST_CONSECUTIVE: u64 = (1 << (VALUE_BITS - CONSECUTIVE)) - 1;

/// What is reported of one server.
#[repr(C, align(64))]
pub(crate) struct HealthSlot {
    /// From the lowest bit: failed:32, consecutive:16, generation:16. The consecutive failures stop at
    /// their maximum; `starts` continues the total.
    failures: AtomicU64,
    /// count:48, generation:16.
    done: AtomicU64,
    /// count:48, generation:16.
    abandoned: AtomicU64,
    /// A [`Latency`], and generation:16.
    latency: AtomicU64,
    /// The totals when the current and the previous interval began.
    starts: [Totals; 2],
}

#[derive(Default)]
struct Totals {
    done: AtomicU64,
    failed: AtomicU64,
}

impl Totals {
    fn get(&self) -> (u64, u64) {
        // Acquire: what is read of the report words after this is not older than these totals; pairs
        // with the stores in `set`.
        (self.done.load(Ordering::Acquire), self.failed.load(Ordering::Acquire))
    }

    fn set(&self, (done, failed): (u64, u64)) {
        // Release: pairs with the loads in `get`.
        self.done.store(done, Ordering::Release);
        self.failed.store(failed, Ordering::Release);
    }
}

/// What a slot contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Health {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) abandoned: u64,
    pub(crate) consecutive_failures: u32,
    /// In the current interval and the one before.
    pub(crate) recent_done: u64,
    pub(crate) recent_failed: u64,
    pub(crate) latency: Option<Duration>,
}

impl HealthSlot {
    /// A slot that counts nothing until [`assign`](Self::assign); its server slot's first owner has
    /// this generation.
    pub(crate) fn new(first_generation: u32) -> Self {
        let none = || AtomicU64::new(tag(first_generation.wrapping_sub(1)));
        HealthSlot {
            failures: none(),
            done: none(),
            abandoned: none(),
            latency: none(),
            starts: Default::default(),
        }
    }

    /// Starts at zero for an owner with this generation. Director only.
    pub(crate) fn assign(&self, generation: u32) {
        for word in [&self.failures, &self.done, &self.abandoned, &self.latency] {
            // SeqCst: pairs with the exchanges in `change`. Those for the previous owner come before
            // this swap, or fail.
            word.swap(tag(generation), Ordering::SeqCst);
        }
        self.starts.iter().for_each(|start| start.set((0, 0)));
    }

    /// Counts an outcome of this owner. Returns how many failures the server has now had in a row, if
    /// this is one; else 0. Lock-free.
    #[inline]
    pub(crate) fn report(
        &self,
        generation: u32,
        outcome: Outcome,
        latency: Option<Duration>,
    ) -> Result<u32, ConnectionError> {
        let tag = tag(generation);
        match outcome {
            Outcome::Done => {
                // Most often there is no failure to forget, and this only loads.
                change(&self.failures, tag, |failures| failures & ((1 << CONSECUTIVE) - 1))?;
                change(&self.done, tag, |count| count + 1)?;
                if let Some(latency) = latency {
                    change(&self.latency, tag, |word| {
                        Latency::from_word(word).with_sample(latency).word()
                    })?;
                }
                Ok(0)
            }
            Outcome::Failed => Ok(consecutive(change(&self.failures, tag, failed_once)?)),
            Outcome::Abandoned => change(&self.abandoned, tag, |count| count + 1).map(|_| 0),
        }
    }

    /// Sets the number of failures in a row: that of a server that is tried again, one failure below the
    /// limit. Director only.
    pub(crate) fn set_consecutive(&self, consecutive: u32) {
        // Relaxed: only the director, which calls this, changes the generation.
        let tag = self.failures.load(Ordering::Relaxed) & !VALUE;
        let number = u64::from(consecutive).min(MOST_CONSECUTIVE) << CONSECUTIVE;
        // Never an error, for the same reason.
        let _ = change(&self.failures, tag, |failures| u64::from(failures as u32) | number);
    }

    /// What was reported. If an interval begins meanwhile, what is recent is of one interval or of two.
    pub(crate) fn read(&self) -> Health {
        let (done, failed) = self.totals();
        // Of the previous interval; later than the totals only if this thread was suspended for an interval.
        let [_, (done_before, failed_before)] = self.starts.each_ref().map(Totals::get);
        Health {
            done,
            failed,
            abandoned: value(&self.abandoned),
            consecutive_failures: consecutive(value(&self.failures)),
            recent_done: done.saturating_sub(done_before),
            recent_failed: failed.saturating_sub(failed_before),
            latency: Latency::from_word(value(&self.latency)).average(),
        }
    }

    /// Begins an interval: the current one becomes the previous one. Director only.
    pub(crate) fn begin_interval(&self) {
        let [current, previous] = &self.starts;
        let totals = self.totals();
        previous.set(current.get());
        current.set(totals);
    }

    /// Lets the latency decay, `seconds` after the last call. Director only.
    pub(crate) fn decay(&self, seconds: u64) {
        // Relaxed: only the director, which calls this, changes the generation.
        let tag = self.latency.load(Ordering::Relaxed) & !VALUE;
        // Never an error, for the same reason.
        let _ = change(&self.latency, tag, |word| Latency::from_word(word).decayed(seconds).word());
    }

    /// Done and failed. The failed of more than 32 bits are exact if fewer than 2^32 fail in an
    /// interval.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let (_, before) = self.starts[0].get();
        let since = (value(&self.failures) as u32).wrapping_sub(before as u32);
        (value(&self.done), before.wrapping_add(since.into()))
    }
}

/// The generation's part of a word.
#[inline]
fn tag(generation: u32) -> u64 {
    u64::from(generation) << VALUE_BITS
}

fn value(word: &AtomicU64) -> u64 {
    // Relaxed: any recent value will do.
    word.load(Ordering::Relaxed) & VALUE
}

#[inline]
fn consecutive(failures: u64) -> u32 {
    ((failures & VALUE) >> CONSECUTIVE) as u32
}

/// One more failure.
#[inline]
fn failed_once(failures: u64) -> u64 {
    let next = (u64::from(consecutive(failures)) + 1).min(MOST_CONSECUTIVE);
    next << CONSECUTIVE | u64::from((failures as u32).wrapping_add(1))
}

/// Changes the value of a word that has this generation's tag; returns the new value.
#[inline(always)]
fn change(word: &AtomicU64, tag: u64, next: impl Fn(u64) -> u64) -> Result<u64, ConnectionError> {
    // SeqCst, here and below: pairs with the swap in `assign` and with itself.
    let mut now = word.load(Ordering::SeqCst);
    loop {
        if now & !VALUE != tag {
            return Err(ConnectionError::Stale);
        }
        let after = next(now & VALUE) & VALUE;
        if tag | after == now {
            return Ok(after);
        }
        let swap = word.compare_exchange_weak(now, tag | after, Ordering::SeqCst, Ordering::SeqCst);
        match swap {
            Ok(_) => return Ok(after),
            Err(found) => now = found,
        }
    }
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
