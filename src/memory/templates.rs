//! Persistence templates: which server a client is sent to, and for how long.
//!
//! A map from masked client addresses to servers (see `address_map`). A template lives for the
//! service's timeout after each new connection. If it expires while connections made through it are
//! still open, it is extended by one minute at a time, and its timeout is one minute from then on.
//!
//! | location            | operation                             | ordering | partner                      |
//! |---------------------|---------------------------------------|----------|------------------------------|
//! | `held`              | updates in `acquire`, `release`, swap in `make` | SeqCst | each other, load in `is_due` |
//! | `held`              | update in `clear_holds`               | SeqCst   | the same                     |
//! | `timeout`,`deadline`| loads and stores                      | Relaxed  | none: coarse times           |

use std::collections::HashMap;

use crate::arena::Arena;
use crate::concurrent::zeroed::{OutOfMemory, zeroed_struct};
use crate::config::Remembered;
use crate::memory::address_map::{AddressKey, Affinity, AffinityEntry, Payload};
use crate::memory::one_server::OneServer;
use crate::sync::{Arc, AtomicU64, Ordering};

/// By how much a template with open connections is extended when it expires, in milliseconds.
const EXTENSION: u64 = 60_000;

pub(crate) struct Templates {
    map: Affinity<Template>,
}

zeroed_struct! {
    pub(crate) struct Template {
        server: OneServer,
        /// serial:32, open connections made through it:32. The serial is unique in the director and
        /// distinguishes a template from an earlier one of the same client (even one of a deleted
        /// service), whose connections do not count for this one.
        held: AtomicU64,
        timeout: AtomicU64,
        deadline: AtomicU64,
    }
}

/// Identifies a template: the client's key and the template's serial; serial 0 = none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(C)]
pub(crate) struct TemplateId {
    key: u64,
    serial: u32,
    /// 0. Makes the padding explicit, so that no byte is undefined when C copies it.
    reserved: u32,
}

impl TemplateId {
    pub(crate) const NONE: Self = TemplateId { key: 0, serial: 0, reserved: 0 };

    pub(crate) fn is_none(self) -> bool {
        self.serial == 0
    }
}

fn serial_of(held: u64) -> u32 {
    (held >> 32) as u32
}

impl Templates {
    /// Templates for up to `capacity` clients, 1 to 2^24. Allocates.
    pub(crate) fn new(arena: Arc<Arena>, capacity: u32) -> Result<Self, OutOfMemory> {
        Ok(Templates { map: Affinity::new(arena, capacity)? })
    }

    /// The same templates, in place, with another capacity; `None` if nothing would change. May
    /// allocate.
    pub(crate) fn next(&self, capacity: u32) -> Result<Option<Self>, OutOfMemory> {
        Ok(self.map.next(capacity)?.map(|map| Templates { map }))
    }

    pub(crate) fn remembered(&self) -> Remembered {
        self.map.remembered()
    }

    /// The key of a masked client address, given as two words; `family` is 4 or 6.
    #[inline]
    pub(crate) fn key(&self, client: [u64; 2], family: u8) -> AddressKey {
        self.map.key(client, family)
    }

    /// The client's template and the slot of its server.
    #[inline]
    pub(crate) fn find(&self, client: AddressKey) -> Option<(&Template, u32)> {
        let template = &self.map.find(client)?.payload;
        template.server.get(client).map(|slot| (template, slot))
    }

    /// Restarts the template's timeout for a new connection.
    pub(crate) fn renew(&self, client: AddressKey, template: &Template) -> TemplateId {
        // Relaxed: coarse times; they order nothing.
        let timeout = template.timeout.load(Ordering::Relaxed);
        let deadline = self.map.arena().clock().saturating_add(timeout);
        template.deadline.store(deadline, Ordering::Relaxed);
        let serial = serial_of(template.held.load(Ordering::SeqCst));
        TemplateId { key: client.word(), serial, reserved: 0 }
    }

