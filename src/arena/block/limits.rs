//! For how much a block has room.

use crate::arena::slots::ServerSlot;
use crate::concurrent::segments::Segments;

/// For how much a block has room.
///
/// ```
/// use vsched::BlockLimits;
/// let limits = BlockLimits::new(500, 10).with_owners(8);
/// assert_eq!((limits.servers(), limits.services()), (960, 64), "rounded up");
/// assert!(limits.size()? < 960 * 300);
/// # Ok::<(), vsched::error::BlockError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockLimits {
    pub(super) servers: u32,
    pub(super) services: u32,
    pub(super) owners: u32,
    pub(super) addresses: u32,
}

/// Most owners of one block.
pub(crate) const MOST_OWNERS: u32 = 64;
/// The same of one in which addresses are remembered: so many bits has an entry for them.
pub(crate) const MOST_REMEMBERING: u32 = 32;
/// Most addresses.
pub(crate) const MOST_ADDRESSES: u32 = 1 << 24;
/// Owners, unless the limits say otherwise.
const OWNERS: u32 = 16;

impl BlockLimits {
    /// Returns limits with room for this many servers and services, each rounded up to the next of 64, 192,
    /// 448, 960, …: 2^k - 64. A server that was removed takes its room until its last connection has closed.
    pub fn new(servers: u32, services: u32) -> Self {
        let round = |count| Segments::<ServerSlot>::lent_length(count).unwrap_or(u32::MAX);
        BlockLimits {
            servers: round(servers),
            services: round(services),
            owners: OWNERS,
            addresses: 0,
        }
    }

    /// Returns these limits with room for this many owners at a time, 1 to 64; by default 16.
    pub fn with_owners(mut self, owners: u32) -> Self {
        self.owners = owners;
        self
    }

    /// Returns these limits with room for so many client addresses that persistent services remember, together, up
    /// to 2^24; by default none. Each of these services takes as many as its `affinity.capacity`, or 512 if
    /// that is fewer, rounded up to a power of two. With any, a block has room for 32 owners at most.
    pub fn with_addresses(mut self, addresses: u32) -> Self {
        self.addresses = addresses;
        self
    }

    /// Returns how many client addresses there is room for.
    pub fn addresses(&self) -> u32 {
        self.addresses
    }

    /// Returns how many servers there is room for.
    pub fn servers(&self) -> u32 {
        self.servers
    }

    /// Returns how many services there is room for.
    pub fn services(&self) -> u32 {
        self.services
    }

    /// Returns how many owners there is room for.
    pub fn owners(&self) -> u32 {
        self.owners
    }
}
