//! A block: an arena in memory of the caller, which processes share.
//!
//! It contains no pointers, locks, thread ids or descriptors, so that processes may map it at different
//! addresses. What it is, is checked when it is attached and not read again; every number that is read
//! later is bounded where it is used, because any owner may write anything.

#![allow(unsafe_code)]

pub(crate) mod claim;
pub(crate) mod directory;
pub(crate) mod header;
pub(crate) mod layout;
pub(crate) mod limits;
#[cfg(all(unix, feature = "shared-memory"))]
mod mapping;
pub(crate) mod names;
pub(crate) mod owners;
pub(crate) mod rotations;

use std::ptr::{self, NonNull};

use crate::arena::block::header::{Header, Identity, Stage};
use crate::arena::block::layout::{ALIGN, BASE_ALIGN, LAYOUT, Layout};
use crate::arena::block::limits::BlockLimits;
use crate::arena::block::names::{ServerName, ServiceName};
use crate::arena::block::owners::{OwnerId, OwnerSlot};
use crate::arena::block::rotations::RotationSlot;
use crate::arena::health::HealthSlot;
use crate::arena::id::ServiceId;
use crate::arena::ledger::{Ledger, LivingEntries, Settled, settle};
use crate::arena::service_slot::ServiceSlot;
use crate::arena::slots::ServerSlot;
use crate::concurrent::segments::{Lender, Segment};
use crate::config::KernelRules;
use crate::error::BlockError;
use crate::rotation::shared::TicketWord;
use crate::sync::{Arc, Ordering};

/// A type of which every sequence of bytes is a value, and which is changed through shared references only.
///
/// # Safety
/// It consists of atomic integers, and has no padding that matters.
unsafe trait Shared {}

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

/// Memory in which directors of several processes share the state of their servers and services.
///
/// Shared are connection counts with their overload marks, run-time states, reported outcomes, and the
/// rotations of equal configs: directors on one block pick as one. Each director is an owner, with a ledger
/// of the connections that it has open, so that what a killed process held can be
/// [given back](Self::reclaim) exactly. [Embedding][crate::embedding] says under Processes what is shared
/// and what is not, and whom the memory must be kept from.
///
/// A block is a handle, cheap to clone: `Send` and `Sync`. It contains no pointers, so processes may map it at
/// different addresses; make it before a fork, and directors afterwards.
///
/// ```
/// # #[cfg(all(unix, feature = "shared-memory"))] {
/// use vsched::{Block, BlockLimits, Config, Director, Flow};
/// let config: Config = "
///     -A -t 10.0.0.1:80 -s rr
///     -a -t 10.0.0.1:80 -r 10.0.1.1
///     -a -t 10.0.0.1:80 -r 10.0.1.2
/// ".parse()?;
/// let block = Block::anonymous(&BlockLimits::new(500, 10))?;
/// // As two processes do.
/// let directors =
///     [Director::in_block(&config, &block)?, Director::in_block(&config, &block)?];
/// let picks = directors.each_ref().map(|director| {
///     let service = director.service("tcp 10.0.0.1:80").expect("it runs");
///     director.worker().pick_server(service, &Flow::default()).expect("two are up").address()
/// });
/// assert_ne!(picks[0], picks[1], "one takes its turn after the other");
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Block {
    parts: Arc<Parts>,
}

pub(crate) struct Parts {
    pub(crate) layout: Layout,
    header: Segment<Header>,
    pub(crate) servers: Segment<ServerSlot>,
    pub(crate) health: Segment<HealthSlot>,
    pub(crate) server_names: Segment<ServerName>,
    pub(crate) services: Segment<ServiceSlot>,
    pub(crate) service_names: Segment<ServiceName>,
    owners: Segment<OwnerSlot>,
    ledgers: Segment<Ledger>,
    pub(crate) rotations: Segment<RotationSlot>,
    /// Two for each of these: its turns, and those of retries.
    pub(crate) turns: Segment<TicketWord>,
}

