//! The state of everything at one moment, for the tables and the status page.

use std::fmt;
use std::net::SocketAddr;

use serde::Serialize;
use vsched::config::{Name, ServiceKey};
use vsched::{Hold, Holder, RemovedServer, SchedulerKind};

use crate::log::Entry;

/// Of a server's weight relative to the others', at least this means that slow start is over: effective
/// weights are rounded, and slow start moves in steps of 5 %.
const WHOLE: f64 = 0.97;

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Snapshot {
    pub(crate) version: &'static str,
    /// Milliseconds since 1970.
    pub(crate) time: u64,
    /// Number of seconds in the history so far.
    pub(crate) tick: u64,
    /// Seconds.
    pub(crate) uptime: u64,
    pub(crate) stopping: bool,
    pub(crate) saturated: bool,
    /// The most connections at a time.
    pub(crate) room: usize,
    pub(crate) services: Vec<ServiceRow>,
    /// Removed servers that still have connections.
    pub(crate) removed: Vec<RemovedRow>,
    /// The newest first.
    pub(crate) events: Vec<Entry>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct ServiceRow {
    #[serde(skip)]
    pub(crate) id: ServiceKey,
    pub(crate) key: String,
    pub(crate) name: Option<Name>,
    pub(crate) scheduler: Option<&'static str>,
    pub(crate) summary: Option<&'static str>,
    pub(crate) slow_start: bool,
    pub(crate) ejection: bool,
    pub(crate) panics: bool,
    pub(crate) connections: u64,
    /// Connections in the latest second.
    pub(crate) rate: u64,
    /// Picks that found no server.
    pub(crate) refused: u64,
    /// Connections that were closed without an answer.
    pub(crate) unanswered: u64,
    pub(crate) servers: Vec<ServerRow>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct ServerRow {
    pub(crate) address: SocketAddr,
    pub(crate) name: Option<Name>,
    pub(crate) weight: u32,
    pub(crate) effective_weight: u32,
    pub(crate) priority: u8,
    /// `up`, `draining`, `down` or `ejected`.
    pub(crate) state: &'static str,
    /// Milliseconds since 1970.
    pub(crate) since: u64,
    /// What else decides, apart from the state.
    pub(crate) note: Option<&'static str>,
    /// Percent of the weight, in slow start.
    pub(crate) progress: Option<u32>,
    #[serde(skip)]
    pub(crate) overloaded: bool,
    pub(crate) holds: Vec<HoldRow>,
    pub(crate) active: u32,
    pub(crate) inactive: u32,
    pub(crate) connections: u64,
    #[serde(skip)]
    pub(crate) recent_connections: u64,
    pub(crate) rate: u64,
    pub(crate) failed: u64,
    pub(crate) consecutive_failures: u32,
    /// Of connecting, on average.
    pub(crate) latency_us: Option<u64>,
    /// The share of new connections that it should have, and had in the last minute, of 1.
    pub(crate) wanted: Option<f64>,
    pub(crate) had: Option<f64>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct HoldRow {
    holder: &'static str,
    state: &'static str,
    reason: String,
}

impl From<Hold> for HoldRow {
    fn from(hold: Hold) -> Self {
        let Hold { holder, state, reason, .. } = hold;
        HoldRow { holder: holder.name(), state: state.name(), reason }
    }
}

impl fmt::Display for HoldRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HoldRow { holder, reason, .. } = self;
        match (*holder == Holder::Ejector.name(), reason.is_empty()) {
            // The state says it already.
            (true, false) => f.write_str(reason),
            (_, true) => f.write_str(holder),
            _ => write!(f, "{holder}: {reason}"),
        }
    }
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct RemovedRow {
    service: String,
    address: SocketAddr,
    active: u32,
    inactive: u32,
}

impl From<&RemovedServer> for RemovedRow {
    fn from(removed: &RemovedServer) -> Self {
        let RemovedServer { service, server, active, inactive, .. } = *removed;
        RemovedRow { service: service.to_string(), address: server, active, inactive }
    }
}

impl ServiceRow {
    /// Fills in shares, notes and the progress of slow start.
    pub(crate) fn share(&mut self, scheduler: Option<SchedulerKind>) {
        let ratio = |it: &ServerRow| match it.weight {
            0 => 0.0,
            weight => f64::from(it.effective_weight) / f64::from(weight),
        };
        let slow_start = self.slow_start && scheduler.is_some_and(SchedulerKind::shares_by_weight);
        // Tiers are scaled on their own.
        let largest = |servers: &[ServerRow], tier: u8| {
            let tier = servers.iter().filter(|it| it.priority == tier && it.state == "up");
            tier.map(ratio).fold(0.0, f64::max)
        };
        let mut tiers: Vec<u8> = self.servers.iter().map(|it| it.priority).collect();
        tiers.sort_unstable();
        tiers.dedup();
        let largest: Vec<(u8, f64)> =
            tiers.into_iter().map(|tier| (tier, largest(&self.servers, tier))).collect();
        for server in self.servers.iter_mut().filter(|server| server.state == "up") {
            let whole = largest.iter().find(|(tier, _)| *tier == server.priority);
            let part = whole.map_or(1.0, |(_, whole)| ratio(server) / whole.max(f64::MIN_POSITIVE));
            let starting = slow_start && server.effective_weight > 0 && part < WHOLE;
            server.progress = starting.then_some((part * 100.0).round() as u32);
            server.note = match () {
                () if server.weight == 0 => Some("quiesced"),
                () if server.effective_weight == 0 => Some("standby"),
                () if server.overloaded => Some("overloaded"),
                () if starting => Some("slow start"),
                () => None,
            };
        }
        let part = |it: &ServerRow| -> f64 {
            let eligible = it.state == "up" && it.effective_weight > 0 && !it.overloaded;
            match scheduler {
                _ if !eligible => 0.0,
                Some(SchedulerKind::Rr | SchedulerKind::Lc) => 1.0,
                Some(_) => f64::from(it.effective_weight),
                None => 0.0,
            }
        };
        let sum: f64 = self.servers.iter().map(part).sum();
        let recent: u64 = self.servers.iter().map(|it| it.recent_connections).sum();
        // Hashing goes by clients, failover by one server at a time: they have no shares to compare.
        let shares = scheduler.is_some_and(|kind| {
            kind.shares_by_weight() || matches!(kind, SchedulerKind::Rr | SchedulerKind::Lc)
        });
        for server in &mut self.servers {
            server.wanted = (shares && sum > 0.0).then(|| part(server) / sum);
            server.had = (recent > 0).then(|| server.recent_connections as f64 / recent as f64);
        }
    }

    /// How many servers take connections.
    pub(crate) fn up(&self) -> usize {
        self.servers.iter().filter(|it| it.state == "up" && it.weight > 0).count()
    }
}

impl Snapshot {
    /// One line for the service manager.
    pub(crate) fn summary(&self) -> String {
        let servers: usize = self.services.iter().map(|service| service.servers.len()).sum();
        let up: usize = self.services.iter().map(ServiceRow::up).sum();
        let open = self.services.iter().flat_map(|service| &service.servers);
        let open: u64 = open.map(|it| u64::from(it.active) + u64::from(it.inactive)).sum();
        let services = self.services.len();
        format!("services: {services}; servers: {servers}, up: {up}; connections: {open}")
    }
}
