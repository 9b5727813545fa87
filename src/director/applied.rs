//! What a change of the config did, as reported to the caller.

use std::net::SocketAddr;

use crate::config::ServiceKey;
use crate::config::diff::Change;
use crate::director::control::Control;

/// What [`Director::apply`](crate::Director::apply) or [`Director::execute`](crate::Director::execute)
/// did.
///
/// A service that is added or removed is listed together with its servers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
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
pub struct Item {
    /// The service's key.
    pub service: ServiceKey,
    /// The server's address; `None` = the service itself.
    pub server: Option<SocketAddr>,
}

impl Applied {
    /// Returns true if nothing changed and nothing was published.
    pub fn is_empty(&self) -> bool {
        *self == Applied::default()
    }

    /// What these changes will do. Call it before they are applied.
    pub(super) fn of(changes: &[Change], before: &Control) -> Self {
        let mut applied = Applied::default();
        let mut new = None;
        for change in changes {
            let service = change.service();
            let item = |server| Item { service, server };
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
}
