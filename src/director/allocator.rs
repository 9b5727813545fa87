//! Assigns slots to servers and services, and frees a slot only once nothing can refer to it.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::arena::Arena;
use crate::arena::block::directory::{Directory, Taken};
use crate::arena::block::limits::BlockLimits;
use crate::arena::health::HealthSlot;
use crate::arena::id::{ServerId, ServiceId};
use crate::arena::service_slot::ServiceSlot;
use crate::arena::slots::{Ended, ServerSlot};
use crate::concurrent::segments::CAPACITY;
use crate::config::diff::Change;
use crate::config::{ServerState, ServiceKey};
use crate::director::ask::ask;
use crate::director::by_server::ByServer;
use crate::director::hash_trie::HashTrie;
use crate::director::held::HeldServers;
use crate::error::{ApplyError, BlockError};

/// A server's claim to its slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct SlotClaim {
    pub(super) id: ServerId,
    /// First publication that can name the slot.
    pub(super) since: u64,
    /// The slot's total of connections when it was assigned: previous owners' connections.
    pub(super) base: u64,
    /// The server's last weight that was not 0, or the weight with which it was added.
    pub(super) last_weight: u32,
}

impl SlotClaim {
    /// The server has no slot yet.
    pub(super) const NONE: SlotClaim = SlotClaim {
        id: ServerId { slot: u32::MAX, generation: 0 },
        since: 0,
        base: 0,
        last_weight: 0,
    };

    /// True if the server has a slot: publications are numbered from 1.
    pub(super) fn has_slot(&self) -> bool {
        self.since > 0
    }
}

/// A slot whose owner has left, and the publications that can name it: `since` up to, not including,
/// `until`.
struct Vacancy<T> {
    id: T,
    since: u64,
    until: u64,
}

/// The servers that were removed and still have a slot, as they are at one time.
#[derive(Clone, Default)]
pub(super) struct Removed {
    /// Those that get their counts back if added again, each with the publication that removed it.
    servers: ByServer<(SlotClaim, u64)>,
    /// Number of the others.
    forgotten: usize,
}

impl Removed {
    pub(super) fn len(&self) -> usize {
        self.servers.len() + self.forgotten
    }

    pub(super) fn is_copy_of(&self, other: &Self) -> bool {
        self.servers.is_copy_of(&other.servers) && self.forgotten == other.forgotten
    }

    /// Those that get their counts back if added again.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&ServiceKey, SocketAddr, ServerId)> {
        self.servers.iter().map(|(service, server, (claim, _))| (service, server, claim.id))
    }

    /// The name of one of these. O(their number).
    pub(super) fn name_of(&self, server: ServerId) -> Option<(ServiceKey, SocketAddr)> {
        let mut removed = self.iter();
        let (service, address, _) = removed.find(|(_, _, id)| *id == server)?;
        Some((*service, address))
    }
}

/// Slots in use, waiting to be freed, and free.
#[derive(Default)]
pub(super) struct SlotAllocator {
    free_servers: Vec<u32>,
    next_server: u32,
    free_services: Vec<u32>,
    next_service: u32,
    removed: Removed,
    /// Those that get their counts back, in the order in which [`sweep`](Self::sweep) checks them, with
    /// the publications that removed them. An entry is obsolete if the server was added again since.
    queue: VecDeque<(ServiceKey, SocketAddr, u64)>,
    /// Those that do not.
    forgotten: VecDeque<Vacancy<ServerId>>,
    deleted_services: VecDeque<Vacancy<ServiceId>>,
    /// Of the block whose slots these are, while something changes.
    directory: Option<Directory>,
}

impl SlotAllocator {
    /// Number of slots ever assigned, of servers and of services.
    pub(super) fn high_water(&self) -> (u32, u32) {
        (self.next_server, self.next_service)
    }

    /// The removed servers that still have a slot. O(1).
    pub(super) fn removed(&self) -> &Removed {
        &self.removed
    }

    /// Their number, counted.
    #[cfg(test)]
    pub(super) fn removed_and_forgotten(&self) -> usize {
        self.removed.iter().count() + self.forgotten.len()
    }

