//! A virtual service as serde data: names instead of bits, defaults left out.

use serde::{Deserialize, Serialize};

use crate::config::{Persistence, RealServer, SchedulerFlags, ServiceKey, VirtualService};
use crate::sched::SchedulerKind;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceText {
    service: ServiceKey,
    #[serde(default = "default_scheduler")]
    scheduler: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    flags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    persistence: Option<Persistence>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    persistence_engine: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    one_packet: bool,
    #[serde(default)]
    servers: Vec<RealServer>,
}

const NO_SCHEDULER: &str = "none";

fn default_scheduler() -> String {
    SchedulerKind::Wlc.name().to_owned()
}

impl From<VirtualService> for ServiceText {
    fn from(from: VirtualService) -> Self {
        ServiceText {
            service: from.service,
            scheduler: from
                .scheduler
                .map_or(NO_SCHEDULER, SchedulerKind::name)
                .to_owned(),
            flags: from
                .flags
                .names(from.scheduler)
                .map(str::to_owned)
                .collect(),
            persistence: from.persistence,
            persistence_engine: from.persistence_engine,
            one_packet: from.one_packet,
            servers: from.servers,
        }
    }
}

impl TryFrom<ServiceText> for VirtualService {
    type Error = String;

    fn try_from(from: ServiceText) -> Result<Self, String> {
        let scheduler = match from.scheduler.as_str() {
            NO_SCHEDULER => None,
            name => Some(
                name.parse::<SchedulerKind>()
                    .map_err(|error| format!("service {}: {error}", from.service))?,
            ),
        };
        let mut flags = SchedulerFlags::default();
        for name in &from.flags {
            let flag = SchedulerFlags::named(name, scheduler).ok_or_else(|| {
                format!(
                    "service {}: flags: unknown flag `{name}` for scheduler {}",
                    from.service, from.scheduler
                )
            })?;
            flags = flags.union(flag);
        }
        Ok(VirtualService {
            service: from.service,
            scheduler,
            flags,
            persistence: from.persistence,
            persistence_engine: from.persistence_engine,
            one_packet: from.one_packet,
            servers: from.servers,
        })
    }
}
