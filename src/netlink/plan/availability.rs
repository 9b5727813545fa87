//! Which servers can take clients, before and after a plan. This decides whether a service may shrink.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use super::Steps;
use crate::config::{Config, Observed, RealServer, ServiceKey};

/// The eligible servers (weight above 0) of a service.
pub(in crate::netlink) type AvailableServers = HashSet<SocketAddr>;

/// The eligible servers of services that run, are wanted, and are affected by a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::netlink) struct Availability {
    pub(in crate::netlink) before: HashMap<ServiceKey, AvailableServers>,
    pub(in crate::netlink) after: HashMap<ServiceKey, AvailableServers>,
}

/// The target of steps: the wanted state, or the state before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::netlink) enum BeforeOrAfter {
    Before,
    After,
}

impl Availability {
    pub(in crate::netlink) fn of(
        &self,
        side: BeforeOrAfter,
    ) -> &HashMap<ServiceKey, AvailableServers> {
        match side {
            BeforeOrAfter::Before => &self.before,
            BeforeOrAfter::After => &self.after,
        }
    }
}

pub(super) fn availability(steps: &Steps, wanted: &Config, found: &Observed) -> Availability {
    if found.services.is_empty() {
        return Availability::default();
    }
    let concerned: HashSet<ServiceKey> =
        steps.iter().filter_map(|step| step.action.service()).collect();
    let running = found.services.iter().filter(|found| concerned.contains(&found.settings.key));
    let mut before: HashMap<ServiceKey, AvailableServers> = running
        .map(|found| {
            (found.settings.key, eligible(found.servers.iter().map(|found| &found.server)))
        })
        .collect();
    let wanted = wanted.services.iter().filter(|wanted| before.contains_key(&wanted.key));
    let after: HashMap<ServiceKey, AvailableServers> =
        wanted.map(|wanted| (wanted.key, eligible(wanted.servers.iter()))).collect();
    before.retain(|key, _| after.contains_key(key));
    Availability { before, after }
}

fn eligible<'a>(servers: impl Iterator<Item = &'a RealServer>) -> AvailableServers {
    servers.filter(|server| server.weight > 0).map(|server| server.address).collect()
}
