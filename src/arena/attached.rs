//! An arena's place in a block: what a director that shares its state with other processes has of its own.

use crate::arena::block::Block;
use crate::arena::block::claim::Claim;
use crate::arena::block::directory::Directory;
use crate::arena::block::maps::{NoMap, SharedMap, UsedMaps};
use crate::arena::block::names;
use crate::arena::block::owners::OwnerId;
use crate::arena::block::rotations::{self, Begins, Used, Version};
use crate::arena::block::totals::Totals;
use crate::arena::id::ServiceId;
use crate::arena::ledger::{Ledger, Settled, correct};
use crate::arena::tally::Incarnation;
use crate::arena::worker_state::WorkerTag;
use crate::concurrent::segments::Segment;
use crate::config::{KernelRules, ServiceKey};
use crate::error::BlockError;
use crate::sync::Arc;

/// One owner of a block.
pub(crate) struct Attached {
    pub(crate) block: Block,
    pub(crate) owner: OwnerId,
    /// In the leases of the owner's connections.
    pub(crate) tag: WorkerTag,
    /// By server slot.
    ledger: Segment<Ledger>,
    used: Arc<Used>,
    pub(crate) totals: Box<Totals>,
    maps: Arc<UsedMaps>,
}

impl Attached {
    /// Joins the block.
    pub(crate) fn new(block: &Block) -> Result<Self, BlockError> {
        let owner = block.join()?;
        let ledger = block.parts().ledger_of(owner.number).ok_or(BlockError::Corrupt)?;
        let tag = WorkerTag::new(owner.number + 1, owner.incarnation & Incarnation::LAST);
        let (block, used, totals) = (block.clone(), Arc::default(), Box::new(Totals::new()));
        Ok(Attached { block, owner, tag, ledger, used, totals, maps: Arc::default() })
    }

    /// The owner's entry for a server.
    #[inline(always)]
    pub(crate) fn ledger(&self, server: u32) -> Option<&Ledger> {
        self.ledger.get(server as usize)
    }

    /// Sets what this owner has open at a server, so that all owners together have these connections, active
    /// and total: as [`correct`].
    pub(crate) fn correct(&self, server: u32, wanted: (u32, u32), rule: KernelRules) -> Settled {
        let parts = self.block.parts();
        let (Some(slot), Some(own)) = (parts.servers.get(server as usize), self.ledger(server))
        else {
            return Settled::NotYet;
        };
        correct(slot, own, wanted, rule, || parts.living(server))
    }

    /// This owner ticks.
    pub(crate) fn ticks(&self, now: u64) {
        if let Some(slot) = self.block.parts().owner(self.owner.number) {
            slot.set_ticked(Some(now));
        }
    }

    /// True for one of the owners that are alive, if any ticks for one that does: it does what only one should do.
    pub(crate) fn is_first(&self, now: u64) -> bool {
        self.is_first_of(self.block.parts().alive(), now)
    }

    /// The same of those that have the service in this slot in their configs, for what only one should do for it.
    pub(crate) fn leads(&self, service: u32, now: u64) -> bool {
        let parts = self.block.parts();
        let name = parts.service_names.get(service as usize);
        self.is_first_of(name.map_or(0, |name| name.holders(parts.alive())), now)
    }

    fn is_first_of(&self, owners: u64, now: u64) -> bool {
        let ticking = self.block.parts().ticking(owners, now);
        ticking != 0 && ticking.trailing_zeros() == self.owner.number
    }

    /// Waits for the claim, and reads the directory.
    pub(crate) fn directory(&self) -> Result<Directory, BlockError> {
        let claim = self.block.claim(self.owner).ok_or(BlockError::Busy)?;
        Ok(Directory::read(&self.block, self.owner, claim))
    }

    /// The directory, unless another owner has the claim.
    pub(crate) fn try_directory(&self) -> Option<Directory> {
        let claim: Claim = self.block.try_claim(self.owner)?;
        Some(Directory::read(&self.block, self.owner, claim))
    }

    /// As [`Used::version`].
    pub(crate) fn version(
        &self,
        version: (ServiceId, u64),
        begins: impl FnOnce() -> Begins,
        is_any_held: impl Fn() -> bool,
    ) -> Option<Version> {
        self.used.version(&self.block, self.owner, version, begins, is_any_held)
    }

    /// As [`UsedMaps::map`].
    pub(crate) fn map(&self, service: &ServiceKey, capacity: u32) -> Result<Arc<SharedMap>, NoMap> {
        self.maps.map(&self.block, self.owner, names::digest(service), capacity)
    }

    pub(crate) fn next_serial(&self) -> Option<u32> {
        Some(self.block.parts().header()?.next_serial())
    }

    /// A server of the service in this slot is held from now on: every pick obeys.
    pub(crate) fn look_at(&self, service: u32) {
        rotations::look_at(&self.block, self.block.parts().service_id(service));
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // What could not be given back now is left to the next owner that joins or reclaims.
        let _ = self.block.reclaim(self.owner);
    }
}
