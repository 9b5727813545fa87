//! Metrics per service.

use crate::config::{Name, ObservedServer, ObservedService, SchedulerKind};
use crate::metrics::family::{Family, Samples, Value, families, maybe, one};
use crate::metrics::server::{STATES, state};
use crate::metrics::writer::Labels;

pub(super) fn labels(service: &ObservedService) -> Labels {
    Labels::default()
        .with("service", &service.settings.key.to_string())
        .with_some("name", name(service))
}

/// The service's name, if it has one.
fn name(service: &ObservedService) -> Option<&str> {
    service.settings.name.as_ref().map(Name::as_str)
}

pub(super) const FAMILIES: &[Family<ObservedService>] = families! {
    "vsched_service_info" Info
        "Settings of the service that queries select by."
        Samples::Info(info);
    "vsched_service_connections_total" Counter
        "Connections scheduled."
        one!(it => it.statistics.connections);
    "vsched_service_refused_total" Counter
        "Picks that found no server."
        one!(it => it.statistics.refused);
    "vsched_service_active_connections" Gauge
        "Active connections of the configured servers."
        one!(it => sum(it, |server| server.counts.active));
    "vsched_service_inactive_connections" Gauge
        "Inactive connections of the configured servers."
        one!(it => sum(it, |server| server.counts.inactive));
    "vsched_service_servers" Gauge
        "Configured servers by state; each is in one."
        Samples::Each { label: "state", of: servers };
    "vsched_service_panic" Gauge
        "1 while so few servers are up that all take part."
        one!(it => it.panics);
    "vsched_service_affinity_entries" Gauge
        "Addresses that lblc or lblcr remembers."
        maybe!(it => it.remembered.map(|of| of.entries));
    "vsched_service_affinity_capacity" Gauge
        "The most addresses that lblc or lblcr can remember."
        maybe!(it => it.remembered.map(|of| of.capacity));
    "vsched_service_affinity_refused_total" Counter
        "Picks by lblc or lblcr that were not remembered for lack of capacity."
        maybe!(it => it.remembered.map(|of| of.refused));
    "vsched_service_template_entries" Gauge
        "Clients that persistence remembers."
        maybe!(it => it.templates.map(|of| of.entries));
    "vsched_service_template_capacity" Gauge
        "The most clients that persistence can remember."
        maybe!(it => it.templates.map(|of| of.capacity));
    "vsched_service_template_refused_total" Counter
        "Picks that persistence did not remember for lack of capacity."
        maybe!(it => it.templates.map(|of| of.refused));
};

pub(super) const TRAFFIC: &[Family<ObservedService>] = families! {
    "vsched_service_received_packets_total" Counter
        "Packets from clients."
        one!(it => it.statistics.packets_in);
    "vsched_service_sent_packets_total" Counter
        "Packets to clients."
        one!(it => it.statistics.packets_out);
    "vsched_service_received_bytes_total" Counter
        "Bytes from clients."
        one!(it => it.statistics.bytes_in);
    "vsched_service_sent_bytes_total" Counter
        "Bytes to clients."
        one!(it => it.statistics.bytes_out);
};

fn sum(service: &ObservedService, of: fn(&ObservedServer) -> u32) -> u64 {
    service.servers.iter().map(|server| u64::from(of(server))).sum()
}

fn servers(service: &ObservedService) -> Vec<(&'static str, Value)> {
    let mut counts = STATES.map(|state| (state, 0u64));
    for server in &service.servers {
        let state = state(server);
        for (_, count) in counts.iter_mut().filter(|(known, _)| *known == state) {
            *count += 1;
        }
    }
    counts.map(|(state, count)| (state, Value::Count(count))).into()
}

fn info(service: &ObservedService) -> Vec<(&'static str, String)> {
    let settings = &service.settings;
    let scheduler = settings.scheduler.map_or("none", SchedulerKind::name).to_owned();
    let mut labels = vec![("scheduler", scheduler), ("sharing", settings.sharing.to_string())];
    if let Some(engine) = &settings.persistence_engine {
        labels.push(("persistence_engine", engine.clone()));
    }
    labels
}
