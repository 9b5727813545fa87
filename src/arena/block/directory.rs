//! The services and servers of a block by name, while one owner has the claim.
//!
//! Every step can be the last one of this process. A slot is named before it is occupied and vacated before
//! its name is cleared, and what has a name but is in no living owner's config is cleared by the next owner
//! that reads the directory.

use std::net::SocketAddr;

use ahash::HashMap;

use crate::arena::block::Block;
use crate::arena::block::claim::Claim;
use crate::arena::block::maps;
use crate::arena::block::owners::OwnerId;
use crate::arena::id::{ServerId, ServiceId};
use crate::config::ServiceKey;

/// What a block contains, as read under a claim.
pub(crate) struct Directory {
    block: Block,
    owner: OwnerId,
    /// The owners that were alive when this was read: what only others had is nowhere in use.
    alive: u64,
    services: HashMap<ServiceKey, ServiceId>,
    servers: HashMap<(ServiceId, SocketAddr), u32>,
    /// Highest first.
    free_services: Vec<u32>,
    free_servers: Vec<u32>,
    _claim: Claim,
}

/// A slot, and whether it had another name before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken<T> {
    pub(crate) id: T,
    pub(crate) is_new: bool,
}

impl Directory {
    /// Reads the names. Frees slots that no living owner has in its config and that count no connection.
    /// O(room for servers and services).
    pub(crate) fn read(block: &Block, owner: OwnerId, claim: Claim) -> Self {
        let mut directory = Directory {
            block: block.clone(),
            owner,
            alive: block.parts().alive(),
            services: HashMap::default(),
            servers: HashMap::default(),
            free_services: Vec::new(),
            free_servers: Vec::new(),
            _claim: claim,
        };
        let parts = block.parts();
        for (slot, name) in parts.server_names.iter().enumerate().rev() {
            let slot = slot as u32;
            match name
                .get()
                .filter(|_| name.is_held(directory.alive) || !directory.end_server(slot))
            {
                Some(server) => {
                    directory.servers.insert(server, slot);
                }
                None if directory.is_fit(slot) => directory.free_servers.push(slot),
                // Its former owner's connections are not given back yet.
                None => {}
            }
        }
        for (slot, name) in parts.service_names.iter().enumerate().rev() {
            let slot = slot as u32;
            let id = parts.service_id(slot);
            match name.get().filter(|_| name.is_held(directory.alive) || !directory.end_service(id))
            {
                Some(key) => {
                    directory.services.insert(key, id);
                }
                None => directory.free_services.push(slot),
            }
        }
        directory
    }

    /// Numbers of services and servers that there is room for.
    pub(crate) fn free(&self) -> (usize, usize) {
        (self.free_services.len(), self.free_servers.len())
    }

    /// Number of versions of services' configs that there is room for.
    pub(crate) fn free_versions(&self) -> usize {
        self.block.parts().rotations.iter().filter(|slot| !slot.is_held(self.alive)).count()
    }

    pub(crate) fn service(&self, key: &ServiceKey) -> Option<ServiceId> {
        self.services.get(key).copied()
    }

    pub(crate) fn server(&self, service: ServiceId, address: SocketAddr) -> Option<u32> {
        self.servers.get(&(service, address)).copied()
    }

    /// The service's slot, which this owner has in its config from now on; `None` if there is no room.
    pub(crate) fn take_service(&mut self, key: &ServiceKey) -> Option<Taken<ServiceId>> {
        let parts = self.block.parts();
        let (id, is_new) = match self.service(key) {
            Some(id) => (id, false),
            None => (parts.service_id(self.free_services.pop()?), true),
        };
        let name = parts.service_names.get(id.slot as usize)?;
        name.hold(self.owner.number);
        if is_new {
            name.set(key);
            self.services.insert(*key, id);
        }
        Some(Taken { id, is_new })
    }

    /// The same for a server. A new one is occupied.
    pub(crate) fn take_server(
        &mut self,
        service: ServiceId,
        address: SocketAddr,
    ) -> Option<Taken<ServerId>> {
        let parts = self.block.parts();
        let (slot, is_new) = match self.server(service, address) {
            Some(slot) => (slot, false),
            None => (self.free_servers.pop()?, true),
        };
        let name = parts.server_names.get(slot as usize)?;
        let counts = parts.servers.get(slot as usize)?;
        name.hold(self.owner.number);
        // It may have been named by one that died before it occupied it.
        let is_new = is_new || counts.counts_relaxed().vacant();
        if is_new {
            name.set(service, address);
            if let Some(health) = parts.health.get(slot as usize) {
                health.assign(counts.generation());
            }
            counts.occupy(service.slot);
            self.servers.insert((service, address), slot);
        }
        // From the beginning and for good: all connections are in a ledger. Also where an owner has died
        // before it could say so.
        counts.set_counted_by_worker(true);
        Some(Taken { id: ServerId { slot, generation: counts.generation() }, is_new })
    }

    /// This owner no longer has the server in its config. Frees the slot if no other has and it counts no
    /// connection; true if it did.
    pub(crate) fn leave_server(&mut self, slot: u32) -> bool {
        let parts = self.block.parts();
        let Some(name) = parts.server_names.get(slot as usize) else { return false };
        name.release(self.owner.number);
        let server = name.get();
        let ended = !name.is_held(self.alive) && self.end_server(slot);
        if let Some(server) = server.filter(|_| ended) {
            self.servers.remove(&server);
            self.free_servers.push(slot);
        }
        ended
    }

    /// This owner no longer has the service in its config.
    pub(crate) fn leave_service(&mut self, id: ServiceId) {
        let parts = self.block.parts();
        let Some(name) = parts.service_names.get(id.slot as usize) else { return };
        name.release(self.owner.number);
        let key = name.get();
        if let Some(key) = key.filter(|_| !name.is_held(self.alive) && self.end_service(id)) {
            self.services.remove(&key);
            self.free_services.push(id.slot);
        }
    }

    /// Vacates a slot that no owner has in its config; false if it counts connections.
    fn end_server(&self, slot: u32) -> bool {
        let parts = self.block.parts();
        let (Some(counts), Some(name)) =
            (parts.servers.get(slot as usize), parts.server_names.get(slot as usize))
        else {
            return false;
        };
        let ended = counts.counts_relaxed().vacant() || counts.vacate().has_left();
        if ended {
            // No owner that is alive can make a template for it any more.
            maps::forget_server(parts, slot);
            name.clear();
        }
        ended
    }

    fn end_service(&self, id: ServiceId) -> bool {
        let parts = self.block.parts();
        if let Some(slot) = parts.services.get(id.slot as usize) {
            slot.renew();
        }
        if let Some(name) = parts.service_names.get(id.slot as usize) {
            name.clear();
        }
        true
    }

    /// True if a free slot may have another server: no ledger has an entry for it.
    fn is_fit(&self, slot: u32) -> bool {
        let parts = self.block.parts();
        let counts = parts.servers.get(slot as usize);
        counts.is_some_and(|counts| counts.counts_relaxed().vacant())
            && parts.living(slot).all(|entry| entry.get().is_empty())
    }
}
