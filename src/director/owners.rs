//! Who has which slot: given to servers and services, kept while anything may still refer to it,
//! taken back after.

use std::collections::VecDeque;
use std::net::SocketAddr;

use ahash::HashMap;

use crate::config::ServiceKey;
use crate::error::ApplyError;
use crate::state::Arena;
use crate::state::segments::CAPACITY;
use crate::state::slots::{ServerId, ServerSlot, ServiceId, ServiceSlot};

/// A server's hold on its slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub(super) id: ServerId,
    /// First publication that can name the slot.
    pub(super) born: u64,
    /// What the statistics of the slot said when it was given.
    pub(super) base: u64,
    /// The server's last weight that was not 0, or what it was added with.
    pub(super) last_weight: u32,
}

impl Owner {
    /// Nobody: the server has no slot yet.
    pub(super) const NONE: Owner =
        Owner { id: ServerId { slot: u32::MAX, generation: 0 }, born: 0, base: 0, last_weight: 0 };

    /// True if it has a slot. The first publication is number 1.
    pub(super) fn is_housed(&self) -> bool {
        self.born > 0
    }
}

/// A slot whose owner has left, and the publications that can name it: `born` to `gone` - 1.
struct Vacancy<T> {
    id: T,
    born: u64,
    gone: u64,
}

/// Slots in use and free ones.
#[derive(Default)]
pub(super) struct Owners {
    free_servers: Vec<u32>,
    next_server: u32,
    free_services: Vec<u32>,
    next_service: u32,
    /// Servers removed from the config that come back with their counts if added again.
    removed: HashMap<ServiceKey, HashMap<SocketAddr, (Owner, u64)>>,
    /// The same with the publications they left with, in the order in which to look at them again.
    /// Some have come back since.
    queue: VecDeque<(ServiceKey, SocketAddr, u64)>,
    /// Removed servers that do not come back, and whose connections count for nothing.
    forgotten: Vec<Vacancy<ServerId>>,
    deleted_services: Vec<Vacancy<ServiceId>>,
}

impl Owners {
    /// Slots made so far, of servers and of services.
    pub(super) fn reach(&self) -> (u32, u32) {
        (self.next_server, self.next_service)
    }

    /// Removed servers that still hold a slot.
    pub(super) fn removed(&self) -> usize {
        self.removed.values().map(HashMap::len).sum::<usize>() + self.forgotten.len()
    }

    /// Each of them.
    pub(super) fn each_removed(
        &self,
    ) -> impl Iterator<Item = (&ServiceKey, &SocketAddr, ServerId)> {
        self.removed.iter().flat_map(|(service, servers)| {
            servers.iter().map(move |(server, (owner, _))| (service, server, owner.id))
        })
    }

    /// Makes sure that so many slots can be given.
    pub(super) fn reserve(
        &mut self,
        arena: &Arena,
        servers: usize,
        services: usize,
    ) -> Result<(), ApplyError> {
        let fresh = |wanted: usize, free: usize, next: u32, what| {
            u32::try_from(wanted.saturating_sub(free))
                .ok()
                .and_then(|fresh| next.checked_add(fresh))
                .filter(|reach| *reach <= CAPACITY)
                .ok_or(ApplyError::Full { what, limit: CAPACITY })
        };
        let server_reach = fresh(servers, self.free_servers.len(), self.next_server, "servers")?;
        let service_reach =
            fresh(services, self.free_services.len(), self.next_service, "services")?;
        let first = arena.first_generation();
        arena.servers.reach_with(server_reach, || ServerSlot::new(first));
        arena.services.reach_with(service_reach, || ServiceSlot::new(first));
        Ok(())
    }

    /// The removed server's slot, if it still has one.
    pub(super) fn revive(&mut self, service: ServiceKey, server: SocketAddr) -> Option<Owner> {
        self.take_out(&service, &server)
    }

    /// A slot for a new server, vacant. [`reserve`](Self::reserve) has made sure there is one.
    pub(super) fn take_server(&mut self, arena: &Arena) -> ServerId {
        let slot = take(&mut self.free_servers, &mut self.next_server);
        let generation = arena.servers.get(slot).map_or(0, ServerSlot::generation);
        ServerId { slot, generation }
    }

