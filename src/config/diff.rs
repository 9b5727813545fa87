//! The ordered changes from one config to another, which both data planes carry out.
//!
//! Growth comes first, shrinking later, and deletions last, so that no step leaves a service without an
//! eligible server if it has one both before and after.

use std::cmp::Ordering;
use std::net::SocketAddr;

use ahash::HashMap;

use crate::config::{
    Config, DEFAULT_MH_TABLE_INDEX, RealServer, ServiceKey, ServiceSettings, Ties, VirtualService,
};

/// One step from one config to another.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Adds a service, without servers.
    AddService(ServiceSettings),
    /// Replaces a service's settings; its servers stay.
    EditService(ServiceSettings),
    /// Deletes a service with its servers.
    DeleteService(ServiceKey),
    /// Adds a server at the head of the service's list.
    AddServer {
        /// The service.
        service: ServiceKey,
        /// The server.
        server: RealServer,
    },
    /// Replaces a server's description.
    EditServer {
        /// The service.
        service: ServiceKey,
        /// The server before the change.
        before: RealServer,
        /// The server after the change.
        server: RealServer,
    },
    /// Deletes a server.
    DeleteServer {
        /// The service.
        service: ServiceKey,
        /// The server.
        server: SocketAddr,
    },
}

/// The order in which changes are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ChangePhase {
    /// New services, each completely: created unbound, filled with servers, then bound to its scheduler.
    NewServices,
    /// Settings of services.
    EditServices,
    /// New servers, servers no longer quiesced, raised upper thresholds.
    Grow,
    /// Edits of servers that change neither eligibility nor upper threshold.
    Modify,
    /// Newly quiesced servers, lowered upper thresholds.
    Shrink,
    /// Deleted servers.
    DeleteServers,
    /// Deleted services.
    DeleteServices,
}

impl Change {
    /// Returns the key of the service that changes.
    pub fn service(&self) -> ServiceKey {
        match self {
            Change::AddService(service) | Change::EditService(service) => service.key,
            Change::DeleteService(service)
            | Change::AddServer { service, .. }
            | Change::EditServer { service, .. }
            | Change::DeleteServer { service, .. } => *service,
        }
    }
}

/// Returns the phase of an edit of a server.
///
/// The weight takes precedence over the thresholds: a server that is no longer quiesced may be the only
/// eligible one, regardless of the rest of its edit.
pub fn edit_phase(before: &RealServer, after: &RealServer) -> ChangePhase {
    // 0 means no limit, which wraps to the highest value.
    let upper = |server: &RealServer| server.thresholds.upper.wrapping_sub(1);
    match (before.weight > 0, after.weight > 0) {
        (true, false) => ChangePhase::Shrink,
        (false, true) => ChangePhase::Grow,
        _ => match upper(after).cmp(&upper(before)) {
            Ordering::Less => ChangePhase::Shrink,
            Ordering::Greater => ChangePhase::Grow,
            Ordering::Equal => ChangePhase::Modify,
        },
    }
}

/// Returns the changes from `old` to `new`, in the order in which to carry them out; empty if the two
/// are equivalent. A different order of services or servers alone is not a change.
///
/// O(services + servers). Both configs must be [valid](Config::validate).
///
/// ```
/// use vsched::config::{Config, diff};
/// let old: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?;
/// let new: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.2".parse()?;
/// let changes = diff::diff(&old, &new);
/// assert!(matches!(changes[0], diff::Change::AddServer { .. }));
/// assert!(matches!(changes[1], diff::Change::DeleteServer { .. }));
/// assert!(diff::diff(&old, &old).is_empty());
/// # Ok::<(), vsched::error::RulesError>(())
/// ```
pub fn diff(old: &Config, new: &Config) -> Vec<Change> {
    diff_services(old.services.iter(), &new.services)
}

pub(crate) fn diff_services<'a>(
    old: impl Iterator<Item = &'a VirtualService>,
    new: &[VirtualService],
) -> Vec<Change> {
    let mut changes: Vec<(ChangePhase, Change)> = Vec::new();
    // As long as the services are in the same order, each is found without a lookup.
    let (mut old, mut new) = (old.peekable(), new);
    while let [service, rest @ ..] = new {
        let Some(before) = old.next_if(|before| before.key == service.key) else { break };
        update(before, service, &mut changes);
        new = rest;
    }
    let mut old: HashMap<ServiceKey, &VirtualService> =
        old.map(|service| (service.key, service)).collect();
    for service in new {
        match old.remove(&service.key) {
            None => create(service, &mut changes),
            Some(before) => update(before, service, &mut changes),
        }
    }
    let mut deleted: Vec<ServiceKey> = old.into_keys().collect();
    deleted.sort_unstable();
    changes.extend(
        deleted.into_iter().map(|key| (ChangePhase::DeleteServices, Change::DeleteService(key))),
    );
    // The many changes of a new config are already in order.
    if !changes.is_sorted_by_key(|(phase, _)| *phase) {
        changes.sort_by_key(|(phase, _)| *phase);
    }
    changes.into_iter().map(|(_, change)| change).collect()
}

