//! Which configs a block can carry: those whose state is in it.

use crate::config::diff::Change;
use crate::config::{RealServer, SchedulerKind, ServiceSettings, Sharing};
use crate::error::{ApplyError, BlockError};

/// Checks that the state of everything that these changes add or edit can be shared.
pub(super) fn check(changes: &[Change]) -> Result<(), ApplyError> {
    for change in changes {
        let setting = match change {
            Change::AddService(service) | Change::EditService(service) => service_setting(service),
            Change::AddServer { server, .. } | Change::EditServer { server, .. } => {
                server_setting(server)
            }
            _ => None,
        };
        if let Some(setting) = setting {
            let service = change.service().to_string();
            return Err(ApplyError::Block(BlockError::NotShareable { service, setting }));
        }
    }
    Ok(())
}

fn service_setting(service: &ServiceSettings) -> Option<&'static str> {
    let remembers = [SchedulerKind::Lblc, SchedulerKind::Lblcr].map(Some);
    let settings = [
        (service.persistence.is_some(), "persistence"),
        (remembers.contains(&service.scheduler), "scheduler"),
        (service.sharing != Sharing::Exact, "sharing"),
        (service.ejection.is_some(), "ejection"),
        (service.slow_start.is_some(), "slow_start"),
        (service.panic_threshold > 0, "panic_threshold"),
    ];
    settings.into_iter().find_map(|(is_set, name)| is_set.then_some(name))
}

fn server_setting(server: &RealServer) -> Option<&'static str> {
    (server.priority > 0).then_some("priority")
}
