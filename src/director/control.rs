//! The state under the director's lock: what runs, and how a list of changes becomes the next service
//! table.

mod budget;
mod ejection;
mod health;
mod names;
mod publication;
mod removed;
mod reserve;
mod roster;
mod shape;
mod tick;
mod together;
mod workers;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ahash::HashMap;

use crate::arena::Arena;
use crate::arena::block::directory::Taken;
use crate::arena::id::{ServerId, ServiceId};
use crate::concurrent::hazard::Snapshot;
use crate::config::diff::Change;
use crate::config::{
    Config, KernelRules, Memory, ResourceLimits, ServerState, ServiceKey, Settings, VirtualService,
};
use crate::director::allocator::{SlotAllocator, SlotClaim};
use crate::director::budget::Budget;
use crate::director::by_server::ByServer;
pub(super) use crate::director::control::tick::Tick;
use crate::director::health::HealthClock;
use crate::director::held::HeldServers;
use crate::director::record::ServiceRecord;
use crate::director::registry::WorkerRegistry;
use crate::director::roster::Roster;
pub(super) use crate::director::running::RunningService;
use crate::director::running::SlotEdit;
use crate::director::runtime::Runtime;
use crate::director::service_edit::ServiceEdit;
use crate::director::shards::Shards;
use crate::director::shareable;
use crate::director::table::ServiceTable;
use crate::error::ApplyError;
use crate::service::{Maps, Service, ServiceSpec};
use crate::sync::Arc;

pub(super) struct Control {
    pub(super) arena: Arc<Arena>,
    snapshot: Arc<Snapshot<ServiceTable>>,
    pub(super) settings: Settings,
    /// By number: in the order in which they were added.
    pub(super) services: BTreeMap<u64, RunningService>,
    /// Number of the next service.
    next_number: u64,
    numbers: HashMap<ServiceKey, u64>,
    /// Number of the latest service of each slot.
    by_slot: Vec<u64>,
    pub(super) allocator: SlotAllocator,
    /// Number of the latest publication.
    pub(super) sequence: u64,
    /// As published in `statistics`.
    pub(super) shards: Arc<Shards>,
    statistics: Arc<Snapshot<Shards>>,
    workers: WorkerRegistry,
    pub(super) budget: Budget,
    /// Number of servers of all services.
    pub(super) configured: usize,
    pub(super) held: HeldServers,
    /// Why servers are ejected, as in `runtimes`.
    ejected: ByServer<Arc<str>>,
    /// As published in `rosters`.
    roster: Arc<Roster>,
    rosters: Arc<Snapshot<Roster>>,
    pub(super) health_clock: HealthClock,
    pub(super) runtimes: HashMap<ServiceKey, Runtime>,
    /// Servers of a block whose weights other owners have set at run time, and the weights.
    followed: HashMap<ServerId, u32>,
}

/// Number of removed servers that each publication checks, in addition to two per change. Bounded, so
/// that an edit does not become slow while a million removed servers wait for their last connections.
pub(super) const SWEPT: usize = 64;

impl Control {
    pub(super) fn new(
        arena: Arc<Arena>,
        publication: Arc<Snapshot<ServiceTable>>,
        (shards, statistics): (Arc<Shards>, Arc<Snapshot<Shards>>),
        (roster, rosters): (Arc<Roster>, Arc<Snapshot<Roster>>),
        limits: ResourceLimits,
    ) -> Self {
        Control {
            arena,
            snapshot: publication,
            settings: Config::default().settings(),
            services: BTreeMap::new(),
            next_number: 0,
            numbers: HashMap::default(),
            by_slot: Vec::new(),
            allocator: SlotAllocator::default(),
            sequence: 0,
            shards,
            statistics,
            workers: WorkerRegistry::default(),
            budget: Budget::new(limits),
            configured: 0,
            held: HeldServers::default(),
            ejected: ByServer::default(),
            roster,
            rosters,
            health_clock: HealthClock::default(),
            runtimes: HashMap::default(),
            followed: HashMap::default(),
        }
    }

