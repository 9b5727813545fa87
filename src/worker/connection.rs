//! A connection as long as it is open.

use std::mem::ManuallyDrop;
use std::net::SocketAddr;

use crate::arena::counts::Activity;
use crate::arena::id::ServerId;
use crate::config::Forwarding;
use crate::pool::endpoint::Pick;
use crate::worker::{Lease, Worker};

/// An open connection that closes itself when dropped.
#[derive(Debug)]
pub struct Connection<'w> {
    pub(super) worker: &'w Worker,
    pub(super) pick: Pick,
    pub(super) lease: Lease,
    /// UDP connections are never active.
    pub(super) counts_activity: bool,
}

impl Connection<'_> {
    /// The server.
    pub fn server(&self) -> ServerId {
        self.pick.server()
    }

    /// The server's address and port.
    pub fn address(&self) -> SocketAddr {
        self.pick.address()
    }

    /// How packets reach the server.
    pub fn forwarding(&self) -> Forwarding {
        self.pick.forwarding()
    }

    /// The decision.
    pub fn pick(&self) -> Pick {
        self.pick
    }

    /// The connection is established: active, except for UDP.
    pub fn established(&mut self) {
        if self.counts_activity {
            self.set(Activity::Active);
        }
    }

    /// The connection is closing: inactive.
    pub fn closing(&mut self) {
        self.set(Activity::Inactive);
    }

    /// The bare lease, for hosts that keep connections elsewhere.
    pub fn into_lease(self) -> Lease {
        std::mem::take(&mut ManuallyDrop::new(self).lease)
    }

    fn set(&mut self, activity: Activity) {
        // An open lease is never stale: its count keeps the slot.
        let _ = self.worker.update(&mut self.lease, activity);
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        // As in `set`.
        let _ = self.worker.close_in_place(&mut self.lease);
    }
}
