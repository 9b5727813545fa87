//! Maps of addresses in a block: each persistent service has one, of the size that the first owner to apply it wanted.
//!
//! Maps are made and given to other services by the owner that has the claim alone. `memory` says what is in their
//! entries; here is what has to be known of them where a server or an owner goes.
//!
//! | location  | operation                     | ordering | partner                                   |
//! |-----------|-------------------------------|----------|-------------------------------------------|
//! | entries   | stores in `clear`             | Relaxed  | before the hold; others read them after the claim |
//! | entries   | exchanges                     | SeqCst   | those in `memory`                         |

use std::sync::Weak;

use ahash::HashMap;

use crate::arena::block::Block;
use crate::arena::block::map_slot::{CHUNK, ENTRIES, MapEntry, MapSlot, OWNERS, SERVER};
use crate::arena::block::open_counts::OpenCounts;
use crate::arena::block::owners::OwnerId;
use crate::arena::block::parts::Parts;
use crate::concurrent::segments::{ArcRef, Segment};
use crate::concurrent::zeroed::OutOfMemory;
use crate::config::affinity_entries;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};

/// The entries of a map, and their marks; `None` where the block is corrupt.
fn content(parts: &Parts, slot: &MapSlot) -> Option<(Segment<MapEntry>, Segment<AtomicU64>)> {
    let units = slot.range();
    let at = |unit: u64| usize::try_from(unit * ENTRIES).ok();
    let entries = parts.entries.part(at(units.start)?..at(units.end)?)?;
    let marks = parts.marks.part(units.start as usize..units.end as usize)?;
    // The number of an entry is a hash's lowest bits.
    entries.len().is_power_of_two().then_some((entries, marks))
}

/// Calls `look` with every entry in a marked chunk.
fn for_each(entries: &[MapEntry], marks: &[AtomicU64], mut look: impl FnMut(&MapEntry)) {
    for (word, entries) in marks.iter().zip(entries.chunks(ENTRIES as usize)) {
        let bits = word.load(Ordering::SeqCst);
        let marked = entries.chunks(CHUNK).zip(0..64).filter(|(_, bit)| bits >> bit & 1 != 0);
        marked.flat_map(|(chunk, _)| chunk).for_each(&mut look);
    }
}

/// The owner with this number is new: what the one before it had open is not its own. O(addresses).
pub(super) fn forget_owner(parts: &Parts, owner: u32) {
    for slot in parts.maps.iter() {
        slot.release(owner);
        let Some((entries, marks)) = content(parts, slot) else { continue };
        forget_bit(&entries, &marks, owner_bit(owner));
    }
}

fn forget_bit(entries: &[MapEntry], marks: &[AtomicU64], bit: u64) {
    for_each(entries, marks, |entry| {
        if entry.words[OWNERS].load(Ordering::SeqCst) & bit != 0 {
            entry.words[OWNERS].fetch_and(!bit, Ordering::SeqCst);
        }
    });
}

/// No entry names the server any more, whose slot gets another one. O(addresses). Only with the claim.
pub(super) fn forget_server(parts: &Parts, server: u32) {
    for slot in parts.maps.iter() {
        let Some((entries, marks)) = content(parts, slot) else { continue };
        for_each(&entries, &marks, |entry| {
            let word = &entry.words[SERVER];
            let named = word.load(Ordering::SeqCst);
            if named != 0 && !(named as u32) == server {
                let _ = word.compare_exchange(named, 0, Ordering::SeqCst, Ordering::SeqCst);
            }
        });
    }
}

fn owner_bit(owner: u32) -> u64 {
    1 << (owner & 31)
}

/// One owner's use of a map, as long as this exists.
pub(crate) struct SharedMap {
    used: Arc<UsedMaps>,
    block: Block,
    owner: u32,
    at: u32,
    pub(crate) slot: ArcRef<MapSlot>,
    pub(crate) entries: Segment<MapEntry>,
    pub(crate) marks: Segment<AtomicU64>,
    pub(crate) capacity: u32,
    /// What this owner has open.
    pub(crate) open: OpenCounts,
}

/// The maps that one owner uses, by place.
#[derive(Default)]
pub(crate) struct UsedMaps(Mutex<HashMap<u32, Weak<SharedMap>>>);

/// Why there is no map.
pub(crate) enum NoMap {
    /// There is room for so many addresses more.
    Full(u32),
    OutOfMemory(OutOfMemory),
}