    pub(super) fn find(&self, key: &ServiceKey) -> Option<&RunningService> {
        self.numbers.get(key).and_then(|number| self.services.get(number))
    }

    /// The service that has this slot now.
    pub(super) fn find_slot(&self, slot: u32) -> Option<&RunningService> {
        let live = self.services.get(self.by_slot.get(slot as usize)?)?;
        (live.id.slot == slot).then_some(live)
    }

    pub(super) fn find_id(&self, id: ServiceId) -> Option<&RunningService> {
        let live = self.services.get(self.by_slot.get(id.slot as usize)?)?;
        (live.id == id).then_some(live)
    }

    /// Applies the changes in one publication. On an error, nothing has changed.
    ///
    /// The changes must fit the running state: they add only what does not exist, and edit or delete
    /// only what does.
    pub(super) fn advance(
        &mut self,
        changes: &[Change],
        settings: &Settings,
    ) -> Result<(), ApplyError> {
        if self.arena.attached().is_some() {
            shareable::check(changes)?;
        }
        let decisive = |config: &Settings| {
            (config.kernel_rules, config.seed, config.expire_quiescent_template)
        };
        let all = decisive(settings) != decisive(&self.settings);
        self.allocator.begin_changes(&self.arena)?;
        // All steps that can fail.
        let reserved = self.reserve(changes, all);
        if reserved.is_err() {
            self.allocator.end_changes();
        }
        let mut maps = reserved?;
        let removed = self.allocator.removed().clone();
        let mut gone = Vec::new();
        let mut service_edits = self.service_edits(changes, all, &mut gone);
        let next = self.sequence + 1;
        let (mut fresh, mut edits) = (Vec::new(), Vec::new());
        for edit in &mut service_edits {
            let Taken { id, is_new } = match edit.live.and_then(|number| self.services.get(&number))
            {
                Some(live) => Taken { id: live.id, is_new: false },
                None => self.allocator.take_service(&self.arena, &edit.settings.key),
            };
            self.assign_slots(edit, id, next, settings.kernel_rules, &mut edits);
            let compiled = match edit.live.and_then(|number| self.services.get(&number)) {
                // A deleted service needs no new version.
                Some(live) if edit.deleted => Arc::clone(&live.compiled),
                _ => {
                    let maps = maps.remove(&edit.settings.key).unwrap_or_default();
                    let compiled = self.compile(edit, id, settings, maps);
                    if is_new {
                        compiled.start_draws();
                    }
                    compiled
                }
            };
            fresh.push((id, compiled));
        }
        self.leave(&gone, next, removed);
        let (servers, services) = self.allocator.high_water();
        self.shards.grow_to(servers, services);
        let records = self.new_records(&mut service_edits, &fresh);
        let former = |edit: &ServiceEdit| Some(self.services.get(&edit.live?)?.compiled.as_ref());
        let renewed = || {
            service_edits
                .iter()
                .map(former)
                .zip(fresh.iter().map(|(_, compiled)| compiled.as_ref()))
        };
        self.workers.before_publish(&self.arena, (servers, services), renewed());
        // Workers no longer count the connections of these servers alone.
        for (former, _) in renewed().filter(|(_, compiled)| !compiled.counts_per_worker()) {
            former.into_iter().for_each(Service::fold);
        }
        gone.iter().for_each(|(_, _, claim)| self.arena.fold(claim.id.slot));
        let table = self.next_table(&service_edits, &fresh, &records, next, settings);
        self.publish(table, &service_edits, &fresh, || {
            self.arena.set_kernel_rules(settings.kernel_rules);
            edits.iter().for_each(|edit| edit.carry_out(&self.arena, settings.kernel_rules));
        });
        // A deleted service is the version before: it must not be prepared again.
        let kept = || service_edits.iter().zip(renewed());
        let kept = || kept().filter(|(edit, _)| !edit.deleted).map(|(_, renewed)| renewed);
        self.workers.after_publish(&self.arena, kept());
        self.share_exactly();
        let changed: Vec<ServiceKey> = service_edits.iter().map(|edit| edit.settings.key).collect();
        self.record(service_edits, fresh, records, &gone, next);
        self.settings = settings.clone();
        self.sequence = next;
        self.weights_edited(changes);
        for key in changed {
            if self.has_runtime(&key) {
                self.reconcile(&key);
            }
        }
        self.sweep(SWEPT + 2 * changes.len());
        self.allocator.end_changes();
        Ok(())
    }

