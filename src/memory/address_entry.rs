//! The entries of an address map, and where they are.
//!
//! | location  | operation        | ordering | partner             |
//! |-----------|------------------|----------|---------------------|
//! | `used`    | loads and stores | Relaxed  | none: a coarse time |

use std::ops::Deref;

use crate::arena::Arena;
use crate::concurrent::segments::Segment;
use crate::concurrent::zeroed::{Zeroed, zeroed_struct};
use crate::sync::{AtomicU64, Ordering};

/// What an entry remembers: nothing if all its bytes are zero.
pub(crate) trait Payload: Zeroed {
    /// Which entries are over.
    type Expiry: Expires<Self>;
    /// Where a table's entries are: those of some payloads may be shared.
    type Entries: Deref<Target = [AffinityEntry<Self>]> + From<Box<[AffinityEntry<Self>]>>;

    /// Forgets it and unpins the servers it names; false if a thread is writing it.
    fn forget(&self, arena: &Arena) -> bool;

    /// True if it names no server and no thread is writing it.
    fn is_clear(&self) -> bool;
}

/// What a map keeps to tell which of its entries are over; says of none when it is new.
pub(crate) trait Expires<P>: Default + Clone {
    /// True if the entry may be over: a cheap check, which is enough for most.
    fn may_be_over(&self, entry: &AffinityEntry<P>, arena: &Arena) -> bool;

    /// True if the entry with this key is over: lookups do not find it, and a sweep removes it.
    fn is_over(&self, word: u64, entry: &AffinityEntry<P>, arena: &Arena) -> bool;
}

/// An address as a map stores it, and its hash.
#[derive(Clone, Copy)]
pub(crate) struct AddressKey {
    pub(super) word: u64,
    pub(super) hash: u64,
}

impl AddressKey {
    pub(crate) fn word(self) -> u64 {
        self.word
    }

    /// Bits that distinguish a payload written for this key from one written for another.
    pub(crate) fn tag(self) -> u32 {
        (self.hash >> 32) as u32
    }
}

zeroed_struct! {
    #[repr(C)]
    pub(crate) struct AffinityEntry<P> {
        pub(super) key: AtomicU64,
        /// Milliseconds of the clock at the last pick.
        used: AtomicU64,
        pub(crate) payload: P,
    }
}

impl<P> AffinityEntry<P> {
    pub(crate) fn touch(&self, now: u64) {
        // Relaxed: a coarse time; orders nothing.
        self.used.store(now, Ordering::Relaxed);
    }

    pub(crate) fn idle_since(&self) -> u64 {
        // Relaxed: as in `touch`.
        self.used.load(Ordering::Relaxed)
    }
}

/// A table's own elements, or those that others share.
pub(crate) enum Store<T> {
    Own(Box<[T]>),
    Shared(Segment<T>),
}

impl<T> Deref for Store<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        match self {
            Store::Own(elements) => elements,
            Store::Shared(elements) => elements,
        }
    }
}

impl<T> From<Box<[T]>> for Store<T> {
    fn from(elements: Box<[T]>) -> Self {
        Store::Own(elements)
    }
}
