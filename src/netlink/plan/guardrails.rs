//! Checks a plan against the guardrails.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use super::{Action, Guardrails, Plan};
use crate::config::guardrails::is_open;
use crate::config::{Config, Observed, ObservedService, ServiceKey};
use crate::error::{ConfigError, GuardrailError, ServiceLoss};

pub use crate::error::Violation;

/// Why there is no plan. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanError {
    /// The config breaks limits, or says something that Linux does not have.
    Invalid(ConfigError),
    /// The plan would break guardrails.
    Guardrails(GuardrailError),
}

type Running<'a> = HashMap<ServiceKey, &'a ObservedService>;

pub(super) fn check(
    plan: &Plan,
    wanted: &Config,
    found: &Observed,
    guardrails: &Guardrails,
) -> Result<(), PlanError> {
    if found.services.is_empty() {
        return Ok(());
    }
    let running: Running =
        found.services.iter().map(|service| (service.settings.key, service)).collect();
    let was_open = |key: &ServiceKey| {
        let servers = running.get(key).into_iter().flat_map(|running| &running.servers);
        is_open(servers.map(|observed| &observed.server))
    };
    let closes = wanted.services.iter().filter(|service| !is_open(&service.servers));
    let closed = closes.map(|service| service.key).filter(was_open);
    let foreign: HashSet<&ServiceKey> = plan.foreign.iter().collect();
    let ours = found.services.iter().filter(|found| !foreign.contains(&found.settings.key));
    let of: usize = ours.map(|service| service.servers.len()).sum();
    let deleted = |action: &Action| match action {
        Action::DeleteServer { .. } => 1,
        Action::DeleteService(key) => running.get(key).map_or(0, |found| found.servers.len()),
        _ => 0,
    };
    let servers = plan.steps.others().map(|step| deleted(&step.action)).sum();
    guardrails.check(closed, servers, of, || losses(plan, &running)).map_err(PlanError::Guardrails)
}

fn losses(plan: &Plan, running: &Running) -> Vec<ServiceLoss> {
    let mut losses: BTreeMap<ServiceKey, ServiceLoss> = BTreeMap::new();
    let loss = |key: &ServiceKey, servers, removed| ServiceLoss {
        service: key.to_string(),
        servers,
        removed,
    };
    for step in plan.steps.others() {
        match &step.action {
            Action::DeleteServer { service, server } => {
                let loss = || loss(service, Vec::new(), false);
                losses.entry(*service).or_insert_with(loss).servers.push(*server);
            }
            Action::DeleteService(key) => {
                let servers = running.get(key).into_iter().flat_map(|found| &found.servers);
                let servers = servers.map(|observed| observed.server.address).collect();
                losses.insert(*key, loss(key, servers, true));
            }
            _ => {}
        }
    }
    losses.into_values().filter(|loss| !loss.servers.is_empty()).collect()
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlanError::Invalid(error) => error.fmt(f),
            PlanError::Guardrails(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PlanError {}

impl From<ConfigError> for PlanError {
    fn from(error: ConfigError) -> Self {
        PlanError::Invalid(error)
    }
}
