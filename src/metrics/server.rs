//! Metrics per server.

use crate::config::{Name, ObservedServer};
use crate::director::Bar;
use crate::metrics::family::{Family, Samples, Value, families, maybe, one};
use crate::metrics::writer::Labels;

/// The labels of a server of the service with these labels.
pub(super) fn labels(service: &Labels, server: &ObservedServer) -> Labels {
    service
        .clone()
        .with("server", &server.server.address.to_string())
        .with_some("server_name", name(server))
}

/// The server's name, if it has one.
fn name(server: &ObservedServer) -> Option<&str> {
    server.server.name.as_ref().map(Name::as_str)
}

/// A server that gets new connections.
const UP: &str = "up";

/// The states of a server. It is in one: the first that is so, in the order of [`Bar::of`].
pub(super) const STATES: [&str; 7] = [
    UP,
    Bar::Ejected.name(),
    Bar::Down.name(),
    Bar::Draining.name(),
    Bar::Quiesced.name(),
    Bar::Standby.name(),
    Bar::Overloaded.name(),
];

pub(super) fn state(server: &ObservedServer) -> &'static str {
    Bar::of(server.effective_weight, server).map_or(UP, Bar::name)
}

fn states(server: &ObservedServer) -> Vec<(&'static str, Value)> {
    let now = state(server);
    STATES.map(|state| (state, Value::from(state == now))).into()
}

fn outcomes(server: &ObservedServer) -> Vec<(&'static str, Value)> {
    let health = &server.health;
    vec![
        ("done", health.done.into()),
        ("failed", health.failed.into()),
        ("abandoned", health.abandoned.into()),
    ]
}

pub(super) const FAMILIES: &[Family<ObservedServer>] = families! {
    "vsched_server_connections_total" Counter
        "Connections scheduled."
        one!(it => it.statistics.connections);
    "vsched_server_active_connections" Gauge
        "Active connections."
        one!(it => it.counts.active);
    "vsched_server_inactive_connections" Gauge
        "Inactive connections."
        one!(it => it.counts.inactive);
    "vsched_server_template_entries" Gauge
        "Clients that persistence sends to the server."
        one!(it => it.counts.persistent);
    "vsched_server_weight" Gauge
        "The configured weight."
        one!(it => it.server.weight);
    "vsched_server_effective_weight" Gauge
        "The weight that picks go by, comparable within a service."
        one!(it => it.effective_weight);
    "vsched_server_state" Gauge
        "1 for the state of the server, 0 for the others."
        Samples::Each { label: "state", of: states };
    "vsched_server_overloaded" Gauge
        "1 if the server reached its upper threshold."
        one!(it => it.counts.overloaded);
    "vsched_server_ejected" Gauge
        "1 while the server is ejected."
        one!(it => it.health.ejected);
    "vsched_server_outcomes_total" Counter
        "Connections or requests reported, by outcome."
        Samples::Each { label: "outcome", of: outcomes };
    "vsched_server_consecutive_failures" Gauge
        "Failures since the last success, at most 65535."
        one!(it => it.health.consecutive_failures);
    "vsched_server_latency_seconds" Gauge
        "Average latency of recent successes."
        maybe!(it => it.health.latency);
};

pub(super) const TRAFFIC: &[Family<ObservedServer>] = families! {
    "vsched_server_received_packets_total" Counter
        "Packets from clients."
        one!(it => it.statistics.packets_in);
    "vsched_server_sent_packets_total" Counter
        "Packets to clients."
        one!(it => it.statistics.packets_out);
    "vsched_server_received_bytes_total" Counter
        "Bytes from clients."
        one!(it => it.statistics.bytes_in);
    "vsched_server_sent_bytes_total" Counter
        "Bytes to clients."
        one!(it => it.statistics.bytes_out);
};
