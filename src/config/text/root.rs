//! Serde for every type of a config, standalone and nested. Derived code quotes unknown fields and
//! values of the wrong type raw and in full; here such errors are made legible.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::ServiceText;
use crate::config::{
    Affinity, Config, Ejection, Family, KernelRules, OutlierMethod, Outliers, Persistence,
    Protocol, RealServer, SlowStart, SyncDaemon, SyncRole, Thresholds, Ties, Timeouts, Tunnel,
    TunnelChecksum, VirtualService,
};
use crate::error::legible;

/// Passes the result on; an error whose message is not legible is replaced by one that is. The format
/// then recovers the position: serde_json from the message, toml from where the error occurs.
fn told<T, E: de::Error>(result: Result<T, E>) -> Result<T, E> {
    result.map_err(|error| match legible(&error.to_string()) {
        Some(message) => E::custom(message),
        None => error,
    })
}

/// For types whose derived functions are inherent, not a trait's: `#[serde(remote = "Self")]`.
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
    Affinity Config Ejection Family KernelRules OutlierMethod Outliers Persistence Protocol RealServer
    SlowStart SyncDaemon SyncRole Thresholds Ties Timeouts Tunnel TunnelChecksum
}

impl<'de> Deserialize<'de> for VirtualService {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = ServiceText::deserialize(deserializer);
        told(text.and_then(|text| text.try_into().map_err(de::Error::custom::<String>)))
    }
}

impl Serialize for VirtualService {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ServiceText::from(self.clone()).serialize(serializer)
    }
}
