//! What happens to services and servers: looked at once per second, with the changes of states and the
//! connections of the last minutes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::iter;
use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use vsched::config::{ObservedServer, ObservedService, RealServer, ServiceKey};
use vsched::{Director, Flow, Hold, ServerState, ServiceId};

use crate::help;
use crate::log::{Entry, milliseconds};
use crate::snapshot::{HoldRow, RemovedRow, ServerRow, ServiceRow, Snapshot};

/// Seconds of connections that a share is of.
const WINDOW: usize = 60;
/// Seconds of history, where there are few servers.
const LONGEST: usize = 240;
const SHORTEST: usize = 10;
/// Numbers in the histories of all servers together.
const MOST: usize = 2 << 20;

/// A service, or a server of it.
type Name = (ServiceKey, Option<SocketAddr>);

pub(crate) struct Tracker {
    started: Instant,
    tracks: BTreeMap<Name, Track>,
    /// When it last looked.
    pub(crate) looked: Instant,
    pub(crate) snapshot: Snapshot,
}

/// The past of a service or server.
struct Track {
    /// Connections so far, when the latest second began.
    connections: u64,
    /// New connections in each second, the latest last.
    rates: VecDeque<u32>,
    state: &'static str,
    since: SystemTime,
}

impl Track {
    fn new(connections: u64, state: &'static str) -> Self {
        Track { connections, rates: VecDeque::new(), state, since: SystemTime::now() }
    }

    /// Connections since the latest second began. A server that was removed and came back counts from 0.
    fn latest(&self, connections: u64) -> u64 {
        connections.checked_sub(self.connections).unwrap_or(connections)
    }

    fn in_window(&self, connections: u64) -> u64 {
        let past = self.rates.iter().rev().take(WINDOW).copied().map(u64::from);
        past.sum::<u64>() + self.latest(connections)
    }

    fn second_over(&mut self, connections: u64, length: usize) {
        let rate = u32::try_from(self.latest(connections)).unwrap_or(u32::MAX);
        self.connections = connections;
        self.rates.push_back(rate);
        while self.rates.len() > length {
            self.rates.pop_front();
        }
    }
}

