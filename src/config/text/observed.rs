//! The serde form of the running state: a config's, with what is observed beside each item's settings.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::ServiceText;
use crate::config::{
    Config, Observed, ObservedServer, ObservedService, Rates, RealServer, Remembered, ServerCounts,
    ServerHealth, ServerState, Statistics,
};

/// Whole microseconds of a latency.
pub(in crate::config) fn microseconds<S: Serializer>(
    latency: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    latency
        .map(|latency| u64::try_from(latency.as_micros()).unwrap_or(u64::MAX))
        .serialize(serializer)
}

#[derive(Serialize)]
struct ObservedServiceText<'a> {
    #[serde(flatten)]
    service: ServiceText<&'a [ObservedServer]>,
    statistics: Statistics,
    rates: Rates,
    remembered: Option<Remembered>,
    templates: Option<Remembered>,
    panics: bool,
}

#[derive(Serialize)]
struct ObservedServerText<'a> {
    #[serde(flatten)]
    server: &'a RealServer,
    effective_weight: u32,
    counts: ServerCounts,
    state: ServerState,
    health: ServerHealth,
    statistics: Statistics,
    rates: Rates,
}

impl Serialize for Observed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let config = self.settings.clone().with_services(self.services.as_slice());
        Config::serialize(&config, serializer)
    }
}

impl Serialize for ObservedService {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ObservedService { settings, statistics, rates, remembered, templates, .. } = self;
        let service = settings.clone().with_servers(self.servers.as_slice()).into();
        let (remembered, templates) = (*remembered, *templates);
        let (statistics, rates, panics) = (*statistics, *rates, self.panics);
        ObservedServiceText { service, statistics, rates, remembered, templates, panics }
            .serialize(serializer)
    }
}

impl Serialize for ObservedServer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ObservedServerText {
            server: &self.server,
            effective_weight: self.effective_weight,
            counts: self.counts,
            state: self.state,
            health: self.health,
            statistics: self.statistics,
            rates: self.rates,
        }
        .serialize(serializer)
    }
}
