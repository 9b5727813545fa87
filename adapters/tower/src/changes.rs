//! Tasks that wait for a change.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Tells tasks that something has changed, such as a set of endpoints. Clones share their state.
///
/// A waiter compares versions, so a change between a look and the wait is not lost:
///
/// ```
/// # async fn example(changes: vsched_tower::Changes, usable: impl Fn() -> bool) {
/// loop {
///     let seen = changes.version();
///     if usable() || !changes.after(seen).await {
///         break;
///     }
/// }
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Changes {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    version: u64,
    /// There will be no further change.
    closed: bool,
    wakers: BTreeMap<u64, Waker>,
    next: u64,
}

impl Changes {
    /// Returns one without waiters, at version 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of changes so far. Takes a lock.
    pub fn version(&self) -> u64 {
        self.lock().version
    }

    /// Counts a change and wakes all waiters.
    pub fn announce(&self) {
        let mut state = self.lock();
        state.version += 1;
        wake(state);
    }

    /// Says that there will be no further change, and wakes all waiters.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        wake(state);
    }

    /// Wakes all waiters without a change, so that they poll what they wait for.
    pub(crate) fn wake(&self) {
        wake(self.lock());
    }

    /// Waits for a change after this version. Resolves to false if there will be none.
    pub fn after(&self, version: u64) -> Changed {
        Changed { changes: self.clone(), version, key: None }
    }

    // User code never runs under this lock, so a poisoned state is complete.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakers may run tasks: they are called without the lock.
fn wake(mut state: MutexGuard<'_, State>) {
    let wakers = std::mem::take(&mut state.wakers);
    drop(state);
    wakers.into_values().for_each(Waker::wake);
}

/// Future of [`Changes::after`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Changed {
    changes: Changes,
    version: u64,
    /// Of this waiter's waker.
    key: Option<u64>,
}

impl Future for Changed {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let this = &mut *self;
        let mut state = this.changes.lock();
        if state.version != this.version {
            return Poll::Ready(true);
        }
        if state.closed {
            return Poll::Ready(false);
        }
        let key = *this.key.get_or_insert_with(|| {
            state.next += 1;
            state.next
        });
        state.wakers.insert(key, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.changes.lock().wakers.remove(&key);
        }
    }
}