impl Tracker {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let snapshot = Snapshot { version: help::NUMBER, ..Snapshot::default() };
        Tracker { started: now, tracks: BTreeMap::new(), looked: now, snapshot }
    }

    /// Looks at everything. Returns the changes of states since the last time.
    pub(crate) fn look(
        &mut self,
        director: &Director,
        unanswered: impl Fn(&ServiceKey) -> u64,
    ) -> Vec<Entry> {
        self.looked = Instant::now();
        let services = director.services();
        let mut entries = Vec::new();
        let rows = services.iter().map(|(id, service)| {
            let holds = holds(director, *id, service);
            let mut row = self.service_row(service, holds, &mut entries);
            row.unanswered = unanswered(&service.settings.key);
            row
        });
        self.snapshot.services = rows.collect();
        self.forget_removed();
        self.snapshot.removed =
            director.removed_with_connections().iter().map(RemovedRow::from).collect();
        self.snapshot.uptime = self.started.elapsed().as_secs();
        self.snapshot.time = milliseconds(SystemTime::now());
        entries
    }

    /// A second is over: call it after [`look`](Self::look).
    pub(crate) fn second_over(&mut self) {
        self.snapshot.tick += 1;
        let length = (MOST / self.tracks.len().max(1)).clamp(SHORTEST, LONGEST);
        for service in &self.snapshot.services {
            let servers = service.servers.iter();
            let servers = servers.map(|server| (Some(server.address), server.connections));
            for (server, connections) in servers.chain([(None, service.connections)]) {
                if let Some(track) = self.tracks.get_mut(&(service.id, server)) {
                    track.second_over(connections, length);
                }
            }
        }
    }

    /// New connections per second of everything, as JSON: by service the list of numbers, and by server.
    pub(crate) fn history(&self) -> serde_json::Value {
        let mut services = serde_json::Map::new();
        for ((service, server), track) in &self.tracks {
            let service = services.entry(service.to_string());
            let by_name = service.or_insert_with(|| serde_json::Map::new().into());
            let name = server.map_or("service".to_owned(), |server| server.to_string());
            if let Some(by_name) = by_name.as_object_mut() {
                by_name.insert(name, track.rates.iter().copied().collect());
            }
        }
        services.into()
    }

    fn forget_removed(&mut self) {
        let services = self.snapshot.services.iter();
        if services.clone().map(|it| 1 + it.servers.len()).sum::<usize>() == self.tracks.len() {
            return;
        }
        let names: BTreeSet<Name> = services
            .flat_map(|service| {
                let servers = service.servers.iter().map(|server| Some(server.address));
                servers.chain([None]).map(|server| (service.id, server))
            })
            .collect();
        self.tracks.retain(|name, _| names.contains(name));
    }

    fn service_row(
        &mut self,
        service: &ObservedService,
        holds: Vec<Vec<Hold>>,
        entries: &mut Vec<Entry>,
    ) -> ServiceRow {
        let settings = &service.settings;
        let (key, connections) = (settings.key, service.statistics.connections);
        let track = self.tracks.entry((key, None)).or_insert_with(|| Track::new(0, "up"));
        let rate = track.latest(connections);
        let mut servers = Vec::new();
        let all_holds = holds.into_iter().chain(iter::repeat_with(Vec::new));
        for (server, holds) in service.servers.iter().zip(all_holds) {
            servers.push(self.server_row(key, server, holds, entries));
        }
        // As configured: a list has the newest server first.
        servers.reverse();
        let mut row = ServiceRow {
            id: key,
            key: key.to_string(),
            name: settings.name.clone(),
            scheduler: settings.scheduler.map(|kind| kind.name()),
            summary: settings.scheduler.map(|kind| kind.summary()),
            slow_start: settings.slow_start.is_some(),
            ejection: settings.ejection.is_some(),
            panics: service.panics,
            connections,
            rate,
            refused: service.statistics.refused,
            unanswered: 0,
            servers,
        };
        row.share(settings.scheduler);
        row
    }

    fn server_row(
        &mut self,
        service: ServiceKey,
        observed: &ObservedServer,
        holds: Vec<Hold>,
        entries: &mut Vec<Entry>,
    ) -> ServerRow {
        let RealServer { address, weight, priority, .. } = observed.server;
        let name = observed.server.name.clone();
        let state = match observed.state {
            ServerState::Down if observed.health.ejected => "ejected",
            state => state.name(),
        };
        let connections = observed.statistics.connections;
        let new = || Track::new(0, "up");
        let track = self.tracks.entry((service, Some(address))).or_insert_with(new);
        let holds: Vec<HoldRow> = holds.into_iter().map(HoldRow::from).collect();
        if track.state != state {
            let why: Vec<String> = holds.iter().map(HoldRow::to_string).collect();
            let why = if why.is_empty() { String::new() } else { format!(": {}", why.join(", ")) };
            let message = format!("{state}{why}");
            let entry = match state {
                "up" | "draining" => Entry::info("state", message),
                _ => Entry::warning("state", message),
            };
            entries.push(entry.of(&service, Some(address)));
            (track.state, track.since) = (state, SystemTime::now());
        }
        let health = &observed.health;
        ServerRow {
            address,
            name,
            weight,
            effective_weight: observed.effective_weight,
            priority,
            state,
            since: milliseconds(track.since),
            note: None,
            progress: None,
            overloaded: observed.counts.overloaded,
            holds,
            active: observed.counts.active,
            inactive: observed.counts.inactive,
            connections,
            recent_connections: track.in_window(connections),
            rate: track.latest(connections),
            failed: health.failed,
            consecutive_failures: health.consecutive_failures,
            latency_us: health.latency.map(|it| it.as_micros().try_into().unwrap_or(u64::MAX)),
            wanted: None,
            had: None,
        }
    }
}

/// Who holds each server of the service, in list order; empty if no server is held.
fn holds(director: &Director, id: ServiceId, service: &ObservedService) -> Vec<Vec<Hold>> {
    let up = |it: &ObservedServer| it.state == ServerState::Up && !it.health.ejected;
    if !service.panics && service.servers.iter().all(up) {
        return Vec::new();
    }
    let explained = director.explain(id, &Flow::default());
    let servers = explained.map(|explained| explained.servers).unwrap_or_default();
    servers.into_iter().map(|server| server.holds).collect()
}
