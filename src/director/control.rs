//! The control plane's own state, under the director's lock: what runs, and how a list of changes
//! becomes the next table.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use crate::config::diff::Change;
use crate::config::{Config, Generation, ServiceKey, VirtualService};
use crate::director::draft::{Draft, Entry};
use crate::director::owners::{Owner, Owners};
use crate::director::table::{Index, Table};
use crate::director::tenants::Tenants;
use crate::error::ApplyError;
use crate::pool::{Plan, Pool};
use crate::state::Arena;
use crate::state::counts::Limits;
use crate::state::own::Own;
use crate::state::publication::Publication;
use crate::state::segments::Place;
use crate::state::servers::Member;
use crate::state::shard::Shard;
use crate::state::slots::ServiceId;
use crate::sync::Arc;

pub(super) struct Control {
    arena: Arc<Arena>,
    publication: Arc<Publication<Table>>,
    /// What is not a service; its `services` is empty.
    pub(super) settings: Config,
    pub(super) services: Vec<Live>,
    places: HashMap<ServiceKey, usize>,
    owners: Owners,
    sequence: u64,
    /// Statistics of living workers.
    pub(super) shards: Vec<Arc<Shard>>,
    /// Statistics of workers that are gone.
    departed: Shard,
    tenants: Tenants,
}

/// A service that runs.
pub(super) struct Live {
    /// As configured, servers oldest first.
    pub(super) service: VirtualService,
    /// Beside `service.servers`.
    pub(super) owners: Vec<Owner>,
    pub(super) id: ServiceId,
    born: u64,
    pub(super) pool: Arc<Pool>,
    /// Connections and refusals its slot had counted for its former owners.
    pub(super) base: (u64, u64),
}

impl Control {
    pub(super) fn new(arena: Arc<Arena>, publication: Arc<Publication<Table>>) -> Self {
        Control {
            arena,
            publication,
            settings: Config::default(),
            services: Vec::new(),
            places: HashMap::new(),
            owners: Owners::default(),
            sequence: 0,
            shards: Vec::new(),
            departed: Shard::new(),
            tenants: Tenants::default(),
        }
    }

    pub(super) fn find(&self, key: &ServiceKey) -> Option<&Live> {
        self.places.get(key).and_then(|place| self.services.get(*place))
    }

    /// Carries out the changes as one publication; on an error nothing has happened.
    ///
    /// The changes must be possible: what they add is not there, what they edit or delete is.
    pub(super) fn advance(
        &mut self,
        changes: &[Change],
        settings: &Config,
    ) -> Result<(), ApplyError> {
        let decisive =
            |config: &Config| (config.generation, config.seed, config.expire_quiescent_template);
        let all = decisive(settings) != decisive(&self.settings);
        let mut gone = Vec::new();
        let mut drafts = self.drafts(changes, all, &mut gone);

        let missing = |draft: &Draft| -> usize {
            draft.servers.iter().filter(|entry| entry.owner.is_none()).count()
        };
        let new_services = drafts.iter().filter(|draft| draft.live.is_none()).count();
        self.owners.reserve(&self.arena, drafts.iter().map(missing).sum(), new_services)?;

        let next = self.sequence + 1;
        self.arena.set_rule(settings.generation);
        let mut fresh = Vec::new();
        for draft in &mut drafts {
            let id = match draft.live {
                Some(place) => self.services[place].id,
                None => self.owners.take_service(&self.arena),
            };
            self.settle(draft, id, next, settings.generation);
            fresh.push((id, self.compile(draft, id, settings)));
        }
        let (servers, services) = self.owners.reach();
        for shard in &self.shards {
            shard.reach(servers, services);
        }
        let former = |draft: &Draft| Some(self.services[draft.live?].pool.as_ref());
        let renewed = || drafts.iter().map(former).zip(fresh.iter().map(|(_, pool)| pool.as_ref()));
        self.tenants.prepare(&self.arena, (servers, services), renewed());
        self.publish(&drafts, &fresh, next);
        self.tenants.move_on(&self.arena, renewed());
        self.record(drafts, fresh, gone, next);
        self.settings = settings.settings();
        self.sequence = next;
        self.sweep();
        Ok(())
    }

