//! Which requests can be repeated, and how many at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Copies requests that may be sent again. A closure `Fn(&Request) -> Option<Request>` is one.
pub trait Replay<Request> {
    /// Returns a copy of the request; `None` if it must not be sent twice. Called before each attempt
    /// that another may follow.
    fn replay(&self, request: &Request) -> Option<Request>;
}

impl<F, Request> Replay<Request> for F
where
    F: Fn(&Request) -> Option<Request>,
{
    fn replay(&self, request: &Request) -> Option<Request> {
        self(request)
    }
}

/// No request is sent twice. Another server is still tried where an inner service failed before it took
/// the request, in its `poll_ready`.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoReplay;

impl<Request> Replay<Request> for NoReplay {
    fn replay(&self, _: &Request) -> Option<Request> {
        None
    }
}

/// Limits the retries that run at the same time, so that a failure of all servers does not multiply the
/// load: at most a share of the running requests, or a small number if that is more.
///
/// Needs no clock. Clones share their counts.
///
/// ```
/// use vsched_tower::RetryBudget;
/// // 5 of 25 running requests may be retries, and 3 of 2.
/// let budget = RetryBudget::new(20, 3);
/// assert_eq!([25, 2].map(|running| budget.limit(running)), [5, 3]);
/// ```
#[derive(Debug, Clone)]
pub struct RetryBudget {
    percent: usize,
    least: usize,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    running: AtomicUsize,
    retrying: AtomicUsize,
}

impl RetryBudget {
    /// Returns a budget of this share of the running requests, in percent, and at least `least` retries.
    pub fn new(percent: u8, least: usize) -> Self {
        RetryBudget { percent: percent.into(), least, counts: Arc::default() }
    }

    /// Returns how many retries may run among this many requests.
    pub fn limit(&self, running: usize) -> usize {
        (running.saturating_mul(self.percent) / 100).max(self.least)
    }

    /// Counts a request.
    pub(crate) fn enter(&self) -> Running {
        // Relaxed: both counts stand for themselves, and the limit may be off by requests that come or go
        // at the same moment.
        self.counts.running.fetch_add(1, Ordering::Relaxed);
        Running { budget: self.clone(), is_retry: false }
    }
}

/// A request that a budget counts.
#[derive(Debug)]
pub(crate) struct Running {
    budget: RetryBudget,
    /// It counts among the retries too.
    is_retry: bool,
}

impl Running {
    /// Counts the request among the retries. False if that would exceed the budget.
    pub(crate) fn retry(&mut self) -> bool {
        let RetryBudget { counts, .. } = &self.budget;
        if !self.is_retry {
            // Relaxed: as in `enter`. The update keeps the number of retries within the limit.
            let limit = self.budget.limit(counts.running.load(Ordering::Relaxed));
            let more = |retrying| (retrying < limit).then_some(retrying + 1);
            let taken =
                counts.retrying.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
            self.is_retry = taken;
        }
        self.is_retry
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let RetryBudget { counts, .. } = &self.budget;
        // Relaxed: as in `enter`.
        counts.running.fetch_sub(1, Ordering::Relaxed);
        if self.is_retry {
            counts.retrying.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
