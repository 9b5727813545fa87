//! Allocates or checks the memory of a change before anything running is touched.

use ahash::HashMap;

use crate::arena::Arena;
use crate::arena::block::maps::{NoMap, SharedMap};
use crate::config::diff::Change;
use crate::config::{Memory, ServiceKey, ServiceSettings, Sharing};
use crate::director::ask::ask;
use crate::director::control::{Control, RunningService};
use crate::director::headroom::Headroom;
use crate::director::roster::Roster;
use crate::error::{ApplyError, BlockError};
use crate::service::Maps;
use crate::sync::Arc;

/// Bytes for the parts of a previous map that are kept, and its entry in the list of maps.
const BESIDE_A_MAP: u64 = 16 << 10;

/// A service as the changes leave it.
struct Wanted<'a> {
    settings: ServiceSettings,
    live: Option<&'a RunningService>,
    /// Another scheduler is bound, so the previous one's remembered addresses are dropped.
    bound: bool,
    deleted: bool,
    /// Weights of added and edited servers.
    weights: Vec<u32>,
    /// Number of deleted servers.
    leaving: usize,
}

impl<'a> Wanted<'a> {
    fn of(live: &'a RunningService) -> Self {
        Wanted { live: Some(live), bound: false, ..Wanted::new(live.service.settings()) }
    }

    fn new(settings: ServiceSettings) -> Self {
        Wanted {
            settings,
            live: None,
            bound: true,
            deleted: false,
            weights: Vec::new(),
            leaving: 0,
        }
    }

    fn change(&mut self, change: &'a Change) {
        match change {
            Change::EditService(settings) => {
                self.bound |= settings.scheduler != self.settings.scheduler;
                self.settings = settings.clone();
            }
            Change::DeleteService(_) => self.deleted = true,
            Change::AddServer { server, .. } | Change::EditServer { server, .. } => {
                self.weights.push(server.weight);
            }
            Change::DeleteServer { .. } => self.leaving += 1,
            Change::AddService(_) => {}
        }
    }

    fn reserve(&self, arena: &Arc<Arena>) -> Result<(ServiceKey, Maps), ApplyError> {
        let (key, former) = (self.settings.key, self.live.map(|live| live.compiled.as_ref()));
        let what = || format!("service {key}: affinity: capacity");
        let kept = self.live.is_some_and(|live| {
            !self.bound
                && live.service.affinity == self.settings.affinity
                && live.service.persistence.is_some() == self.settings.persistence.is_some()
        });
        // A map's small parts are allocated in addition to its large one.
        let affinity = Memory::at_most(&self.settings, std::iter::empty()).affinity();
        ask(BESIDE_A_MAP + if kept { 0 } else { affinity }, what)?;
        match Maps::reserve(arena, &self.settings, former, (self.bound, self.shared(arena)?)) {
            Ok(maps) => Ok((key, maps)),
            Err(error) => Err(ApplyError::OutOfMemory { what: what(), bytes: error.bytes }),
        }
    }

    /// The block's map for the templates of a service that has none yet.
    fn shared(&self, arena: &Arena) -> Result<Option<Arc<SharedMap>>, ApplyError> {
        let has_templates = self.live.is_some_and(|live| live.service.persistence.is_some());
        let Some(attached) = arena.attached().filter(|_| !has_templates) else { return Ok(None) };
        if self.settings.persistence.is_none() {
            return Ok(None);
        }
        let (key, needed) = (&self.settings.key, self.settings.affinity.capacity);
        attached.map(key, needed).map(Some).map_err(|why| match why {
            NoMap::Full(room) => {
                let service = key.to_string();
                ApplyError::Block(BlockError::AddressesFull { service, needed, room })
            }
            NoMap::OutOfMemory(error) => {
                let what = format!("service {key}: affinity: capacity");
                ApplyError::OutOfMemory { what, bytes: error.bytes }
            }
        })
    }

    /// It comes, goes, or has another name.
    fn changes_index(&self) -> bool {
        self.deleted || self.live.is_none() || self.is_renamed()
    }

