//! Counts as Prometheus reads them, at `/metrics`.

use std::fmt::{self, Display, Write};

use vsched::Director;
use vsched::config::{ObservedServer, ObservedService};

/// What `/metrics` answers, in the text format 0.0.4.
pub(crate) fn text(director: &Director) -> String {
    let services = director.observe().services;
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, &services);
    text
}

type OfService = fn(&ObservedService) -> u64;
type OfServer = fn(&ObservedServer) -> u64;

fn write(out: &mut String, services: &[ObservedService]) -> fmt::Result {
    let of_services: [(&str, &str, &str, OfService); 2] = [
        ("service_connections_total", "counter", "Connections scheduled.", |it| {
            it.statistics.connections
        }),
        ("service_refused_total", "counter", "Picks that found no server.", |it| {
            it.statistics.refused
        }),
    ];
    let of_servers: [(&str, &str, &str, OfServer); 7] = [
        ("server_connections_total", "counter", "Connections scheduled.", |it| {
            it.statistics.connections
        }),
        ("server_failed_total", "counter", "Connections that failed.", |it| it.health.failed),
        ("server_active", "gauge", "Active connections.", |it| it.counts.active.into()),
        ("server_inactive", "gauge", "Inactive connections.", |it| it.counts.inactive.into()),
        ("server_up", "gauge", "1 if it takes part, 0 if it is draining or down.", |it| {
            u64::from(it.state == vsched::ServerState::Up)
        }),
        ("server_ejected", "gauge", "1 while it is ejected.", |it| it.health.ejected.into()),
        ("server_effective_weight", "gauge", "The weight with which it takes part.", |it| {
            it.effective_weight.into()
        }),
    ];
    for (name, kind, help, value) in of_services {
        writeln!(out, "# HELP vsched_{name} {help}\n# TYPE vsched_{name} {kind}")?;
        for service in services {
            let key = service.settings.key;
            sample(out, name, &[("service", &key)], value(service))?;
        }
    }
    for (name, kind, help, value) in of_servers {
        writeln!(out, "# HELP vsched_{name} {help}\n# TYPE vsched_{name} {kind}")?;
        for service in services {
            let key = service.settings.key;
            for server in &service.servers {
                let labels: [(&str, &dyn Display); 2] =
                    [("service", &key), ("server", &server.server.address)];
                sample(out, name, &labels, value(server))?;
            }
        }
    }
    Ok(())
}

/// Keys and addresses have no character that a label would have to escape.
fn sample(
    out: &mut String,
    name: &str,
    labels: &[(&str, &dyn Display)],
    value: u64,
) -> fmt::Result {
    write!(out, "vsched_{name}{{")?;
    for (number, (label, text)) in labels.iter().enumerate() {
        write!(out, "{}{label}=\"{text}\"", if number == 0 { "" } else { "," })?;
    }
    writeln!(out, "}} {value}")
}
