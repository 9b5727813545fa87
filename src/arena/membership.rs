//! Which service a server belongs to, and who learns of changes of the server's counts.
//!
//! | location     | operation                | ordering | partner                        |
//! |--------------|--------------------------|----------|--------------------------------|
//! | `Membership` | stores in `set`, `set_flag` | SeqCst | loads in `word`               |

use crate::sync::{AtomicU32, Ordering};

/// The service's slot index, [`TOLD`] and [`BY_WORKER`].
pub(super) struct Membership(AtomicU32);

/// The service is told of changes of the server's counts.
pub(super) const TOLD: u32 = 1 << 31;
/// Workers count their connections to the server in words of their own.
pub(super) const BY_WORKER: u32 = 1 << 30;
/// Index of no service; all indices are below.
pub(crate) const NO_SERVICE: u32 = !(TOLD | BY_WORKER);

impl Membership {
    pub(super) fn none() -> Self {
        Membership(AtomicU32::new(NO_SERVICE))
    }

    /// The index of the service, and whether it is told of changes of the slot's counts.
    #[inline(always)]
    pub(super) fn service_to_tell(&self) -> (u32, bool) {
        let word = self.word();
        (word & NO_SERVICE, word & (TOLD | BY_WORKER) != 0)
    }

    /// The index of the service, and whether it is told of changes of workers' counts too.
    #[inline(always)]
    pub(super) fn service_to_tell_all(&self) -> (u32, bool) {
        let word = self.word();
        (word & NO_SERVICE, word & TOLD != 0)
    }

    #[inline(always)]
    pub(super) fn is_counted_by_worker(&self) -> bool {
        self.word() & BY_WORKER != 0
    }

    #[inline(always)]
    fn word(&self) -> u32 {
        // SeqCst: pairs with the stores in `set` and `set_flag`.
        self.0.load(Ordering::SeqCst)
    }

    /// The server belongs to this service, without flags. Director only.
    pub(super) fn set(&self, service: u32) {
        // SeqCst: pairs with the load in `word`.
        self.0.store(service, Ordering::SeqCst);
    }

    /// Director only.
    pub(super) fn set_flag(&self, flag: u32, set: bool) {
        let word = self.word();
        let next = if set { word | flag } else { word & !flag };
        // Most often it is so already, and other threads have the cache line.
        if next != word {
            // SeqCst: pairs with the load in `word`; before the store in `Snapshot::publish`.
            self.0.store(next, Ordering::SeqCst);
        }
    }
}
