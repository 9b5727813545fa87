//! The beginning of a block: what it is, and what all its owners share.
//!
//! | location           | operation                          | ordering | partner                        |
//! |--------------------|------------------------------------|----------|--------------------------------|
//! | `stage`            | exchange in `begin`                | Acquire  | other exchanges: one formats   |
//! | `stage`            | store in `end`                     | Release  | load in `stage`                |
//! | `stage`            | load in `stage`                    | Acquire  | store in `end`                 |
//! | what it is         | loads and stores                   | Relaxed  | between `begin` and `end`, or after `stage` |
//! | `clock`, `serials` | exchanges and loads                | Relaxed  | none: a coarse time; only uniqueness matters |

use crate::arena::block::limits::BlockLimits;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// A block of this machine's byte order. Never changes, whatever the version.
const MAGIC: u64 = u64::from_ne_bytes(*b"vsched\0B");
const READY: u64 = 1;
/// Or'ed with the number of the process that formats.
const FORMATTING: u64 = 1 << 63;

#[repr(C, align(64))]
pub(crate) struct Header {
    magic: AtomicU64,
    version: AtomicU64,
    stage: AtomicU64,
    size: AtomicU64,
    servers: AtomicU32,
    services: AtomicU32,
    owners: AtomicU32,
    /// Bytes left out before the aligned start.
    skipped: AtomicU32,
    /// Of all that is above but for `stage`.
    check: AtomicU64,
    /// The generation of each slot's first server or service.
    pub(super) first_generation: AtomicU32,
    /// How many addresses are remembered at most.
    addresses: AtomicU32,
    /// Who changes the membership: see `claim`.
    pub(super) claim: AtomicU64,
    /// With which addresses are hashed.
    pub(super) seed: AtomicU64,
    /// The owners' time in milliseconds, as of the latest tick of any.
    pub(super) clock: AtomicU64,
    serials: AtomicU32,
    reserved: AtomicU32,
}

/// In which state a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// All zeros: new memory.
    New,
    /// This process formats it, or has died of it.
    Formatting(u32),
    Ready,
    /// No block.
    Unknown,
}

/// What a block says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) size: u64,
    pub(super) servers: u32,
    pub(super) services: u32,
    pub(super) owners: u32,
    pub(super) addresses: u32,
    pub(super) skipped: u32,
}

impl Identity {
    pub(super) fn new(limits: &BlockLimits, size: usize, skipped: usize) -> Self {
        Identity {
            size: size as u64,
            servers: limits.servers(),
            services: limits.services(),
            owners: limits.owners(),
            addresses: limits.addresses(),
            skipped: skipped as u32,
        }
    }

    fn check(&self, version: u64) -> u64 {
        let pair = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
        let words = [
            version,
            self.size,
            pair(self.servers, self.services),
            pair(self.owners, self.skipped),
            self.addresses.into(),
        ];
        // FNV-1a, word by word: against accidents, not against malice.
        words
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |hash, word| (hash ^ word).wrapping_mul(0x0100_0000_01b3))
    }
}

impl Header {
    pub(super) fn stage(&self) -> Stage {
        // Acquire: pairs with the store in `end`.
        let stage = self.stage.load(Ordering::Acquire);
        // Relaxed: the same since the block was formatted.
        match (stage, self.magic.load(Ordering::Relaxed)) {
            (0, _) => Stage::New,
            (READY, MAGIC) => Stage::Ready,
            (stage, _) if stage & !u64::from(u32::MAX) == FORMATTING => {
                Stage::Formatting(stage as u32)
            }
            _ => Stage::Unknown,
        }
    }

    /// Lets this process format, if the block is in the stage that it has seen; false if another does.
    pub(super) fn begin(&self, seen: Stage, process: u32) -> bool {
        let word = |process: u32| FORMATTING | u64::from(process);
        let from = match seen {
            Stage::New => 0,
            Stage::Formatting(former) => word(former),
            Stage::Ready | Stage::Unknown => return false,
        };
        // Acquire: pairs with the store in `end`, and with this exchange by another.
        self.stage
            .compare_exchange(from, word(process), Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// As [`begin`](Self::begin), whatever is there.
    pub(super) fn begin_anyway(&self, process: u32) {
        // Relaxed: before the memory is shared.
        self.stage.store(FORMATTING | u64::from(process), Ordering::Relaxed);
    }

    /// Says what the block is. Only between `begin` and `end`.
    pub(super) fn identify(&self, identity: &Identity, layout: u64, first_generation: u32) {
        // Relaxed, here and below: before the store in `end`.
        self.magic.store(MAGIC, Ordering::Relaxed);
        self.version.store(layout, Ordering::Relaxed);
        self.size.store(identity.size, Ordering::Relaxed);
        self.servers.store(identity.servers, Ordering::Relaxed);
        self.services.store(identity.services, Ordering::Relaxed);
        self.owners.store(identity.owners, Ordering::Relaxed);
        self.addresses.store(identity.addresses, Ordering::Relaxed);
        self.skipped.store(identity.skipped, Ordering::Relaxed);
        self.check.store(identity.check(layout), Ordering::Relaxed);
        self.first_generation.store(first_generation, Ordering::Relaxed);
    }

    /// What owners change. Only between `begin` and `end`.
    pub(super) fn begin_life(&self, seed: u64) {
        // Relaxed: before the store in `end`.
        self.claim.store(0, Ordering::Relaxed);
        self.seed.store(seed, Ordering::Relaxed);
        self.clock.store(0, Ordering::Relaxed);
        self.serials.store(0, Ordering::Relaxed);
    }

    /// A number that no other call gets, until it wraps.
    pub(crate) fn next_serial(&self) -> u32 {
        // Relaxed: only uniqueness matters.
        self.serials.fetch_add(1, Ordering::Relaxed)
    }

    /// The block is ready.
    pub(super) fn end(&self) {
        // Release: pairs with the load in `stage`; after all of the formatting.
        self.stage.store(READY, Ordering::Release);
    }

    /// What the block is; `None` if it is damaged. Only if it is ready.
    pub(super) fn identity(&self) -> Option<Identity> {
        // Relaxed, here and below: after the load in `stage`.
        let identity = Identity {
            size: self.size.load(Ordering::Relaxed),
            servers: self.servers.load(Ordering::Relaxed),
            services: self.services.load(Ordering::Relaxed),
            owners: self.owners.load(Ordering::Relaxed),
            addresses: self.addresses.load(Ordering::Relaxed),
            skipped: self.skipped.load(Ordering::Relaxed),
        };
        let check = self.check.load(Ordering::Relaxed);
        (check == identity.check(self.version())).then_some(identity)
    }

    pub(super) fn version(&self) -> u64 {
        // Relaxed: after the load in `stage`.
        self.version.load(Ordering::Relaxed)
    }
}
