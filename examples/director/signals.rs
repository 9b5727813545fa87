//! Signals as events of the main thread.

use std::io;
use std::sync::mpsc::SyncSender;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use crate::Event;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    Reload(Removal),
    Table,
    Stop,
}

/// How much a reload may remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// Half of the servers, but no service's last eligible one: a file that was emptied or cut off by
    /// mistake is refused.
    Guarded,
    /// Anything: the operator forces it.
    Forced,
}

/// Turns signals into events from now on. The thread ends with the process.
pub(crate) fn watch(events: SyncSender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            let request = match signal {
                SIGHUP => Request::Reload(Removal::Guarded),
                SIGUSR2 => Request::Reload(Removal::Forced),
                SIGUSR1 => Request::Table,
                _ => Request::Stop,
            };
            if events.send(Event::Signal(request)).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}
