//! A service's id, looked up again when it has become stale.

use std::sync::atomic::{AtomicU64, Ordering};

use vsched::{Handle, ServiceId};

/// The id of the service with a key. A service that is deleted and added again has another id.
#[derive(Debug)]
pub(crate) struct ServiceCell {
    key: String,
    id: AtomicU64,
}

impl ServiceCell {
    /// Takes a lock.
    pub(crate) fn new(handle: &Handle, key: String) -> Self {
        let cell = ServiceCell { key, id: AtomicU64::new(u64::MAX) };
        cell.look_up(handle);
        cell
    }

    pub(crate) fn id(&self) -> ServiceId {
        // Relaxed: a plain value. A stale one is refused, and looked up again.
        let word = self.id.load(Ordering::Relaxed);
        ServiceId::from_raw([word as u32, (word >> 32) as u32])
    }

    /// Returns the present id. Takes a lock.
    #[cold]
    pub(crate) fn look_up(&self, handle: &Handle) -> Option<ServiceId> {
        let found = handle.director().service(&self.key).ok()?;
        let [low, high] = found.to_raw();
        let word = u64::from(low) | u64::from(high) << 32;
        // Relaxed: as in `id`.
        self.id.store(word, Ordering::Relaxed);
        Some(found)
    }
}
