//! Waiting for a server that has room.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use vsched::{Handle, Refused, ServiceId};

use crate::changes::{Changed, Changes};

// PLACE FOR `Handle::room(service)`. `Room` is the only thing that the rest of the crate waits on: give it
// that future, and `Release`, `RoomList` and the version go away. Until then a request that waits is woken
// when this balancer, or a clone of it, closes a connection.

/// Where requests wait for room.
#[derive(Debug, Clone, Default)]
pub(crate) struct RoomList(Option<Changes>);

/// Tells the list that a connection has closed: a field that is dropped after the connection.
#[derive(Debug)]
pub(crate) struct Release(Option<Changes>);

impl Drop for Release {
    fn drop(&mut self) {
        if let Some(changes) = &self.0 {
            changes.announce();
        }
    }
}

impl RoomList {
    pub(crate) fn waiting() -> Self {
        RoomList(Some(Changes::new()))
    }

    pub(crate) fn release(&self) -> Release {
        Release(self.0.clone())
    }

    /// Taken before a pick and passed to [`room`](Self::room): what closes in between is not lost.
    /// `None` if requests do not wait.
    pub(crate) fn version(&self) -> Option<u64> {
        self.0.as_ref().map(Changes::version)
    }

    /// Resolves when the service may have room.
    pub(crate) fn room(&self, _: &Handle, _: ServiceId, version: u64) -> Option<Room> {
        self.0.as_ref().map(|changes| Room(changes.after(version)))
    }
}

/// See [`RoomList::room`].
#[derive(Debug)]
pub(crate) struct Room(Changed);

impl Future for Room {
    type Output = Result<(), Refused>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|_| Ok(()))
    }
}
