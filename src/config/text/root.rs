//! What a serde text can be as a whole. Derived code quotes fields that it does not know, and values
//! of the wrong type, as they are and in full; here such errors become legible ones.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, de};

use super::{ServiceText, server_address};
use crate::config::{
    Config, Forwarding, Generation, RealServer, SyncDaemon, Thresholds, Timeouts, VirtualService,
};
use crate::error::legible;

#[derive(Deserialize)]
#[serde(remote = "Config", deny_unknown_fields)]
struct ConfigText {
    #[serde(default)]
    generation: Generation,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    expire_quiescent_template: bool,
    #[serde(default)]
    timeouts: Timeouts,
    #[serde(default)]
    daemons: Vec<SyncDaemon>,
    #[serde(default)]
    services: Vec<VirtualService>,
}

#[derive(Deserialize)]
#[serde(remote = "RealServer", deny_unknown_fields)]
struct ServerText {
    #[serde(deserialize_with = "server_address")]
    address: SocketAddr,
    #[serde(default)]
    forwarding: Forwarding,
    #[serde(default = "one")]
    weight: u32,
    #[serde(default)]
    thresholds: Thresholds,
}

fn one() -> u32 {
    1
}

/// The same error, and if its message would not do, one with the same message made legible. The
/// format then finds the place again: serde_json in the message, toml from where it stands.
fn told<T, E: de::Error>(result: Result<T, E>) -> Result<T, E> {
    result.map_err(|error| match legible(&error.to_string()) {
        Some(message) => E::custom(message),
        None => error,
    })
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        told(ConfigText::deserialize(deserializer))
    }
}

impl<'de> Deserialize<'de> for VirtualService {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = ServiceText::deserialize(deserializer);
        told(text.and_then(|text| text.try_into().map_err(de::Error::custom::<String>)))
    }
}

impl<'de> Deserialize<'de> for RealServer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        told(ServerText::deserialize(deserializer))
    }
}
