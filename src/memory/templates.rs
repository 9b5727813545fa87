//! Persistence templates: which server a client is sent to, and for how long.
//!
//! A map from masked client addresses to servers (see `address_map`). A template lives for the
//! service's timeout after each new connection. If it expires while connections made through it are
//! still open, it is extended by one minute at a time, and its timeout is one minute from then on.
//!
//! After its deadline a template is over, or is extended if a connection holds it. Every operation checks
//! that first, by the clock's latest time: a pick, the open or close of a connection, a sweep. So the result
//! is the same whichever comes first, and however late a sweep is.
//!
//! | location   | operation                         | ordering | partner                                 |
//! |------------|-----------------------------------|----------|-----------------------------------------|
//! | `began`    | store in `begin_sweep`            | Release  | load in `remembered`                    |
//! | `began`    | load in `remembered`              | Acquire  | store in `begin_sweep`                  |
//! | `held`     | updates in `acquire`, `release`   | SeqCst   | each other, loads in `has_ended`        |
//! | `held`     | update in `has_ended`, swap in `make` | SeqCst | the same                              |
//! | `held`     | update in `clear_holds`           | SeqCst   | the same                                |
//! | `timeout`  | loads and stores                  | Relaxed  | none: a coarse time                     |
//! | `deadline` | store in `make`                   | Relaxed  | before the swap of `held`: visible with the new serial |
//! | `deadline` | exchange in `has_ended`           | Relaxed  | before the update of `held` in `release`: visible once no connection is |
//! | `deadline` | loads, store in `renew`           | Relaxed  | none: a coarse time                     |

use std::collections::HashMap;

use crate::arena::Arena;
use crate::arena::block::maps::SharedMap;
use crate::concurrent::zeroed::{OutOfMemory, zeroed_struct};
use crate::config::Remembered;
use crate::memory::address_entry::Store;
use crate::memory::address_map::{AddressKey, Affinity, AffinityEntry, Expires, Payload};
use crate::memory::one_server::OneServer;
use crate::memory::pace::Pace;
use crate::sync::{Arc, AtomicU64, Ordering};

/// By how much a template with open connections is extended when it expires, in milliseconds.
const EXTENSION: u64 = 60_000;

/// In `held`: the template has been extended, so its timeout is `EXTENSION`.
const EXTENDED: u64 = 1 << 39;
const OPEN: u64 = (1 << 32) - 1;
const CHANGES: u64 = EXTENDED - 1 - OPEN;
const CHANGE: u64 = OPEN + 1;
const SERIAL: u32 = 40;
const SERIALS: u32 = (1 << 24) - 1;

pub(crate) struct Templates {
    map: Affinity<Template>,
    /// The clock's time when the sweep was begun.
    began: AtomicU64,
}

