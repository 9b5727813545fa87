//! An ordered set of servers, stored in place: the payload of lblcr's entries.
//!
//! Readers never wait: a set that is being written reads as busy. Writers never wait either: they skip
//! a set that another thread is writing or has changed since they read it. So a thread that is stopped
//! while it writes costs one address its memory, and affects no other address or thread.
//!
//! | location             | operation                   | ordering | partner                        |
//! |----------------------|-----------------------------|----------|--------------------------------|
//! | `head`               | exchange and store in `write` | SeqCst | both loads in `read`           |
//! | `members`,`modified` | stores in `write`           | SeqCst   | loads in `read`, between heads |

use crate::arena::Arena;
use crate::concurrent::zeroed::zeroed_struct;
use crate::memory::address_map::{AddressKey, AffinityEntry, Payload};
use crate::memory::expiry::Expiry;
use crate::memory::one_server::{pin, unpin_slot};
use crate::memory::sizes::MOST;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

const NOBODY: u32 = u32::MAX;
const WRITING: u64 = 1;
const VERSION: u64 = 2;
const VERSIONS: u64 = u32::MAX as u64;

zeroed_struct! {
    pub(crate) struct ServerSet {
        /// tag:32, version:31, writing:1.
        head: AtomicU64,
        /// Milliseconds of the clock when the set last changed.
        modified: AtomicU64,
        /// Complements of slots, newest member first; 0 = none.
        members: [AtomicU32; MOST],
    }
}

/// A snapshot of a set.
#[derive(Clone, Copy)]
pub(crate) struct Members {
    head: u64,
    pub(crate) modified: u64,
    slots: [u32; MOST],
    count: usize,
}

impl Members {
    /// The slots, newest member first.
    pub(crate) fn slots(&self) -> &[u32] {
        self.slots.get(..self.count).unwrap_or(&[])
    }

    pub(crate) fn remove(&mut self, slot: u32, now: u64) {
        if let Some(at) = self.slots().iter().position(|member| *member == slot) {
            // Not `copy_within`, which can panic.
            let before = self.slots;
            let behind = before.get(at + 1..self.count).unwrap_or(&[]);
            for (to, from) in self.slots.iter_mut().skip(at).zip(behind) {
                *to = *from;
            }
            self.count -= 1;
            self.modified = now;
        }
    }

    /// Adds a server at the front, unless it is a member. A full set drops its oldest member.
    pub(crate) fn add(&mut self, slot: u32, now: u64) {
        if !self.slots().contains(&slot) {
            let stay = self.count.min(MOST - 1);
            self.slots.copy_within(..stay, 1);
            self.slots[0] = slot;
            self.count = stay + 1;
            self.modified = now;
        }
    }
}

impl ServerSet {
    /// The set as written for this key, empty if it was written for another; `None` if another
    /// thread is writing.
    pub(crate) fn read(&self, key: AddressKey) -> Option<Members> {
        let head = self.head.load(Ordering::SeqCst);
        if head & WRITING != 0 {
            return None;
        }
        let mut members = Members { head, modified: 0, slots: [NOBODY; MOST], count: 0 };
        if (head >> 32) as u32 != key.tag() {
            return Some(members);
        }
        members.modified = self.modified.load(Ordering::SeqCst);
        for (member, slot) in self.members.iter().zip(&mut members.slots) {
            *slot = !member.load(Ordering::SeqCst);
            if *slot == NOBODY {
                break;
            }
            members.count += 1;
        }
        (self.head.load(Ordering::SeqCst) == head).then_some(members)
    }

    /// Writes the set for this key, unless it has changed since it was read.
    pub(crate) fn write(&self, arena: &Arena, key: AddressKey, members: &Members) {
        let head = members.head;
        let writing =
            self.head.compare_exchange(head, head | WRITING, Ordering::SeqCst, Ordering::SeqCst);
        if writing.is_err() {
            return;
        }
        for (at, member) in self.members.iter().enumerate() {
            let slot = members.slots().get(at).copied().unwrap_or(NOBODY);
            replace(arena, member, slot);
        }
        self.modified.store(members.modified, Ordering::SeqCst);
        let version = head.wrapping_add(VERSION) & VERSIONS & !WRITING;
        self.head.store(u64::from(key.tag()) << 32 | version, Ordering::SeqCst);
    }
}

fn replace(arena: &Arena, member: &AtomicU32, slot: u32) {
    if slot != NOBODY {
        pin(arena, slot);
    }
    let former = !member.swap(!slot, Ordering::SeqCst);
    if former != NOBODY {
        unpin_slot(arena, former);
    }
}

impl Payload for ServerSet {
    type Expiry = Expiry;
    type Entries = Box<[AffinityEntry<Self>]>;

    fn forget(&self, arena: &Arena) -> bool {
        if self.is_clear() {
            return true;
        }
        let head = self.head.load(Ordering::SeqCst);
        let clear = head.wrapping_add(VERSION) & VERSIONS;
        let swap = |from, to| {
            self.head.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
        };
        // Skip a set that is being written; the next sweep returns to it.
        let ours = head & WRITING == 0 && swap(head, head | WRITING);
        if ours {
            for member in &self.members {
                replace(arena, member, NOBODY);
            }
            self.head.store(clear, Ordering::SeqCst);
        }
        ours
    }

    fn is_clear(&self) -> bool {
        let writing = self.head.load(Ordering::SeqCst) & WRITING != 0;
        // Members are packed at the front.
        !writing && self.members.iter().all(|member| !member.load(Ordering::SeqCst) == NOBODY)
    }
}

#[cfg(test)]
#[path = "server_set_tests.rs"]
mod tests;
