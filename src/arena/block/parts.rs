//! The parts of a block, as references into its memory, and how they are first written.

#![allow(unsafe_code)]

use std::mem::offset_of;
use std::ptr::{self, NonNull};

use crate::arena::block::header::{Header, Identity};
use crate::arena::block::layout::{LAYOUT, Layout};
use crate::arena::block::map_slot::{MapEntry, MapSlot};
use crate::arena::block::names::{ServerName, ServiceName};
use crate::arena::block::owners::OwnerSlot;
use crate::arena::block::rotations::RotationSlot;
use crate::arena::health::HealthSlot;
use crate::arena::id::ServiceId;
use crate::arena::ledger::{Ledger, LivingEntries};
use crate::arena::service_slot::ServiceSlot;
use crate::arena::slots::ServerSlot;
use crate::concurrent::segments::{Lender, Segment};
use crate::rotation::ticket_word::TicketWord;
use crate::sync::{AtomicU64, Ordering};

/// A type of which every sequence of bytes is a value, and which is changed through shared references only.
///
/// # Safety
/// It consists of atomic integers, and has no padding that matters.
pub(super) unsafe trait Shared {}

// SAFETY: all fields of these are atomic integers, or structs of such.
unsafe impl Shared for Header {}
// SAFETY: as above.
unsafe impl Shared for ServerSlot {}
// SAFETY: as above.
unsafe impl Shared for HealthSlot {}
// SAFETY: as above.
unsafe impl Shared for ServerName {}
// SAFETY: as above.
unsafe impl Shared for ServiceSlot {}
// SAFETY: as above.
unsafe impl Shared for ServiceName {}
// SAFETY: as above.
unsafe impl Shared for OwnerSlot {}
// SAFETY: as above.
unsafe impl Shared for Ledger {}
// SAFETY: as above.
unsafe impl Shared for RotationSlot {}
// SAFETY: as above.
unsafe impl Shared for TicketWord {}
// SAFETY: as above.
unsafe impl Shared for MapSlot {}
// SAFETY: as above.
unsafe impl Shared for MapEntry {}
// SAFETY: an atomic integer.
unsafe impl Shared for AtomicU64 {}

/// All of a block.
pub(crate) struct Parts {
    pub(crate) layout: Layout,
    pub(super) header: Segment<Header>,
    /// One: the header's.
    pub(crate) clock: Segment<AtomicU64>,
    pub(crate) servers: Segment<ServerSlot>,
    pub(crate) health: Segment<HealthSlot>,
    pub(crate) server_names: Segment<ServerName>,
    pub(crate) services: Segment<ServiceSlot>,
    pub(crate) service_names: Segment<ServiceName>,
    pub(super) owners: Segment<OwnerSlot>,
    ledgers: Segment<Ledger>,
    pub(crate) rotations: Segment<RotationSlot>,
    /// Two for each of these: its own, and that of retries.
    pub(crate) words: Segment<TicketWord>,
    pub(super) maps: Segment<MapSlot>,
    pub(super) entries: Segment<MapEntry>,
    /// One bit for 16 entries.
    pub(super) marks: Segment<AtomicU64>,
}

impl Parts {
    /// # Safety
    /// The memory from `start` on is a block of this layout, as long as the lender exists.
    pub(super) unsafe fn new(start: NonNull<u8>, layout: Layout, lender: &Lender) -> Self {
        let [servers, services, owners] =
            [layout.limits.servers(), layout.limits.services(), layout.limits.owners()]
                .map(|count| count as usize);
        // SAFETY: for all: the layout has these parts, and each consists of atomic integers.
        unsafe {
            Parts {
                layout,
                header: part(start, 0, 1, lender),
                clock: part(start, offset_of!(Header, clock), 1, lender),
                servers: part(start, layout.servers, servers, lender),
                health: part(start, layout.health, servers, lender),
                server_names: part(start, layout.server_names, servers, lender),
                services: part(start, layout.services, services, lender),
                service_names: part(start, layout.service_names, services, lender),
                owners: part(start, layout.owners, owners, lender),
                ledgers: part(start, layout.ledgers, owners * servers, lender),
                rotations: part(start, layout.rotations, layout.versions(), lender),
                words: part(start, layout.words, 2 * layout.versions(), lender),
                maps: part(start, layout.maps, layout.maps(), lender),
                entries: part(start, layout.entries, layout.entries(), lender),
                marks: part(start, layout.marks, layout.marks(), lender),
            }
        }
    }

    pub(crate) fn first_generation(&self) -> u32 {
        // Relaxed: the same since the block was formatted.
        self.header.first().map_or(0, |header| header.first_generation.load(Ordering::Relaxed))
    }

    /// The id of the service that has this slot now.
    pub(crate) fn service_id(&self, slot: u32) -> ServiceId {
        let generation = self.services.get(slot as usize).map_or(0, ServiceSlot::generation);
        ServiceId { slot, generation }
    }