    fn is_renamed(&self) -> bool {
        let before = self.live.and_then(|live| live.service.name.as_ref());
        before != self.settings.name.as_ref().filter(|_| !self.deleted)
    }

    /// How many servers leave.
    fn leaving(&self) -> usize {
        if self.deleted { self.live.map_or(0, |live| live.claims.len()) } else { self.leaving }
    }

    fn most_servers(&self) -> usize {
        self.live.map_or(0, |live| live.service.servers.len()) + self.weights.len()
    }

    /// An upper bound of the service's memory after the changes. It counts previous and new weights
    /// together: a longer list has a schedule that is longer or at its limit.
    fn memory(&self) -> Memory {
        let former = self.live.map(|live| live.service.servers.as_slice()).unwrap_or_default();
        let mut weights: Vec<u32> = former.iter().map(|server| server.weight).collect();
        weights.extend(&self.weights);
        Memory::at_most(&self.settings, weights.iter().copied())
    }
}

/// Reserves the address maps of every service that the changes concern and of the `compiled` services,
/// which are compiled again. Checks that there is memory for the rest of the change.
pub(super) fn maps<'a>(
    control: &'a Control,
    changes: &'a [Change],
    compiled: impl Iterator<Item = &'a RunningService>,
) -> Result<HashMap<ServiceKey, Maps>, ApplyError> {
    let mut services: Vec<Wanted<'a>> = compiled.map(Wanted::of).collect();
    let keys = services.iter().map(|wanted| wanted.settings.key);
    let mut places: HashMap<ServiceKey, usize> = keys.zip(0..).collect();
    let mut latest = None;
    for change in changes {
        let key = change.service();
        let at = match latest {
            // Most changes of one service are consecutive.
            Some((latest, at)) if latest == key => at,
            _ => *places.entry(key).or_insert_with(|| {
                let live = control.find(&key).map(Wanted::of);
                services.extend(match change {
                    Change::AddService(settings) => Some(Wanted::new(settings.clone())),
                    _ => live,
                });
                services.len().wrapping_sub(1)
            }),
        };
        latest = Some((key, at));
        if let Some(wanted) = services.get_mut(at).filter(|it| it.settings.key == key) {
            wanted.change(change);
        }
    }
    let headroom = control.headroom(&services);
    headroom.check()?;
    services.retain(|wanted| !wanted.deleted);
    let reserved: Result<_, ApplyError> =
        services.iter().map(|it| it.reserve(&control.arena)).collect();
    // The maps are allocated now; the rest must still fit.
    headroom.check()?;
    reserved
}

impl Control {
    /// The memory for compiling these services, and for the slots and statistics of all services.
    fn headroom(&self, services: &[Wanted]) -> Headroom {
        let mut headroom = Headroom::default();
        let workers = self.shards.workers();
        let (servers, running) = self.allocator.high_water();
        let new = services.iter().filter(|wanted| wanted.live.is_none()).count();
        let added: usize = services.iter().map(|wanted| wanted.weights.len()).sum();
        let reach =
            |now: u32, more: usize| now.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        let (servers, running) = (reach(servers, added), reach(running, new));
        let in_workers = |wanted: &Wanted| wanted.settings.sharing != Sharing::Exact;
        headroom.slots(&self.arena, workers, (servers, running), services.iter().any(in_workers));
        if services.iter().any(Wanted::changes_index) {
            let renamed = services.iter().filter(|wanted| wanted.is_renamed()).count();
            headroom.index(running, self.named() + renamed, renamed);
        }
        let moved = services.iter().map(|it| (&it.settings.key, it.weights.len(), it.leaving()));
        let moved = self.allocator.to_move(moved);
        let mut headroom = headroom.and(moved + 2 * Roster::PUBLISHED);
        for wanted in services.iter().filter(|wanted| !wanted.deleted) {
            let own = if in_workers(wanted) { workers } else { 0 };
            headroom.compile(wanted.most_servers(), wanted.memory(), own);
        }
        headroom
    }
}
