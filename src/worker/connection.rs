//! An open connection as a value that closes it when dropped.

use std::mem::ManuallyDrop;
use std::net::SocketAddr;

use crate::arena::counts::Activity;
use crate::arena::id::ServerId;
use crate::config::Forwarding;
use crate::pool::endpoint::Pick;
use crate::worker::{Lease, Worker};

/// An open connection that closes itself when dropped. Its methods, and the drop, are as lock-free and
/// allocation-free as the [`Worker`]'s.
///
/// ```
/// # use vsched::{Config, Director, Flow};
/// # let config: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?;
/// # let director = Director::new(&config)?;
/// # let service = director.service("tcp 10.0.0.1:80")?;
/// let worker = director.worker();
/// let (first, second) =
///     (worker.connect(service, &Flow::default())?, worker.connect(service, &Flow::default())?);
/// let server = first.server();
/// let active = || director.counts(server).map(|counts| counts.active);
/// assert_eq!(active(), Some(2));
/// drop(first);
/// assert_eq!(active(), Some(1));
///
/// // A connection borrows its worker. Its lease does not, and another worker may close it.
/// let lease = second.into_lease();
/// drop(worker);
/// director.worker().close(lease)?;
/// assert_eq!(active(), Some(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a connection that is dropped is closed"]
pub struct Connection<'w> {
    pub(super) worker: &'w Worker,
    pub(super) pick: Pick,
    pub(super) lease: Lease,
    /// UDP connections are never active.
    pub(super) counts_activity: bool,
}

impl Connection<'_> {
    /// Returns the server's id.
    pub fn server(&self) -> ServerId {
        self.pick.server()
    }

    /// Returns the server's address and port.
    pub fn address(&self) -> SocketAddr {
        self.pick.address()
    }

    /// Returns how packets reach the server.
    pub fn forwarding(&self) -> Forwarding {
        self.pick.forwarding()
    }

    /// Returns the pick that led to this connection.
    pub fn pick(&self) -> Pick {
        self.pick
    }

    /// Counts the connection as active, except for UDP: call it when the connection is established.
    pub fn established(&mut self) {
        if self.counts_activity {
            self.set(Activity::Active);
        }
    }

    /// Counts the connection as inactive: call it when the connection is closing.
    pub fn closing(&mut self) {
        self.set(Activity::Inactive);
    }

    /// Returns the lease, for hosts that keep connections elsewhere. The connection stays open until
    /// [`Worker::close`] gets the lease.
    pub fn into_lease(self) -> Lease {
        std::mem::take(&mut ManuallyDrop::new(self).lease)
    }

    fn set(&mut self, activity: Activity) {
        // An open lease is never stale, as its count keeps the slot, unless the host has reset the
        // counts (`Director::set_counts`, `forget_removed`); then there is nothing to update.
        let _ = self.worker.update(&mut self.lease, activity);
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        // As in `set`.
        let _ = self.worker.close_in_place(&mut self.lease);
    }
}