    /// The entry of an owner for a server.
    pub(crate) fn ledger(&self, owner: u32, server: u32) -> Option<&Ledger> {
        let servers = self.layout.limits.servers();
        let first = (owner as usize).checked_mul(servers as usize)?;
        self.ledgers.get(first..)?.get(server as usize).filter(|_| server < servers)
    }

    /// The entries of an owner, by server.
    pub(crate) fn ledger_of(&self, owner: u32) -> Option<Segment<Ledger>> {
        let servers = self.layout.limits.servers() as usize;
        let first = servers.checked_mul(owner as usize)?;
        self.ledgers.part(first..first.checked_add(servers)?)
    }

    pub(crate) fn header(&self) -> Option<&Header> {
        self.header.first()
    }

    /// The owners that are alive, as bits by number.
    pub(crate) fn alive(&self) -> u64 {
        let owners = self.owners.iter().zip(0..).filter(|(slot, _)| slot.is_alive());
        owners.fold(0, |alive, (_, number)| alive | 1 << (number & 63))
    }

    /// Those of these owners, as bits, that tick: if none does, all of them.
    pub(crate) fn ticking(&self, owners: u64, now: u64) -> u64 {
        let ticks = self.owners.iter().zip(0..).filter(|(slot, _)| slot.ticks(now));
        let ticks = ticks.fold(0u64, |ticks, (_, number)| ticks | 1 << (number & 63)) & owners;
        if ticks == 0 { owners } else { ticks }
    }

    pub(crate) fn owner(&self, number: u32) -> Option<&OwnerSlot> {
        self.owners.get(number as usize)
    }

    /// The entries of all living owners for a server.
    pub(crate) fn living(&self, server: u32) -> LivingEntries<'_> {
        let owners = self.owners.iter().zip(0..).filter(|(slot, _)| slot.is_alive());
        Box::new(owners.filter_map(move |(_, number)| self.ledger(number, server)))
    }
}

/// A part of a block.
///
/// # Safety
/// From `start` + `offset` on there are so many elements, aligned, as long as the lender exists.
unsafe fn part<T: Shared>(
    start: NonNull<u8>,
    offset: usize,
    count: usize,
    lender: &Lender,
) -> Segment<T> {
    // SAFETY: the caller's duty.
    let first = unsafe { start.add(offset) }.cast::<T>();
    // SAFETY: the caller's duty. There is no mutable reference to any: only this file makes references.
    unsafe { Segment::lent(NonNull::slice_from_raw_parts(first, count), lender) }
}

/// Writes an empty block, but for the stage.
///
/// # Safety
/// From `start` on there is room for the layout, and no other code uses it.
pub(super) unsafe fn fill(start: NonNull<u8>, layout: &Layout, skipped: usize) {
    let limits = &layout.limits;
    let [servers, services, owners] =
        [limits.servers(), limits.services(), limits.owners()].map(|count| count as usize);
    let first = random() as u32;
    // SAFETY: for all: the caller's duty.
    unsafe {
        write(start, layout.servers, servers, || ServerSlot::new(first));
        write(start, layout.health, servers, || HealthSlot::new(first));
        write(start, layout.server_names, servers, ServerName::default);
        write(start, layout.services, services, || ServiceSlot::new(first));
        write(start, layout.service_names, services, ServiceName::default);
        write(start, layout.owners, owners, OwnerSlot::default);
        write(start, layout.ledgers, owners * servers, Ledger::default);
        write(start, layout.rotations, layout.versions(), RotationSlot::free);
        write(start, layout.words, 2 * layout.versions(), TicketWord::uninitialized);
        write(start, layout.maps, layout.maps(), MapSlot::default);
        let header = start.cast::<Header>().as_ref();
        header.begin_life(random());
        header.identify(&Identity::new(limits, layout.size, skipped), LAYOUT, first);
    }
}

/// Writes the entries of maps, which are zeros. Not needed in new memory, of which no page is touched before a map takes
/// it.
///
/// # Safety
/// As for [`fill`].
pub(super) unsafe fn fill_entries(start: NonNull<u8>, layout: &Layout) {
    // SAFETY: for both: the caller's duty.
    unsafe {
        write(start, layout.entries, layout.entries(), MapEntry::default);
        write(start, layout.marks, layout.marks(), AtomicU64::default);
    }
}

/// # Safety
/// From `start` + `offset` on there is room for so many elements, aligned, and no other code uses it.
unsafe fn write<T: Shared>(start: NonNull<u8>, offset: usize, count: usize, make: impl Fn() -> T) {
    // SAFETY: the caller's duty.
    let first = unsafe { start.add(offset) }.cast::<T>();
    for at in 0..count {
        // SAFETY: as above.
        unsafe { ptr::write(first.add(at).as_ptr(), make()) };
    }
}

/// Another number for each block: ids of one are stale in another, and no client can choose addresses that collide.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