    /// The services concerned, with the changes carried out on paper.
    fn drafts(
        &self,
        changes: &[Change],
        all: bool,
        gone: &mut Vec<(ServiceKey, SocketAddr, Owner)>,
    ) -> Vec<Draft> {
        let of = |place: usize| {
            let live = &self.services[place];
            Draft::of(place, &live.service, &live.owners)
        };
        let mut drafts: Vec<Draft> = Vec::new();
        let mut drafted: HashMap<ServiceKey, usize> = HashMap::new();
        if all {
            drafts.extend((0..self.services.len()).map(of));
            drafted = self.places.clone();
        }
        for change in changes {
            let key = change.service();
            let at = *drafted.entry(key).or_insert_with(|| {
                match (change, self.places.get(&key)) {
                    (Change::AddService(service), _) => drafts.push(Draft::new(service)),
                    (_, Some(place)) => drafts.push(of(*place)),
                    // Not possible for changes that fit the state; carried out on nothing.
                    (_, None) => drafts.push(Draft::new(&VirtualService::new(key))),
                }
                drafts.len() - 1
            });
            let mut left = Vec::new();
            drafts[at].change(change, &mut left);
            gone.extend(left.into_iter().map(|(server, owner)| (key, server, owner)));
        }
        for draft in &mut drafts {
            let mut left = Vec::new();
            let key = draft.settings.service;
            // Numbers in the history are places in the list: the list is shortened only now.
            draft.bury(&mut left);
            gone.extend(left.into_iter().map(|(server, owner)| (key, server, owner)));
        }
        drafts
    }

