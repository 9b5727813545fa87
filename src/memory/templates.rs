//! Persistence templates: which server a client goes to, and for how long.
//!
//! A map from masked client addresses to servers (see `affinity`). A template lives for the
//! service's timeout after each new connection. If its time is up while connections made through it
//! are still open, it gets another minute, again and again, and keeps to minutes from then on.
//!
//! | location            | operation                         | ordering | partner                 |
//! |---------------------|-----------------------------------|----------|-------------------------|
//! | `held`              | swaps in `hold`, `let_go`, `make` | SeqCst   | each other, load in `due` |
//! | `held`              | swaps in `release`                | SeqCst   | the same                |
//! | `timeout`,`deadline`| loads and stores                  | Relaxed  | none: coarse times      |

use std::collections::HashMap;

use crate::arena::Arena;
use crate::concurrent::zeroed::{OutOfMemory, zeroed_struct};
use crate::config::Remembered;
use crate::memory::address_map::{AddressKey, Affinity, AffinityEntry, Payload};
use crate::memory::one_server::OneServer;
use crate::sync::{Arc, AtomicU64, Ordering};

/// What a template with open connections gets when its time is up, in milliseconds.
const EXTENSION: u64 = 60_000;

pub(crate) struct Templates {
    map: Affinity<Template>,
}

zeroed_struct! {
    pub(crate) struct Template {
        server: OneServer,
        /// serial:32, open connections made through it:32. The serial, one of the director's, tells a
        /// template from an earlier one of the same client, be it of a deleted service, whose
        /// connections are not this one's.
        held: AtomicU64,
        timeout: AtomicU64,
        deadline: AtomicU64,
    }
}

/// Names a template: the client's key and the template's serial; serial 0 = none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(C)]
pub(crate) struct TemplateId {
    key: u64,
    serial: u32,
    /// 0; here so that no byte is left undefined when C copies it.
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
    /// For so many clients, 1 to 2^24.
    pub(crate) fn new(arena: Arc<Arena>, capacity: u32) -> Result<Self, OutOfMemory> {
        Ok(Templates { map: Affinity::new(arena, capacity)? })
    }

    /// The same templates, in place, with room for another number of clients; `None` if these are
    /// they.
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

    /// A new connection by this template: its time begins anew.
    pub(crate) fn renew(&self, client: AddressKey, template: &Template) -> TemplateId {
        // Relaxed: coarse times; they order nothing.
        let timeout = template.timeout.load(Ordering::Relaxed);
        let deadline = self.map.arena().clock().saturating_add(timeout);
        template.deadline.store(deadline, Ordering::Relaxed);
        let serial = serial_of(template.held.load(Ordering::SeqCst));
        TemplateId { key: client.word(), serial, reserved: 0 }
    }

    /// The client goes to this server from now on; a former template is forgotten. No template if
    /// there is no room.
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

    /// It leads to this server no longer. What is left of it goes when its time is up.
    pub(crate) fn invalidate(&self, client: AddressKey, template: &Template, slot: u32) {
        template.server.clear(self.map.arena(), client, slot);
    }

    /// A connection made through the template opens.
    pub(crate) fn acquire(&self, id: TemplateId) {
        self.count(id, |held| held.checked_add(1).filter(|held| *held as u32 != 0));
    }

    /// A connection made through the template closes.
    pub(crate) fn release(&self, id: TemplateId) {
        self.count(id, |held| held.checked_sub(1).filter(|_| held as u32 != 0));
    }

    /// Counts unless the template is another by now. In any entry of the client's: in one that is
    /// not found any more, a connection that never closed would keep the template for ever.
    fn count(&self, id: TemplateId, next: impl Fn(u64) -> Option<u64>) {
        for entry in self.map.all(self.map.key_of(id.key)) {
            let held = &entry.payload.held;
            let mine = |held: u64| if serial_of(held) == id.serial { next(held) } else { None };
            if held.fetch_update(Ordering::SeqCst, Ordering::SeqCst, mine).is_ok() {
                return;
            }
        }
    }