/// What has been given back of a dead owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Reclaimed {
    /// All of it.
    All,
    /// All but what it had open at this many servers, because others kept changing their counts, or were
    /// stopped in the middle of a change. Try again.
    AllBut(u32),
}

/// The aligned start of memory, and how many bytes are left out before it.
fn aligned(memory: NonNull<u8>) -> Result<(NonNull<u8>, usize), BlockError> {
    let offset = memory.as_ptr().addr() % ALIGN;
    if !offset.is_multiple_of(BASE_ALIGN) {
        return Err(BlockError::Misaligned { offset: offset as u8, expected: None });
    }
    let skipped = (ALIGN - offset) % ALIGN;
    // Below `ALIGN`: the callers check that the memory is longer.
    let start = memory.as_ptr().wrapping_add(skipped);
    NonNull::new(start).map(|start| (start, skipped)).ok_or(BlockError::Corrupt)
}

fn check_length(length: usize, needed: usize) -> Result<(), BlockError> {
    if length >= needed {
        return Ok(());
    }
    Err(BlockError::TooShort { length: length as u64, needed: needed as u64 })
}

impl Block {
    /// Makes memory a new block, whatever it was.
    ///
    /// # Errors
    /// The limits are out of range, or the memory is too short or misaligned. Nothing is written then.
    ///
    /// # Safety
    /// The memory is `length` bytes that may be written, and nobody else uses it during the call.
    pub unsafe fn format(
        memory: NonNull<u8>,
        length: usize,
        limits: &BlockLimits,
    ) -> Result<(), BlockError> {
        let layout = Layout::new(limits)?;
        check_length(length, layout.size)?;
        let (start, skipped) = aligned(memory)?;
        // SAFETY: there is room for the header, and it consists of atomic integers.
        let header = unsafe { start.cast::<Header>().as_ref() };
        header.begin_anyway(std::process::id());
        // SAFETY: the caller's duty; the length is checked.
        unsafe { fill(start, &layout, skipped) };
        header.end();
        Ok(())
    }

    /// Uses memory that is a block.
    ///
    /// # Errors
    /// It is no block of this version, or a damaged one, or too short for what it says that it is.
    ///
    /// # Safety
    /// The memory is `length` bytes that may be read and written for as long as the block, its clones, and
    /// every director on it exist. Others use it as a block only, or corrupt it with atomic writes.
    pub unsafe fn attach(memory: NonNull<u8>, length: usize) -> Result<Self, BlockError> {
        // SAFETY: the caller's duty, passed on.
        unsafe { Self::attach_lent(memory, length, Arc::new(())) }
    }

    /// Uses memory that is a block with these limits, or makes new memory one. Of any number of processes
    /// that call this at once, one formats.
    ///
    /// # Errors
    /// As for [`format`](Self::format) and [`attach`](Self::attach); [`BlockError::Formatting`] while another
    /// process formats; [`BlockError::OtherLimits`].
    ///
    /// # Safety
    /// As for [`attach`](Self::attach); memory that is no block yet is all zeros.
    pub unsafe fn format_or_attach(
        memory: NonNull<u8>,
        length: usize,
        limits: &BlockLimits,
    ) -> Result<Self, BlockError> {
        // SAFETY: the caller's duty, passed on.
        unsafe { Self::format_or_attach_lent(memory, length, limits, Arc::new(())) }
    }

    /// # Safety
    /// As for [`format_or_attach`](Self::format_or_attach), as long as the lender exists.
    pub(crate) unsafe fn format_or_attach_lent(
        memory: NonNull<u8>,
        length: usize,
        limits: &BlockLimits,
        lender: Lender,
    ) -> Result<Self, BlockError> {
        let layout = Layout::new(limits)?;
        check_length(length, layout.size)?;
        let (start, skipped) = aligned(memory)?;
        // SAFETY: there is room for the header, and it consists of atomic integers.
        let header = unsafe { start.cast::<Header>().as_ref() };
        if header.stage() == Stage::New && header.begin(Stage::New, std::process::id()) {
            // SAFETY: the caller's duty; the length is checked. Others wait for the end.
            unsafe { fill(start, &layout, skipped) };
            header.end();
        }
        // SAFETY: the caller's duty, passed on.
        let block = unsafe { Self::attach_lent(memory, length, lender)? };
        if block.parts.layout.limits != *limits {
            return Err(BlockError::OtherLimits);
        }
        Ok(block)
    }

