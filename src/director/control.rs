//! The control plane's own state, under the director's lock: what runs, and how a list of changes
//! becomes the next table.

mod workers;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ahash::HashMap;

use crate::config::diff::Change;
use crate::config::{Config, Generation, Memory, ResourceLimits, ServiceKey, VirtualService};
use crate::director::budget::Budget;
use crate::director::draft::Draft;
pub(super) use crate::director::live::Live;
use crate::director::live::SlotEdit;
use crate::director::owners::{Owner, Owners};
use crate::director::reserve;
use crate::director::table::Table;
use crate::director::tenants::Tenants;
use crate::error::ApplyError;
use crate::pool::{Maps, Plan, Pool};
use crate::state::Arena;
use crate::state::counts::Limits;
use crate::state::publication::Publication;
use crate::state::shard::Shard;
use crate::state::slots::{ServerId, ServerSlot, ServiceId};
use crate::state::tally::Connections;
use crate::sync::Arc;

pub(super) struct Control {
    pub(super) arena: Arc<Arena>,
    publication: Arc<Publication<Table>>,
    /// What is not a service; its `services` is empty.
    pub(super) settings: Config,
    /// By number: in the order of adding.
    pub(super) services: BTreeMap<u64, Live>,
    /// Number of the next service.
    next_number: u64,
    numbers: HashMap<ServiceKey, u64>,
    /// Number of the service that has, or had, each slot.
    by_slot: Vec<u64>,
    pub(super) owners: Owners,
    sequence: u64,
    /// Statistics of living workers, by their addresses.
    pub(super) shards: HashMap<usize, Arc<Shard>>,
    /// Statistics of workers that are gone.
    departed: Shard,
    tenants: Tenants,
    pub(super) budget: Budget,
}

/// How many removed servers each publication looks at, apart from as many as it may have removed:
/// with a million of them waiting for their last connection, an edit still costs what it edits.
pub(super) const SWEPT: usize = 64;

impl Control {
    pub(super) fn new(
        arena: Arc<Arena>,
        publication: Arc<Publication<Table>>,
        limits: ResourceLimits,
    ) -> Self {
        Control {
            arena,
            publication,
            settings: Config::default(),
            services: BTreeMap::new(),
            next_number: 0,
            numbers: HashMap::default(),
            by_slot: Vec::new(),
            owners: Owners::default(),
            sequence: 0,
            shards: HashMap::default(),
            departed: Shard::new(),
            tenants: Tenants::default(),
            budget: Budget::new(limits),
        }
    }

    pub(super) fn find(&self, key: &ServiceKey) -> Option<&Live> {
        self.numbers.get(key).and_then(|number| self.services.get(number))
    }

    pub(super) fn find_id(&self, id: ServiceId) -> Option<&Live> {
        let live = self.services.get(self.by_slot.get(id.slot as usize)?)?;
        (live.id == id).then_some(live)
    }

    /// Carries out the changes as one publication; on an error nothing has happened.
    ///
    /// The changes must be possible: what they add is not there, what they edit or delete is.
    pub(super) fn advance(
        &mut self,
        changes: &[Change],
        settings: &Config,
    ) -> Result<(), ApplyError> {
        let count = |is: fn(&Change) -> bool| changes.iter().filter(|change| is(change)).count();
        let new_servers = count(|change| matches!(change, Change::AddServer { .. }));
        let new_services = count(|change| matches!(change, Change::AddService(_)));
        let decisive =
            |config: &Config| (config.generation, config.seed, config.expire_quiescent_template);
        let all = decisive(settings) != decisive(&self.settings);
        let compiled = self.services.values().filter(|_| all);
        let mut maps = reserve::maps(self, changes, compiled)?;
        // The last step that can fail: from here on live services are taken apart.
        self.owners.reserve(&self.arena, new_servers, new_services)?;
        let mut gone = Vec::new();
        let mut drafts = self.drafts(changes, all, &mut gone);
        let next = self.sequence + 1;
        let (mut fresh, mut edits) = (Vec::new(), Vec::new());
        for draft in &mut drafts {
            let id = match draft.live.and_then(|number| self.services.get(&number)) {
                Some(live) => live.id,
                None => self.owners.take_service(&self.arena),
            };
            self.settle(draft, id, next, settings.generation, &mut edits);
            let pool = match draft.live.and_then(|number| self.services.get(&number)) {
                // Nothing is made of what goes.
                Some(live) if draft.deleted => Arc::clone(&live.pool),
                _ => {
                    let maps = maps.remove(&draft.settings.service).unwrap_or_default();
                    self.compile(draft, id, settings, maps)
                }
            };
            fresh.push((id, pool));
        }
        let (servers, services) = self.owners.reach();
        for shard in self.shards.values() {
            shard.reach(servers, services);
        }
        let former = |draft: &Draft| Some(self.services.get(&draft.live?)?.pool.as_ref());
        let renewed = || drafts.iter().map(former).zip(fresh.iter().map(|(_, pool)| pool.as_ref()));
        self.tenants.prepare(&self.arena, (servers, services), renewed());
        self.publish(&drafts, &fresh, next, || {
            self.arena.set_rule(settings.generation);
            edits.iter().for_each(|edit| edit.carry_out(&self.arena, settings.generation));
        });
        self.tenants.move_on(&self.arena, renewed());
        self.share_exactly();
        self.record(drafts, fresh, gone, next);
        self.settings = settings.settings();
        self.sequence = next;
        self.sweep(SWEPT + 2 * changes.len());
        Ok(())
    }

