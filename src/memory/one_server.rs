//! One server, by its slot: the payload of lblc's entries, and part of a persistence template.
//!
//! | location | operation                         | ordering | partner           |
//! |----------|-----------------------------------|----------|-------------------|
//! | `word`   | swaps in `set`, `clear`, `forget` | SeqCst   | each other, loads |

use crate::arena::Arena;
use crate::concurrent::zeroed::zeroed_struct;
use crate::memory::address_map::{AddressKey, AffinityEntry, Payload};
use crate::memory::expiry::Expiry;
use crate::sync::{AtomicU64, Ordering};

zeroed_struct! {
    #[repr(C)]
    pub(crate) struct OneServer {
        /// tag:32, the slot's complement:32; 0 = none. No server has slot 2^32 - 1.
        word: AtomicU64,
    }
}

const NONE: u64 = 0;

fn word_of(key: AddressKey, slot: u32) -> u64 {
    u64::from(key.tag()) << 32 | u64::from(!slot)
}

impl OneServer {
    /// The server's slot, if it was written for this key.
    #[inline]
    pub(crate) fn get(&self, key: AddressKey) -> Option<u32> {
        let word = self.word.load(Ordering::SeqCst);
        (word != NONE && (word >> 32) as u32 == key.tag()).then_some(!(word as u32))
    }

    /// The server's slot, regardless of the key for which it was written.
    pub(crate) fn slot(&self) -> Option<u32> {
        let word = self.word.load(Ordering::SeqCst);
        (word != NONE).then_some(!(word as u32))
    }

    pub(crate) fn set(&self, arena: &Arena, key: AddressKey, slot: u32) {
        pin(arena, slot);
        let former = self.word.swap(word_of(key, slot), Ordering::SeqCst);
        unpin(arena, former);
    }

    /// Forgets this server, unless another has been written in the meantime.
    pub(crate) fn clear(&self, arena: &Arena, key: AddressKey, slot: u32) {
        let known = word_of(key, slot);
        if self.word.compare_exchange(known, NONE, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            unpin_slot(arena, slot);
        }
    }
}

impl Payload for OneServer {
    type Expiry = Expiry;
    type Entries = Box<[AffinityEntry<Self>]>;

    fn forget(&self, arena: &Arena) -> bool {
        if !self.is_clear() {
            unpin(arena, self.word.swap(NONE, Ordering::SeqCst));
        }
        true
    }

    fn is_clear(&self) -> bool {
        self.word.load(Ordering::SeqCst) == NONE
    }
}

/// In a block no pin is needed: where a server leaves for good, entries that name it are cleared first.
pub(crate) fn pin(arena: &Arena, slot: u32) {
    if arena.is_shared() {
        return;
    }
    if let Some(server) = arena.servers.get(slot) {
        server.pin();
    }
}

fn unpin(arena: &Arena, word: u64) {
    if word != NONE {
        unpin_slot(arena, !(word as u32));
    }
}

pub(crate) fn unpin_slot(arena: &Arena, slot: u32) {
    if arena.is_shared() {
        return;
    }
    if let Some(server) = arena.servers.get(slot) {
        server.unpin();
    }
}

#[cfg(test)]
#[path = "one_server_tests.rs"]
mod tests;
