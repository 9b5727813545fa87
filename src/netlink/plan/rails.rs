//! What a plan must not do.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::{Action, Plan, Rails};
use crate::config::{Config, Observed, ObservedService, ServiceKey};
use crate::error::ConfigError;

/// Why there is no plan. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanError {
    /// The config breaks limits.
    Invalid(ConfigError),
    /// The plan would break these rails.
    Rails(Vec<Broken>),
}

/// A rail that a plan would break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// The service has an eligible server and would have none.
    Closes(ServiceKey),
    /// Too many servers would be deleted.
    Deletes {
        /// How many.
        servers: usize,
        /// Of how many in services of ours.
        of: usize,
        /// The most that may be, in percent.
        most: u8,
    },
}

pub(super) fn check(
    plan: &Plan,
    wanted: &Config,
    found: &Observed,
    rails: &Rails,
) -> Result<(), PlanError> {
    if found.services.is_empty() {
        return Ok(());
    }
    let mut broken = Vec::new();
    let running: HashMap<ServiceKey, &ObservedService> =
        found.services.iter().map(|service| (service.settings.service, service)).collect();
    if !rails.may_close_services {
        for service in &wanted.services {
            let key = service.service;
            let was_open = running.get(&key).is_some_and(|running| {
                running.servers.iter().any(|observed| observed.server.weight > 0)
            });
            if was_open && service.servers.iter().all(|server| server.weight == 0) {
                broken.push(Broken::Closes(key));
            }
        }
    }
    let foreign: HashSet<&ServiceKey> = plan.foreign.iter().collect();
    let ours = found.services.iter().filter(|found| !foreign.contains(&found.settings.service));
    let of: usize = ours.map(|service| service.servers.len()).sum();
    let deleted = |action: &Action| match action {
        Action::DeleteServer { .. } => 1,
        Action::DeleteService(key) => running.get(key).map_or(0, |found| found.servers.len()),
        _ => 0,
    };
    let servers = plan.steps.others().map(|step| deleted(&step.action)).sum();
    if servers * 100 > of * usize::from(rails.most_deleted) {
        broken.push(Broken::Deletes { servers, of, most: rails.most_deleted });
    }
    if broken.is_empty() { Ok(()) } else { Err(PlanError::Rails(broken)) }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Closes(key) => {
                write!(f, "service {key}: has eligible servers and would have none")
            }
            Broken::Deletes { servers, of, most } => {
                write!(f, "{servers} of {of} servers would be deleted; at most {most} % may be")
            }
        }
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlanError::Invalid(error) => error.fmt(f),
            PlanError::Rails(broken) => {
                for (index, broken) in broken.iter().enumerate() {
                    write!(f, "{}{broken}", if index > 0 { "\n" } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for PlanError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            PlanError::Invalid(error) => Some(error),
            PlanError::Rails(_) => None,
        }
    }
}

impl From<ConfigError> for PlanError {
    fn from(error: ConfigError) -> Self {
        PlanError::Invalid(error)
    }
}