fn create(service: &VirtualService, changes: &mut Vec<(ChangePhase, Change)>) {
    let key = service.key;
    changes.reserve(service.servers.len() + 2);
    let mut push = |change| changes.push((ChangePhase::NewServices, change));
    push(Change::AddService(unbound(service)));
    for server in &service.servers {
        push(Change::AddServer { service: key, server: server.clone() });
    }
    if service.scheduler.is_some() {
        push(Change::EditService(service.settings()));
    }
}

/// A new service as it is created, before it has servers and a scheduler.
pub(crate) fn unbound<S>(service: &VirtualService<S>) -> ServiceSettings {
    // What only some schedulers may have.
    ServiceSettings {
        scheduler: None,
        mh_table_index: DEFAULT_MH_TABLE_INDEX,
        ties: Ties::default(),
        slow_start: None,
        spill_over: None,
        ..service.settings()
    }
}

fn update(old: &VirtualService, new: &VirtualService, changes: &mut Vec<(ChangePhase, Change)>) {
    let service = new.key;
    if !same_settings(old, new) {
        changes.push((ChangePhase::EditServices, Change::EditService(new.settings())));
    }
    servers(&old.servers, &new.servers, |phase, change| {
        let change = match change {
            ServerChange::Add(place) => match new.servers.get(place) {
                Some(server) => Change::AddServer { service, server: server.clone() },
                None => return,
            },
            ServerChange::Edit { before, server } => {
                Change::EditServer { service, before: before.clone(), server: server.clone() }
            }
            ServerChange::Delete(place) => match old.servers.get(place) {
                Some(server) => Change::DeleteServer { service, server: server.address },
                None => return,
            },
        };
        changes.push((phase, change));
    });
}

/// A change of a service's servers.
pub(crate) enum ServerChange<'a> {
    /// Add the server at this index of the new list.
    Add(usize),
    Edit {
        before: &'a RealServer,
        server: &'a RealServer,
    },
    /// Delete the server at this index of the old list.
    Delete(usize),
}

/// Calls `each` with the changes from one list of servers to another; the order of the lists does not
/// matter.
pub(crate) fn servers<'a>(
    old: &'a [RealServer],
    new: &'a [RealServer],
    mut each: impl FnMut(ChangePhase, ServerChange<'a>),
) {
    let (head, tail) = common_ends(old, new);
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    let edit = |before: &'a RealServer, server: &'a RealServer| {
        let changes = before != server;
        changes.then(|| (edit_phase(before, server), ServerChange::Edit { before, server }))
    };
    let both = |(before, server)| edit(before, server);
    for (phase, change) in old.iter().zip(new).take(head).filter_map(both) {
        each(phase, change);
    }
    let mut before: HashMap<SocketAddr, &RealServer> =
        old[head..old_end].iter().map(|server| (server.address, server)).collect();
    for (place, server) in new.iter().enumerate().take(new_end).skip(head) {
        match before.remove(&server.address) {
            None => each(ChangePhase::Grow, ServerChange::Add(place)),
            Some(before) => {
                if let Some((phase, change)) = edit(before, server) {
                    each(phase, change);
                }
            }
        }
    }
    for (phase, change) in old[old_end..].iter().zip(&new[new_end..]).filter_map(both) {
        each(phase, change);
    }
    // In the order of the old config, so that equal inputs give equal plans.
    for (place, server) in old.iter().enumerate().take(old_end).skip(head) {
        if before.contains_key(&server.address) {
            each(ChangePhase::DeleteServers, ServerChange::Delete(place));
        }
    }
}

/// The lengths of the common prefix and of the common suffix (by address) of both lists, whose servers
/// need no lookup.
pub(crate) fn common_ends(old: &[RealServer], new: &[RealServer]) -> (usize, usize) {
    let alike = |(old, new): &(&RealServer, &RealServer)| old.address == new.address;
    let head = old.iter().zip(new).take_while(alike).count();
    let (old, new) = (&old[head..], &new[head..]);
    (head, old.iter().rev().zip(new.iter().rev()).take_while(alike).count())
}

pub(crate) fn same_settings<A, B>(a: &VirtualService<A>, b: &VirtualService<B>) -> bool {
    // Every field by its name, so that none is forgotten.
    let VirtualService {
        key: _,
        scheduler,
        flags,
        mh_table_index,
        persistence,
        persistence_engine,
        one_packet,
        affinity,
        sharing,
        ties,
        ejection,
        slow_start,
        spill_over,
        panic_threshold,
        name,
        servers: _,
    } = a;
    *scheduler == b.scheduler
        && *flags == b.flags
        && *mh_table_index == b.mh_table_index
        && *persistence == b.persistence
        && *persistence_engine == b.persistence_engine
        && *one_packet == b.one_packet
        && *affinity == b.affinity
        && *sharing == b.sharing
        && *ties == b.ties
        && *ejection == b.ejection
        && *slow_start == b.slow_start
        && *spill_over == b.spill_over
        && *panic_threshold == b.panic_threshold
        && *name == b.name
}