    /// The services concerned, with the changes carried out on paper.
    fn drafts(
        &mut self,
        changes: &[Change],
        all: bool,
        gone: &mut Vec<(ServiceKey, SocketAddr, Owner)>,
    ) -> Vec<Draft> {
        let of = |(number, live): (&u64, &mut Live)| {
            Draft::of(*number, &mut live.service, &mut live.owners)
        };
        let mut drafts: Vec<Draft> = Vec::new();
        let mut drafted: HashMap<ServiceKey, usize> = HashMap::default();
        if all {
            drafts.extend(self.services.iter_mut().map(of));
            let keys = drafts.iter().map(|draft| draft.settings.service);
            drafted = keys.zip(0..).collect();
        }
        let mut left = Vec::new();
        let mut latest = None;
        for change in changes {
            let key = change.service();
            let at = match latest {
                // Many changes of one service stand together.
                Some((latest, at)) if latest == key => at,
                _ => *drafted.entry(key).or_insert_with(|| {
                    let live = self.numbers.get(&key);
                    let live =
                        live.and_then(|number| Some((number, self.services.get_mut(number)?)));
                    drafts.push(match (change, live) {
                        (Change::AddService(service), _) => Draft::new(service),
                        (_, Some(live)) => of(live),
                        // Not possible for changes that fit the state; carried out on nothing.
                        (_, None) => Draft::new(&VirtualService::new(key)),
                    });
                    drafts.len() - 1
                }),
            };
            latest = Some((key, at));
            drafts[at].change(change, &mut left);
            gone.extend(left.drain(..).map(|(server, owner)| (key, server, owner)));
        }
        for draft in &mut drafts {
            let key = draft.settings.service;
            // Numbers in the history are places in the list: the list is shortened only now.
            draft.bury(&mut left);
            gone.extend(left.drain(..).map(|(server, owner)| (key, server, owner)));
        }
        drafts
    }

    /// Gives every server of a draft its slot. What the slots of running servers are to be told is
    /// left in `edits`: the table that still runs goes by what it was compiled for.
    fn settle(
        &mut self,
        draft: &mut Draft,
        id: ServiceId,
        next: u64,
        rule: Generation,
        edits: &mut Vec<SlotEdit>,
    ) {
        let key = draft.settings.service;
        draft.settle(|server, owner| {
            let edit = |owner: &Owner| SlotEdit {
                slot: owner.id.slot,
                limits: Limits::new(server.thresholds),
                weight: server.weight,
            };
            if owner.is_housed() {
                edits.push(edit(&owner));
                return owner;
            }
            let owner = match self.owners.revive(key, server.address) {
                Some(owner) => self.come_home(owner, id),
                None => self.house(id, next),
            };
            edit(&owner).carry_out(&self.arena, rule);
            owner
        });
    }

    fn come_home(&self, owner: Owner, service: ServiceId) -> Owner {
        let Some(slot) = self.arena.servers.get(owner.id.slot) else {
            return owner;
        };
        // Into another service object its statistics start anew, its counts go on.
        let moved = slot.service() != service.slot;
        slot.rehome(service.slot);
        let base = if moved { self.server_total(owner.id.slot) } else { owner.base };
        Owner { base, ..owner }
    }

    fn house(&mut self, service: ServiceId, born: u64) -> Owner {
        let id = self.owners.take_server(&self.arena);
        if let Some(slot) = self.arena.servers.get(id.slot) {
            slot.occupy(service.slot);
        }
        Owner { id, born, base: self.server_total(id.slot), last_weight: 0 }
    }

    fn compile(&self, draft: &Draft, id: ServiceId, settings: &Config, maps: Maps) -> Arc<Pool> {
        let former =
            draft.live.and_then(|number| self.services.get(&number)).map(|live| live.pool.as_ref());
        let plan = Plan {
            id,
            settings: &draft.settings,
            generation: settings.generation,
            seed: settings.seed,
            expire_quiescent: settings.expire_quiescent_template,
            history: &draft.history,
            former,
            maps,
        };
        Arc::new(Pool::compile(&plan, &self.arena, &draft.members()))
    }