    /// No connection keeps a template of this server alive any more. Director only.
    pub(crate) fn clear_holds(&self, slot: u32) {
        self.map.for_each(|_, entry| {
            let Template { server, held, .. } = &entry.payload;
            if server.slot() == Some(slot) {
                let unheld = |held| Some(u64::from(serial_of(held)) << 32);
                let _ = held.fetch_update(Ordering::SeqCst, Ordering::SeqCst, unheld);
            }
        });
    }

    /// Takes out the templates of these servers, whatever keeps them alive. Director only.
    pub(crate) fn take_out(&self, is_gone: impl Fn(u32) -> bool) {
        self.map.retain(|entry| !entry.payload.server.slot().is_some_and(&is_gone));
    }

    /// Takes out the templates whose time is up. O(templates). Director only.
    pub(crate) fn tick(&self, now: u64) {
        self.map.retain(|entry| !entry.payload.is_due(now));
    }

    /// How many templates a server has. O(templates).
    pub(crate) fn of_server(&self, slot: u32) -> u32 {
        let mut count = 0;
        self.map.for_each(|key, entry| {
            count += u32::from(entry.payload.server.get(key) == Some(slot));
        });
        count
    }

    /// How many templates each server has, by slot. O(templates).
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
    /// Its time is up and nobody holds it. Gives it another minute if somebody does.
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
        // `held` stays: the entry may be a new client's already, whose template needs its serial.
        self.server.forget(arena)
    }

    fn is_clear(&self) -> bool {
        self.server.is_clear()
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressKey, Arc, Arena, Templates};

    /// A picker is slow to claim an entry for a client: meanwhile another has made the client's
    /// template, and an earlier entry has become free, which the slow one takes.
    #[test]
    fn connections_close_in_an_entry_that_is_not_found_any_more() {
        let twice = (1..1000).filter(|client| {
            let templates = Templates::new(Arc::new(Arena::new()), 8).expect("memory");
            let key = |client: u64| -> AddressKey { templates.key([client << 32, 0], 4) };
            templates.make(key(0), 0, 0);
            let client = key(*client);
            let id = templates.make(client, 0, 1);
            templates.acquire(id);
            templates.tick(0);
            assert_eq!(templates.remembered().entries, 1, "the first is gone, the other held");
            let made = templates.map.find(client).map(std::ptr::from_ref);
            let claimed = templates.map.claim(client).map(std::ptr::from_ref);
            templates.release(id);
            templates.tick(1);
            assert_eq!(templates.remembered().entries, 0, "nobody holds it");
            made != claimed
        });
        assert!(twice.count() > 0, "no client had two entries");
    }

    /// Connections that begin and end by either of two maps, while one takes over from the other.
    #[test]
    fn connections_are_counted_across_another_capacity() {
        for capacity in [1, 9, 8000] {
            let before = Templates::new(Arc::new(Arena::new()), 8).expect("memory");
            let client = before.key([7 << 32, 0], 4);
            let id = before.make(client, 0, 1);
            before.acquire(id);
            let after = before.next(capacity).expect("memory").expect("another map");
            before.acquire(id);
            after.release(id);
            // One is open, opened by a picker that had the former map still.
            (1..10).for_each(|minute| after.tick(minute * 60_000));
            assert_eq!(after.remembered().entries, 1, "gone while a connection is open");
            let late = before.make(before.key([8 << 32, 0], 4), 0, 1);
            after.acquire(late);
            (10..20).for_each(|minute| after.tick(minute * 60_000));
            assert_eq!(after.remembered().entries, 2, "the same of one made late");
            before.release(id);
            after.release(late);
            after.tick(30 * 60_000);
            assert_eq!(after.remembered().entries, 0, "nothing holds them");
        }
    }
}
