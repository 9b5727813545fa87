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
pub(crate) mod map_slot;
#[cfg(all(unix, feature = "shared-memory"))]
mod mapping;
pub(crate) mod maps;
pub(crate) mod names;
pub(crate) mod open_counts;
pub(crate) mod owners;
pub(crate) mod parts;
mod processes;
pub(crate) mod rotations;
pub(crate) mod totals;

use std::collections::BTreeSet;
use std::ptr::NonNull;

use crate::arena::block::header::{Header, Identity, Stage};
use crate::arena::block::layout::{ALIGN, BASE_ALIGN, LAYOUT, Layout};
use crate::arena::block::limits::BlockLimits;
use crate::arena::block::owners::OwnerId;
use crate::arena::block::parts::{Parts, fill, fill_entries};
use crate::arena::block::processes::Process;
use crate::arena::ledger::{Settled, settle};
use crate::arena::slots::ServerSlot;
use crate::concurrent::segments::Lender;
use crate::config::KernelRules;
use crate::error::BlockError;
use crate::sync::Arc;

/// Memory in which directors of several processes share the state of their servers and services.
///
/// Directors on one block pick as one: they share connection counts with their overload marks, run-time states,
/// reported outcomes, ejections, persistence templates, and the rotations of equal configs. Each director is an
/// owner, with a ledger of the connections that it has open, so that what a killed process held can be
/// [given back](Self::reclaim) exactly. [Embedding][crate::embedding] says under Processes what is shared
/// when, what is not, and from which other users the memory must be kept.
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
    /// The memory is `length` bytes that may be written, and no other code uses it during the call.
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
        unsafe {
            fill_entries(start, &layout);
            fill(start, &layout, skipped);
        }
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
        let Identity { servers, services, owners, addresses, .. } = identity;
        let limits = BlockLimits::new(servers, services).with_owners(owners);
        let limits = limits.with_addresses(addresses);
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

    /// Returns whether the process of an owner still runs; `None` if the system does not say, or if the owner has left.
    /// Only Linux says, of processes in this one's pid namespace. A process id that was used again does not mislead
    /// it. Makes system calls, allocates.
    pub fn is_running(&self, owner: OwnerId) -> Option<bool> {
        let slot = self.parts.owners.get(owner.number as usize)?;
        let (_, process) = slot.present().filter(|(now, _)| *now == owner.incarnation)?;
        let identity = slot.process();
        // Not of the next owner in its place.
        slot.is_present(owner.incarnation).then(|| identity.is_running(process))?
    }

    /// [Reclaims](Self::reclaim) every owner whose process has ended, as far as [`is_running`](Self::is_running)
    /// tells: for hosts that do not learn of each end, and for a named block after a crash of all. O(owners), and
    /// O(servers) for each that has ended.
    pub fn reclaim_dead(&self) -> Reclaimed {
        let owners = self.owners().into_iter().map(|(owner, _)| owner);
        self.reclaim_all(owners.filter(|owner| self.is_running(*owner) == Some(false)))
    }

    fn reclaim_all(&self, owners: impl Iterator<Item = OwnerId>) -> Reclaimed {
        let mut left = 0;
        for owner in owners {
            match self.reclaim(owner) {
                Ok(Reclaimed::AllBut(servers)) => left += servers,
                // Another has done it.
                Ok(Reclaimed::All) | Err(_) => {}
            }
        }
        if left > 0 { Reclaimed::AllBut(left) } else { Reclaimed::All }
    }

    /// [Reclaims](Self::reclaim) every owner of this process, which has ended. O(owners + servers).
    pub fn reclaim_process(&self, process: u32) -> Reclaimed {
        let owners = (0..).zip(self.parts.owners.iter()).filter_map(|(number, slot)| {
            Some(OwnerId { number, incarnation: slot.of_process(process)? })
        });
        self.reclaim_all(owners)
    }

    /// Gives back what an owner held that is dead: its connections, and what it had in its config. Call it
    /// once the owner's process has ended; of one that goes on, counts are wrong afterwards. Any process may
    /// call it, and any number of them at once: each count is given back once, even if the caller dies here.
    /// Waits for no other process. O(servers).
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
        self.look_at_held();
        if left > 0 {
            return Ok(Reclaimed::AllBut(left));
        }
        // What it had in its config is nowhere in use, as it is not alive; the next owner in its place clears that.
        // Not here: others may reclaim it too, and be overtaken by that owner.
        slot.free(owner.incarnation);
        Ok(Reclaimed::All)
    }

    /// Picks look at the servers of services in which one is held: the dead owner may have held it just now.
    fn look_at_held(&self) {
        let held = self.parts.servers.iter().filter(|slot| slot.counts_seqcst().is_held());
        let services: BTreeSet<u32> = held.map(ServerSlot::service).collect();
        for service in services {
            rotations::look_at(self, self.parts.service_id(service));
        }
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
            self.parts.server_names.iter().for_each(|name| name.release(number));
            self.parts.service_names.iter().for_each(|name| name.release(number));
            self.parts.rotations.iter().for_each(|slot| slot.release(number));
            maps::forget_owner(&self.parts, number);
            slot.set_ticked(None);
            slot.set_process(Process::this());
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

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
