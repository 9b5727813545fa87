//! The director's lock. Whatever changes under it that readers are to know is published before another
//! thread can have it.

use std::ops::{Deref, DerefMut};

use parking_lot::{Mutex, MutexGuard};

use crate::arena::Arena;
use crate::director::Inner;
use crate::director::control::Control;

/// Leads to the state under the lock only through guards that publish.
pub(super) struct ControlLock(Mutex<Control>);

impl ControlLock {
    pub(super) fn new(control: Control) -> Self {
        ControlLock(Mutex::new(control))
    }

    /// For calls that make no room for connections.
    pub(super) fn lock(&self) -> Locked<'_> {
        Locked(self.0.lock())
    }

    /// To be read, unless another thread has it.
    pub(super) fn try_read(&self) -> Option<impl Deref<Target = Control> + '_> {
        self.0.try_lock()
    }
}

/// Publishes before it releases the lock.
pub(super) struct Locked<'a>(MutexGuard<'a, Control>);

/// Wakes the tasks that wait for room once the lock is free: a waker may run any code.
pub(super) struct Changing<'a> {
    // Fields are dropped in this order.
    locked: Locked<'a>,
    _wakes: Wakes<'a>,
}

struct Wakes<'a>(&'a Arena);

impl Inner {
    /// For calls that may make room for connections.
    pub(super) fn changing(&self) -> Changing<'_> {
        Changing { locked: self.control.lock(), _wakes: Wakes(&self.arena) }
    }
}

impl Changing<'_> {
    /// Lets a thread that waits for the lock have it first.
    pub(super) fn give_way(&mut self) {
        self.publish_roster();
        MutexGuard::bump(&mut self.locked.0);
    }

    /// Calls `act` while other threads may have the lock.
    pub(super) fn unlocked<R>(&mut self, act: impl FnOnce() -> R) -> R {
        self.publish_roster();
        MutexGuard::unlocked(&mut self.locked.0, act)
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.0.publish_roster();
        #[cfg(test)]
        assert!(self.0.is_roster_true() || std::thread::panicking());
    }
}

impl Drop for Wakes<'_> {
    fn drop(&mut self) {
        self.0.rooms_made();
    }
}

impl Deref for Locked<'_> {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.0
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Control {
        &mut self.0
    }
}

impl Deref for Changing<'_> {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.locked
    }
}

impl DerefMut for Changing<'_> {
    fn deref_mut(&mut self) -> &mut Control {
        &mut self.locked
    }
}
