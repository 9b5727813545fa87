//! Where the parts of a block stand.

use crate::arena::block::header::Header;
use crate::arena::block::limits::{BlockLimits, MOST_ADDRESSES, MOST_OWNERS, MOST_REMEMBERING};
use crate::arena::block::map_slot::{ENTRIES, MapEntry, MapSlot};
use crate::arena::block::names::{ServerName, ServiceName};
use crate::arena::block::owners::OwnerSlot;
use crate::arena::block::rotations::{RotationSlot, VERSIONS};
use crate::arena::health::HealthSlot;
use crate::arena::ledger::Ledger;
use crate::arena::service_slot::ServiceSlot;
use crate::arena::slots::ServerSlot;
use crate::concurrent::segments::Segments;
use crate::error::BlockError;
use crate::rotation::ticket_word::TicketWord;

impl BlockLimits {
    /// Rewords the size of a block with this room, in bytes. A block must be aligned to 8.
    ///
    /// # Errors
    /// [`BlockError::Limit`] if a limit is out of range.
    pub fn size(&self) -> Result<usize, BlockError> {
        Layout::new(self).map(|layout| layout.size)
    }
}

/// Distances from the block's aligned start, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) limits: BlockLimits,
    pub(super) servers: usize,
    pub(super) health: usize,
    pub(super) server_names: usize,
    pub(super) services: usize,
    pub(super) service_names: usize,
    pub(super) owners: usize,
    pub(super) ledgers: usize,
    pub(super) rotations: usize,
    pub(super) words: usize,
    pub(super) maps: usize,
    pub(super) entries: usize,
    pub(super) marks: usize,
    /// With what may have to be left out before the aligned start.
    pub(super) size: usize,
}

/// Alignment of every part.
pub(super) const ALIGN: usize = 64;
/// Alignment of what the caller gives.
pub(super) const BASE_ALIGN: usize = 8;

/// Differs between builds whose blocks differ. The first number changes with the meaning of any word.
pub(super) const LAYOUT: u64 = {
    let sizes = [
        4,
        size_of::<Header>(),
        size_of::<ServerSlot>(),
        size_of::<HealthSlot>(),
        size_of::<ServerName>(),
        size_of::<ServiceSlot>(),
        size_of::<ServiceName>(),
        size_of::<OwnerSlot>(),
        size_of::<Ledger>(),
        size_of::<RotationSlot>(),
        size_of::<TicketWord>(),
        size_of::<MapSlot>(),
        size_of::<MapEntry>(),
    ];
    let (mut version, mut at) = (0u64, 0);
    while at < sizes.len() {
        // A multiple of the golden ratio mixes the bits.
        version = (version ^ sizes[at] as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        at += 1;
    }
    version
};

impl Layout {
    pub(crate) fn new(limits: &BlockLimits) -> Result<Self, BlockError> {
        let BlockLimits { servers, services, owners, addresses } = *limits;
        let limit = |what, value: u32, most| Err(BlockError::Limit { what, value, most });
        if Segments::<ServerSlot>::lent_length(servers) != Some(servers) {
            return limit("servers", servers, MOST_SERVERS);
        }
        if Segments::<ServiceSlot>::lent_length(services) != Some(services) {
            return limit("services", services, MOST_SERVERS);
        }
        let most_owners = if addresses == 0 { MOST_OWNERS } else { MOST_REMEMBERING };
        if owners == 0 || owners > most_owners {
            return limit("owners", owners, most_owners);
        }
        if addresses > MOST_ADDRESSES {
            return limit("addresses", addresses, MOST_ADDRESSES);
        }
        let mut end = size_of::<Header>();
        let mut part = |count: u64, size: usize| -> Option<usize> {
            let start = end.checked_next_multiple_of(ALIGN)?;
            let length = usize::try_from(count).ok()?.checked_mul(size)?;
            end = start.checked_add(length)?;
            Some(start)
        };
        let (many, some) = (u64::from(servers), u64::from(services));
        let mut layout = || {
            Some(Layout {
                limits: *limits,
                servers: part(many, size_of::<ServerSlot>())?,
                health: part(many, size_of::<HealthSlot>())?,
                server_names: part(many, size_of::<ServerName>())?,
                services: part(some, size_of::<ServiceSlot>())?,
                service_names: part(some, size_of::<ServiceName>())?,
                owners: part(owners.into(), size_of::<OwnerSlot>())?,
                ledgers: part(many * u64::from(owners), size_of::<Ledger>())?,
                rotations: part(versions(some), size_of::<RotationSlot>())?,
                words: part(2 * versions(some), size_of::<TicketWord>())?,
                maps: part(maps(limits), size_of::<MapSlot>())?,
                entries: part(entries(limits), size_of::<MapEntry>())?,
                marks: part(entries(limits) / ENTRIES, size_of::<u64>())?,
                size: 0,
            })
        };
        let layout = layout().zip(end_of(&mut end));
        match layout {
            Some((layout, size)) => Ok(Layout { size, ..layout }),
            None => limit("servers", servers, MOST_SERVERS),
        }
    }
}

impl Layout {
    /// Where the parts begin.
    #[cfg(test)]
    pub(super) fn starts(&self) -> [usize; 13] {
        [
            0,
            self.servers,
            self.health,
            self.server_names,
            self.services,
            self.service_names,
            self.owners,
            self.ledgers,
            self.rotations,
            self.words,
            self.maps,
            self.entries,
            self.marks,
        ]
    }

    /// Maps of addresses that there is room for.
    pub(super) fn maps(&self) -> usize {
        maps(&self.limits) as usize
    }

    pub(super) fn marks(&self) -> usize {
        self.entries() / ENTRIES as usize
    }

    /// Entries of all maps together.
    pub(super) fn entries(&self) -> usize {
        entries(&self.limits) as usize
    }

    /// Versions of services' configs that there is room for.
    pub(super) fn versions(&self) -> usize {
        versions(self.limits.services().into()) as usize
    }
}

fn maps(limits: &BlockLimits) -> u64 {
    if limits.addresses() == 0 { 0 } else { limits.services().into() }
}

/// Twice as many as addresses, so that maps are at most half full.
fn entries(limits: &BlockLimits) -> u64 {
    (2 * u64::from(limits.addresses())).next_multiple_of(ENTRIES)
}

fn versions(services: u64) -> u64 {
    services * u64::from(VERSIONS)
}

/// Most servers of a block: what a 32-bit address space cannot hold is refused all the same.
const MOST_SERVERS: u32 = (1 << 24) - 64;

/// The size with slack for the alignment of the start.
fn end_of(end: &mut usize) -> Option<usize> {
    end.checked_next_multiple_of(ALIGN)?.checked_add(ALIGN - BASE_ALIGN)
}
