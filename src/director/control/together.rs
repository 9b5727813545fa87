//! What owners of a block do together: which of them decides, and what each takes over from the others at its ticks.

use std::net::SocketAddr;

use super::Control;
use crate::arena::attached::Attached;
use crate::arena::block::directory::Taken;
use crate::arena::block::names::{RunTimeWeight, ServerName};
use crate::arena::id::{ServerId, ServiceId};
use crate::config::diff::Change;
use crate::config::{Command, RealServer, ServerState, ServiceKey};
use crate::director::allocator::SlotClaim;
use crate::director::control::RunningService;
use crate::director::held::{HOLDERS, Holds};
use crate::director::runtime::Runtime;

impl Control {
    /// True if this director decides for the service what one alone decides: one of a block's owners.
    pub(super) fn leads(&self, live: &RunningService) -> bool {
        let now = self.arena.clock();
        self.arena.attached().is_none_or(|attached| attached.leads(live.id.slot, now))
    }

    /// The holds on a server, all owners' together.
    pub(super) fn holds_on(
        &self,
        slot: u32,
        service: &ServiceKey,
        server: SocketAddr,
    ) -> Option<Holds> {
        let own = self.held.get(service, server);
        match self.arena.shared_name(slot) {
            Some(name) => {
                let states: [ServerState; HOLDERS] = name.states();
                let is_held = states.iter().any(|state| *state != ServerState::Up);
                is_held.then(|| Holds::shared(states, own))
            }
            None => own.cloned(),
        }
    }

    /// A slot for a server that has none. If it is new in a block, the other owners know from then on who holds it,
    /// and whether it begins slowly.
    pub(super) fn allocate(
        &mut self,
        service: ServiceId,
        (key, server): (&ServiceKey, SocketAddr),
        since: u64,
        begins: Option<u64>,
    ) -> SlotClaim {
        let Taken { id, is_new } = self.allocator.take_server(&self.arena, service, server);
        let base = self.shards.server_total(id.slot);
        if let (Some(attached), Some(name)) =
            (self.arena.attached(), self.arena.shared_name(id.slot))
        {
            attached.totals.begin_server(id.slot, base);
            if is_new {
                self.share_holds(name, key, server);
                begins.into_iter().for_each(|now| name.set_start(now));
            }
        }
        SlotClaim { id, since, base, last_weight: 0 }
    }

    /// Takes over what other owners of the block have set, and tells them what this one counts. O(servers).
    pub(super) fn follow(&mut self) {
        let Some(attached) = self.arena.attached() else { return };
        attached.ticks(self.arena.clock());
        self.follow_holds();
        self.follow_weights();
        self.add_totals();
    }

    fn follow_holds(&mut self) {
        let mut changed = Vec::new();
        for live in self.services.values() {
            for (server, claim) in live.service.servers.iter().zip(&live.claims) {
                let Some(name) = self.arena.shared_name(claim.id.slot) else { continue };
                let (key, states) = (live.service.key, name.states());
                let own = self.held.get(&key, server.address);
                if own.map_or(states == [ServerState::Up; HOLDERS], |own| own.are(states)) {
                    continue;
                }
                changed.push((key, server.address, Holds::shared(states, own)));
            }
        }
        if changed.is_empty() {
            return;
        }
        for (key, server, holds) in changed {
            self.held.set(key, server, holds);
        }
        self.publish_roster();
    }

    /// Gives servers the weights that were set at run time, where the config has those that they replace.
    pub(in crate::director) fn follow_weights(&mut self) {
        let mut edits = Vec::new();
        for live in self.services.values() {
            for (server, claim) in live.service.servers.iter().zip(&live.claims) {
                let name = self.arena.shared_name(claim.id.slot);
                let Some(set) = name.and_then(ServerName::run_time_weight) else { continue };
                let known = [Some(&set.configured), self.followed.get(&claim.id)];
                if server.weight != set.weight && known.contains(&Some(&server.weight)) {
                    let server = RealServer { weight: set.weight, ..server.clone() };
                    edits.push((live.service.key, server, claim.id, set.weight));
                }
            }
        }
        for (service, server, id, weight) in edits {
            // Without memory it has its weight until the next tick.
            if self.execute(&Command::EditServer { service, server }).is_ok() {
                self.followed.insert(id, weight);
            }
        }
        let arena = &self.arena;
        self.followed
            .retain(|id, _| arena.servers.get(id.slot).is_some_and(|slot| slot.is(id.generation)));
    }

    /// The weight that owners of the block have set at run time for a server.
    pub(in crate::director) fn run_time_weight(&self, server: ServerId) -> Option<RunTimeWeight> {
        self.arena.shared_name(server.slot)?.run_time_weight()
    }

    /// A server got this weight at run time instead of the former one: so do the servers of all owners whose
    /// configs have the former one. `known` was set before.
    pub(in crate::director) fn weight_set(
        &mut self,
        server: ServerId,
        known: Option<RunTimeWeight>,
        (former, weight): (u32, u32),
    ) {
        let Some(name) = self.arena.shared_name(server.slot) else { return };
        let replaced = known.filter(|known| known.weight == former);
        let configured = replaced.map_or(former, |known| known.configured);
        name.set_run_time_weight(Some(RunTimeWeight { configured, weight }));
        self.followed.insert(server, weight);
    }

    /// Where a config gives a server another weight than the one that was set at run time, that is over.
    pub(super) fn weights_edited(&mut self, changes: &[Change]) {
        if self.arena.attached().is_none() {
            return;
        }
        for change in changes {
            let Change::EditServer { service, before, server } = change else { continue };
            let live = self.find(service);
            let place = live.and_then(|live| {
                let servers = &live.service.servers;
                servers.iter().position(|known| known.address == server.address)
            });
            let claim = live.zip(place).and_then(|(live, place)| live.claims.get(place));
            let Some(id) = claim.map(|claim| claim.id) else { continue };
            let Some(name) = self.arena.shared_name(id.slot) else { continue };
            let set = name.run_time_weight();
            if set.is_some_and(|set| set.weight == before.weight && set.weight != server.weight) {
                name.set_run_time_weight(None);
                self.followed.remove(&id);
            }
        }
    }

    /// Adds this director's statistics to those of all owners.
    pub(super) fn add_totals(&self) {
        let Some(attached) = self.arena.attached() else { return };
        for live in self.services.values() {
            self.add_service(attached, live.id.slot);
            live.claims.iter().for_each(|claim| self.add_server(attached, claim));
        }
    }

    fn add_service(&self, attached: &Attached, slot: u32) {
        attached.totals.add_service(&attached.block, slot, self.shards.service_total(slot));
    }

    /// The same for a server that leaves.
    pub(super) fn add_server(&self, attached: &Attached, claim: &SlotClaim) {
        let (slot, own) = (claim.id.slot, self.shards.server_total(claim.id.slot));
        attached.totals.add_server(&attached.block, slot, own);
    }

    /// When a server's slow start began.
    pub(super) fn slow_start_begin(
        &self,
        key: &ServiceKey,
        server: SocketAddr,
        claim: &SlotClaim,
        runtime: Option<&Runtime>,
    ) -> Option<u64> {
        if self.arena.attached().is_none() {
            return runtime?.starts.get(&server).copied();
        }
        let now = self.now()?;
        let slot = claim.has_slot().then_some(claim.id.slot);
        match slot.or_else(|| self.allocator.shared_slot(key, server)) {
            Some(slot) => self.arena.shared_name(slot)?.start(),
            // No owner has it yet.
            None => Some(now),
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.add_totals();
    }
}