    /// Bytes that are allocated for what is known of removed servers, at most, if so many servers of each
    /// service come and so many leave.
    pub(super) fn to_move<'a>(
        &self,
        services: impl Iterator<Item = (&'a ServiceKey, usize, usize)>,
    ) -> u64 {
        let changes = |(service, come, leave): (&'a ServiceKey, usize, usize)| {
            let removed = self.removed.servers.of(service).map_or(0, HashTrie::len);
            (service, come.min(removed) + leave)
        };
        self.removed.servers.to_change_all(services.map(changes))
    }

    /// Something is to be changed: no other owner of the arena's block can change it until
    /// [`end_changes`](Self::end_changes).
    pub(super) fn begin_changes(&mut self, arena: &Arena) -> Result<(), ApplyError> {
        if let Some(attached) = arena.attached() {
            self.directory = Some(attached.directory().map_err(ApplyError::Block)?);
        }
        Ok(())
    }

    /// Ensures that these changes find slots, and a block room for new versions of so many services. Allocates.
    pub(super) fn reserve(
        &mut self,
        arena: &Arena,
        changes: &[Change],
        versions: usize,
    ) -> Result<(), ApplyError> {
        if let (Some(attached), Some(directory)) = (arena.attached(), &self.directory) {
            check_room(directory, changes, &attached.block.limits())?;
            if versions > directory.free_versions() {
                return Err(ApplyError::Block(BlockError::VersionsFull { needed: versions }));
            }
            return Ok(());
        }
        let count = |is: fn(&Change) -> bool| changes.iter().filter(|change| is(change)).count();
        let servers = count(|change| matches!(change, Change::AddServer { .. }));
        let services = count(|change| matches!(change, Change::AddService(_)));
        let fresh = |wanted: usize, free: usize, next: u32, what| {
            u32::try_from(wanted.saturating_sub(free))
                .ok()
                .and_then(|fresh| next.checked_add(fresh))
                .filter(|high_water| *high_water <= CAPACITY)
                .ok_or(ApplyError::Full { what, limit: CAPACITY })
        };
        let server_reach = fresh(servers, self.free_servers.len(), self.next_server, "servers")?;
        let service_reach =
            fresh(services, self.free_services.len(), self.next_service, "services")?;
        let first = arena.first_generation();
        arena.servers.grow_to_with(server_reach, || ServerSlot::new(first));
        arena.health.grow_to_with(server_reach, || HealthSlot::new(first));
        arena.services.grow_to_with(service_reach, || ServiceSlot::new(first));
        Ok(())
    }

    /// Returns the removed server's claim, if it still has a slot.
    pub(super) fn revive(&mut self, service: ServiceKey, server: SocketAddr) -> Option<SlotClaim> {
        let (claim, gone) = self.removed.servers.remove(&service, server)?;
        if self.directory.is_some() {
            // `take_server` finds it, unless its service has another slot now.
            self.forgotten.push_back(Vacancy { id: claim.id, since: claim.since, until: gone });
            self.removed.forgotten = self.forgotten.len();
            return None;
        }
        Some(claim)
    }

    /// The changes that [`reserve`](Self::reserve) was for are done.
    pub(super) fn end_changes(&mut self) {
        self.directory = None;
    }

    /// Returns the slot of a server of this service that has none: a vacant one, which is occupied then, or
    /// that of the same server in other owners' configs. [`reserve`](Self::reserve) has ensured that there
    /// is one.
    pub(super) fn take_server(
        &mut self,
        arena: &Arena,
        service: ServiceId,
        address: SocketAddr,
    ) -> Taken<ServerId> {
        if let Some(directory) = &mut self.directory {
            // Never the default: `reserve` has looked.
            let none = Taken { id: SlotClaim::NONE.id, is_new: true };
            let taken = directory.take_server(service, address).unwrap_or(none);
            self.next_server = self.next_server.max(taken.id.slot.saturating_add(1));
            self.forgotten.retain(|vacancy| vacancy.id != taken.id);
            self.removed.forgotten = self.forgotten.len();
            return taken;
        }
        let slot = take(&mut self.free_servers, &mut self.next_server);
        let generation = arena.servers.get(slot).map_or(0, ServerSlot::generation);
        let id = ServerId { slot, generation };
        if let Some(slot) = arena.servers.get(slot) {
            slot.occupy(service.slot);
        }
        if let Some(health) = arena.health.get(slot) {
            health.assign(generation);
        }
        Taken { id, is_new: true }
    }