    /// Makes a template that sends the client to this server, and replaces the client's previous one.
    /// [`TemplateId::NONE`] if the map is full.
    pub(crate) fn make(&self, client: AddressKey, slot: u32, timeout: u64) -> TemplateId {
        let Some(entry) = self.map.find(client).or_else(|| self.map.claim(client)) else {
            return TemplateId::default();
        };
        let serial = self.map.arena().next_serial();
        self.map.write(entry, |template| {
            // Relaxed: coarse times; they order nothing.
            template.timeout.store(timeout, Ordering::Relaxed);
            template.held.swap(u64::from(serial) << 32, Ordering::SeqCst);
            template.server.set(self.map.arena(), client, slot);
        });
        self.renew(client, &entry.payload)
    }

    /// Removes the server from the template. A sweep removes the rest once it expires.
    pub(crate) fn invalidate(&self, client: AddressKey, template: &Template, slot: u32) {
        template.server.clear(self.map.arena(), client, slot);
    }

    /// Counts a connection that opens through the template.
    pub(crate) fn acquire(&self, id: TemplateId) {
        self.count(id, |held| held.checked_add(1).filter(|held| *held as u32 != 0));
    }

    /// Counts a connection that closes.
    pub(crate) fn release(&self, id: TemplateId) {
        self.count(id, |held| held.checked_sub(1).filter(|_| held as u32 != 0));
    }

    /// Changes the count unless the template has been replaced. Tries every entry of the client: in an
    /// entry that lookups no longer find, an uncounted close would keep the template forever.
    fn count(&self, id: TemplateId, next: impl Fn(u64) -> Option<u64>) {
        for entry in self.map.all(self.map.key_of(id.key)) {
            let held = &entry.payload.held;
            let mine = |held: u64| if serial_of(held) == id.serial { next(held) } else { None };
            if held.fetch_update(Ordering::SeqCst, Ordering::SeqCst, mine).is_ok() {
                return;
            }
        }
    }

    /// Resets the connection counts of this server's templates, so that none keeps one alive. Director
    /// only.
    pub(crate) fn clear_holds(&self, slot: u32) {
        self.map.for_each(|_, entry| {
            let Template { server, held, .. } = &entry.payload;
            if server.slot() == Some(slot) {
                let unheld = |held| Some(u64::from(serial_of(held)) << 32);
                let _ = held.fetch_update(Ordering::SeqCst, Ordering::SeqCst, unheld);
            }
        });
    }

    /// Removes the templates of these servers, even if connections keep them alive. Director only.
    pub(crate) fn take_out(&self, is_gone: impl Fn(u32) -> bool) {
        self.map.retain(|entry| !entry.payload.server.slot().is_some_and(&is_gone));
    }

    /// Removes expired templates. O(templates). Director only.
    pub(crate) fn tick(&self, now: u64) {
        self.map.retain(|entry| !entry.payload.is_due(now));
    }

    /// Number of templates of a server. O(templates).
    pub(crate) fn of_server(&self, slot: u32) -> u32 {
        let mut count = 0;
        self.map.for_each(|key, entry| {
            count += u32::from(entry.payload.server.get(key) == Some(slot));
        });
        count
    }

    /// Number of templates per server, by slot. O(templates). Allocates.
    pub(crate) fn by_server(&self) -> HashMap<u32, u32> {
        let mut counts = HashMap::new();
        self.map.for_each(|key, entry: &AffinityEntry<Template>| {
            if let Some(slot) = entry.payload.server.get(key) {
                *counts.entry(slot).or_default() += 1;
            }
        });
        counts
    }
}

impl Template {
    /// True if the template has expired and no connection holds it. Extends it if one does.
    fn is_due(&self, now: u64) -> bool {
        // Relaxed: coarse times; they order nothing.
        let deadline = self.deadline.load(Ordering::Relaxed);
        if deadline > now {
            return false;
        }
        let held = self.held.load(Ordering::SeqCst) as u32 != 0;
        if held {
            let minutes = (now - deadline) / EXTENSION + 1;
            self.timeout.store(EXTENSION, Ordering::Relaxed);
            let next = deadline.saturating_add(minutes.saturating_mul(EXTENSION));
            self.deadline.store(next, Ordering::Relaxed);
        }
        !held
    }
}

impl Payload for Template {
    fn forget(&self, arena: &Arena) -> bool {
        // `held` stays: the entry may already belong to a new client, whose template needs its serial.
        self.server.forget(arena)
    }

    fn is_clear(&self) -> bool {
        self.server.is_clear()
    }
}

#[cfg(test)]
#[path = "templates_tests.rs"]
mod tests;