    /// The maps of all services that are compiled, and room for what changes.
    fn reserve(
        &mut self,
        changes: &[Change],
        all: bool,
    ) -> Result<HashMap<ServiceKey, Maps>, ApplyError> {
        let compiled = self.services.values().filter(|_| all);
        let maps = reserve::maps(self, changes, compiled)?;
        self.allocator.reserve(&self.arena, changes, maps.len())?;
        Ok(maps)
    }

    /// Applies the changes to edits of the services concerned; nothing running changes yet, but for the
    /// slow starts that begin.
    fn service_edits(
        &mut self,
        changes: &[Change],
        all: bool,
        gone: &mut Vec<(ServiceKey, SocketAddr, SlotClaim)>,
    ) -> Vec<ServiceEdit> {
        let of = |(number, live): (&u64, &RunningService)| ServiceEdit::of(*number, live);
        let mut service_edits: Vec<ServiceEdit> = Vec::new();
        let mut drafted: HashMap<ServiceKey, usize> = HashMap::default();
        if all {
            service_edits.extend(self.services.iter().map(of));
            let keys = service_edits.iter().map(|edit| edit.settings.key);
            drafted = keys.zip(0..).collect();
        }
        let mut left = Vec::new();
        let mut latest = None;
        for change in changes {
            let key = change.service();
            let at = match latest {
                // Most changes of one service are consecutive.
                Some((latest, at)) if latest == key => at,
                _ => *drafted.entry(key).or_insert_with(|| {
                    let live = self.numbers.get(&key);
                    let live = live.and_then(|number| Some((number, self.services.get(number)?)));
                    service_edits.push(match (change, live) {
                        (Change::AddService(service), _) => ServiceEdit::new(service.clone()),
                        (_, Some(live)) => of(live),
                        // Unreachable for changes that fit the running state.
                        (_, None) => ServiceEdit::new(VirtualService::new(key).settings()),
                    });
                    service_edits.len() - 1
                }),
            };
            latest = Some((key, at));
            service_edits[at].change(change, &mut left);
            gone.extend(left.drain(..).map(|(server, claim)| (key, server, claim)));
        }
        for edit in &mut service_edits {
            let key = edit.settings.key;
            if !edit.deleted {
                self.shape_edit(edit);
            }
            // Only now, because until here numbers in the history are indices into the list.
            edit.compact(&mut left);
            gone.extend(left.drain(..).map(|(server, claim)| (key, server, claim)));
        }
        service_edits
    }

    /// Assigns every server of an edit its slot. Settings of servers that already run are deferred to
    /// `edits`: the running table relies on those that it was compiled with.
    fn assign_slots(
        &mut self,
        edit: &mut ServiceEdit,
        id: ServiceId,
        next: u64,
        rule: KernelRules,
        edits: &mut Vec<SlotEdit>,
    ) {
        let (key, starts_slowly) = (edit.settings.key, edit.settings.slow_start.is_some());
        edit.assign_slots(|server, claim| {
            let edit = |control: &Self, claim: &SlotClaim| SlotEdit {
                slot: claim.id.slot,
                limits: control.limits_of(&key, server, claim),
                weight: server.weight,
            };
            if claim.has_slot() {
                edits.push(edit(self, &claim));
                return claim;
            }
            let claim = match self.allocator.revive(key, server.address) {
                Some(claim) => {
                    // `reconcile` ejects it again in its service, which may be another one now.
                    self.arena.end_ejection(claim.id.slot, ServerState::Up);
                    self.readopt(claim, id)
                }
                None => {
                    let begins = self.now().filter(|_| starts_slowly);
                    self.allocate(id, (&key, server.address), next, begins)
                }
            };
            let state = self.state_of(claim.id, &key, server.address, self.panics(&key));
            // Never an error: only the director takes the slot away.
            let _ = self.arena.set_state(claim.id, state);
            edit(self, &claim).carry_out(&self.arena, rule);
            claim
        });
    }