    /// Gives every server of a draft its slot, and its slot the limits.
    fn settle(&mut self, draft: &mut Draft, id: ServiceId, next: u64, rule: Generation) {
        let key = draft.settings.service;
        for entry in draft.servers.iter_mut().filter(|entry| entry.touched) {
            let owner = match entry.owner {
                Some(owner) => owner,
                None => match self.owners.revive(key, entry.server.address) {
                    Some(owner) => self.come_home(owner, id),
                    None => self.house(id, next),
                },
            };
            if let Some(slot) = self.arena.servers.get(owner.id.slot) {
                slot.limit(Limits::new(entry.server.thresholds), rule);
                slot.set_weight(entry.server.weight);
            }
            entry.owner = Some(Owner { last_weight: entry.last_weight, ..owner });
        }
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

    fn compile(&self, draft: &Draft, id: ServiceId, settings: &Config) -> Arc<Pool> {
        let former = draft.live.map(|at| self.services[at].pool.as_ref());
        let plan = Plan {
            id,
            settings: &draft.settings,
            generation: settings.generation,
            seed: settings.seed,
            expire_quiescent: settings.expire_quiescent_template,
            history: &draft.history,
            former,
        };
        let newest_first = draft.servers.iter().rev();
        let member = |entry: &Entry| {
            let Entry { server, last_weight, .. } = *entry;
            Some(Member { id: entry.owner?.id, server, last_weight })
        };
        let members: Vec<Member> = newest_first.filter_map(member).collect();
        Arc::new(Pool::compile(&plan, &self.arena, &members))
    }

    /// One publication of everything; then the rotations go over to their new pools.
    fn publish(&self, drafts: &[Draft], fresh: &[(ServiceId, Arc<Pool>)], next: u64) {
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
        let come = drafts.iter().zip(fresh).filter(|(draft, _)| draft.live.is_none());
        let come = come.map(|(draft, (id, _))| (draft.settings.service, *id));
        let mut deleted = drafts.iter().filter(|draft| draft.deleted).peekable();
        let index = if deleted.peek().is_some() || come.clone().next().is_some() {
            let deleted: HashSet<ServiceKey> =
                deleted.map(|draft| draft.settings.service).collect();
            let stay = self.services.iter().map(|live| (live.service.service, live.id));
            Arc::new(Index::new(stay.chain(come).filter(|(key, _)| !deleted.contains(key))))
        } else {
            index
        };
        self.publication.publish(Arc::new(Table::new(next, pools.into(), index)));
        for (draft, (_, pool)) in drafts.iter().zip(fresh) {
            if draft.live.is_some() && !draft.deleted {
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
        let keys = drafts.iter().filter(|draft| draft.deleted);
        let keys: HashSet<ServiceKey> = keys.map(|draft| draft.settings.service).collect();
        if !keys.is_empty() {
            self.owners.orphan(&self.arena, &keys);
        }
        let mut deleted = HashSet::new();
        for (draft, (id, pool)) in drafts.into_iter().zip(fresh) {
            let Draft { live, settings: mut service, servers, deleted: gone, .. } = draft;
            service.servers = servers.iter().map(|entry| entry.server).collect();
            let owners = servers.iter().filter_map(|entry| entry.owner).collect();
            match live.and_then(|place| self.services.get_mut(place)) {
                Some(live) if gone => {
                    self.owners.leave_service(live.id, live.born, next);
                    deleted.insert(live.id);
                }
                Some(live) => (live.service, live.owners, live.pool) = (service, owners, pool),
                None => {
                    let base = self.service_total(id.slot);
                    self.places.insert(service.service, self.services.len());
                    self.services.push(Live { service, owners, id, born: next, pool, base });
                }
            }
        }
        if !deleted.is_empty() {
            self.services.retain(|live| !deleted.contains(&live.id));
            let places = self.services.iter().enumerate();
            self.places = places.map(|(place, live)| (live.service.service, place)).collect();
        }
    }

    /// Does what is due at this time.
    pub(super) fn tick(&mut self) {
        for live in &self.services {
            live.pool.tick(self.arena.clock());
        }
        self.sweep();
    }

    /// Frees retired tables that no worker looks at, and the slots that only they named.
    pub(super) fn sweep(&mut self) {
        drop(self.publication.retire());
        let kept: Vec<u64> = self
            .publication
            .with_kept(|tables| tables.iter().map(|table| table.sequence).collect());
        self.owners.sweep(&self.arena, &kept);
    }

    /// Servers that were removed from the config and still count connections.
    pub(super) fn removed_servers(&self) -> usize {
        self.owners.removed()
    }

    pub(super) fn join(&mut self, shard: &Arc<Shard>) -> Option<Place<Own>> {
        let (servers, services) = self.owners.reach();
        shard.reach(servers, services);
        self.shards.push(Arc::clone(shard));
        let pools = self.services.iter().map(|live| live.pool.as_ref());
        self.tenants.join(&self.arena, self.owners.reach(), pools)
    }

    pub(super) fn depart(&mut self, shard: &Arc<Shard>, own: Option<&Own>) {
        self.tenants.depart(own);
        let (servers, services) = self.owners.reach();
        self.shards.retain(|known| !Arc::ptr_eq(known, shard));
        self.departed.absorb(shard, servers, services);
    }

    pub(super) fn server_total(&self, slot: u32) -> u64 {
        let shards = self.shards.iter().map(Arc::as_ref).chain([&self.departed]);
        shards.map(|shard| shard.server_connections(slot)).sum()
    }

    pub(super) fn service_total(&self, slot: u32) -> (u64, u64) {
        let shards = self.shards.iter().map(Arc::as_ref).chain([&self.departed]);
        shards.map(|shard| shard.service_totals(slot)).fold((0, 0), |(a, b), (c, d)| (a + c, b + d))
    }
}
