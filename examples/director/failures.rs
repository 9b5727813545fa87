//! Failed attempts: each one is counted, and the log summarizes them.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::net::SocketAddr;
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use vsched::config::ServiceKey;

use crate::Event;
use crate::log::Entry;

/// At most one line per server in this time, however many connections fail.
const INTERVAL: Duration = Duration::from_secs(10);

/// Shared by all workers. A lock suffices: it is not used while servers respond.
pub(crate) struct Failures {
    events: SyncSender<Event>,
    /// By service and server; without a server: connections that no server accepted.
    counters: Mutex<BTreeMap<(ServiceKey, Option<SocketAddr>), Counter>>,
}

#[derive(Default)]
struct Counter {
    count: u64,
    told: Option<Instant>,
    since: u64,
}

impl Failures {
    pub(crate) fn new(events: SyncSender<Event>) -> Self {
        Failures { events, counters: Mutex::default() }
    }

    /// A server did not accept a connection.
    pub(crate) fn failed_try(&self, service: ServiceKey, server: SocketAddr, why: &dyn Display) {
        self.count(service, Some(server), |more| Entry::warning("failed", format!("{why}{more}")));
    }

    /// A client's connection was closed without a response.
    pub(crate) fn unanswered(&self, service: ServiceKey, why: &dyn Display) {
        self.count(service, None, |more| {
            let message = format!("a connection was closed unanswered: {why}{more}");
            Entry::error("unanswered", message)
        });
    }

    fn count(
        &self,
        service: ServiceKey,
        server: Option<SocketAddr>,
        entry: impl FnOnce(&str) -> Entry,
    ) {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = counters.entry((service, server)).or_default();
        counter.count += 1;
        if counter.told.is_some_and(|told| told.elapsed() < INTERVAL) {
            counter.since += 1;
            return;
        }
        let more = match counter.since {
            0 => String::new(),
            since => format!(" ({since} more since this was last said)"),
        };
        counter.told = Some(Instant::now());
        counter.since = 0;
        drop(counters);
        // A worker never waits for the terminal; what is not printed is still counted.
        let _ = self.events.try_send(Event::Log(entry(&more).of(&service, server)));
    }

    /// Connections of this service that no server accepted.
    pub(crate) fn unanswered_of(&self, service: ServiceKey) -> u64 {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.get(&(service, None)).map_or(0, |counter| counter.count)
    }

    /// All counters, as lines; empty if nothing failed.
    pub(crate) fn report(&self) -> String {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for ((service, server), counter) in counters.iter() {
            let count = counter.count;
            let _ = match server {
                Some(server) => {
                    writeln!(text, "Failed tries: {count}, server {server} of service {service}")
                }
                None => writeln!(text, "Unanswered connections: {count}, service {service}"),
            };
        }
        text
    }
}