impl UsedMaps {
    /// The service's map, made if no owner uses it. Allocates. Only with the claim.
    pub(crate) fn map(
        self: &Arc<Self>,
        block: &Block,
        owner: OwnerId,
        service: u64,
        capacity: u32,
    ) -> Result<Arc<SharedMap>, NoMap> {
        let parts = block.parts();
        let alive = parts.alive();
        let mut used = self.0.lock();
        let is_of = |slot: &MapSlot| slot.service.load(Ordering::SeqCst) == service;
        let known = parts.maps.iter().position(|slot| is_of(slot) && slot.is_held(alive));
        let known_here = known.and_then(|at| used.get(&(at as u32)).and_then(Weak::upgrade));
        if let Some(map) = known_here {
            return Ok(map);
        }
        let at = match known {
            Some(at) => at,
            None => make(parts, alive, service, capacity)?,
        };
        let full = || NoMap::Full(0);
        let slot = ArcRef::of(&parts.maps, at).ok_or_else(full)?;
        let (entries, marks) = content(parts, slot.get()).ok_or_else(full)?;
        let open = OpenCounts::new(entries.len()).map_err(NoMap::OutOfMemory)?;
        let capacity = slot.get().capacity.load(Ordering::SeqCst).min(entries.len() as u32 / 2);
        slot.get().hold(owner.number);
        // What an earlier use of the map had open.
        forget_bit(&entries, &marks, owner_bit(owner.number));
        let (used_by, block, at) = (Arc::clone(self), block.clone(), at as u32);
        let owner = owner.number;
        let map = Arc::new(SharedMap {
            used: used_by,
            block,
            owner,
            at,
            slot,
            entries,
            marks,
            capacity,
            open,
        });
        used.insert(at, Arc::downgrade(&map));
        Ok(map)
    }
}

/// Makes an empty map. The first place of sufficient length; no owner that is alive uses what is there.
fn make(parts: &Parts, alive: u64, service: u64, capacity: u32) -> Result<usize, NoMap> {
    let mut taken: Vec<std::ops::Range<u64>> =
        parts.maps.iter().filter(|slot| slot.is_held(alive)).map(MapSlot::range).collect();
    taken.sort_unstable_by_key(|range| range.start);
    let all = parts.entries.len() as u64 / ENTRIES;
    let length = affinity_entries(capacity).max(ENTRIES) / ENTRIES;
    let (mut first, mut largest) = (0, 0);
    for range in taken.into_iter().chain(std::iter::once(all..all)) {
        let gap = range.start.saturating_sub(first);
        if gap >= length {
            break;
        }
        largest = largest.max(gap);
        first = first.max(range.end);
    }
    let free = parts.maps.iter().position(|slot| !slot.is_held(alive));
    let (Some(at), true) = (free, first + length <= all) else {
        return Err(NoMap::Full((largest * ENTRIES / 2) as u32));
    };
    let Some(slot) = parts.maps.get(at) else { return Err(NoMap::Full(0)) };
    slot.service.store(service, Ordering::SeqCst);
    slot.first.store(first as u32, Ordering::SeqCst);
    slot.length.store(length as u32, Ordering::SeqCst);
    slot.capacity.store(capacity, Ordering::SeqCst);
    slot.count.store(0, Ordering::SeqCst);
    let Some((entries, marks)) = content(parts, slot) else { return Err(NoMap::Full(0)) };
    clear(&entries, &marks);
    Ok(at)
}

/// Empties entries that no owner uses. Memory that was never written stays so.
fn clear(entries: &[MapEntry], marks: &[AtomicU64]) {
    for word in entries.iter().flat_map(|entry| &entry.words).chain(marks) {
        if word.load(Ordering::Relaxed) != 0 {
            word.store(0, Ordering::Relaxed);
        }
    }
}

impl SharedMap {
    /// With which all owners hash.
    pub(crate) fn seed(&self) -> u64 {
        // Relaxed: the same since the block was formatted.
        self.block.parts().header().map_or(0, |header| header.seed.load(Ordering::Relaxed))
    }

    pub(crate) fn bit(&self) -> u64 {
        owner_bit(self.owner)
    }
}

impl Drop for SharedMap {
    fn drop(&mut self) {
        let mut used = self.used.0.lock();
        // Unless another use of the same map has begun since.
        if used.get(&self.at).is_some_and(|now| now.strong_count() == 0) {
            used.remove(&self.at);
            forget_bit(&self.entries, &self.marks, self.bit());
            if let Some(slot) = self.block.parts().maps.get(self.at as usize) {
                slot.release(self.owner);
            }
        }
    }
}
