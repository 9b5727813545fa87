//! What `--check` prints: warnings, and what each service does.

use std::fmt::Write;

use vsched::config::{Ejection, SlowStart, VirtualService};
use vsched::{Director, SchedulerKind};

use crate::servable;
use crate::snapshot::ServiceRow;
use crate::source::Wanted;
use crate::tracker::Tracker;

/// # Errors
/// The config is not valid, or nothing is left to serve.
pub(crate) fn check(mut wanted: Wanted) -> Result<String, String> {
    let warnings = servable::select(&mut wanted);
    let mut text: String = warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
    let director = Director::new(&wanted.config).map_err(|error| error.to_string())?;
    let mut tracker = Tracker::new();
    tracker.look(&director, |_| 0);
    for service in &wanted.config.services {
        let row = tracker.snapshot.services.iter().find(|row| row.id == service.key);
        // Writing to a string cannot fail.
        let _ = describe(&mut text, service, row);
    }
    if wanted.config.services.is_empty() {
        return Err(format!("{text}there is no service to serve"));
    }
    Ok(text)
}

fn describe(
    out: &mut String,
    service: &VirtualService,
    row: Option<&ServiceRow>,
) -> std::fmt::Result {
    let scheduler = service.scheduler.map_or("no scheduler", SchedulerKind::name);
    let summary = service.scheduler.map_or("refuses every connection", SchedulerKind::summary);
    writeln!(out, "service {}: {scheduler}: {summary}", service.key)?;
    if service.servers.is_empty() {
        writeln!(out, "  no servers: it refuses every connection")?;
    }
    for server in &service.servers {
        let shown = row.and_then(|row| row.servers.iter().find(|it| it.address == server.address));
        write!(out, "  server {}: weight {}", server.address, server.weight)?;
        if let Some(share) = shown.and_then(|it| it.wanted) {
            write!(out, ", {:.0} % of the connections", share * 100.0)?;
        }
        match shown.and_then(|it| it.note) {
            Some(note) => writeln!(out, ", {note}")?,
            None => writeln!(out)?,
        }
    }
    if let Some(persistence) = &service.persistence {
        writeln!(
            out,
            "  persistence: a client stays with its server for {} s",
            persistence.timeout
        )?;
    }
    if let Some(Ejection { failures, base_time, max_time, max_share, outliers, .. }) =
        service.ejection
    {
        let outliers = if outliers.is_some() { ", or if it stands out" } else { "" };
        writeln!(
            out,
            "  ejection: after {failures} failures in a row{outliers}, for {base_time} s to \
             {max_time} s, at most {max_share} % of the servers"
        )?;
    }
    if let Some(SlowStart { duration, least, .. }) = service.slow_start {
        writeln!(out, "  slow start: from {least} % to the whole weight in {duration} s")?;
    }
    if let Some(factor) = service.spill_over {
        writeln!(out, "  spill-over: tiers share the load, factor {factor} %")?;
    }
    if service.panic_threshold > 0 {
        let threshold = service.panic_threshold;
        writeln!(out, "  panic: all servers take part if fewer than {threshold} % are up")?;
    }
    Ok(())
}