    /// The slot of a server that some owner of the block has in its config. While something changes.
    pub(super) fn shared_slot(&self, service: &ServiceKey, server: SocketAddr) -> Option<u32> {
        let directory = self.directory.as_ref()?;
        directory.server(directory.service(service)?, server)
    }

    /// Returns a slot for a new service. As for [`take_server`](Self::take_server).
    pub(super) fn take_service(&mut self, arena: &Arena, key: &ServiceKey) -> Taken<ServiceId> {
        if let Some(directory) = &mut self.directory {
            let none = Taken { id: ServiceId { slot: u32::MAX, generation: 0 }, is_new: true };
            let taken = directory.take_service(key).unwrap_or(none);
            self.next_service = self.next_service.max(taken.id.slot.saturating_add(1));
            self.deleted_services.retain(|vacancy| vacancy.id != taken.id);
            return taken;
        }
        let slot = take(&mut self.free_services, &mut self.next_service);
        let generation = arena.services.get(slot).map_or(0, ServiceSlot::generation);
        Taken { id: ServiceId { slot, generation }, is_new: true }
    }

    /// Records that publication `gone` removed the server.
    pub(super) fn leave(
        &mut self,
        service: ServiceKey,
        server: SocketAddr,
        claim: SlotClaim,
        gone: u64,
    ) {
        self.removed.servers.insert(service, server, (claim, gone));
        self.queue.push_back((service, server, gone));
    }

    /// Makes all removed servers lose their counts: their slots belong to no service from now on, and
    /// are freed once no table names them. Returns these slots, sorted.
    pub(super) fn forget(&mut self, arena: &Arena) -> Vec<u32> {
        self.queue.clear();
        let removed = std::mem::take(&mut self.removed.servers);
        let mut slots = Vec::new();
        for (_, _, &(SlotClaim { id, since, .. }, gone)) in removed.iter() {
            arena.detach(id.slot, ServerState::Up);
            slots.push(id.slot);
            self.forgotten.push_back(Vacancy { id, since, until: gone });
        }
        self.removed.forgotten = self.forgotten.len();
        slots.sort_unstable();
        slots
    }

    /// Records that publication `gone` deleted the service.
    pub(super) fn leave_service(&mut self, id: ServiceId, since: u64, gone: u64) {
        self.deleted_services.push_back(Vacancy { id, since, until: gone });
    }

    /// Detaches the removed servers of a deleted service: the service's slot may get another service,
    /// and their connections must not count for that one.
    pub(super) fn detach(&self, arena: &Arena, deleted: &ServiceKey, held: &HeldServers) {
        let removed = self.removed.servers.of(deleted).into_iter().flat_map(HashTrie::iter);
        for (server, (claim, _)) in removed {
            arena.detach(claim.id.slot, held.state(deleted, *server));
        }
    }