    /// # Safety
    /// As for [`attach`](Self::attach), as long as the lender exists.
    pub(crate) unsafe fn attach_lent(
        memory: NonNull<u8>,
        length: usize,
        lender: Lender,
    ) -> Result<Self, BlockError> {
        check_length(length, size_of::<Header>() + ALIGN)?;
        let (start, skipped) = aligned(memory)?;
        // SAFETY: there is room for the header, and it consists of atomic integers.
        let header = unsafe { start.cast::<Header>().as_ref() };
        match header.stage() {
            Stage::New => return Err(BlockError::New),
            Stage::Formatting(process) => return Err(BlockError::Formatting { process }),
            Stage::Unknown => return Err(BlockError::Unknown),
            Stage::Ready => {}
        }
        if header.version() != LAYOUT {
            return Err(BlockError::Unknown);
        }
        let identity = header.identity().ok_or(BlockError::Corrupt)?;
        let Identity { servers, services, owners, .. } = identity;
        let limits = BlockLimits::new(servers, services).with_owners(owners);
        let layout = Layout::new(&limits).map_err(|_| BlockError::Corrupt)?;
        if identity.skipped != skipped as u32 {
            let offset = |skipped: u32| (ALIGN as u32).wrapping_sub(skipped) as u8 % ALIGN as u8;
            return Err(BlockError::Misaligned {
                offset: offset(skipped as u32),
                expected: Some(offset(identity.skipped)),
            });
        }
        if identity != Identity::new(&limits, layout.size, skipped) {
            return Err(BlockError::Corrupt);
        }
        check_length(length, layout.size)?;
        // SAFETY: the memory is as long as the layout, and lives as long as the lender.
        let parts = unsafe { Parts::new(start, layout, &lender) };
        Ok(Block { parts: Arc::new(parts) })
    }

    /// Returns for how much the block has room.
    pub fn limits(&self) -> BlockLimits {
        self.parts.layout.limits
    }

    /// Returns the owners that have joined and have neither left nor been reclaimed, each with the id of its
    /// process, as that process saw it. O(owners).
    pub fn owners(&self) -> Vec<(OwnerId, u32)> {
        let owners = self.parts.owners.iter().zip(0..);
        let present = owners.filter_map(|(slot, number)| {
            let (incarnation, process) = slot.present()?;
            Some((OwnerId { number, incarnation }, process))
        });
        present.collect()
    }

    /// [Reclaims](Self::reclaim) every owner of this process, which has ended. O(owners + servers).
    pub fn reclaim_process(&self, process: u32) -> Reclaimed {
        let mut left = 0;
        for slot in (0..).zip(self.parts.owners.iter()) {
            let (number, slot) = slot;
            let Some(incarnation) = slot.of_process(process) else { continue };
            match self.reclaim(OwnerId { number, incarnation }) {
                Ok(Reclaimed::AllBut(servers)) => left += servers,
                // Another has done it.
                Ok(Reclaimed::All) | Err(_) => {}
            }
        }
        if left > 0 { Reclaimed::AllBut(left) } else { Reclaimed::All }
    }

