//! Which configs a block can carry: those whose state is in it.

use crate::config::diff::Change;
use crate::config::{SchedulerKind, ServiceSettings, Sharing};
use crate::error::{ApplyError, BlockError};

/// Checks that the state of everything that these changes add or edit can be shared.
pub(super) fn check(changes: &[Change]) -> Result<(), ApplyError> {
    for change in changes {
        let setting = match change {
            Change::AddService(service) | Change::EditService(service) => service_setting(service),
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
        (remembers.contains(&service.scheduler), "scheduler"),
        (service.sharing != Sharing::Exact, "sharing"),
    ];
    settings.into_iter().find_map(|(is_set, name)| is_set.then_some(name))
}
