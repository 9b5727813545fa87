//! What a change of the config did, as reported to the caller.

use std::net::SocketAddr;

use ahash::HashMap;

use crate::arena::id::{ServerId, ServiceId};
use crate::config::ServiceKey;
use crate::config::diff::Change;
use crate::director::control::Control;

/// What [`Director::apply`](crate::Director::apply) or [`Director::execute`](crate::Director::execute)
/// did.
///
/// A service that is added or removed is listed together with its servers.
///
/// ```
/// use vsched::config::Command;
/// # use vsched::{Config, Director};
/// # let config: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?;
/// # let director = Director::new(&config)?;
/// # let server = director.server(director.service("tcp 10.0.0.1:80")?, "10.0.1.1:80")?;
/// let quiesce = ["-e", "-t", "10.0.0.1:80", "-r", "10.0.1.1", "-w", "0"];
/// let applied = director.execute(&Command::from_words(&quiesce)?)?;
/// assert_eq!(applied.drained[0].server_id, Some(server));
/// assert!(applied.changed.is_empty(), "each item is in one list");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Applied {
    /// New services and servers.
    pub added: Vec<Item>,
    /// Services and servers with new settings.
    pub changed: Vec<Item>,
    /// Servers whose weight changed from above 0 to 0.
    pub drained: Vec<Item>,
    /// Removed services and servers, including the servers of removed services.
    pub removed: Vec<Item>,
    /// True if a setting that belongs to no service changed: kernel rules, seed, timeouts, daemons, or
    /// the expiry of quiesced servers' templates.
    pub settings: bool,
}

/// A service, or one of its servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Item {
    /// The service's key.
    pub service: ServiceKey,
    /// The server's address; `None` = the service itself.
    pub server: Option<SocketAddr>,
    /// The service's id; that which it had, if it was removed.
    pub service_id: ServiceId,
    /// The server's id, likewise; `None` = the service itself.
    pub server_id: Option<ServerId>,
}

impl Applied {
    /// Returns true if nothing changed and nothing was published.
    pub fn is_empty(&self) -> bool {
        *self == Applied::default()
    }

    /// What these changes will do. Call it before they are applied, and [`find_added`](Self::find_added)
    /// after. O(servers of the services concerned).
    pub(super) fn of(changes: &[Change], before: &Control) -> Self {
        let mut applied = Applied::default();
        let mut new = None;
        let mut ids = Ids::new(before);
        for change in changes {
            let service = change.service();
            let mut item = |server| ids.item(service, server);
            match change {
                Change::AddService(_) => {
                    new = Some(service);
                    applied.added.push(item(None));
                }
                // This edit only binds the scheduler of the service just added.
                Change::EditService(_) if new == Some(service) => {}
                Change::EditService(_) => applied.changed.push(item(None)),
                Change::DeleteService(_) => {
                    applied.removed.push(item(None));
                    let live = before.find(&service).into_iter();
                    let servers = live.flat_map(|live| &live.service.servers);
                    applied.removed.extend(servers.map(|server| item(Some(server.address))));
                }
                Change::AddServer { server, .. } => applied.added.push(item(Some(server.address))),
                Change::EditServer { before, server, .. } => {
                    let drained = before.weight > 0 && server.weight == 0;
                    let list = if drained { &mut applied.drained } else { &mut applied.changed };
                    list.push(item(Some(server.address)));
                }
                Change::DeleteServer { server, .. } => applied.removed.push(item(Some(*server))),
            }
        }
        applied
    }

    /// Fills in the ids of what is new.
    pub(super) fn find_added(&mut self, after: &Control) {
        let mut ids = Ids::new(after);
        for item in &mut self.added {
            *item = ids.item(item.service, item.server);
        }
    }
}

/// Up to this many servers of a service are searched for in its list, before there is a table.
const FEW: usize = 8;

/// The ids of a control's services and servers. Changes of one service are neighbors, so its servers are
/// found by one table, if they are many.
struct Ids<'c> {
    control: &'c Control,
    latest: Option<Latest>,
}

struct Latest {
    service: ServiceKey,
    searched: usize,
    table: HashMap<SocketAddr, ServerId>,
}

impl<'c> Ids<'c> {
    fn new(control: &'c Control) -> Self {
        Ids { control, latest: None }
    }

    /// With ids of no service and server where they are not running.
    fn item(&mut self, service: ServiceKey, server: Option<SocketAddr>) -> Item {
        let none = ServiceId::from_raw([u32::MAX, 0]);
        let service_id = self.control.find(&service).map_or(none, |live| live.id);
        let server_id = server.map(|server| self.server(service, server));
        Item { service, server, service_id, server_id }
    }

    fn server(&mut self, service: ServiceKey, server: SocketAddr) -> ServerId {
        let latest = match &mut self.latest {
            Some(latest) if latest.service == service => latest,
            other => other.insert(Latest { service, searched: 0, table: HashMap::default() }),
        };
        let live = self.control.find(&service).into_iter();
        let mut pairs = live
            .flat_map(|live| live.service.servers.iter().zip(&live.claims))
            .map(|(server, claim)| (server.address, claim.id));
        latest.searched += 1;
        let found = if latest.searched <= FEW {
            pairs.find(|(address, _)| *address == server).map(|(_, id)| id)
        } else {
            if latest.table.is_empty() {
                latest.table = pairs.collect();
            }
            latest.table.get(&server).copied()
        };
        found.unwrap_or(ServerId::from_raw([u32::MAX, 0]))
    }
}

/// Written as its two numbers, as [`ServerId::to_raw`] returns them.
#[cfg(feature = "serde")]
impl serde::Serialize for ServerId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_raw().serialize(serializer)
    }
}

/// Written as its two numbers, as [`ServiceId::to_raw`] returns them.
#[cfg(feature = "serde")]
impl serde::Serialize for ServiceId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_raw().serialize(serializer)
    }
}
