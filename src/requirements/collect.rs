//! Collects requirements as they are found, each once.

use std::collections::HashMap;
use std::net::IpAddr;

use super::{Action, Check, Need, Origin, Requirement, Role, Site};

/// The order of a host's requirements, in which their commands can be run. Disabling ARP replies for an
/// address comes before adding the address; otherwise the host would answer for it in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Modules,
    Interfaces,
    Settings,
    Addresses,
    Routes,
    Marks,
    Sockets,
    Advice,
}

pub(super) struct Collector<'s> {
    pub(super) site: &'s Site,
    found: Vec<(Stage, Requirement)>,
    /// Indices in `found`.
    places: HashMap<(Role, Action, Option<Check>), usize>,
    servers: HashMap<IpAddr, usize>,
}

impl<'s> Collector<'s> {
    pub(super) fn new(site: &'s Site) -> Self {
        Collector { site, found: Vec::new(), places: HashMap::new(), servers: HashMap::new() }
    }

    /// Adds a requirement, or an origin to a known one.
    pub(super) fn add(&mut self, stage: Stage, requirement: Requirement) {
        if let Role::RealServer(ip) = requirement.role {
            let next = self.servers.len();
            self.servers.entry(ip).or_insert(next);
        }
        // Without a command and a check, only the reason distinguishes two requirements.
        let action = match &requirement.action {
            Action::Know => Action::Look(requirement.reason.clone()),
            other => other.clone(),
        };
        let key = (requirement.role, action, requirement.check.clone());
        let known = self.places.get(&key).and_then(|index| self.found.get_mut(*index));
        if let Some((_, known)) = known {
            known.need = known.need.min(requirement.need);
            // Origins arrive in the order of the config, so equal ones are neighbors.
            for origin in requirement.origins {
                if known.origins.last() != Some(&origin) {
                    known.origins.push(origin);
                }
            }
            return;
        }
        self.places.insert(key, self.found.len());
        self.found.push((stage, requirement));
    }

    pub(super) fn finish(self) -> Vec<Requirement> {
        let Collector { mut found, servers, .. } = self;
        let order = |role| match role {
            Role::Director => 0,
            Role::RealServer(ip) => 1 + servers.get(&ip).copied().unwrap_or(servers.len()),
        };
        found.sort_by_key(|(stage, item)| (order(item.role), *stage));
        found.into_iter().map(|(_, requirement)| requirement).collect()
    }
}

/// A requirement without an action and a check, to be completed.
pub(super) fn required(role: Role, origin: Origin, reason: impl Into<String>) -> Requirement {
    Requirement {
        role,
        need: Need::Required,
        origins: vec![origin],
        reason: reason.into(),
        action: Action::Know,
        check: None,
    }
}

impl Requirement {
    pub(super) fn advised(mut self) -> Self {
        self.need = Need::Advised;
        self
    }

    pub(super) fn run(mut self, command: impl Into<String>) -> Self {
        match &mut self.action {
            Action::Run(commands) => commands.push(command.into()),
            Action::Look(_) | Action::Know => self.action = Action::Run(vec![command.into()]),
        }
        self
    }

    pub(super) fn look(mut self, command: impl Into<String>) -> Self {
        self.action = Action::Look(command.into());
        self
    }

    pub(super) fn check(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }

    /// Adds a sysctl with its command and its check; the first accepted value is the one to set.
    pub(super) fn sysctl(self, name: &str, accepted: &[i32]) -> Self {
        let best = accepted.first().copied().unwrap_or_default();
        self.run(format!("sysctl -w {name}={best}"))
            .check(Check::Sysctl { name: name.to_owned(), accepted: accepted.to_vec() })
    }

    pub(super) fn module(self, name: &str) -> Self {
        self.run(format!("modprobe {name}")).check(Check::Module { name: name.to_owned() })
    }
}
