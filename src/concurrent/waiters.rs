//! Tasks that wait for something to become possible: first come, first woken.
//!
//! A task [enters](Waiters::enter), then looks again whether it still has to wait. A thread that makes the
//! thing possible changes the state, then [notifies](Waiters::notify). Each has a SeqCst fence between the
//! two, so one of them sees what the other did.
//!
//! `notify` never waits for a lock: if the queue is locked, the thread that has it wakes in its stead, after
//! it has unlocked. Again a fence on both sides stands between a store and a load: `due` and the lock.
//!
//! One is woken at a time, and passes it on: a task that stops waiting, for whatever reason, notifies the
//! next, which finds for itself whether there is still something to have.
//!
//! Wakers are foreign code, which may come back here: none is cloned, dropped or woken under the lock.
//!
//! | location  | operation              | ordering | partner                                            |
//! |-----------|------------------------|----------|----------------------------------------------------|
//! | `waiting` | additions, subtraction | SeqCst   | load in `notify`                                   |
//! | `due`     | addition in `notify`   | SeqCst   | load and swap in `settle`                          |

use std::collections::VecDeque;
use std::task::Waker;

use crate::sync::{AtomicU32, Mutex, Ordering, fence};

/// The tasks that wait for one thing.
#[derive(Default)]
pub(crate) struct Waiters {
    /// Number of tasks in the queue.
    waiting: AtomicU32,
    /// How many of them are to be woken.
    due: AtomicU32,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    next: u64,
    /// By ticket.
    tasks: VecDeque<Task>,
}

struct Task {
    ticket: u64,
    /// `None` once it was woken, until it enters again.
    waker: Option<Waker>,
}

/// A task's place in the queue. [`Waiters::leave`] gives it back.
pub(crate) struct Ticket(u64);

impl Waiters {
    /// Enters the queue, or enters again at the same place. The caller looks again after this, before it
    /// waits. Allocates.
    pub(crate) fn enter(&self, ticket: &mut Option<Ticket>, waker: &Waker) {
        let mut waker = Some(waker.clone());
        let mut queue = self.queue.lock();
        let Queue { next, tasks } = &mut *queue;
        let known = ticket.as_ref().and_then(|ticket| place(tasks, ticket));
        match known.and_then(|at| tasks.get_mut(at)) {
            // The former is dropped at the end.
            Some(task) => std::mem::swap(&mut task.waker, &mut waker),
            None => {
                tasks.push_back(Task { ticket: *next, waker: waker.take() });
                *ticket = Some(Ticket(*next));
                *next += 1;
                // SeqCst: pairs with the load in `notify`; before the caller's next look.
                self.waiting.fetch_add(1, Ordering::SeqCst);
            }
        }
        drop(queue);
        self.settle();
        // Before the caller's next look; pairs with the fence before `notify`.
        fence(Ordering::SeqCst);
    }

    /// Leaves the queue, and wakes the next task.
    pub(crate) fn leave(&self, ticket: Ticket) {
        let mut queue = self.queue.lock();
        let left = place(&queue.tasks, &ticket).and_then(|at| queue.tasks.remove(at));
        if left.is_some() {
            // SeqCst: as in `enter`.
            self.waiting.fetch_sub(1, Ordering::SeqCst);
        }
        drop(queue);
        drop(left);
        fence(Ordering::SeqCst);
        self.notify();
    }

    /// Wakes the first task that is not woken yet. The caller has made possible what it waits for, and then
    /// passed a SeqCst fence, which pairs with that in `enter`. Lock-free but for the waker.
    pub(crate) fn notify(&self) {
        // SeqCst: pairs with the addition in `enter`.
        if self.waiting.load(Ordering::SeqCst) != 0 {
            // SeqCst: pairs with the swap in `settle`.
            self.due.fetch_add(1, Ordering::SeqCst);
            self.settle();
        }
    }

    /// Wakes the tasks that are due, unless the queue is locked: then the thread that has it calls this.
    fn settle(&self) {
        loop {
            // Between `due` and the lock: after the addition in `notify`, and after the caller's own unlocking.
            fence(Ordering::SeqCst);
            // SeqCst, here and below: pairs with the addition in `notify`.
            if self.due.load(Ordering::SeqCst) == 0 {
                return;
            }
            let Some(mut queue) = self.queue.try_lock() else { return };
            let due = self.due.swap(0, Ordering::SeqCst);
            let mut woken = None;
            if due > 0 {
                woken = queue.tasks.iter_mut().find_map(|task| task.waker.take());
            }
            if woken.is_some() {
                self.due.fetch_add(due - 1, Ordering::SeqCst);
            }
            drop(queue);
            if let Some(waker) = woken {
                waker.wake();
            }
        }
    }
}

fn place(tasks: &VecDeque<Task>, ticket: &Ticket) -> Option<usize> {
    tasks.binary_search_by_key(&ticket.0, |task| task.ticket).ok()
}