    /// One publication of everything; then `settle`; then rotations and indexes go over to their new
    /// pools.
    fn publish(
        &self,
        drafts: &[Draft],
        fresh: &[(ServiceId, Arc<Pool>)],
        next: u64,
        settle: impl FnOnce(),
    ) {
        let (mut pools, index) = self.publication.with_kept(|tables| match tables.last() {
            Some(table) => (table.pools().to_vec(), Arc::clone(table.index())),
            None => Default::default(),
        });
        let (_, services) = self.owners.reach();
        pools.resize(services as usize, None);
        for (draft, (id, pool)) in drafts.iter().zip(fresh) {
            if draft.live.is_none() {
                pool.start_cursors();
            }
            pools[id.slot as usize] = (!draft.deleted).then(|| Arc::clone(pool));
        }
        let gone = drafts.iter().filter(|draft| draft.deleted);
        let gone = gone.map(|draft| &draft.settings.service);
        let come = drafts.iter().zip(fresh);
        let come = come.filter(|(draft, _)| draft.live.is_none() && !draft.deleted);
        let come = come.map(|(draft, (id, _))| (&draft.settings.service, *id));
        let index = if gone.clone().next().is_some() || come.clone().next().is_some() {
            Arc::new(index.edited(gone, come))
        } else {
            index
        };
        self.publication.publish(Arc::new(Table::new(next, pools.into(), index)));
        settle();
        for (draft, (_, pool)) in drafts.iter().zip(fresh) {
            if draft.deleted {
                continue;
            }
            if draft.live.is_some() {
                pool.adopt_cursors();
            }
            pool.published();
        }
    }

    /// Remembers what has been published.
    fn record(
        &mut self,
        drafts: Vec<Draft>,
        fresh: Vec<(ServiceId, Arc<Pool>)>,
        gone: Vec<(ServiceKey, SocketAddr, Owner)>,
        next: u64,
    ) {
        for (service, server, owner) in gone {
            self.owners.leave(service, server, owner, next);
        }
        for (draft, (id, pool)) in drafts.into_iter().zip(fresh) {
            let Draft { live, settings: mut service, mut servers, mut owners, deleted, .. } = draft;
            let key = service.service;
            if deleted {
                self.owners.orphan(&self.arena, &key);
                if let Some(live) = live.and_then(|number| self.services.remove(&number)) {
                    self.numbers.remove(&key);
                    self.budget.taken -= live.memory;
                    self.owners.leave_service(live.id, live.born, next);
                }
                continue;
            }
            servers.shrink_to_fit();
            owners.shrink_to_fit();
            service.servers = servers;
            let memory = Memory::of_service(&service).total();
            self.budget.taken += memory;
            match live.and_then(|number| self.services.get_mut(&number)) {
                Some(live) => {
                    self.budget.taken -= live.memory;
                    *live = Live { service, owners, pool, memory, ..*live };
                }
                None => {
                    let base = self.service_total(id.slot);
                    let live = Live { service, owners, id, born: next, pool, base, memory };
                    self.begin(key, live);
                }
            }
        }
    }

    fn begin(&mut self, key: ServiceKey, live: Live) {
        let (number, slot) = (self.next_number, live.id.slot as usize);
        if self.by_slot.len() <= slot {
            self.by_slot.resize(slot + 1, u64::MAX);
        }
        self.by_slot[slot] = number;
        self.numbers.insert(key, number);
        self.services.insert(number, live);
        self.next_number += 1;
    }

    /// Does what is due at this time.
    pub(super) fn tick(&mut self) {
        for live in self.services.values() {
            live.pool.tick(self.arena.clock());
        }
        self.share_exactly();
        self.sweep(usize::MAX);
    }

    /// Frees retired tables that no worker looks at, and of at most so many removed servers the slots
    /// that only they named.
    pub(super) fn sweep(&mut self, most: usize) {
        drop(self.publication.retire());
        let kept: Vec<u64> = self
            .publication
            .with_kept(|tables| tables.iter().map(|table| table.sequence).collect());
        self.owners.sweep(&self.arena, &kept, most);
    }

    /// Tells the running pool of a server that its counts are others.
    pub(super) fn counts_corrected(&self, server: ServerId, slot: &ServerSlot, by: Connections) {
        let table = self.table();
        if let Some(pool) = table.as_ref().and_then(|table| table.pool_at(slot.service())) {
            pool.counts_corrected(server, slot, by);
        }
    }

    /// Forgets the connections of removed servers.
    pub(super) fn forget_removed(&mut self) -> usize {
        let slots = self.owners.forget(&self.arena);
        if !slots.is_empty() {
            for templates in self.services.values().filter_map(|live| live.pool.templates()) {
                templates.take_out(|slot| slots.binary_search(&slot).is_ok());
            }
        }
        self.sweep(SWEPT);
        slots.len()
    }

    /// Servers that were removed from the config and still hold a slot.
    pub(super) fn removed_servers(&self) -> usize {
        self.owners.removed()
    }

    /// Each of them.
    pub(super) fn removed(&self) -> impl Iterator<Item = (&ServiceKey, &SocketAddr, ServerId)> {
        self.owners.each_removed()
    }
}
