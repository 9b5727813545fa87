//! The state under the director's lock, for calls that may make room for connections.

use std::ops::{Deref, DerefMut};

use parking_lot::MutexGuard;

use crate::arena::Arena;
use crate::director::Inner;
use crate::director::control::Control;

/// Wakes the tasks that wait for room once the lock is free: a waker may run any code.
pub(super) struct Changing<'a> {
    // Fields are dropped in this order.
    control: MutexGuard<'a, Control>,
    _wakes: Wakes<'a>,
}

struct Wakes<'a>(&'a Arena);

impl Inner {
    pub(super) fn changing(&self) -> Changing<'_> {
        Changing { control: self.control.lock(), _wakes: Wakes(&self.arena) }
    }
}

impl Changing<'_> {
    /// Lets a thread that waits for the lock have it first.
    pub(super) fn give_way(&mut self) {
        MutexGuard::bump(&mut self.control);
    }

    /// Calls `act` while other threads may have the lock.
    pub(super) fn unlocked<R>(&mut self, act: impl FnOnce() -> R) -> R {
        MutexGuard::unlocked(&mut self.control, act)
    }
}

impl Drop for Wakes<'_> {
    fn drop(&mut self) {
        self.0.rooms_made();
    }
}

impl Deref for Changing<'_> {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.control
    }
}

impl DerefMut for Changing<'_> {
    fn deref_mut(&mut self) -> &mut Control {
        &mut self.control
    }
}