    /// How many [`sweep`](Self::sweep) would check, of whichever there are most.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len().max(self.forgotten.len()).max(self.deleted_services.len())
    }

    /// Frees the slots that count no connection and that none of these publications names.
    ///
    /// Checks at most `removed` removed servers, and at most `others` forgotten servers and as many deleted
    /// services, beginning with those that were not checked for longest.
    pub(super) fn sweep(&mut self, arena: &Arena, kept: &[u64], removed: usize, others: usize) {
        let had_directory = self.directory.is_some();
        if let Some(attached) = arena.attached().filter(|_| !had_directory && self.waiting() > 0) {
            self.directory = attached.try_directory();
            if self.directory.is_none() {
                // The next time.
                return;
            }
        }
        self.sweep_slots(arena, kept, removed, others);
        if !had_directory {
            self.directory = None;
        }
    }

    fn sweep_slots(&mut self, arena: &Arena, kept: &[u64], removed: usize, others: usize) {
        let mut directory = self.directory.take();
        let named = |since: u64, gone: u64| kept.iter().any(|at| (since..gone).contains(at));
        for _ in 0..removed.min(self.queue.len()) {
            let Some((service, server, left)) = self.queue.pop_front() else { break };
            let found = self.removed.servers.get(&service, server);
            let Some((claim, _)) = found.filter(|(_, gone)| *gone == left).copied() else {
                continue;
            };
            let slot = claim.id.slot;
            // Without memory it keeps its slot until the next time.
            let removable = || {
                let counts = arena.servers.get(slot).map(ServerSlot::counts_relaxed);
                let change = self.removed.servers.to_change(&service, 1);
                counts.is_some_and(|counts| counts.total() == 0) && ask(change, String::new).is_ok()
            };
            let end = |directory: &mut Option<Directory>| match directory {
                // What others have is theirs from now on.
                Some(directory) => {
                    directory.leave_server(slot);
                    true
                }
                None => ended(arena, slot, ServerSlot::vacate),
            };
            if !named(claim.since, left) && removable() && end(&mut directory) {
                self.removed.servers.remove(&service, server);
                if directory.is_none() {
                    self.free_servers.push(slot);
                }
            } else {
                self.queue.push_back((service, server, left));
            }
        }
        check(&mut self.forgotten, others, |&Vacancy { id, since, until }| {
            if named(since, until) {
                return true;
            }
            if let Some(directory) = &mut directory {
                directory.leave_server(id.slot);
                return false;
            }
            let evicted = ended(arena, id.slot, ServerSlot::evict);
            if evicted {
                self.free_servers.push(id.slot);
            }
            !evicted
        });
        self.removed.forgotten = self.forgotten.len();
        check(&mut self.deleted_services, others, |&Vacancy { id, since, until }| {
            let named = named(since, until);
            if let (false, Some(directory)) = (named, &mut directory) {
                directory.leave_service(id);
            } else if let (false, Some(slot)) = (named, arena.services.get(id.slot)) {
                slot.renew();
                self.free_services.push(id.slot);
            }
            named
        });
        self.directory = directory;
    }
}

/// Checks that a block has room for what these changes add.
fn check_room(
    directory: &Directory,
    changes: &[Change],
    limits: &BlockLimits,
) -> Result<(), ApplyError> {
    let (mut services, mut servers) = (0, 0);
    for change in changes {
        match change {
            Change::AddService(service) => {
                services += usize::from(directory.service(&service.key).is_none());
            }
            Change::AddServer { service, server } => {
                let id = directory.service(service);
                let known = id.is_some_and(|id| directory.server(id, server.address).is_some());
                servers += usize::from(!known);
            }
            _ => {}
        }
    }
    let (free_services, free_servers) = directory.free();
    if services > free_services {
        return Err(ApplyError::Full { what: "services", limit: limits.services() });
    }
    if servers > free_servers {
        return Err(ApplyError::Full { what: "servers", limit: limits.servers() });
    }
    Ok(())
}

/// Removes those of the first `most` of a queue that do not stay, and moves the others to its end.
fn check<T>(queue: &mut VecDeque<T>, most: usize, mut stays: impl FnMut(&T) -> bool) {
    for _ in 0..most.min(queue.len()) {
        let Some(vacancy) = queue.pop_front() else { break };
        if stays(&vacancy) {
            queue.push_back(vacancy);
        }
    }
}

/// True if the slot's owner has left it.
fn ended(arena: &Arena, number: u32, end: impl FnOnce(&ServerSlot) -> Ended) -> bool {
    let ended = arena.servers.get(number).map_or(Ended::No, end);
    if ended == Ended::Ejected {
        arena.release_place(number);
    }
    ended.has_left()
}

fn take(free: &mut Vec<u32>, next: &mut u32) -> u32 {
    free.pop().unwrap_or_else(|| {
        *next += 1;
        *next - 1
    })
}
