//! Serde for every type of a config, by itself and within others. Derived code quotes fields that it
//! does not know, and values of the wrong type, as they are and in full; here such errors become
//! legible ones.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::ServiceText;
use crate::config::{
    Affinity, Config, Family, KernelRules, Persistence, Protocol, RealServer, Sharing, SyncDaemon,
    SyncRole, Thresholds, Timeouts, Tunnel, TunnelChecksum, VirtualService,
};
use crate::error::legible;

/// The same error, and if its message would not do, one with the same message made legible. The
/// format then finds the place again: serde_json in the message, toml from where it stands.
fn told<T, E: de::Error>(result: Result<T, E>) -> Result<T, E> {
    result.map_err(|error| match legible(&error.to_string()) {
        Some(message) => E::custom(message),
        None => error,
    })
}

/// For types whose derived functions are their own and no trait's: `#[serde(remote = "Self")]`.
macro_rules! legible {
    ($($type:ident)+) => { $(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                told($type::deserialize(deserializer))
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $type::serialize(self, serializer)
            }
        }
    )+ };
}

legible! {
    Affinity Config Family KernelRules Persistence Protocol RealServer Sharing SyncDaemon SyncRole
    Thresholds Timeouts Tunnel TunnelChecksum
}

impl<'de> Deserialize<'de> for VirtualService {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = ServiceText::deserialize(deserializer);
        told(text.and_then(|text| text.try_into().map_err(de::Error::custom::<String>)))
    }
}