    /// A slot for a new service.
    pub(super) fn take_service(&mut self, arena: &Arena) -> ServiceId {
        let slot = take(&mut self.free_services, &mut self.next_service);
        let generation = arena.services.get(slot).map_or(0, ServiceSlot::generation);
        ServiceId { slot, generation }
    }

    /// The server has left with publication `gone`.
    pub(super) fn leave(
        &mut self,
        service: ServiceKey,
        server: SocketAddr,
        owner: Owner,
        gone: u64,
    ) {
        self.removed.entry(service).or_default().insert(server, (owner, gone));
        self.queue.push_back((service, server, gone));
    }

    fn take_out(&mut self, service: &ServiceKey, server: &SocketAddr) -> Option<Owner> {
        let servers = self.removed.get_mut(service)?;
        let (owner, _) = servers.remove(server)?;
        if servers.is_empty() {
            self.removed.remove(service);
        }
        Some(owner)
    }

    /// No removed server comes back with its counts: their slots are taken back as soon as nothing
    /// names them. They belong to no service from now on. Their slots, in order.
    pub(super) fn forget(&mut self, arena: &Arena) -> Vec<u32> {
        self.queue.clear();
        let removed = std::mem::take(&mut self.removed);
        let owners = removed.into_values().flat_map(HashMap::into_values);
        let mut slots = Vec::new();
        for (Owner { id, born, .. }, gone) in owners {
            if let Some(slot) = arena.servers.get(id.slot) {
                slot.rehome(u32::MAX);
            }
            slots.push(id.slot);
            self.forgotten.push(Vacancy { id, born, gone });
        }
        slots.sort_unstable();
        slots
    }

    /// The service has left with publication `gone`.
    pub(super) fn leave_service(&mut self, id: ServiceId, born: u64, gone: u64) {
        self.deleted_services.push(Vacancy { id, born, gone });
    }

    /// The removed servers of a service that was deleted belong to none: its slot may get another
    /// service, on whose account nothing of theirs is.
    pub(super) fn orphan(&self, arena: &Arena, deleted: &ServiceKey) {
        for (owner, _) in self.removed.get(deleted).into_iter().flat_map(HashMap::values) {
            if let Some(slot) = arena.servers.get(owner.id.slot) {
                slot.rehome(u32::MAX);
            }
        }
    }

    /// Takes back the slots that count no connection and that none of these publications names.
    /// Looks at so many removed servers at most, those next that it looked at longest ago.
    pub(super) fn sweep(&mut self, arena: &Arena, kept: &[u64], most: usize) {
        let named = |born: u64, gone: u64| kept.iter().any(|at| (born..gone).contains(at));
        for _ in 0..most.min(self.queue.len()) {
            let Some((service, server, left)) = self.queue.pop_front() else { break };
            let found = self.removed.get(&service).and_then(|servers| servers.get(&server));
            let Some((owner, _)) = found.filter(|(_, gone)| *gone == left).copied() else {
                continue;
            };
            let vacated = !named(owner.born, left)
                && arena.servers.get(owner.id.slot).is_some_and(ServerSlot::vacate);
            if vacated {
                self.take_out(&service, &server);
                self.free_servers.push(owner.id.slot);
            } else {
                self.queue.push_back((service, server, left));
            }
        }
        let free = &mut self.free_servers;
        self.forgotten.retain(|&Vacancy { id, born, gone }| {
            let evicted =
                !named(born, gone) && arena.servers.get(id.slot).is_some_and(ServerSlot::evict);
            if evicted {
                free.push(id.slot);
            }
            !evicted
        });
        let free = &mut self.free_services;
        self.deleted_services.retain(|vacancy| {
            let named = named(vacancy.born, vacancy.gone);
            if let (false, Some(slot)) = (named, arena.services.get(vacancy.id.slot)) {
                slot.renew();
                free.push(vacancy.id.slot);
            }
            named
        });
    }
}

fn take(free: &mut Vec<u32>, next: &mut u32) -> u32 {
    free.pop().unwrap_or_else(|| {
        *next += 1;
        *next - 1
    })
}