zeroed_struct! {
    #[repr(C)]
    pub(crate) struct Template {
        server: OneServer,
        /// serial:24, extended:1, changes:7, open connections made through it:32. The serial distinguishes a
        /// template from an earlier one of the same client (even one of a deleted service), whose connections do
        /// not count for this one; it wraps after 16 million templates.
        /// In a block, a bit per owner that has connections open instead of their number; then `changes` counts
        /// the bits that were set.
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

    pub(crate) fn serial(self) -> u32 {
        self.serial
    }
}

fn serial_of(held: u64) -> u32 {
    (held >> SERIAL) as u32
}

fn open_of(held: u64) -> u64 {
    held & OPEN
}

impl Templates {
    /// Templates for up to `capacity` clients, 1 to 2^24. Allocates.
    pub(crate) fn new(arena: Arc<Arena>, capacity: u32) -> Result<Self, OutOfMemory> {
        Ok(Templates { map: Affinity::new(arena, capacity)?, began: AtomicU64::new(0) })
    }

    /// Templates that all owners of a block use.
    pub(crate) fn shared(arena: Arc<Arena>, map: Arc<SharedMap>) -> Option<Self> {
        let entries = map.entries.cast::<AffinityEntry<Template>>()?;
        let entries = Store::Shared(entries);
        Some(Templates { map: Affinity::shared(arena, map, entries), began: AtomicU64::new(0) })
    }

    /// The same templates, in place, with another capacity; `None` if nothing would change. May
    /// allocate.
    pub(crate) fn next(&self, capacity: u32) -> Result<Option<Self>, OutOfMemory> {
        // Relaxed: the director's.
        let began = self.began.load(Ordering::Relaxed);
        Ok(self.map.next(capacity)?.map(|map| Templates { map, began: AtomicU64::new(began) }))
    }

    /// What is remembered. O(1) if the sweep was begun at the present time and is done, else O(templates).
    pub(crate) fn remembered(&self) -> Remembered {
        // Acquire: pairs with the store in `begin_sweep`.
        let began = self.began.load(Ordering::Acquire);
        let now = began == self.map.arena().clock();
        if now { self.map.remembered() } else { self.map.remembered_now() }
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
        let held = template.held.load(Ordering::SeqCst);
        // Relaxed: coarse times; they order nothing.
        let timeout = match held & EXTENDED {
            0 => template.timeout.load(Ordering::Relaxed),
            _ => EXTENSION,
        };
        let deadline = self.map.arena().clock().saturating_add(timeout);
        template.deadline.store(deadline, Ordering::Relaxed);
        TemplateId { key: client.word(), serial: serial_of(held), reserved: 0 }
    }

    /// Makes a template that sends the client to this server, and replaces the client's previous one.
    /// [`TemplateId::NONE`] if the map is full.
    pub(crate) fn make(&self, client: AddressKey, slot: u32, timeout: u64) -> TemplateId {
        let Some(entry) = self.map.find(client).or_else(|| self.map.claim(client)) else {
            return TemplateId::default();
        };
        let arena = self.map.arena();
        let serial = (arena.next_serial() & SERIALS).max(1);
        let deadline = arena.clock().saturating_add(timeout);
        self.map.write(entry, |template| {
            // Relaxed: before the swap, see above.
            template.timeout.store(timeout, Ordering::Relaxed);
            template.deadline.store(deadline, Ordering::Relaxed);
            template.held.swap(u64::from(serial) << SERIAL, Ordering::SeqCst);
            template.server.set(arena, client, slot);
        });
        // Another pick may have made the client's template in the meantime.
        let serial = serial_of(entry.payload.held.load(Ordering::SeqCst));
        TemplateId { key: client.word(), serial, reserved: 0 }
    }

    /// Removes the server from the template. A sweep removes the rest once it expires.
    pub(crate) fn invalidate(&self, client: AddressKey, template: &Template, slot: u32) {
        template.server.clear(self.map.arena(), client, slot);
    }

    /// Counts a connection that opens through the template.
    pub(crate) fn acquire(&self, id: TemplateId) {
        match self.map.shared_map() {
            Some(map) => self.acquire_shared(map, id),
            None => self.count(id, |held| (open_of(held) < OPEN).then_some(held + 1)),
        }
    }

    /// Counts a connection that closes.
    pub(crate) fn release(&self, id: TemplateId) {
        match self.map.shared_map() {
            Some(map) => self.release_shared(map, id),
            None => self.count(id, |held| (open_of(held) > 0).then_some(held - 1)),
        }
    }

    /// As [`acquire`](Self::acquire): the first of this owner's connections sets its bit.
    #[cold]
    #[inline(never)]
    fn acquire_shared(&self, map: &SharedMap, id: TemplateId) {
        let now = self.map.arena().clock();
        for entry in self.map.all(self.map.key_of(id.key)) {
            let (template, at) = (&entry.payload, self.map.place(entry));
            let is_it = serial_of(template.held.load(Ordering::SeqCst)) == id.serial;
            let Some(at) = at.filter(|_| is_it && !template.is_over(now, self.map.arena())) else {
                continue;
            };
            if map.open.open(at, id.serial()) {
                let set = |held: u64| {
                    let changes = held.wrapping_add(CHANGE) & CHANGES;
                    let set = held & !CHANGES | changes | map.bit();
                    (serial_of(held) == id.serial).then_some(set)
                };
                // SeqCst: after the count; its change makes a removal of the bit fail that did not see the count.
                let _ = template.held.fetch_update(Ordering::SeqCst, Ordering::SeqCst, set);
            }
            return;
        }
    }

    /// As [`release`](Self::release): the last of this owner's connections removes its bit.
    #[cold]
    #[inline(never)]
    fn release_shared(&self, map: &SharedMap, id: TemplateId) {
        for entry in self.map.all(self.map.key_of(id.key)) {
            let Some(at) = self.map.place(entry) else { continue };
            let held = &entry.payload.held;
            match map.open.close(at, id.serial()) {
                None => continue,
                Some(false) => return,
                Some(true) => {}
            }
            let removed = |held: u64| {
                let is_it = serial_of(held) == id.serial && held & map.bit() != 0;
                // After the load of `held`.
                (is_it && !map.open.is_open(at, id.serial)).then_some(held & !map.bit())
            };
            // SeqCst: before the look at the count; fails if the bit was set since.
            let _ = held.fetch_update(Ordering::SeqCst, Ordering::SeqCst, removed);
            return;
        }
    }

    /// Changes the count unless the template is over or has been replaced. Tries every entry of the client:
    /// in an entry that lookups no longer find, an uncounted close would keep the template forever.
    fn count(&self, id: TemplateId, next: impl Fn(u64) -> Option<u64>) {
        let now = self.map.arena().clock();
        for entry in self.map.all(self.map.key_of(id.key)) {
            let template = &entry.payload;
            let mine = |held: u64| if serial_of(held) == id.serial { next(held) } else { None };
            if !template.is_over(now, self.map.arena())
                && template.held.fetch_update(Ordering::SeqCst, Ordering::SeqCst, mine).is_ok()
            {
                return;
            }
        }
    }

    /// Resets the connection counts of this server's templates, so that none keeps one alive. Director
    /// only.
    pub(crate) fn clear_holds(&self, slot: u32) {
        let shared = self.map.shared_map();
        self.map.for_each(|_, entry| {
            let Template { server, held, .. } = &entry.payload;
            if server.slot() == Some(slot) {
                if let Some((map, at)) = shared.zip(self.map.place(entry)) {
                    map.open.end(at);
                }
                let own = shared.map_or(OPEN, SharedMap::bit);
                let unheld = |held| Some(held & !own);
                let _ = held.fetch_update(Ordering::SeqCst, Ordering::SeqCst, unheld);
            }
        });
    }

    /// Removes the templates of these servers, even if connections keep them alive. Director only.
    pub(crate) fn take_out(&self, is_gone: impl Fn(u32) -> bool) {
        self.map.retain(|entry| !entry.payload.server.slot().is_some_and(&is_gone));
    }

    /// Begins a sweep, unless the one before is not done. Director only.
    pub(crate) fn begin_sweep(&self) {
        if self.map.is_swept() {
            self.map.begin_sweep();
            // Release: after the sweep was begun; pairs with the load in `remembered`.
            self.began.store(self.map.arena().clock(), Ordering::Release);
        }
    }

    /// True if no other client has room.
    pub(crate) fn is_full(&self) -> bool {
        self.map.is_full()
    }

    /// Removes expired templates as far as `pace` allows. True if that is all for this call. Director only.
    pub(crate) fn sweep(&self, pace: &mut Pace<'_>) -> bool {
        let was_swept = self.map.is_swept();
        self.map.sweep(pace);
        let is_swept = self.map.is_swept();
        if is_swept && !was_swept && self.map.shared_map().is_some() {
            self.map.recount();
        }
        is_swept || *pace.call == 0
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
    #[inline(always)]
    fn is_over(&self, now: u64, arena: &Arena) -> bool {
        self.is_due(now) && self.has_ended(now, arena)
    }

    #[inline(always)]
    fn is_due(&self, now: u64) -> bool {
        // Relaxed: a first look.
        self.deadline.load(Ordering::Relaxed) <= now
    }

    #[cold]
    #[inline(never)]
    fn has_ended(&self, now: u64, arena: &Arena) -> bool {
        // Of a block's owners those that are alive.
        let counted = arena.owners_alive().unwrap_or(OPEN);
        let serial = serial_of(self.held.load(Ordering::SeqCst));
        // Relaxed: after the load of the serial, so not of an earlier template.
        let deadline = self.deadline.load(Ordering::Relaxed);
        if deadline > now {
            return false;
        }
        let extended = |held| {
            let holds = serial_of(held) == serial && open_of(held) & counted > 0;
            holds.then_some(held | EXTENDED)
        };
        match self.held.fetch_update(Ordering::SeqCst, Ordering::SeqCst, extended) {
            Ok(_) => {
                let minutes = (now - deadline) / EXTENSION + 1;
                let next = deadline.saturating_add(minutes.saturating_mul(EXTENSION));
                // Relaxed: fails if it is renewed, extended or replaced; before an update in `release`.
                let _ = self.deadline.compare_exchange(
                    deadline,
                    next,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                false
            }
            // Relaxed: after the load of the count, so that it sees an extension for a connection that has
            // closed since.
            Err(held) => {
                serial_of(held) == serial && self.deadline.load(Ordering::Relaxed) == deadline
            }
        }
    }
}

/// Templates say themselves until when they live.
impl Expires<Template> for () {
    #[inline(always)]
    fn may_be_over(&self, entry: &AffinityEntry<Template>, arena: &Arena) -> bool {
        entry.payload.is_due(arena.clock())
    }

    fn is_over(&self, _: u64, entry: &AffinityEntry<Template>, arena: &Arena) -> bool {
        entry.payload.is_over(arena.clock(), arena)
    }
}

impl Payload for Template {
    type Expiry = ();
    type Entries = Store<AffinityEntry<Self>>;

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