    fn readopt(&self, claim: SlotClaim, service: ServiceId) -> SlotClaim {
        let Some(slot) = self.arena.servers.get(claim.id.slot) else {
            return claim;
        };
        // If the service was deleted and added again, the server's statistics start again; its counts
        // stay.
        let moved = slot.service() != service.slot;
        slot.set_service(service.slot);
        let base = if moved { self.shards.server_total(claim.id.slot) } else { claim.base };
        SlotClaim { base, ..claim }
    }

    fn compile(
        &self,
        edit: &ServiceEdit,
        id: ServiceId,
        settings: &Settings,
        maps: Maps,
    ) -> Arc<Service> {
        let former = edit
            .live
            .and_then(|number| self.services.get(&number))
            .map(|live| live.compiled.as_ref());
        let plan = ServiceSpec {
            id,
            settings: &edit.settings,
            generation: settings.kernel_rules,
            seed: settings.seed,
            expire_quiescent: settings.expire_quiescent_template,
            holds: self.looks_at(&edit.settings),
            history: &edit.history,
            former,
            maps,
        };
        Arc::new(Service::compile(&plan, &self.arena, &edit.members()))
    }

    /// Publishes all changes at once, then calls `assign`, then moves rotations and indexes to the new
    /// versions.
    fn publish(
        &self,
        table: Arc<ServiceTable>,
        service_edits: &[ServiceEdit],
        fresh: &[(ServiceId, Arc<Service>)],
        assign: impl FnOnce(),
    ) {
        let kept = || service_edits.iter().zip(fresh).filter(|(edit, _)| !edit.deleted);
        kept().for_each(|(_, (_, compiled))| compiled.publishing());
        self.snapshot.publish(table);
        assign();
        for (edit, (_, compiled)) in kept() {
            if edit.live.is_some() {
                compiled.adopt_rotations();
            }
            compiled.published();
        }
    }

    /// Records in this struct what has been published.
    fn record(
        &mut self,
        service_edits: Vec<ServiceEdit>,
        fresh: Vec<(ServiceId, Arc<Service>)>,
        records: Vec<Option<Arc<ServiceRecord>>>,
        gone: &[(ServiceKey, SocketAddr, SlotClaim)],
        next: u64,
    ) {
        for (service, server, claim) in gone {
            match self.arena.attached() {
                // Other owners may have it.
                Some(attached) => self.add_server(attached, claim),
                None => {
                    let state = self.held.state(service, *server);
                    self.arena.end_ejection(claim.id.slot, state);
                }
            }
        }
        for ((edit, (_, compiled)), record) in service_edits.into_iter().zip(fresh).zip(records) {
            let running = edit.live.and_then(|number| self.services.remove(&number));
            self.budget.taken -= running.as_ref().map_or(0, |running| running.memory);
            self.configured -= running.as_ref().map_or(0, |running| running.claims.len());
            let Some(record) = record else {
                let key = edit.settings.key;
                self.allocator.detach(&self.arena, &key, &self.held);
                self.numbers.remove(&key);
                if let Some(running) = running {
                    self.allocator.leave_service(running.id, running.since, next);
                }
                continue;
            };
            let memory = Memory::of_service(&record.service).total();
            self.budget.taken += memory;
            self.configured += record.claims.len();
            let since = running.map_or(next, |running| running.since);
            self.start_service(RunningService { record, since, compiled, memory });
        }
    }

    fn start_service(&mut self, live: RunningService) {
        let (number, slot) = (live.number, live.id.slot as usize);
        if self.by_slot.len() <= slot {
            self.by_slot.resize(slot + 1, u64::MAX);
        }
        self.by_slot[slot] = number;
        self.numbers.insert(live.service.key, number);
        self.services.insert(number, live);
        self.next_number = self.next_number.max(number + 1);
    }
}
