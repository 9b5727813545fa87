//! Whose turn it is, by service and version of its config: owners whose configs agree on all that decides the
//! sequence turn one word, and those of another version turn another one.
//!
//! Versions are made and given to other services by the owner that has the claim alone.
//!
//! | location  | operation              | ordering | partner                                     |
//! |-----------|------------------------|----------|---------------------------------------------|
//! | `digest`  | store in `make`        | Release  | load in `is`; after the words and the service |
//! | `digest`  | load in `is`           | Acquire  | store in `make`                             |
//! | `service` | store in `make`        | SeqCst   | load in `is_of`; before the loads of servers' states |
//! | `service` | load in `is_of`        | SeqCst   | store in `make`; after the store of a server's state |
//! | `holders` | additions and removals | SeqCst   | load in `is_held`                           |

use std::sync::Weak;

use ahash::HashMap;

use crate::arena::block::Block;
use crate::arena::block::owners::OwnerId;
use crate::arena::id::ServiceId;
use crate::concurrent::segments::ArcRef;
use crate::rotation::shared::SharedRotation;
use crate::rotation::ticket_word::TicketWord;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};

/// Versions of each service that there is room for, on average.
pub(super) const VERSIONS: u32 = 4;

#[repr(C, align(64))]
pub(crate) struct RotationSlot {
    /// The service's id.
    service: AtomicU64,
    /// Of all that decides the sequence; 0 = free.
    digest: AtomicU64,
    /// The owners that use it.
    holders: AtomicU64,
}

impl RotationSlot {
    pub(super) fn free() -> Self {
        RotationSlot {
            service: AtomicU64::new(0),
            digest: AtomicU64::new(0),
            holders: AtomicU64::new(0),
        }
    }

    fn is(&self, service: ServiceId, digest: u64) -> bool {
        // Acquire: pairs with the store in `make`.
        self.digest.load(Ordering::Acquire) == digest && self.is_of(service)
    }

    /// True if it is or was one of this service.
    fn is_of(&self, service: ServiceId) -> bool {
        // SeqCst: pairs with the store in `make`. Of a thread that sets a server's state and one that makes a
        // version, one sees the other's store.
        self.service.load(Ordering::SeqCst) == service.word()
    }

    fn make(&self, service: ServiceId, digest: u64) {
        // SeqCst: pairs with the load in `is_of`; before the store of the digest.
        self.service.store(service.word(), Ordering::SeqCst);
        // Release: pairs with the load in `is`.
        self.digest.store(digest, Ordering::Release);
    }

    /// The owner with this number does not use it any more.
    pub(super) fn release(&self, owner: u32) {
        // SeqCst: pairs with the load in `is_held`.
        self.holders.fetch_and(!(1 << owner), Ordering::SeqCst);
    }

    fn hold(&self, owner: u32) {
        // SeqCst: pairs with the load in `is_held`.
        self.holders.fetch_or(1 << owner, Ordering::SeqCst);
    }

    /// True if one of these owners uses it.
    pub(super) fn is_held(&self, by: u64) -> bool {
        // SeqCst: pairs with the changes of the word.
        self.holders.load(Ordering::SeqCst) & by != 0
    }
}

/// One owner's use of a version, as long as this exists.
pub(crate) struct InUse {
    used: Arc<Used>,
    block: Block,
    owner: u32,
    slot: u32,
}

/// The versions that one owner uses, by slot.
#[derive(Default)]
pub(crate) struct Used(Mutex<HashMap<u32, Weak<InUse>>>);

/// What a new version begins with, in the rotation and in that of retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begins {
    pub(crate) cycle: u32,
    pub(crate) states: [u64; 2],
}

/// A version's rotations, and those of its retries.
pub(crate) struct Version {
    pub(crate) rotations: [SharedRotation; 2],
    pub(crate) in_use: Arc<InUse>,
}

/// A server of this service is held from now on, after its state was set: see [`TicketWord::raise`].
/// O(versions of all services).
pub(crate) fn look_at(block: &Block, service: ServiceId) {
    let parts = block.parts();
    for (at, _) in parts.rotations.iter().enumerate().filter(|(_, slot)| slot.is_of(service)) {
        if let Some(word) = parts.words.get(2 * at) {
            word.raise();
        }
    }
}

impl Used {
    /// The rotations of this version, made if no owner uses it yet; `None` if there is no room. Servers are looked
    /// at from the beginning if one is held. Only with the claim.
    pub(crate) fn version(
        self: &Arc<Self>,
        block: &Block,
        owner: OwnerId,
        (service, digest): (ServiceId, u64),
        begins: impl FnOnce() -> Begins,
        is_any_held: impl Fn() -> bool,
    ) -> Option<Version> {
        // 0 is that of a free slot.
        let digest = digest.max(1);
        let slots = &block.parts().rotations;
        let known = slots.iter().position(|slot| slot.is(service, digest));
        let alive = block.parts().alive();
        let free = || slots.iter().position(|slot| !slot.is_held(alive));
        let at = known.or_else(free)?;
        let slot = slots.get(at)?;
        let Begins { cycle, states } = begins();
        // One without an owner has stopped at a turn of long ago.
        let is_new = known.is_none() || !slot.is_held(alive);
        let in_use = self.in_use(block, owner.number, at as u32);
        let rotations = [0, 1].map(|which| {
            let word = ArcRef::of(&block.parts().words, 2 * at + which);
            let word = word.unwrap_or_else(|| ArcRef::standalone(TicketWord::uninitialized()));
            SharedRotation::of(word, if which == 0 { cycle } else { 0 })
        });
        if is_new {
            rotations.iter().for_each(|rotation| rotation.current.uninitialize());
            slot.make(service, digest);
            for (rotation, state) in rotations.iter().zip(states) {
                rotation.adopt_state(state, &is_any_held);
            }
        }
        Some(Version { rotations, in_use })
    }

    fn in_use(self: &Arc<Self>, block: &Block, owner: u32, slot: u32) -> Arc<InUse> {
        let mut used = self.0.lock();
        if let Some(in_use) = used.get(&slot).and_then(Weak::upgrade) {
            return in_use;
        }
        let used_by = Arc::clone(self);
        let in_use = Arc::new(InUse { used: used_by, block: block.clone(), owner, slot });
        if let Some(slot) = block.parts().rotations.get(slot as usize) {
            slot.hold(owner);
        }
        used.insert(slot, Arc::downgrade(&in_use));
        in_use
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut used = self.used.0.lock();
        // Unless another use of the same version has begun since.
        let is_last = used.get(&self.slot).is_some_and(|now| now.strong_count() == 0);
        if is_last {
            used.remove(&self.slot);
            if let Some(slot) = self.block.parts().rotations.get(self.slot as usize) {
                slot.release(self.owner);
            }
        }
    }
}