    /// Gives back what an owner held that is dead: its connections, and what it had in its config. Call it
    /// once the owner's process has ended; of one that goes on, counts are wrong afterwards. Any process may
    /// call it, and any number of them at once: each count is given back once, even if the caller dies here.
    /// Waits for nobody. O(servers).
    ///
    /// # Errors
    /// [`BlockError::NoOwner`] if the owner has left or is reclaimed already.
    pub fn reclaim(&self, owner: OwnerId) -> Result<Reclaimed, BlockError> {
        let slot = self.parts.owners.get(owner.number as usize).ok_or(BlockError::NoOwner)?;
        if !slot.declare_dead(owner.incarnation) {
            return Err(BlockError::NoOwner);
        }
        let mut left = 0;
        for (server, counts) in self.parts.servers.iter().enumerate() {
            let Some(dead) = self.parts.ledger(owner.number, server as u32) else { continue };
            let living = || self.parts.living(server as u32);
            // The rules only say when a server ceases to be overloaded; the next connection does, too.
            left += u32::from(settle(counts, dead, KernelRules::B, living) == Settled::NotYet);
        }
        if left > 0 {
            return Ok(Reclaimed::AllBut(left));
        }
        self.parts.server_names.iter().for_each(|name| name.let_go(owner.number));
        self.parts.service_names.iter().for_each(|name| name.let_go(owner.number));
        self.parts.rotations.iter().for_each(|slot| slot.let_go(owner.number));
        slot.free(owner.incarnation);
        Ok(Reclaimed::All)
    }

    /// Takes a place for an owner in this process.
    pub(crate) fn join(&self) -> Result<OwnerId, BlockError> {
        let process = std::process::id();
        for (slot, number) in self.parts.owners.iter().zip(0..) {
            if let Some(incarnation) = slot.dead() {
                // Most often all can be given back by now.
                let _ = self.reclaim(OwnerId { number, incarnation });
            }
            let Some(incarnation) = slot.begin(process) else { continue };
            for server in 0..self.parts.layout.limits.servers() {
                if let Some(ledger) = self.parts.ledger(number, server) {
                    ledger.reset();
                }
            }
            if slot.complete(incarnation, process) {
                return Ok(OwnerId { number, incarnation });
            }
        }
        Err(BlockError::OwnersFull { limit: self.parts.layout.limits.owners() })
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }
}

impl Parts {
    /// # Safety
    /// The memory from `start` on is a block of this layout, as long as the lender exists.
    unsafe fn new(start: NonNull<u8>, layout: Layout, lender: &Lender) -> Self {
        let [servers, services, owners] =
            [layout.limits.servers(), layout.limits.services(), layout.limits.owners()]
                .map(|count| count as usize);
        // SAFETY: for all: the layout has these parts, and each consists of atomic integers.
        unsafe {
            Parts {
                layout,
                header: part(start, 0, 1, lender),
                servers: part(start, layout.servers, servers, lender),
                health: part(start, layout.health, servers, lender),
                server_names: part(start, layout.server_names, servers, lender),
                services: part(start, layout.services, services, lender),
                service_names: part(start, layout.service_names, services, lender),
                owners: part(start, layout.owners, owners, lender),
                ledgers: part(start, layout.ledgers, owners * servers, lender),
                rotations: part(start, layout.rotations, layout.versions(), lender),
                turns: part(start, layout.turns, 2 * layout.versions(), lender),
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
/// From `start` on there is room for the layout, and nobody else uses it.
unsafe fn fill(start: NonNull<u8>, layout: &Layout, skipped: usize) {
    let limits = &layout.limits;
    let [servers, services, owners] =
        [limits.servers(), limits.services(), limits.owners()].map(|count| count as usize);
    let first = first_generation();
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
        write(start, layout.turns, 2 * layout.versions(), TicketWord::uninitialized);
        let header = start.cast::<Header>().as_ref();
        header.claim.store(0, Ordering::Relaxed);
        header.identify(&Identity::new(limits, layout.size, skipped), LAYOUT, first);
    }
}

/// # Safety
/// From `start` + `offset` on there is room for so many elements, aligned, and nobody else uses it.
unsafe fn write<T: Shared>(start: NonNull<u8>, offset: usize, count: usize, make: impl Fn() -> T) {
    // SAFETY: the caller's duty.
    let first = unsafe { start.add(offset) }.cast::<T>();
    for at in 0..count {
        // SAFETY: as above.
        unsafe { ptr::write(first.add(at).as_ptr(), make()) };
    }
}

/// Another one for each block, so that ids of one are stale in another.
fn first_generation() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id()) as u32
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
